"""A conversation goes on after a restart, in SQLite and in PostgreSQL, with a language model and without."""

import os

import pytest
from sqlalchemy import Connection, inspect, text

from assistant.database import _engine, tables
from assistant.sessions import Sessions
from assistant.settings import Settings
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import small_assistant

QUESTION = "How green are the parcels around Rennes this summer?"
COMPUTE = ("compute", {"index": "ndvi", "place": "Rennes", "period": "this summer", "output": "per_polygon"})


def _restart(kept: Settings) -> None:
    """Forget what this process holds of the database, as a new process would."""
    if kept.database_url:
        _engine(kept.database.where).dispose()
    _engine.cache_clear()


async def test_a_model_goes_on_after_a_restart_with_what_was_checked(kept: Settings) -> None:
    invented = says("Parcel A has an NDVI of 0.6. The yield is 17 t.")
    with chat_server(calls(COMPUTE), invented, invented, says("Parcel A had 0.6.")) as chat:
        told = kept.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "stand-in"})
        first = await small_assistant(told).ask(QUESTION)
        _restart(kept)
        second = await small_assistant(told).ask("What did Parcel A have?", session_id=first.session_id)
        other = await small_assistant(told).ask("What did Parcel A have?")
    followed, alone = chat.requests[3]["messages"], chat.requests[-1]["messages"]
    assert [one["content"] for one in followed[1:]] == [QUESTION, first.text, "What did Parcel A have?"]
    assert "17 t" not in str(followed)  # what a model invented is no part of what it goes on with
    assert second.text == "Parcel A had 0.6."  # numbers of the earlier turn are known
    assert QUESTION not in str(alone)
    assert "0.6" not in other.text


async def test_a_conversation_is_read_where_nothing_can_be_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await small_assistant(settings).ask(QUESTION)
    database = settings.data_dir / "sessions.sqlite"
    _engine(database).dispose()
    _engine.cache_clear()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert [one.question for one in Sessions(database).history(first.session_id)] == [QUESTION]
    assert [one.name for one in settings.data_dir.glob("sessions*")] == [database.name]


async def test_the_planner_goes_on_after_a_restart(kept: Settings) -> None:
    first = await small_assistant(kept).ask(QUESTION)
    _restart(kept)
    second = await small_assistant(kept).ask("And in July 2025?", session_id=first.session_id)
    assert second.plan is not None
    assert (second.plan.place.name, second.plan.period.label) == ("Rennes", "July 2025")


async def test_a_forgotten_conversation_leaves_nothing_behind(kept: Settings) -> None:
    assistant = small_assistant(kept)
    session_id = (await assistant.ask(QUESTION)).session_id
    assistant.forget(session_id)
    _restart(kept)
    assert small_assistant(kept).sessions.history(session_id) == ()
    assert session_id not in [one.session_id for one in assistant.sessions.listed()]


def test_indexes_that_an_older_database_lacks_are_made(kept: Settings) -> None:
    wanted = {str(index.name) for table in tables().tables.values() for index in table.indexes}
    with kept.database.begin() as db:
        assert wanted <= _indexes(db)
        for name in wanted:
            db.execute(text(f"DROP INDEX {name}"))
    _restart(kept)
    with kept.database.begin() as db:
        assert wanted <= _indexes(db)


def _indexes(db: Connection) -> set[str]:
    told = inspect(db)
    return {str(one["name"]) for table in told.get_table_names() for one in told.get_indexes(table)}
