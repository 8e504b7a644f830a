"""For alembic: `Database.upgrade()` hands a connection in, the `alembic` command opens the configured one."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from storage import config
from storage.database import Database
from storage.tables import Table


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with Database(config.load().database).migrating() as opened:
        migrate(opened)
