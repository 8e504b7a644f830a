"""Takedowns everywhere: those of the operator, beside a guild's own.

What `easel withhold` kept back until now becomes one of them.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("takedowns", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("guild_id", existing_type=sa.BigInteger(), nullable=True)
    op.execute(
        "INSERT INTO takedowns (guild_id, job_id, decided_by, created_at) "
        "SELECT NULL, job_id, 0, MAX(at) FROM audit "
        "WHERE action = 'withhold' AND actor_id = 0 AND job_id IS NOT NULL GROUP BY job_id"
    )


def downgrade() -> None:
    op.execute(
        "UPDATE images SET withheld = true WHERE job_id IN "
        "(SELECT job_id FROM takedowns WHERE guild_id IS NULL AND lifted_at IS NULL)"
    )
    op.execute("DELETE FROM takedowns WHERE guild_id IS NULL")
    with op.batch_alter_table("takedowns", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("guild_id", existing_type=sa.BigInteger(), nullable=False)
