"""Several processes that answer: the doors stay in one, and a question goes to whichever has the fewest on its way.

A process of Python keeps one core busy. What a conversation needs lies in the database, so any process may answer it;
only a login at a back-end is one process's, and a conversation stays where it was last answered for its sake.
"""

import asyncio
import itertools
import logging
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from assistant.access import current_user
from assistant.agent import Assistant
from assistant.jobs import INTERRUPTED
from assistant.schema import AnswerEvent, Event
from assistant.telemetry import configure_logging, counting, request_id

logger = logging.getLogger(__name__)

Make = Callable[[], Assistant]
"""Makes the assistant of another process; it is sent there, so it must be a function of a module, or a part of one."""
PLACES_KEPT = 10_000
"""So many conversations are known by the process that answered them last."""


@dataclass
class _Asked:
    """A question that another process answers."""

    loop: asyncio.AbstractEventLoop
    events: "asyncio.Queue[Event | None]" = field(default_factory=asyncio.Queue)

    def take(self, *events: Event | None) -> None:
        """Take events from any thread."""
        for event in events:
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)


class Worker:
    """Another process, which answers what it is given; one that dies is started anew."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._open: dict[int, _Asked] = {}
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._closing = False
        self.ready = False
        """True once it has loaded what questions need."""
        self._start()

    @property
    def busy(self) -> int:
        """How many questions it has on its way."""
        return len(self._open)

    def close(self) -> None:
        """Let it end in order."""
        self._closing = True
        self.order(None)
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()

    def order(self, order: "tuple[Any, ...] | None") -> bool:
        """Tell it something; gives whether it can be reached."""
        try:
            with self._sending:
                self._pipe.send(order)
        except OSError:
            return False
        return True

    async def stream(self, question: str, options: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Have a question answered; gives its events."""
        number, asked = next(self._numbers), _Asked(asyncio.get_running_loop())
        self._open[number] = asked
        count = counting(lambda _: None, perf_counter())
        try:
            if not await asyncio.to_thread(self.order, ("ask", number, question, options, request_id.get())):
                asked.take(INTERRUPTED, None)
            while (event := await asked.events.get()) is not None:
                count(event)
                yield event
        finally:
            if self._open.pop(number, None):
                self.order(("stop", number))

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self._pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=work, args=(theirs, self._make), name="clms-worker", daemon=True)
        self.process.start()
        theirs.close()
        threading.Thread(target=self._listen, args=(self._pipe,), name="clms-worker", daemon=True).start()

    def _listen(self, pipe: Connection) -> None:
        """Pass on what it tells; at its end, tell those who wait, and start it anew if it had ever been ready."""
        try:
            while True:
                number, event = pipe.recv()
                if number == 0:
                    self.ready = True
                elif asked := self._open.get(number) if event else self._open.pop(number, None):
                    asked.take(event)
        except (EOFError, OSError):
            pass
        again, self.ready = self.ready and not self._closing, False
        while self._open:
            self._open.popitem()[1].take(INTERRUPTED, None)
        if again:
            logger.error("A process that answers questions has died; another one is started.")
            self._start()


class SharedAssistant(Assistant):
    """Answers in this process and in others."""

    def __init__(self, *args: Any, make: Make, workers: int, **options: Any) -> None:
        """Take what an `Assistant` takes.

        Args:
            args: See `Assistant`.
            make: Makes the assistant of another process.
            workers: How many processes answer, this one counted.
            options: See `Assistant`.
        """
        super().__init__(*args, **options)
        self._make, self._workers = make, workers
        self.others: list[Worker] = []
        """The other processes, from `warm_up` on."""
        self._here = 0
        self._places: OrderedDict[str, Worker | None] = OrderedDict()

    def warm_up(self) -> None:
        """Start the other processes too; until they have loaded, this one answers all."""
        self.others = [Worker(self._make) for _ in range(self._workers - 1)]
        super().warm_up()

    async def stream(self, question: str, **options: Any) -> AsyncGenerator[Event, None]:
        """See `Assistant.stream`."""
        session_id, user = options.get("session_id") or "", options.get("user") or current_user()
        worker = self._choose(session_id)
        if worker is None:
            self._here += 1
            events = super().stream(question, **options)
        else:
            events = worker.stream(question, {**options, "user": user})
        try:
            async for event in events:
                if isinstance(event, AnswerEvent):
                    self._remember(event.answer.session_id, worker)
                yield event
        finally:
            self._here -= worker is None
            await events.aclose()

    def log_out(self, session_id: str) -> None:
        """See `Assistant.log_out`."""
        super().log_out(session_id)
        self._places.pop(session_id, None)
        for worker in self.others:
            worker.order(("log_out", session_id))

    def close(self) -> None:
        """End the other processes, too."""
        for worker in self.others:
            worker.close()
        super().close()

    def _choose(self, session_id: str) -> Worker | None:
        """Give the process that answers next; None for this one, which has the doors to see to and comes last."""
        ready = [one for one in self.others if one.ready]
        if session_id in self._places and ((last := self._places[session_id]) is None or last in ready):
            return last
        least = min(ready, key=lambda one: one.busy, default=None)
        return least if least and least.busy <= self._here else None

    def _remember(self, session_id: str, worker: Worker | None) -> None:
        self._places[session_id] = worker
        self._places.move_to_end(session_id)
        if len(self._places) > PLACES_KEPT:
            self._places.popitem(last=False)


def work(pipe: Connection, make: Make) -> None:
    """Answer what the process with the doors asks, until it says that it ends; if it dies, die too."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # they may reach all processes at once: the one with the doors decides
    assistant = make()
    settings = assistant.settings
    configure_logging(settings.log_level, form=settings.log_format, hidden=settings.secrets)
    asyncio.run(_work(pipe, assistant))
    assistant.close()


async def _work(pipe: Connection, assistant: Assistant) -> None:
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[Any] = asyncio.Queue()
    tasks: dict[int, asyncio.Task[None]] = {}

    def listen() -> None:
        assistant.warm_up()
        pipe.send((0, None))
        try:
            while (order := pipe.recv()) is not None:
                loop.call_soon_threadsafe(orders.put_nowait, order)
        except (EOFError, OSError):
            # Nobody listens any more, and the hub may be gone: what is open is told as interrupted, not as failed.
            os._exit(1)
        loop.call_soon_threadsafe(orders.put_nowait, None)

    threading.Thread(target=listen, daemon=True).start()
    while (order := await orders.get()) is not None:
        match order:
            case ("ask", number, question, options, asked_as):
                tasks[number] = asyncio.create_task(_answer(pipe, assistant, number, question, options, asked_as))
                tasks[number].add_done_callback(partial(_forget, tasks, number))
            case ("stop", number) if number in tasks:
                tasks[number].cancel()
            case ("log_out", session_id):
                assistant.log_out(session_id)
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


def _forget(tasks: "dict[int, asyncio.Task[None]]", number: int, _: "asyncio.Task[None]") -> None:
    tasks.pop(number, None)


async def _answer(
    pipe: Connection, assistant: Assistant, number: int, question: str, options: dict[str, Any], asked_as: str
) -> None:
    request_id.set(asked_as)
    events = assistant.stream(question, **options)
    try:
        async for event in events:
            pipe.send((number, event))
    finally:
        await events.aclose()
        pipe.send((number, None))
