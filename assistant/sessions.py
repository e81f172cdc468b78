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
CREATE TABLE IF NOT EXISTS pending (
    fingerprint TEXT NOT NULL,
    session_id TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (fingerprint, session_id)
);
CREATE INDEX IF NOT EXISTS turn_session ON turn (session_id, id);
"""
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
        """Give the large runs with these fingerprints that wait for a word, those of this conversation first.

        Who names a fingerprint has been asked about that very plan, also where a client keeps no session id.
        """
        if not fingerprints or not self.path.exists():
            return ()
        sql = "SELECT run FROM pending WHERE fingerprint = ? ORDER BY session_id = ? DESC, rowid DESC LIMIT 1"
        with self._connect() as db:
            rows = [db.execute(sql, (fingerprint, session_id)).fetchone() for fingerprint in fingerprints]
        return tuple(Pending.model_validate_json(row[0]) for row in rows if row)

    def save(self, session_id: str, question: str, answer: Answer, *, pending: Sequence[Pending] = ()) -> None:
        """Add one turn, with the large runs that it asks about."""
        with self._connect() as db:
            db.executemany(
                "INSERT OR REPLACE INTO pending (fingerprint, session_id, run) VALUES (?, ?, ?)",
                [(one.fingerprint, session_id, one.model_dump_json()) for one in pending],
            )
            db.execute(
                "INSERT INTO turn (session_id, question, answer) VALUES (?, ?, ?)",
                (session_id, question, answer.model_dump_json()),
            )

    def delete(self, session_id: str) -> None:
        """Forget one conversation."""
        if not self.path.exists():
            return
        with self._connect() as db:
            db.execute("DELETE FROM turn WHERE session_id = ?", (session_id,))

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            db.executescript(SCHEMA)
            yield db
