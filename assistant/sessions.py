"""Conversations in SQLite, each under an id that cannot be guessed; who lacks the id sees nothing."""

import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant.schema import Answer, Pending

SCHEMA = """
CREATE TABLE IF NOT EXISTS turn (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    asked_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    question TEXT NOT NULL,
    answer TEXT NOT NULL
);
DROP TABLE IF EXISTS pending;
CREATE TABLE IF NOT EXISTS waiting (
    fingerprint TEXT NOT NULL,
    session_id TEXT NOT NULL,
    anyone INTEGER NOT NULL,
    asked_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    run TEXT NOT NULL,
    PRIMARY KEY (fingerprint, session_id)
);
CREATE INDEX IF NOT EXISTS turn_session ON turn (session_id, id);
"""
DAY_AGO = "datetime('now', '-1 day')"
"""How long a large run waits for a word."""
NEWEST = f"FROM waiting WHERE fingerprint = ? AND anyone AND asked_at > {DAY_AGO} ORDER BY rowid DESC LIMIT 1"
"""The latest run of a plan that a client without a session of its own was asked about."""
FORGET_WAITING = "DELETE FROM waiting WHERE session_id = ?"
LONG_ID = re.compile(r"[A-Za-z0-9_-]{16,100}")


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: Answer


class Sessions:
    """The conversations kept in one database file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, session_id: str | None) -> str:
        """Give the id to go on with: the caller's when it is long enough to be unguessable, else a new one."""
        if session_id and LONG_ID.fullmatch(session_id):
            return session_id
        return secrets.token_urlsafe(18)

    def history(self, session_id: str, *, limit: int = 8) -> tuple[Turn, ...]:
        """Give the latest turns of one conversation, oldest first."""
        # Nothing was ever kept: reading must not need a disk that can be written.
        if not self.path.exists() or not self.path.stat().st_size:
            return ()
        with self._connect() as db:
            rows = db.execute(
                "SELECT question, answer FROM turn WHERE session_id = ? ORDER BY id DESC LIMIT ?", (session_id, limit)
            ).fetchall()
        return tuple(Turn(question, Answer.model_validate_json(answer)) for question, answer in reversed(rows))

    def pending(self, session_id: str, fingerprints: Sequence[str]) -> tuple[Pending, ...]:
        """Give the large runs that wait for a word in this conversation; if none does, those with these fingerprints.

        Who names a fingerprint has been asked about that very plan. By it alone only those runs are found that a
        client without a session id asked for: it has no other way to go on.
        """
        if not self.path.exists() or not self.path.stat().st_size:
            return ()
        own = f"SELECT run FROM waiting WHERE session_id = ? AND asked_at > {DAY_AGO} ORDER BY rowid"
        with self._connect() as db:
            rows = db.execute(own, (session_id,)).fetchall()
            rows = rows or [db.execute(f"SELECT run {NEWEST}", (one,)).fetchone() for one in fingerprints]
        return tuple(Pending.model_validate_json(row[0]) for row in rows if row)

    def save(
        self,
        session_id: str,
        question: str,
        answer: Answer,
        *,
        pending: Sequence[Pending] = (),
        settled: Sequence[str] | None = None,
        anyone: bool = False,
    ) -> None:
        """Add one turn.

        Args:
            session_id: The conversation.
            question: The user's words.
            answer: What they led to.
            pending: Large runs that the answer asks about.
            settled: Plans that wait no longer, with all of this conversation; None: all go on waiting.
            anyone: True where the client has no session of its own, so that a fingerprint alone finds the runs.
        """
        with self._connect() as db:
            db.execute(f"DELETE FROM waiting WHERE asked_at <= {DAY_AGO}")
            if settled is not None and not db.execute(FORGET_WAITING, (session_id,)).rowcount:
                newest = f"DELETE FROM waiting WHERE rowid IN (SELECT rowid {NEWEST})"
                db.executemany(newest, [(one,) for one in settled])
            db.executemany(
                "INSERT OR REPLACE INTO waiting (fingerprint, session_id, anyone, run) VALUES (?, ?, ?, ?)",
                [(one.fingerprint, session_id, anyone, one.model_dump_json()) for one in pending],
            )
            db.execute(
                "INSERT INTO turn (session_id, question, answer) VALUES (?, ?, ?)",
                (session_id, question, answer.model_dump_json()),
            )

    def delete(self, session_id: str) -> None:
        """Forget one conversation, with the large runs that wait in it."""
        if not self.path.exists():
            return
        with self._connect() as db:
            db.execute(FORGET_WAITING, (session_id,))
            db.execute("DELETE FROM turn WHERE session_id = ?", (session_id,))

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            db.executescript(SCHEMA)
            yield db
