"""The words that let a large run go, and how long it waits for them."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from assistant import pending
from assistant.schema import Answer, Pending
from assistant.sessions import Sessions

QUESTION, TODAY = "Show a map of NDVI of Rennes this summer", date(2025, 9, 10)
WAITING = Pending(
    fingerprint="0123456789abcdef",
    tool="compute",
    args={"place": "Rennes", "period": "2025"},
    changes={"Fewer dates for Rennes: on 2025-06-01, 1 of 9": {"period": "2025-06-01"}},
    question=QUESTION,
    today=TODAY,
)


YES = [
    *("Run it", "run it!", " YES. ", "Run it please", "ok, run it", "sure", "run it now", "yes go ahead", "y"),
    *("oui", "oui merci", "oui, lance-le", "s'il vous plaît, lancez", "Ja, bitte", "Ja, ausführen"),
    *("sí", "sí, por favor", "va bene", "sì, esegui"),
]


NOT_YES = [
    *("Don't run it", "no, run it later", "yes no", "ja nein", "thanks", "merci", "please", "runit", "yesterday"),
    *("Run it in Rennes", "yes, which product?"),
]


@pytest.mark.parametrize("words", YES)
def test_a_word_for_yes_lets_the_plan_run(words: str) -> None:
    reply = pending.read_reply(words, [WAITING])
    assert reply is not None
    assert (reply.calls, reply.approved) == ((("compute", WAITING.args),), frozenset({WAITING.fingerprint}))
    assert pending.read_reply(words, []) is None


@pytest.mark.parametrize("words", NOT_YES)
def test_other_words_let_nothing_run(words: str) -> None:
    reply = pending.read_reply(words, [WAITING])
    assert reply is None or not reply.calls


def test_a_smaller_alternative_is_run_by_its_own_words_and_approves_nothing() -> None:
    reply = pending.read_reply("fewer dates for Rennes: on 2025-06-01, 1 of 9", [WAITING])
    assert reply is not None
    assert reply.calls == (("compute", {"place": "Rennes", "period": "2025-06-01"}),)
    assert not reply.approved


def test_a_fingerprint_alone_finds_only_runs_of_clients_without_a_session(tmp_path: Path) -> None:
    sessions, named = Sessions(tmp_path / "s.sqlite"), (WAITING.fingerprint,)
    answer = Answer(text="Asked.", session_id="own", model="m", seconds=0)
    sessions.save("own", QUESTION, answer, pending=[WAITING])
    assert sessions.pending("own", ()) == (WAITING,)
    assert sessions.pending("another", named) == ()
    sessions.save("plain", QUESTION, answer, pending=[WAITING], anyone=True)
    assert sessions.pending("another", named) == (WAITING,)
    sessions.save("another", "Run it", answer, settled=named)
    assert sessions.pending("another", named) == ()
    assert sessions.pending("own", ()) == (WAITING,)


def test_a_run_waits_for_a_day_and_goes_with_its_conversation(tmp_path: Path) -> None:
    sessions, answer = Sessions(tmp_path / "s.sqlite"), Answer(text="Asked.", session_id="own", model="m", seconds=0)
    sessions.save("own", QUESTION, answer, pending=[WAITING])
    sessions.delete("own")
    assert QUESTION.encode() not in _kept(sessions)
    sessions.save("own", QUESTION, answer, pending=[WAITING], anyone=True)
    with closing(sqlite3.connect(sessions.database.where)) as db, db:
        db.execute("UPDATE waiting SET asked_at = datetime('now', '-25 hours')")
    assert sessions.pending("own", (WAITING.fingerprint,)) == ()
    sessions.save("other", "Hello", answer)
    with closing(sqlite3.connect(sessions.database.where)) as db:
        assert db.execute("SELECT count(*) FROM waiting").fetchone() == (0,)


def _kept(sessions: Sessions) -> bytes:
    with closing(sqlite3.connect(sessions.database.where)) as db:
        return "\n".join(db.iterdump()).encode()


@pytest.mark.parametrize("text", ["Run it in Rennes", "no data in Rennes?", "yes, which product?", ""])
def test_a_question_is_no_reply(text: str) -> None:
    assert not pending.is_reply(text)
