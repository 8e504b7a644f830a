"""Deliveries that are posted or withdrawn, how each was attempted, and messages that only their member sees.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES_BEFORE = ("open", "done", "given_up")
STATES = ("open", "posted", "withdrawn", "done", "given_up")
CHECK = "ck_deliveries_state"
INDEX = "ix_deliveries_open"


def upgrade() -> None:
    op.drop_index(INDEX, "deliveries")
    op.add_column("deliveries", sa.Column("attempted_by", sa.String(length=10), nullable=True))
    op.add_column("deliveries", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("ephemeral", sa.Boolean(), nullable=False, server_default=sa.false()))
    # The defaults are for the rows that are there.
    with _deliveries(STATES) as table:
        table.alter_column("failures", server_default=None)
    with op.batch_alter_table("messages") as table:
        table.alter_column("ephemeral", server_default=None)
    _index("state IN ('open', 'posted', 'withdrawn')")
    op.execute("UPDATE deliveries SET state = 'posted' WHERE state = 'open' AND message_id IS NOT NULL")
    op.execute(
        "UPDATE deliveries SET attempted_by = CASE WHEN user_install OR ephemeral THEN 'token'"
        " ELSE 'channel' END WHERE attempted_at IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_index(INDEX, "deliveries")
    op.execute("UPDATE deliveries SET state = 'open' WHERE state = 'posted'")
    op.execute("UPDATE deliveries SET state = 'given_up' WHERE state = 'withdrawn'")
    op.execute("DELETE FROM messages WHERE ephemeral")
    with _deliveries(STATES_BEFORE) as table:
        table.drop_column("attempted_by")
        table.drop_column("failures")
    with op.batch_alter_table("messages") as table:
        table.drop_column("ephemeral")
    _index("state = 'open'")


@contextmanager
def _deliveries(states: Sequence[str]) -> Iterator[BatchOperations]:
    """Alter the table, and which states it takes. SQLite builds it anew."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    given = (
        op.get_bind().scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'"))
        if on_sqlite
        else None
    )
    with op.batch_alter_table("deliveries", table_kwargs={"sqlite_autoincrement": True}) as table:
        yield table
        table.drop_constraint(op.f(CHECK), type_="check")
        table.create_check_constraint(op.f(CHECK), f"state IN ({', '.join(repr(state) for state in states)})")
    if given is not None:
        # No id is given out twice, not even that of a row that is gone.
        last = sa.text("UPDATE sqlite_sequence SET seq = :given WHERE name = 'deliveries'")
        op.get_bind().execute(last, {"given": given})


def _index(condition: str) -> None:
    where = sa.text(condition)
    op.create_index(INDEX, "deliveries", ["due_at"], sqlite_where=where, postgresql_where=where)
