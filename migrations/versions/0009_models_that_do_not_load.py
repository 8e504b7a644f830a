"""Let a worker say why it cannot load a model.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("broken", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("workers", "broken")
