"""The web page: hands questions to the assistant and draws the events that come back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from html import escape
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from assistant.published import Readings
from assistant.schema import ErrorEvent
from assistant.sessions import Sessions
from assistant.settings import Settings, point_libraries_at
from assistant.telemetry import log_failure
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.lexicon import Language
from tools.schema import Polygons
from ui.feedback_form import FeedbackForm
from ui.page_api import page_router
from ui.page_area import NextArea
from ui.page_kept import Kept
from ui.page_layout import TAB_KEEPS, TAB_KEPT, Layout, button_shown
from ui.page_results import Results
from ui.page_streams import hold_events
from ui.page_user import EVERYBODY, Rights
from ui.page_words import ASSETS, browser_language, say
from ui.panels import empty_html
from ui.plan_card import PlanCard
from ui.trainer import Trainer
from ui.turn import Turn, before_question, in_language, stopped
from ui.turns import STOPPED, RunningTurn, TurnElsewhere, TurnNotFound, Turns

_log = logging.getLogger(__name__)
_ASKS_AT_ONCE = 32
"""More wait in line with nothing to see. Gradio handles 40 events at once; the rest is for all but questions."""

_SHOW_ANSWER = """() => setTimeout(() => {
  const told = [...document.querySelectorAll('#chat [data-testid="bot"]')].pop();
  const frame = told?.closest('[role="log"]');
  if (frame) frame.scrollTop += told.getBoundingClientRect().top - frame.getBoundingClientRect().top - 48;
}, 300)"""
"""Scrolls to where the answer begins: left to itself, the conversation shows its end."""

_HIDDEN: Any = {"show_progress": "hidden", "api_visibility": "private"}
_HIDE_STEPS = "(hide) => { document.body.classList.toggle('no-steps', hide); return hide; }"

Messages = list[dict[str, Any]]
Updates = dict[Any, Any]


def _keep_nothing(session_id: str) -> None:
    """Hear of a conversation that has ended, where nothing is kept for it."""


def mount_page(
    app: FastAPI,
    turns: Turns,
    settings: Settings,
    *,
    on_end: Callable[[str], None] = _keep_nothing,
    catalogue: Callable[[], Catalogue] = load_catalogue,
    sessions: Sessions | None = None,
    rights: Rights = EVERYBODY,
) -> FastAPI:
    """Put the page at `/` of an app; call it after every other route is there.

    The page links files as `artifacts/{id}`, which the app must serve.

    Args:
        app: The application.
        turns: Answers the questions, whether or not the page is still there.
        settings: All settings.
        on_end: Hears of each conversation that ends.
        catalogue: Gives the products whose cards are shown.
        sessions: The conversations; by default all of the database.
        rights: What who uses the page may do.
    """
    point_libraries_at(settings)
    import gradio as gr

    app.include_router(page_router(settings, rights.need_file, rights.need_trainer))
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        Page(turns, settings, on_end, catalogue, sessions or Sessions(settings.database), rights).blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=settings.max_area_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        favicon_path=str(ASSETS / "logo.svg"),
        # Names of fonts on the reader's machine: a themed web font would be fetched from elsewhere.
        theme=gr.themes.Default(
            primary_hue="green", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css_paths=ASSETS / "style.css",
        js=(ASSETS / "page.js").read_text(encoding="utf-8"),
    )
    hold_events(mounted)
    return mounted


class Page:
    """What happens between the page's components."""

    def __init__(
        self,
        turns: Turns,
        settings: Settings,
        on_end: Callable[[str], None],
        catalogue: Callable[[], Catalogue],
        sessions: Sessions,
        rights: Rights,
    ) -> None:
        import gradio as gr

        self._turns = turns
        self._settings = settings
        self._on_end = on_end
        self._sessions = sessions
        self._rights = rights
        tiles = (settings.map_tiles or "", settings.map_tiles_credit)
        self._shown = Results(settings.workspace, sessions, catalogue, tiles)
        self._kept = Kept(self._shown, sessions, self._end, rights.owns)
        with gr.Blocks(title="CLMS Assistant", analytics_enabled=False, delete_cache=(3600, 3600)) as self.blocks:
            self._session: gr.State = gr.State(None, delete_callback=self._end)
            self._area: gr.State = gr.State(None)
            self._turn: gr.State = gr.State(None)
            # The id of the question that is answered. One at a time: two answers would write over each other, so the
            # next one stays in the box.
            self._answering: gr.State = gr.State("")
            # Which conversations were begun in this browser; their ids are the only way to them.
            self._own: gr.BrowserState = gr.BrowserState([], storage_key="clms-conversations", secret="clms-assistant")  # noqa: S106
            self._parts = Layout(self._mind, self._build_cards)
            self._connect_ending([*self._connect_asking(), *self._connect_rest()])

    def _build_cards(self, layout: Layout) -> None:
        self._plan = PlanCard(layout, self._sessions)
        self._feedback = FeedbackForm(layout, self._sessions, self._settings.database)
        self._trainer = Trainer(layout, self._shown, Readings(self._settings.database), self._rights.need_trainer)

    def _connect_asking(self) -> list[Any]:
        import gradio as gr

        # Defined here because Gradio hands over the event only where the annotation is its own class.
        def example(event: gr.SelectData) -> str:
            return str(event.value["text"])

        def option(event: gr.SelectData) -> str:
            return str(event.value)

        def asked_for(event: gr.EventData) -> str:
            return str(event.ask)

        parts, plan, hidden = self._parts, self._plan, _HIDDEN
        ask: Any = {
            "fn": self._ask,
            "inputs": [parts.box, parts.chat, self._session, self._area, parts.language, self._own, self._answering],
            "outputs": [parts.box, self._session, self._own, parts.kept, parts.tab, *self._answered],
            "concurrency_limit": _ASKS_AT_ONCE,
            "concurrency_id": "ask",
            **hidden,
        }
        runs = [
            gr.on([parts.box.submit, parts.send.click], **ask),
            parts.chat.example_select(example, None, parts.box, **hidden).then(**ask),
            parts.chat.option_select(option, None, parts.box, **hidden).then(**ask),
            parts.again.click(
                self._on_again, [parts.chat, self._turn], [parts.box, parts.chat], **hidden
            ).then(**ask),
            self._trainer.text.select(asked_for, None, parts.box, **hidden).then(**ask),
            parts.map.select(asked_for, None, parts.box, **hidden).then(**ask),
            plan.run.click(lambda turn: plan.answer(turn, 0), self._turn, parts.box, **hidden).then(**ask),
            plan.cancel.click(lambda turn: plan.answer(turn, -1), self._turn, parts.box, **hidden).then(**ask),
            plan.change.click(
                plan.changed, [self._session, parts.language, *plan.fields.values()], [parts.box, plan.note], **hidden
            ).then(**ask),
        ]  # fmt: skip
        for run in runs:
            self._then_told(run)
        return runs

    @property
    def _answered(self) -> list[Any]:
        """What a question that is being answered sets."""
        parts = self._parts
        shown = [parts.chat, parts.result, parts.map, parts.send, parts.stop, parts.again]
        return [*shown, self._turn, self._answering]

    def _then_told(self, done: Any) -> None:
        """Set what goes with the last answer, and scroll to it."""
        parts, plan, form = self._parts, self._plan, self._feedback

        def told(session_id: str | None, turn: Turn | None, language: Language, own: list[str]) -> list[Any]:
            kept = self._kept.remembered(session_id, own, language)
            return [*plan.shown(session_id, turn, language), *form.shown(turn), *kept]

        given = [self._session, self._turn, parts.language, self._own]
        done.then(told, given, [*plan.outputs, *form.outputs, self._own, parts.kept], **_HIDDEN)
        done.then(None, js=_SHOW_ANSWER, **_HIDDEN)

    def _connect_rest(self) -> list[Any]:
        import gradio as gr

        def drawn(event: gr.EventData, *given: Any) -> tuple[Any, ...]:
            return area.drawn(event.geometry, *given)

        def kept(event: gr.EventData, *given: Any) -> tuple[Any, ...]:
            return self._kept.chosen(str(event.session), str(event.todo), *given)

        def arrive(own: list[str], request: gr.Request) -> tuple[Any, ...]:
            language = browser_language(request.headers.get("accept-language", ""))
            return language, *self._in_language(language, None, None, None, own), *self._trainer.tools_shown()

        parts, hidden, area = self._parts, _HIDDEN, NextArea(self._shown, self._settings.max_area_bytes)
        noted = [self._area, parts.area_note, parts.drop, parts.map]
        about = [parts.language, self._session, self._turn]
        parts.attach.upload(area.uploaded, [parts.attach, *about], noted, **hidden)
        parts.map.submit(drawn, about, noted, **hidden)
        parts.drop.click(area.dropped, about, noted, **hidden)
        parts.hide_steps.change(None, parts.hide_steps, None, js=_HIDE_STEPS, **hidden)
        told = [*parts.labelled(), parts.result, parts.map, parts.kept]
        trainer = self._trainer
        lesson: tuple[Any, ...] = (trainer.told, [trainer.lesson, parts.language], trainer.text)
        trainer.lesson.input(*lesson, **hidden)
        trainer.share.click(trainer.shared, [self._session, parts.language], trainer.link, **hidden)
        arrived = self.blocks.load(arrive, self._own, [parts.language, *told, *trainer.tools], **hidden)
        form = self._feedback
        form.give.click(form.given, [self._session, parts.language, *form.inputs], form.outputs, **hidden)
        worded = [parts.language, self._session, self._turn, self._area, self._own]
        parts.language.input(self._in_language, worded, told, **hidden).then(*lesson, **hidden)
        shown = [parts.chat, parts.tab, self._session, self._turn, parts.result, parts.map, parts.again]
        opened = [*shown, self._own, parts.kept]
        follow: Any = {
            "fn": self._follow,
            "inputs": [parts.chat, self._session, self._area, parts.language],
            "outputs": self._answered,
            "concurrency_limit": _ASKS_AT_ONCE,  # each goes on until its question is answered
            **hidden,
        }
        chosen = parts.kept.select(kept, [self._session, self._own, parts.language], opened, **hidden)
        parts.tab.change(None, parts.tab, None, js=TAB_KEEPS, **hidden)
        again: Any = (
            lambda tab, *given: self._kept.chosen(tab, "open", None, *given),
            [parts.tab, self._own, parts.language],
        )
        # The box opens when all else is there: a question that is asked before could be shown by halves.
        opens: Any = (lambda *given: (trainer.told(*given), gr.Textbox(interactive=True)), lesson[1])
        arrived = arrived.then(*again, opened, js=TAB_KEPT, **hidden)
        arrived = arrived.then(*opens, [trainer.text, parts.box], **hidden)
        followed = [chosen.then(**follow), arrived.then(**follow)]
        for run in followed:
            self._then_told(run)
        return followed

    def _connect_ending(self, runs: list[Any]) -> None:
        parts, hidden = self._parts, _HIDDEN
        # The listener is told and shows it: two who write at once would write over each other.
        parts.stop.click(self._cancel, self._answering, None, **hidden)
        # Another conversation is opened: what runs in this one goes on.
        parts.kept.select(None, cancels=runs, **hidden)
        buttons = [parts.send, parts.stop, parts.again]
        fresh = [parts.chat, parts.tab, self._session, self._turn, parts.result, parts.map, *buttons]
        for trigger in (parts.reset.click, parts.chat.clear, self._trainer.restart.click):
            ended = trigger(self._on_reset, [self._session, parts.language], fresh, cancels=runs, **hidden)
            self._then_told(ended.then(self._drop, self._answering, self._answering, **hidden))

    async def _ask(
        self,
        question: str,
        before: Messages,
        session_id: str | None,
        area: Polygons | None,
        language: Language,
        own: list[str],
        busy: str,
    ) -> AsyncIterator[Updates]:
        if busy or not question.strip():
            yield {self._parts.box: question}
            return
        parts, session_id, question = self._parts, session_id or uuid4().hex, question.strip()
        turn_id, running = self._turns.start(question, {"session_id": session_id, "area": area})
        # Listed before it is answered: a page that is loaded again meanwhile finds the conversation.
        kept, listed = self._kept.remembered(session_id, own, language)
        known = {self._session: session_id, self._own: kept, parts.kept: listed, parts.tab: session_id}
        yield {parts.box: "", **known, self._answering: turn_id}
        async with aclosing(self._told(running, turn_id, Turn(question), before, session_id, area, language)) as told:
            async for updates in told:
                yield updates

    async def _follow(
        self, messages: Messages, session_id: str | None, area: Polygons | None, language: Language
    ) -> AsyncIterator[Updates]:
        """Go on with the question of a conversation that is opened while it is being answered."""
        left = await asyncio.to_thread(self._shown.running, session_id)
        if not left or not session_id:
            yield self._at_rest(bool(messages))
            return
        try:
            running = await self._turns.get(left.job_id)
        except TurnNotFound:  # asked at a door where it cannot be followed
            yield self._at_rest(True)
            return
        turn, before = Turn(left.question), before_question(messages)
        async with aclosing(self._told(running, left.job_id, turn, before, session_id, area, language)) as told:
            async for updates in told:
                yield updates

    async def _told(
        self,
        running: RunningTurn | TurnElsewhere,
        turn_id: str,
        turn: Turn,
        before: Messages,
        session_id: str,
        area: Polygons | None,
        language: Language,
    ) -> AsyncGenerator[Updates, None]:
        """Show a question and what comes of it, until its answer."""
        parts = self._parts
        # Said with every update: the page drops what it has not drawn yet when the next update comes.
        runs: Updates = {**self._at_rest(False), parts.send: button_shown(False), parts.stop: button_shown(True)}
        runs[self._answering] = turn_id
        yield {parts.chat: before + turn.messages(language), **runs}
        shown: Updates = {}
        try:
            async for _, event in running.listen():
                if event == STOPPED:
                    shown = {parts.chat: stopped(before + turn.messages(language), language)}
                    break
                turn.take(in_language(event, language))
                yield {parts.chat: before + turn.messages(language), **runs, **self._results(turn, language)}
            shown |= {parts.map: await asyncio.to_thread(self._shown.map, language, session_id, turn, area)}
        except Exception:  # noqa: BLE001  # a door: the traceback goes to the log, a reference to the user
            turn.take(ErrorEvent(message=say(language, "not_shown"), reference=log_failure(_log, "The page")))
            shown = {parts.chat: before + turn.messages(language)}
        yield {**shown, **self._at_rest(True), self._turn: turn}

    def _at_rest(self, again: bool) -> Updates:
        """Give the buttons while nothing is answered."""
        parts = self._parts
        buttons = {parts.send: button_shown(True), parts.stop: button_shown(False), parts.again: button_shown(again)}
        return {**buttons, self._answering: ""}

    def _results(self, turn: Turn, language: Language) -> Updates:
        if not turn.artifacts and not turn.answer and not turn.failed:
            return {}
        return {self._parts.result: self._shown.panel(turn, language)}

    def _in_language(
        self,
        language: Language,
        session_id: str | None,
        turn: Turn | None,
        area: Polygons | None,
        own: list[str],
    ) -> tuple[Any, ...]:
        return (
            *self._parts.in_language(language),
            self._shown.panel(turn, language),
            self._shown.map(language, session_id, turn, area),
            self._kept.listed(own, language),
        )

    def _mind(self, language: Language) -> str:
        if not self._settings.llm_base_url:
            return say(language, "mind_rules")
        return escape(say(language, "mind_model", model=self._settings.llm_model or self._settings.llm_base_url))

    def _on_again(self, messages: Messages, turn: Turn | None) -> tuple[str, Messages]:
        """Give the last question back to the box, and the conversation without what it led to."""
        return (turn.question if turn else ""), before_question(messages)

    def _on_reset(self, session_id: str | None, language: Language) -> tuple[Any, ...]:
        self._end(session_id)
        shown = [button_shown(True), button_shown(False), button_shown(False)]
        return [], "", None, None, empty_html(language), self._shown.map(language, None, None, None), *shown

    async def _cancel(self, turn_id: str) -> None:
        with suppress(TurnNotFound):
            await self._turns.cancel(turn_id)

    async def _drop(self, turn_id: str) -> str:
        await self._cancel(turn_id)
        return ""

    def _end(self, session_id: str | None) -> None:
        if session_id:
            self._on_end(session_id)
