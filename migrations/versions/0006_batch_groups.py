"""Drop the batch group: no one read it, and the engine's own grouping had left it behind.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("jobs", "batch_group")


def downgrade() -> None:
    # The version before writes it for every job that it makes; what is older, nothing reads.
    op.add_column(
        "jobs", sa.Column("batch_group", sa.String(length=150), nullable=False, server_default="unknown")
    )
