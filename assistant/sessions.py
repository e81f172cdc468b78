"""Conversations in the database, each under an id that cannot be guessed; who lacks the id sees nothing."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from assistant.conversation import MOST_REPLAYED, ConversationState, replayed
from assistant.database import Database, tables, utc_now
from assistant.published import end_pictures
from assistant.schema import Answer, Pending

if TYPE_CHECKING:
    from sqlalchemy import Select

WAITS = timedelta(days=1)
"""How long a large run waits for a word."""
LONG_ID = re.compile(r"[A-Za-z0-9_-]{16,100}")


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: Answer


@dataclass(frozen=True)
class Kept:
    """What is known of a conversation from outside."""

    session_id: str
    turns: int
    first: datetime
    last: datetime
    """Of its first and its last question, UTC."""


def _anyone(session_id: str) -> None:
    """Let everybody read."""


class Sessions:
    """The conversations of one database."""

    def __init__(self, database: Database | Path, need: Callable[[str], None] = _anyone) -> None:
        """Keep where they lie; `need` is called with the id of each conversation that is read, and may refuse."""
        self.database = Database(database) if isinstance(database, Path) else database
        self._need = need

    def open(self, session_id: str | None) -> str:
        """Give the id to go on with: the caller's when it is long enough to be unguessable, else a new one."""
        if session_id and LONG_ID.fullmatch(session_id):
            return session_id
        return secrets.token_urlsafe(18)

    def latest_about_something(self, session_id: str, *, page: int = 20, most: int = 1000) -> Turn | None:
        """Give the latest turn that has a plan or a product, however much small talk followed it."""
        for skipped in range(0, most, page):
            turns = self.history(session_id, limit=page, skip=skipped)
            found = next((one for one in reversed(turns) if one.answer.plan or one.answer.recommendation), None)
            if found or len(turns) < page:
                return found
        return None

    def history(self, session_id: str, *, limit: int = 8, skip: int = 0) -> tuple[Turn, ...]:
        """Give the latest turns of one conversation, oldest first; `skip` leaves out the very latest ones."""
        self._need(session_id)
        if self.database.is_empty:
            return ()
        turn = tables().tables["turn"]
        latest = turn.select().where(turn.c.session_id == session_id).order_by(turn.c.id.desc())
        with self.database.begin() as db:
            rows = db.execute(latest.limit(limit).offset(skip)).all()
        return tuple(Turn(row.question, Answer.model_validate_json(row.answer)) for row in reversed(rows))

    def first_questions(self, session_ids: Sequence[str]) -> dict[str, str]:
        """Give the question that each of these conversations began with; those without an answer have none."""
        if self.database.is_empty:
            return {}
        from sqlalchemy import func, select

        turn = tables().tables["turn"]
        first = select(func.min(turn.c.id)).where(turn.c.session_id.in_(session_ids)).group_by(turn.c.session_id)
        with self.database.begin() as db:
            found = db.execute(select(turn.c.session_id, turn.c.question).where(turn.c.id.in_(first)))
            return {row.session_id: row.question for row in found}

    def state(self, session_id: str) -> ConversationState:
        """Give what a conversation has settled; where that was not kept in this form, its turns are read again."""
        kept = tables().tables["state"]
        with self.database.begin() as db:
            row = db.execute(kept.select().where(kept.c.session_id == session_id)).first()
        try:
            return ConversationState.model_validate_json(row.state if row else "")
        except ValidationError:
            turns = self.history(session_id, limit=MOST_REPLAYED)
            return replayed(part for one in turns for part in (("user", one.question), ("assistant", one.answer.text)))

    def pending(self, session_id: str, fingerprints: Sequence[str]) -> tuple[Pending, ...]:
        """Give the large runs that wait for a word in this conversation; if none does, those with these fingerprints.

        Who names a fingerprint has been asked about that very plan. By it alone only those runs are found that a
        client without a session id asked for: it has no other way to go on.
        """
        if self.database.is_empty:
            return ()
        waiting = tables().tables["waiting"]
        own = waiting.select().where(waiting.c.session_id == session_id, waiting.c.asked_at > utc_now() - WAITS)
        with self.database.begin() as db:
            rows: list[Any] = list(db.execute(own.order_by(waiting.c.asked_at)))
            rows = rows or [db.execute(_newest(one)).first() for one in fingerprints]
        return tuple(Pending.model_validate_json(row.run) for row in rows if row)

    def save(
        self,
        session_id: str,
        question: str,
        answer: Answer,
        *,
        state: ConversationState | None = None,
        pending: Sequence[Pending] = (),
        settled: Sequence[str] | None = None,
        anyone: bool = False,
        job_id: str = "",
    ) -> None:
        """Add one turn.

        Args:
            session_id: The conversation.
            question: The user's words.
            answer: What they led to.
            state: What the conversation has settled with it.
            pending: Large runs that the answer asks about.
            settled: Plans that wait no longer, with all of this conversation; None: all go on waiting.
            anyone: True where the client has no session of its own, so that a fingerprint alone finds the runs.
            job_id: The question on its way that this answers.
        """
        turn, waiting, job = (tables().tables[one] for one in ("turn", "waiting", "job"))
        own, run = waiting.c.session_id == session_id, waiting.c.fingerprint
        with self.database.begin() as db:
            db.execute(waiting.delete().where(waiting.c.asked_at <= utc_now() - WAITS))
            if settled is not None and not db.execute(waiting.delete().where(own)).rowcount:
                for one in settled:
                    if newest := db.execute(_newest(one)).first():
                        db.execute(waiting.delete().where(run == one, waiting.c.session_id == newest.session_id))
            for each in pending:
                db.execute(waiting.delete().where(own, run == each.fingerprint))
                row = {"fingerprint": each.fingerprint, "session_id": session_id, "anyone": anyone}
                db.execute(waiting.insert().values(**row, run=each.model_dump_json()))
            db.execute(job.update().where(job.c.id == job_id).values(state="done"))
            kept = {"session_id": session_id, "question": question, "answer": answer.model_dump_json()}
            db.execute(turn.insert().values(**kept))
            settles = tables().tables["state"]
            db.execute(settles.delete().where(settles.c.session_id == session_id))
            if state:
                db.execute(settles.insert().values(session_id=session_id, state=state.model_dump_json()))

    def wait(self, session_id: str, run: Pending) -> None:
        """Keep a run that waits for the user's word, before anything was asked in this conversation."""
        waiting = tables().tables["waiting"]
        row = {"fingerprint": run.fingerprint, "session_id": session_id, "anyone": False}
        with self.database.begin() as db:
            db.execute(waiting.insert().values(**row, run=run.model_dump_json()))

    def replace_pending(self, session_id: str, run: Pending) -> None:
        """Put a run in the place of the same run as it waits; does nothing where it waits no longer."""
        waiting = tables().tables["waiting"]
        same = (waiting.c.session_id == session_id, waiting.c.fingerprint == run.fingerprint)
        with self.database.begin() as db:
            db.execute(waiting.update().where(*same).values(run=run.model_dump_json()))

    def listed(self, *, owner: str | None = None, limit: int | None = None) -> tuple[Kept, ...]:
        """List conversations, the latest first: those of one user, or all, for whoever runs the program."""
        if self.database.is_empty:
            return ()
        from sqlalchemy import func, select

        turn, owned = tables().tables["turn"], tables().tables["owned"]
        last = func.max(turn.c.asked_at)
        found = select(turn.c.session_id, func.count(), func.min(turn.c.asked_at), last).group_by(turn.c.session_id)
        if owner is not None:
            theirs = select(owned.c.key).where(owned.c.kind == "session", owned.c.owner == owner)
            found = found.where(turn.c.session_id.in_(theirs))
        with self.database.begin() as db:
            return tuple(Kept(*row) for row in db.execute(found.order_by(last.desc()).limit(limit)))

    def expire(self, days: int) -> int:
        """Delete the conversations that no question was asked in for so many days; gives how many."""
        if not days:
            return 0
        old = [one.session_id for one in self.listed() if one.last < utc_now() - timedelta(days=days)]
        for session_id in old:
            self.delete(session_id)
        job = tables().tables["job"]  # one that was never answered has no conversation to be found by
        if not self.database.is_empty:
            with self.database.begin() as db:
                db.execute(job.delete().where(job.c.seen_at < utc_now() - timedelta(days=days)))
        return len(old)

    def delete(self, session_id: str) -> None:
        """Forget one conversation: runs that wait in it, feedback, what was given away by an address, whose it was."""
        if self.database.is_empty:
            return
        with self.database.begin() as db:
            end_pictures(db, session_id)
            for name in ("turn", "state", "waiting", "feedback", "job", "event", "reading"):
                table = tables().tables[name]
                db.execute(table.delete().where(table.c.session_id == session_id))
            owned = tables().tables["owned"]
            db.execute(owned.delete().where(owned.c.kind == "session", owned.c.key == session_id))


def _newest(fingerprint: str) -> "Select[Any]":
    """Find the latest run of a plan that a client without a session of its own was asked about."""
    waiting = tables().tables["waiting"]
    found = waiting.select().where(
        waiting.c.fingerprint == fingerprint, waiting.c.anyone, waiting.c.asked_at > utc_now() - WAITS
    )
    return found.order_by(waiting.c.asked_at.desc()).limit(1)
