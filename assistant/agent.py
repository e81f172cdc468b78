"""The loop: a question in, events out, the answer checked before it is shown."""

import asyncio
import gc
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from time import perf_counter
from typing import Any

from assistant import answers, choices, finish, grounding, minds, pending, translation
from assistant.abilities import with_long_names
from assistant.access import Access, User, acting_as, current_user
from assistant.asked import Asked, told_again, with_settled_area, with_written_area
from assistant.conversation import ConversationState, replayed
from assistant.jobs import Jobs, Running
from assistant.menu import ModelUnusable, Run
from assistant.minds import Draft
from assistant.models import model_name
from assistant.phrases import translate
from assistant.roles import users_words
from assistant.schema import (
    Answer,
    AnswerEvent,
    ErrorEvent,
    Event,
    TextEvent,
    ToolFinished,
    ToolStarted,
    check_question,
)
from assistant.sessions import Sessions
from assistant.settings import Settings, point_libraries_at
from assistant.storage import storage_failure
from assistant.telemetry import counting, log_failure, span
from knowledge.errors import ClmsError
from knowledge.lexicon import Language
from tools.schema import Polygons
from tools.spoken import speak
from tools.toolbox import Services, Toolbox

logger = logging.getLogger(__name__)

MAX_HISTORY_TURNS = 16
"""Messages of earlier turns that a question is read with."""

START = "start"
"""Call id of the first step, told before any tool has begun, so that nobody waits in silence."""


class TookTooLong(ClmsError):
    """A question used up its time."""


class Assistant:
    """Answers questions; keeps no state but its services, so one serves all sessions."""

    def __init__(
        self,
        settings: Settings,
        *,
        hub_url: str | None = None,
        services: Services | None = None,
        toolbox: type[Toolbox] = Toolbox,
        access: Access | None = None,
    ) -> None:
        """Keep what the loop needs; nothing is opened before the first question.

        Args:
            settings: All settings.
            hub_url: A hub that already runs; without it the embedded one is started when needed.
            services: Services opened elsewhere.
            toolbox: The menu.
            access: Keeps users apart; without it everything is everybody's.
        """
        point_libraries_at(settings)
        self.settings = settings
        self.access = access or Access(settings.database)
        self.toolbox = toolbox
        self.sessions = Sessions(settings.database, self.access.need_session)
        self.jobs = Jobs(self.sessions.database)
        self._hub_url = hub_url
        self._services = services
        self._lock = threading.Lock()
        self._resources = ExitStack()

    def prepare(self, on_progress: Callable[[str], None] | None = None) -> None:
        """Build the search index and the demo archive when they are missing."""
        from assistant.setup import prepare

        prepare(self.settings, on_progress or logger.info)

    def services(self) -> Services:
        """Give what all questions share; the first call opens the index and starts the embedded hub."""
        with self._lock:
            if self._services is None:
                from assistant.setup import open_services

                self._services = open_services(self.settings, self._hub_url, self._resources)
            return self._services

    @property
    def is_opening(self) -> bool:
        """True while the first call opens the index and the hub."""
        return self._services is None and self._lock.locked()

    def warm_up(self) -> None:
        """Load what the first question would wait for: the encoder, the index and the place names."""
        from tools.places import find_places

        try:
            self.services().retriever.warm_up()
            find_places("Rennes")
            gc.collect()
            gc.freeze()  # what is loaded stays: looking through all of it again and again takes time
        except ClmsError as error:
            logger.warning("Not warmed up: %s", error)

    def forget(self, session_id: str) -> None:
        """Forget a conversation: its turns, the runs that wait in it, and its login at a back-end."""
        self.access.need("session", session_id)
        self.sessions.delete(session_id)
        self.log_out(session_id)

    def log_out(self, session_id: str) -> None:
        """Forget the login of a conversation at a back-end."""
        with self._lock:
            if self._services:
                self._services.logins.forget(session_id)

    def close(self) -> None:
        """Stop the embedded hub, if this assistant started one, and write down how questions ended."""
        self.jobs.close()
        with self._lock:
            self._services = None
            self._resources.close()

    async def ask(self, question: str, **options: Any) -> Answer:
        """Answer a question; takes the options of `stream`.

        Raises:
            ClmsError: No answer could be made.
        """
        last: Event | None = None
        async for event in self.stream(question, **options):
            last = event
        if isinstance(last, AnswerEvent):
            return last.answer
        error = last if isinstance(last, ErrorEvent) else ErrorEvent(message="The question was not answered.")
        raise ClmsError(error.message, error.hint)

    async def stream(
        self,
        question: str,
        *,
        session_id: str | None = None,
        today: date | None = None,
        area: Polygons | None = None,
        collection_id: str | None = None,
        history: Sequence[tuple[str, str]] = (),
        approve: bool | None = False,
        user: User | None = None,
        language: Language | None = None,
        job_id: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question as events; the last one is an answer or an error.

        Args:
            question: The user's words.
            session_id: Conversation to go on with.
            today: What "this summer" is relative to; the real day by default.
            area: Polygons the user attached.
            collection_id: Collection to compute on instead of the default.
            history: Earlier turns as (role, text), for callers that keep the conversation themselves.
            approve: Run large plans below the hard limit unasked, as the user says; None: the words are a model's.
            user: Who asks, where that is not the user of the request at hand.
            language: In which to answer; that of the question by default.
            job_id: An id that cannot be guessed, under which the events can be followed from other processes.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        loop, cancelled = asyncio.get_running_loop(), threading.Event()

        def emit(event: Event | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        opened = self.sessions.open(session_id)
        asked = Asked(
            question=users_words(question.encode(errors="replace").decode().strip()),
            session_id=opened,
            has_session=opened == session_id,
            today=today or datetime.now(UTC).date(),
            area=area,
            collection_id=collection_id,
            history=tuple(history),
            approves_all=approve,
            fixed_language=language,
        )
        user = user or current_user()

        def stop() -> None:
            with suppress(RuntimeError):  # the loop has ended, and the question with it
                loop.call_soon_threadsafe(task.cancel)

        job = Running(asked.session_id, asked.question, stop, owner=user.name if user else "")
        if job_id:
            job.job_id, job.followed = job_id, True
        begun = ToolStarted(call_id=START, name="read_question", args={})
        job.take(begun)
        yield begun
        with acting_as(user), span("question"):
            task = asyncio.create_task(self._answer(asked, emit, cancelled, job))
        task.add_done_callback(lambda _: emit(None))
        try:
            while (event := await queue.get()) is not None:
                job.take(event)
                yield event
        finally:
            self.jobs.end(job)
            cancelled.set()
            task.cancel()

    async def _answer(
        self, asked: Asked, emit: Callable[[Event | None], None], cancelled: threading.Event, job: Running
    ) -> None:
        """Make the answer and emit its events; the one net under the loop."""
        started = perf_counter()
        plain = emit = counting(self.access.claiming(emit), started)
        emit = translation.speaking(plain, asked.language)
        try:
            check_question(asked.question, asked.today)
            asked = await asyncio.to_thread(self._begun, asked, job)
            emit = translation.speaking(plain, asked.language)
            speak(asked.language, partial(translate, language=asked.language))
            draft = await self._draft(asked, emit, cancelled)
            try:
                answer = await self._checked(asked, draft, started)
            except ModelUnusable as error:
                draft = await self._draft(asked, emit, cancelled, refused=minds.not_usable(draft.model, error))
                answer = await self._checked(asked, draft, started)
            for line in answer.text.splitlines(keepends=True):
                emit(TextEvent(text=line))
            emit(AnswerEvent(answer=await asyncio.to_thread(self._saved, asked, answer, draft.run, job.job_id)))
        except ClmsError as error:
            emit(ErrorEvent(message=error.message, hint=error.hint))
        except Exception as error:  # noqa: BLE001  # a door shows a reference, never a traceback
            if told := storage_failure(error, self.settings.data_dir):
                emit(ErrorEvent(message=told.message, hint=told.hint))
                return
            reference = log_failure(logger, "A question")
            emit(ErrorEvent(message="Something unexpected went wrong.", hint="Try again.", reference=reference))

    def _begun(self, asked: Asked, job: Running) -> Asked:
        """Write down that a question is asked, and read it together with what was said before."""
        self.access.begin(asked.session_id)
        self.jobs.begin(job)
        return with_settled_area(told_again(self._take_up(self._recall(with_written_area(asked)))))

    def _saved(self, asked: Asked, answer: Answer, run: Run, job_id: str) -> Answer:
        """Keep the turn; an answer that cannot be kept is given all the same, and says so."""
        about = {name: getattr(asked, name) for name in ("question", "today", "area", "collection_id")}
        try:
            waiting = pending.find_pending(run.calls, run.results, **about)
            done = pending.settled(answer, asked.resumed, waiting)
            kept: dict[str, Any] = {"pending": waiting, "settled": done, "anyone": not asked.has_session}
            state = asked.state.after(asked.question, answer.text, asked.written, asked.language)
            self.sessions.save(asked.session_id, asked.question, answer, state=state, **kept, job_id=job_id)
            self.sessions.expire(self.settings.session_days)
        except (OSError, sqlite3.Error) as error:
            told = storage_failure(error, self.settings.data_dir)
            if told is None:
                raise
            warning = f"This conversation could not be kept: {told}"
            return answer.model_copy(update={"warnings": (*answer.warnings, warning)})
        return answer

    def _recall(self, asked: Asked) -> Asked:
        """Add what was said before: by the client where it keeps the conversation, else as it is kept here."""
        if asked.history:
            return replace(asked, state=replayed(asked.history), history=asked.history[-MAX_HISTORY_TURNS:])
        turns = self.sessions.history(asked.session_id)
        about = any(turn.answer.plan or turn.answer.recommendation for turn in turns)
        anchor = None if about or not turns else self.sessions.latest_about_something(asked.session_id)
        if anchor:  # what a follow-up goes on with may lie far back
            turns = (anchor, *turns[1 - MAX_HISTORY_TURNS // 2 :])
        history = tuple(part for turn in turns for part in (("user", turn.question), ("assistant", turn.answer.text)))
        open_question = turns[-1].answer.question if turns else None
        options = open_question.options if open_question else ()
        state = self.sessions.state(asked.session_id) if turns else ConversationState()
        return replace(asked, history=history[-MAX_HISTORY_TURNS:], state=state, options=options)

    def _take_up(self, asked: Asked) -> Asked:
        """Put the plan that the user was asked about in the place of the words that answer it."""
        told = next((text for role, text in reversed(asked.history) if role == "assistant"), "")
        waiting = self.sessions.pending(asked.session_id, pending.plans_asked_about(told))
        reply = pending.read_reply(asked.question, waiting)
        if reply is None or (reply.approved and asked.approves_all is None):
            option = choices.chosen(asked.question, asked.options or choices.offered(told))
            return replace(asked, question=option) if option and not waiting else asked
        kept = {name: getattr(reply, name) for name in ("question", "today", "area", "collection_id")}
        return replace(asked, **kept, resumed=reply)

    async def _draft(
        self, asked: Asked, emit: Callable[[Event | None], None], cancelled: threading.Event, *, refused: str = ""
    ) -> Draft:
        """Let the minds of the settings work on the question, within its time; where one was refused, the planner."""
        started = perf_counter()
        services = await asyncio.to_thread(self.services)
        seconds = perf_counter() - started
        emit(ToolFinished(call_id=START, name="read_question", text="Ready.", outcome="ok", seconds=seconds))
        toolbox = self.toolbox(services, asked.context(cancelled.is_set, self.access.count))
        try:
            async with asyncio.timeout(self.settings.max_turn_s):
                return await minds.work(asked, toolbox, self.settings, emit, refused=refused)
        except TimeoutError as error:
            cancelled.set()
            raise TookTooLong(
                f"The question took longer than {self.settings.max_turn_s:g} seconds and was stopped.",
                "Ask for less at a time, or allow more with CLMS_MAX_TURN_S.",
            ) from error

    async def _checked(self, asked: Asked, draft: Draft, started: float) -> Answer:
        """Check the draft's numbers, have it written again once if need be, and make the answer.

        Raises:
            ModelUnusable: Nothing of what a language model wrote is borne out, and nothing was computed.
        """
        evidence, invented = await asyncio.to_thread(self._looked_over, asked, draft)
        text = await finish.rewritten(draft.model, draft.messages, draft.text, invented) if invented else draft.text
        return await asyncio.to_thread(self._finished, asked, draft, text, evidence, invented, started)

    def _looked_over(self, asked: Asked, draft: Draft) -> tuple[grounding.Evidence, tuple[str, ...]]:
        """Collect what bears a draft out, and find in it what nothing does."""
        said = [with_long_names(asked.question), *(text for role, text in asked.history if role == "user")]
        kept = [turn.answer for turn in self.sessions.history(asked.session_id)]
        known = [asked.today.isoformat(), *(answer.text for answer in kept)]
        earlier = [table for answer in kept for table in answer.statistics]
        about: dict[str, Any] = {"asked": said, "earlier": earlier, "strict": not draft.planned}
        evidence = grounding.gather(draft.run.results, known, **about, private=draft.prompt)
        return evidence, grounding.find_invented(draft.text, evidence)

    def _finished(
        self,
        asked: Asked,
        draft: Draft,
        text: str,
        evidence: grounding.Evidence,
        invented: Sequence[str],
        started: float,
    ) -> Answer:
        """Make the answer of a text that may have been written again; what is still not borne out is left out."""
        results = draft.run.results
        check = grounding.strip_invented(text, evidence) if invented else grounding.Check(text, ())
        if not (check.text or draft.planned or any(result.statistics for result in results)):
            raise ModelUnusable("no tool result bears out what it wrote")
        warnings = [*draft.warnings, *answers.cautions(results)]
        if invented:
            logger.info("Not given by any tool: %s", ", ".join(invented))
            warnings.append(f"The first text was written again: {finish.removed(invented)}.")
        if check.invented:
            warnings.append(f"Sentences were taken out of the text: {finish.removed(check.invented)}.")
        told = finish.completed(check, draft.run, planned=draft.planned)
        told = pending.asked_text(told, pending.question_of(results))
        answer = self._assemble(asked, draft, told, warnings, started)
        return translation.in_language(answer, asked.language, planned=draft.planned)

    def _assemble(self, asked: Asked, draft: Draft, text: str, warnings: Sequence[str], started: float) -> Answer:
        results, calls = draft.run.results, draft.run.calls
        return Answer(
            text=text,
            session_id=asked.session_id,
            outcome=draft.outcome,
            recommendation=answers.recommendation(results),
            plan=next((result.plan for result in reversed(results) if result.plan), None),
            statistics=tuple(result.statistics for result in results if result.statistics),
            citations=finish.unique(citation for result in results for citation in result.citations),
            artifacts=finish.unique(artifact for result in results for artifact in result.artifacts),
            warnings=finish.unique(warnings),
            follow_ups=answers.follow_ups(results),
            tool_calls=tuple(calls),
            question=pending.question_of(results),
            model=model_name(draft.model),
            usage=draft.run.usage,
            seconds=perf_counter() - started,
        )
