"""Link jobs to the pictures that they use, and those to who brings them; add exports that are put together.

The pictures of older jobs are looked up beside running work (`storage/brought.py`): here is only noted how
many jobs there are.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = re.compile(r"(incoming|inputs)/[0-9A-Za-z_/-]+\.[a-z0-9]+")


def upgrade() -> None:
    op.create_table(
        "bringings",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bringings")),
        sqlite_autoincrement=True,
    )
    for column in ("key", "member_id", "created_at"):
        op.create_index(f"ix_bringings_{column}", "bringings", [column])
    op.create_table(
        "job_pictures",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_pictures_job_id_jobs")),
        sa.PrimaryKeyConstraint("key", "job_id", name=op.f("pk_job_pictures")),
    )
    op.create_index("ix_job_pictures_job_id", "job_pictures", ["job_id"])
    op.create_table(
        "fillings",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("after", ID, nullable=False),
        sa.Column("until", ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fillings")),
    )
    op.create_table(
        "exports",
        sa.Column("id", ID, nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("locale", sa.String(length=10), nullable=True),
        sa.Column("user_install", sa.Boolean(), nullable=False),
        sa.Column("interaction_token", sa.Text(), nullable=True),
        sa.Column("token_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("after", ID, nullable=True),
        sa.Column("upload_limit", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_exports_member_id_members")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        sa.UniqueConstraint("member_id", name=op.f("uq_exports_member_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_member_id", "deliveries", ["member_id"])
    _bring_along()


def _bring_along() -> None:
    """Note as brought what proposed batches may use; older jobs are left to be looked through."""
    connection = op.get_bind()
    connection.execute(
        sa.text(
            'INSERT INTO fillings (name, "after", "until") '
            "SELECT 'job_pictures', 0, max(id) FROM jobs HAVING max(id) IS NOT NULL"
        )
    )
    proposed = sa.text("SELECT member_id, wishes, created_at FROM batches WHERE state = 'proposed'")
    for member_id, wishes, created_at in connection.execute(proposed).all():
        for key in set(_keys(json.loads(wishes) if isinstance(wishes, str) else wishes)):
            connection.execute(
                sa.text("INSERT INTO bringings (key, member_id, created_at) VALUES (:key, :member, :at)"),
                {"key": key, "member": member_id, "at": created_at},
            )


def _keys(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        if KEY.fullmatch(part):
            yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _keys(inner)


def downgrade() -> None:
    op.drop_index("ix_deliveries_member_id", "deliveries")
    for table in ("exports", "fillings", "job_pictures", "bringings"):
        op.drop_table(table)
