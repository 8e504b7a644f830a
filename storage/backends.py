"""Resources that the bot and a worker both hold: configuration, catalog, database, image store, tickets,
events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from storage import secret_key
from storage.broker import Tickets
from storage.catalog import Catalog
from storage.catalog_watch import WatchedCatalog
from storage.config import Config
from storage.database import Database
from storage.events import Events
from storage.images import ImageStore
from storage.secret_key import SecretKey


@dataclass
class Backends:
    config: Config
    key: SecretKey
    catalogs: Callable[[], Catalog]
    """Tells the catalog as it is now (`storage/catalog_watch.py`)."""
    database: Database
    images: ImageStore
    tickets: Tickets
    events: Events

    @classmethod
    def open(cls, config: Config) -> Self:
        """Open what `config` names. The database must be at this version's form; see `Database.check`.

        Raises:
            ConfigError, CatalogError: with a sentence that says what to mend.
        """
        key = secret_key.load(config)
        return cls(
            config=config,
            key=key,
            catalogs=WatchedCatalog(lambda: config.catalog_file),
            database=Database(config.database),
            images=ImageStore(config.images),
            tickets=Tickets(config.broker),
            events=Events(config.broker, key.derive("events")),
        )

    @property
    def catalog(self) -> Catalog:
        """The catalog now; who asks for several things of one has it once."""
        return self.catalogs()

    def close(self) -> None:
        self.events.close()
        self.tickets.close()
        self.database.close()
