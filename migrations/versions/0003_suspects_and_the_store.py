"""Jobs that run in a worker of their own, pauses between attempts, room, and where the pictures are.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("suspect", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("jobs", sa.Column("due_at", sa.BigInteger(), nullable=True))
    op.add_column("members", sa.Column("singles", sa.Integer(), server_default="0", nullable=False))
    op.add_column("workers", sa.Column("draining_at", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("lacks", sa.String(length=20), nullable=True))
    op.create_table(
        "stores",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("marker", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stores")),
    )


def downgrade() -> None:
    op.drop_table("stores")
    op.drop_column("workers", "lacks")
    op.drop_column("workers", "draining_at")
    op.drop_column("members", "singles")
    op.drop_column("jobs", "due_at")
    op.drop_column("jobs", "suspect")
