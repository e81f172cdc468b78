"""Questions on their way, kept in the database: those that a killed process broke off are known, others can follow.

Each process writes twice a second what happened to its questions, a sign of life too, and reads whether one is to stop.
A question that runs for a process without a sign of life was interrupted.
"""

import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from assistant.database import Database, DatabaseUnavailable, tables, utc_now
from assistant.schema import AnswerEvent, ErrorEvent, Event, ToolProgress

if TYPE_CHECKING:
    from sqlalchemy import Connection

logger = logging.getLogger(__name__)

State = Literal["running", "done", "failed", "stopped", "interrupted"]
PULSE_S = 0.5
"""So often the questions of a process are written down."""
SIGN_OF_LIFE = timedelta(seconds=20)
"""Who has not written for so long has died."""
KEPT = timedelta(days=1)
"""So long events can be followed again."""
INTERRUPTED = ErrorEvent(message="The question was interrupted: the process that answered it ended.", hint="Ask again.")
_BROKEN = (OSError, sqlite3.Error, DatabaseUnavailable)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


@dataclass
class Running:
    """A question that this process is answering."""

    session_id: str
    question: str
    stop: Callable[[], None]
    """Stops it, from any thread."""
    owner: str = ""
    """Whose it is; empty where users are not told apart."""
    followed: bool = False
    """True where others may follow it under its id: then its events are kept."""
    job_id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    state: State = "running"
    progress: str = ""
    events: int = 0
    unwritten: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Note one event."""
        self.events += 1
        match event:
            case ToolProgress():
                self.progress = event.message
            case AnswerEvent():
                self.state, self.progress = "done", ""
            case ErrorEvent():
                self.state, self.progress = "failed", f"{event.message} {event.hint}".strip()
        if self.followed:
            row = {"job_id": self.job_id, "number": self.events, "session_id": self.session_id}
            self.unwritten.append({**row, "event": event.model_dump_json()})

    def end(self) -> None:
        """Note the end: without an answer or error it was stopped."""
        if self.state == "running":
            self.state, self.progress = "stopped", "The question was stopped."


@dataclass(frozen=True)
class Kept:
    """A question as the database knows it."""

    job_id: str
    session_id: str
    owner: str
    question: str
    state: State
    progress: str


class Jobs:
    """The questions on their way of all processes with one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: dict[str, Running] = {}
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._pulse: threading.Thread | None = None

    def begin(self, running: Running) -> None:
        """Write down that a question is asked; where that cannot be written, it is answered all the same."""
        job, events, now = tables().tables["job"], tables().tables["event"], utc_now()
        same = (job.c.session_id == running.session_id, job.c.question == running.question, job.c.state == "running")
        row: dict[str, Any] = {"id": running.job_id, "session_id": running.session_id, "owner": running.owner}
        row |= {"question": running.question, "state": "running", "progress": "", "followed": running.followed}
        try:
            with self._database.begin() as db:
                db.execute(job.delete().where(*same, job.c.seen_at < now - SIGN_OF_LIFE))  # it is asked again
                db.execute(job.delete().where(job.c.seen_at < now - KEPT, job.c.state != "running"))
                db.execute(events.delete().where(events.c.happened_at < now - KEPT))
                db.execute(job.insert().values(**row))
        except _BROKEN as error:
            logger.warning("A question on its way is not written down: %s", error)
            return
        with self._lock:
            self._running[running.job_id] = running
            if self._pulse is None:
                self._pulse = threading.Thread(target=self._beat, name="jobs", daemon=True)
                self._pulse.start()

    def end(self, running: Running) -> None:
        """Take that nothing comes any more; what is not kept with the answer is written down at the next pulse."""
        running.end()
        if running.state == "done" and not running.followed:
            with self._lock:
                self._running.pop(running.job_id, None)

    def close(self) -> None:
        """Write down what has ended; what still runs in a process that ends was stopped."""
        with self._lock:
            running = list(self._running.values())
        for one in running:
            one.end()
        self._write(running)

    def get(self, job_id: str, owner: str) -> Kept | None:
        """Give a question that may be followed, and is this owner's."""
        job = tables().tables["job"]
        found = self._select(job.c.id == job_id, job.c.owner == owner, job.c.followed)
        return found[0] if found else None

    def listed(self, owner: str, limit: int = 200) -> list[Kept]:
        """List the questions of an owner that may be followed, the latest first."""
        job = tables().tables["job"]
        return self._select(job.c.owner == owner, job.c.followed, limit=limit)

    def interrupted(self, session_id: str) -> list[str]:
        """Give the questions of a conversation that a process took with it when it died, oldest first."""
        job = tables().tables["job"]
        dead = (job.c.state == "running", job.c.seen_at < utc_now() - SIGN_OF_LIFE)
        return [one.question for one in reversed(self._select(job.c.session_id == session_id, *dead))]

    def unanswered(self, session_id: str) -> Kept | None:
        """Give the latest question of a conversation where it has no answer, or none yet."""
        latest = self._select(tables().tables["job"].c.session_id == session_id, limit=1)
        return latest[0] if latest and latest[0].state != "done" else None

    def events(self, job_id: str, after: int = 0) -> list[Event]:
        """Give the events of a question that are written down, past a number; the first one has the number 1."""
        event = tables().tables["event"]
        found = event.select().where(event.c.job_id == job_id, event.c.number > after).order_by(event.c.number)
        with self._database.begin() as db:
            return [_EVENT.validate_json(row.event) for row in db.execute(found)]

    def stop(self, job_id: str) -> None:
        """Have whichever process answers a question stop it, and forget it."""
        job, event = tables().tables["job"], tables().tables["event"]
        with self._database.begin() as db:
            db.execute(event.delete().where(event.c.job_id == job_id))
            db.execute(job.delete().where(job.c.id == job_id))

    def _select(self, *where: Any, limit: int | None = None) -> list[Kept]:
        if self._database.is_empty:
            return []
        job = tables().tables["job"]
        with self._database.begin() as db:
            rows = db.execute(job.select().where(*where).order_by(job.c.asked_at.desc()).limit(limit)).all()
        alive = utc_now() - SIGN_OF_LIFE
        return [
            Kept(
                row.id,
                row.session_id,
                row.owner,
                row.question,
                "interrupted" if row.state == "running" and row.seen_at < alive else row.state,
                row.progress,
            )
            for row in rows
        ]

    def _beat(self) -> None:
        """Write down what happens while anything runs; ends when nothing does."""
        wait = threading.Event()
        while not wait.wait(PULSE_S):
            with self._lock:
                if not self._running:
                    self._pulse = None
                    return
                running = list(self._running.values())
            self._write(running)

    def _write(self, running: list[Running]) -> None:
        """Write events and a sign of life; what is no longer there was forgotten by somebody, and is stopped."""
        with self._writing:
            states = {one.job_id: one.state for one in running}
            new = {one.job_id: list(one.unwritten) for one in running}
            try:
                with self._database.begin() as db:
                    gone = [one for one in running if not self._written(db, one, states[one.job_id], new[one.job_id])]
            except _BROKEN as error:
                logger.warning("Questions on their way are not written down: %s", error)
                return
        for one in running:
            del one.unwritten[: len(new[one.job_id])]
        with self._lock:
            for one in running:
                if one in gone or states[one.job_id] != "running":
                    self._running.pop(one.job_id, None)
        for one in gone:
            one.stop()

    @staticmethod
    def _written(db: "Connection", one: Running, state: State, new: list[dict[str, Any]]) -> bool:
        """Write down one question; gives whether it is still known."""
        job, event = tables().tables["job"], tables().tables["event"]
        values: dict[str, Any] = {"progress": one.progress, "seen_at": utc_now()}
        if state != "running":  # it begins as that; whoever kept the answer may have written its end already
            values["state"] = state
        known = bool(db.execute(job.update().where(job.c.id == one.job_id).values(**values)).rowcount)
        if known and new:
            db.execute(event.insert(), new)
        return known
