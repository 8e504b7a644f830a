"""Check that a process sees the pictures that the database names.

The first process to start marks its folder and notes the marker in the database. Whoever comes later with
another folder would save pictures where nobody finds them, or look for them where they are not.
"""

from __future__ import annotations

import socket

from sqlalchemy.orm import Session

from storage.database import Database, insert_or_update, now
from storage.errors import ConfigError
from storage.images import ImageStore
from storage.tables import Store

_THE_ONE = 1


def settle(database: Database, images: ImageStore) -> None:
    """Note which store belongs to the database, where none is noted yet; else see that it is this one.

    Raises:
        ConfigError: it is another one.
    """
    with database.writing() as session:
        if session.get(Store, _THE_ONE) is None:
            _note(session, images, replace=False)
        fault = mismatch(session, images)
    if fault is not None:
        raise ConfigError(f"EASEL_IMAGES_URL: {fault}")


def adopt(session: Session, images: ImageStore) -> None:
    """The pictures have moved: from now on this store belongs to the database.

    Raises:
        ConfigError: it cannot be written to.
    """
    _note(session, images, replace=True)


def mismatch(session: Session, images: ImageStore) -> str | None:
    """Reason why this is not the database's store, with what to do; None if it is, or if none is noted."""
    known = session.get(Store, _THE_ONE, populate_existing=True)
    if known is None or images.marker() == known.marker:
        return None
    return (
        f"{images.folder} is not the folder with this database's pictures, which is {known.place}. Let "
        "EASEL_IMAGES_URL name that folder for the bot and every worker, on several machines one that all of "
        "them see. If the pictures have moved here: easel db adopt."
    )


def _note(session: Session, images: ImageStore, *, replace: bool) -> None:
    try:
        marker = images.mark()
    except OSError as error:
        raise ConfigError(f"EASEL_IMAGES_URL: {images.folder} cannot be written: {error.strerror}.") from None
    place = f"{images.folder} on {socket.gethostname()}"
    news = {"marker": marker, "place": place, "noted_at": now(session)}
    row = insert_or_update(session, Store).values(id=_THE_ONE, **news)
    key = [Store.id]
    if replace:
        session.execute(row.on_conflict_do_update(index_elements=key, set_=news))
    else:
        session.execute(row.on_conflict_do_nothing(index_elements=key))
