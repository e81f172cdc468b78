"""Conversations in SQLite, each under an id that cannot be guessed; who lacks the id sees nothing."""

import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant.schema import Answer

SCHEMA = """
CREATE TABLE IF NOT EXISTS turn (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    asked_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    question TEXT NOT NULL,
    answer TEXT NOT NULL
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

    def save(self, session_id: str, question: str, answer: Answer) -> None:
        """Add one turn."""
        with self._connect() as db:
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
