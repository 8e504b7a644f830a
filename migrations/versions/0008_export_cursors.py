"""Keep the place at which an interrupted export goes on; drop movies of pictures that were deleted.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("exports", sa.Column("cursor", ID, nullable=True))
    # The files are swept: nothing names them any more.
    op.execute(
        "UPDATE jobs SET movie_key = NULL WHERE movie_key IS NOT NULL AND EXISTS"
        " (SELECT 1 FROM images WHERE images.job_id = jobs.id AND images.deleted_at IS NOT NULL)"
    )


def downgrade() -> None:
    op.drop_column("exports", "cursor")
