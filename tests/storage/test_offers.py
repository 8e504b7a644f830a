"""What a guild is offered of the catalog."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from actions.policy import check_models
from storage import catalog, offers
from storage.contract import GenerationRequest, Task
from storage.database import Database
from storage.offers import ModelOff
from storage.tables import AuditEntry, Guild


def test_an_offer_on_both_databases(database: Database) -> None:
    models = catalog.load()
    more = models.model_copy(update={"models": {**models.models, "more": models["picturebook"]}})
    with database.writing() as session:
        assert offers.offered(session, more, 7) is more
        assert offers.turn(session, 7, 1, "more", on=False)
        assert not offers.turn(session, 7, 1, "more", on=False)
        offers.choose_default(session, 7, 1, "more")
        found = offers.offered(session, more, 7)
        assert (list(found.models), found.default, found.off) == (
            ["picturebook"],
            "picturebook",
            frozenset({"more"}),
        )
        assert offers.offered(session, more, None) is more, "direct messages have no moderators"
        request = GenerationRequest(model="more", prompt="x", width=64, height=64, seed=1)
        with pytest.raises(ModelOff) as refused:
            check_models(session, more, 7, [request])
        assert refused.value.on == ("Picturebook",)
        check_models(session, more, 7, [request.changed(task=Task.UPSCALE, scale=2, source_key="k")])
        check_models(session, more, 7, [request.changed(task=Task.DESCRIBE, source_key="k")])
        assert [entry.action for entry in session.scalars(select(AuditEntry))] == [
            "model_off",
            "model_default",
        ]
        assert session.get_one(Guild, 7).settings == {"models_off": ["more"], "model": "more"}
