"""Takedowns: a guild's moderators decide about their own guild alone.

What they withheld until now stays withheld everywhere, as it was; the guild's own takedown is added to it.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IN_FORCE = "lifted_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "takedowns",
        sa.Column("id", ID, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_takedowns_image_id_images")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_takedowns_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_takedowns")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_takedowns_in_force",
        "takedowns",
        ["job_id", "guild_id"],
        sqlite_where=sa.text(IN_FORCE),
        postgresql_where=sa.text(IN_FORCE),
    )
    op.execute(
        "INSERT INTO takedowns (guild_id, job_id, decided_by, created_at) "
        "SELECT guild_id, job_id, MAX(decided_by), MAX(decided_at) FROM reports "
        "WHERE verdict = 'withheld' GROUP BY guild_id, job_id"
    )


def downgrade() -> None:
    op.drop_table("takedowns")
