"""Questions that are being answered, apart from who listens: a cut connection loses nothing and can come back.

One that another process answers, or has answered, is followed through the database.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from assistant.access import current_user
from assistant.jobs import INTERRUPTED, PULSE_S, Jobs, Kept
from assistant.schema import AnswerEvent, ErrorEvent, Event
from assistant.telemetry import log_failure
from tools.errors import ArtifactNotFound

_log = logging.getLogger(__name__)
MAX_TURNS = 200
"""So many turns are kept in memory for whoever comes back; the oldest finished one goes first."""
BUSY = ErrorEvent(message="Too many questions are being answered.", hint="Ask again in a minute.")
STOPPED = ErrorEvent(message="The question was stopped.", hint="Ask again to start it anew.")
FAILED = ErrorEvent(
    message="The question could not be finished.", hint="Ask again; if it fails again, report the reference."
)
_QUIET = 6
"""Looks at a question that is done and tells nothing more, until its end is told for it."""
ENDED: dict[str, ErrorEvent] = {"stopped": STOPPED, "interrupted": INTERRUPTED}


class TurnNotFound(ArtifactNotFound):
    """No turn has this id, or it is too long ago."""


@dataclass
class RunningTurn:
    """One question on its way: all events so far, for listeners that come at any time."""

    owner: str = ""
    events: list[Event] = field(default_factory=list)
    done: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    task: "asyncio.Task[None] | None" = None

    async def add(self, event: Event | None) -> None:
        """Add one event; None ends the turn."""
        async with self.changed:
            if event is not None:
                self.events.append(event)
            else:
                self.done = True
            self.changed.notify_all()

    async def listen(self, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """Give the events past a number, those to come too; the first event has the number 1."""
        while not self.done or after < len(self.events):
            async with self.changed:
                while not self.done and after >= len(self.events):
                    await self.changed.wait()
            for event in self.events[after:]:
                after += 1
                yield after, event


@dataclass
class TurnElsewhere:
    """A question that another process answers or has answered."""

    jobs: Jobs
    known: Kept

    async def last(self) -> Event | None:
        """Give the last event that is written down."""
        events = await asyncio.to_thread(self.jobs.events, self.known.job_id)
        return events[-1] if events else None

    async def listen(self, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """Give the events past a number as they are written down."""
        job: Kept | None = self.known
        ended, quiet = False, 0
        while True:
            for event in await asyncio.to_thread(self.jobs.events, self.known.job_id, after):
                after, quiet = after + 1, 0
                ended = isinstance(event, AnswerEvent | ErrorEvent)
                yield after, event
            # Its process may have died between keeping the answer and writing the last events.
            quiet += job is not None and job.state == "done"
            if ended or job is None or job.state in ENDED or quiet > _QUIET:
                break
            await asyncio.sleep(PULSE_S)
            job = await asyncio.to_thread(self.jobs.get, self.known.job_id, self.known.owner)
        if not ended:
            yield after + 1, ENDED.get(job.state, INTERRUPTED) if job else STOPPED


class Answering(Protocol):
    """What the turns need of an assistant."""

    @property
    def jobs(self) -> Jobs:
        """The questions on their way of all processes."""
        ...

    @property
    def stream(self) -> Callable[..., AsyncIterator[Event]]:
        """Gives the events of one question, the last of them an answer or an error."""
        ...


class Turns:
    """The turns of one process, each under an id that cannot be guessed, and the way to those of others."""

    def __init__(self, assistant: Answering) -> None:
        self._assistant = assistant
        self._turns: OrderedDict[str, RunningTurn] = OrderedDict()

    def start(self, question: str, options: dict[str, Any]) -> tuple[str, RunningTurn]:
        """Begin to answer; the work goes on when nobody listens any more."""
        turn_id, turn = secrets.token_urlsafe(18), RunningTurn(owner=_owner())
        if self._make_room():
            self._turns[turn_id] = turn
            turn.task = asyncio.create_task(self._work(turn, question, {**options, "job_id": turn_id}))
        else:
            turn.events.append(BUSY)
            turn.done = True
        return turn_id, turn

    async def get(self, turn_id: str) -> RunningTurn | TurnElsewhere:
        """Give a turn, of this process or of another.

        Raises:
            TurnNotFound: It is unknown, or another user's.
        """
        turn = self._turns.get(turn_id)
        if turn and turn.owner == _owner():
            return turn
        known = await asyncio.to_thread(self._assistant.jobs.get, turn_id, _owner())
        if known is None:
            raise TurnNotFound("There is no question with this id here.", "Ask it again.")
        return TurnElsewhere(self._assistant.jobs, known)

    def mine(self) -> dict[str, RunningTurn]:
        """Give the turns of who asks that are answered here, latest first."""
        return {turn_id: turn for turn_id, turn in reversed(self._turns.items()) if turn.owner == _owner()}

    async def elsewhere(self) -> list[Kept]:
        """Give the turns of who asks that are, or were, answered elsewhere, latest first."""
        known = await asyncio.to_thread(self._assistant.jobs.listed, _owner())
        return [one for one in known if one.job_id not in self._turns]

    async def cancel(self, turn_id: str) -> None:
        """Stop a turn, its running computation too, and forget it; who listens hears that it was stopped."""
        if isinstance(turn := await self.get(turn_id), RunningTurn):
            if turn.task:
                turn.task.cancel()
            del self._turns[turn_id]
        await asyncio.to_thread(self._assistant.jobs.stop, turn_id)

    async def close(self, patience_s: float = 0) -> None:
        """Let what runs come to its end, and stop what has not when the patience is over."""
        tasks = [turn.task for turn in self._turns.values() if turn.task and not turn.done]
        if tasks and patience_s:
            await asyncio.wait(tasks, timeout=patience_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, turn: RunningTurn, question: str, options: dict[str, Any]) -> None:
        try:
            async for event in self._assistant.stream(question, **options):
                await turn.add(event)
        except asyncio.CancelledError:
            await turn.add(STOPPED)
        except Exception:  # noqa: BLE001  # a door: the traceback goes to the log, a reference to the user
            failed = FAILED.model_copy(update={"reference": log_failure(_log, "A question")})
            await turn.add(failed)
        finally:
            if not isinstance(turn.events[-1] if turn.events else None, AnswerEvent | ErrorEvent):
                await turn.add(STOPPED)  # another process was asked to stop it
            await turn.add(None)

    def _make_room(self) -> bool:
        """Forget the oldest finished turn when there are too many; False when all of them still run."""
        if len(self._turns) < MAX_TURNS:
            return True
        old = next((turn_id for turn_id, turn in self._turns.items() if turn.done), None)
        if old is not None:
            del self._turns[old]
        return old is not None


def _owner() -> str:
    user = current_user()
    return user.name if user else ""
