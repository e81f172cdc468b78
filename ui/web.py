"""The web page: hands questions to the assistant and draws the events that come back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from html import escape
from typing import Any, Protocol
from uuid import uuid4

from fastapi import FastAPI

from assistant.published import Readings
from assistant.schema import ErrorEvent, Event
from assistant.sessions import Sessions
from assistant.settings import Settings, point_libraries_at
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.lexicon import Language
from tools.schema import Polygons
from ui.feedback_form import FeedbackForm
from ui.page_api import page_router
from ui.page_area import NextArea
from ui.page_kept import Kept
from ui.page_layout import TAB_KEEPS, TAB_KEPT, Layout, button_shown
from ui.page_results import Results
from ui.page_user import EVERYBODY, Rights
from ui.page_words import ASSETS, browser_language, say
from ui.panels import empty_html
from ui.plan_card import PlanCard
from ui.trainer import Trainer
from ui.turn import Turn, stopped

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


class Answering(Protocol):
    """What the page needs of an assistant."""

    def stream(
        self, question: str, *, session_id: str | None = None, area: Polygons | None = None
    ) -> AsyncIterator[Event]:
        """Give the events of one question, the last of them an answer or an error."""
        ...


def mount_page(
    app: FastAPI,
    assistant: Answering,
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
        assistant: Answers the questions.
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
        Page(assistant, settings, on_end, catalogue, sessions or Sessions(settings.database), rights).blocks,
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
    return mounted


class Page:
    """What happens between the page's components."""

    def __init__(
        self,
        assistant: Answering,
        settings: Settings,
        on_end: Callable[[str], None],
        catalogue: Callable[[], Catalogue],
        sessions: Sessions,
        rights: Rights,
    ) -> None:
        import gradio as gr

        self._assistant = assistant
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
            # One question at a time: two answers would write over each other, so the next one stays in the box.
            self._busy: gr.State = gr.State(value=False)
            # Which conversations were begun in this browser; their ids are the only way to them.
            self._own: gr.BrowserState = gr.BrowserState([], storage_key="clms-conversations", secret="clms-assistant")  # noqa: S106
            self._parts = Layout(self._mind, self._build_cards)
            self._connect_asking()
            self._connect_rest()

    def _build_cards(self, layout: Layout) -> None:
        self._plan = PlanCard(layout, self._sessions)
        self._feedback = FeedbackForm(layout, self._sessions, self._settings.database)
        self._trainer = Trainer(layout, self._shown, Readings(self._settings.database), self._rights.need_trainer)

    def _connect_asking(self) -> None:
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
            "inputs": [parts.box, parts.chat, self._session, self._area, parts.language, self._own, self._busy],
            "outputs": [
                parts.box, parts.chat, self._session, parts.result, parts.map, parts.send, parts.stop, parts.again,
                self._turn, self._own, parts.kept, parts.tab, self._busy,
            ],
            "concurrency_limit": _ASKS_AT_ONCE,
            "concurrency_id": "ask",
            **hidden,
        }  # fmt: skip
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
            run.then(plan.shown, [self._session, self._turn, parts.language], plan.outputs, **hidden)
            run.then(self._feedback.shown, self._turn, self._feedback.outputs, **hidden)
            run.then(
                self._kept.remembered, [self._session, self._own, parts.language], [self._own, parts.kept], **hidden
            )
            run.then(None, js=_SHOW_ANSWER, **hidden)
        buttons = [self._busy, parts.send, parts.stop]
        parts.stop.click(self._on_stop, [parts.chat, parts.language], [parts.chat, *buttons], cancels=runs, **hidden)
        fresh = [parts.chat, parts.tab, self._session, self._turn, parts.result, parts.map, *buttons, parts.again]
        for trigger in (parts.reset.click, parts.chat.clear, self._trainer.restart.click):
            ended = trigger(self._on_reset, [self._session, parts.language], fresh, cancels=runs, **hidden)
            ended.then(plan.hidden, None, plan.outputs, **hidden)
            ended.then(self._feedback.shown, self._turn, self._feedback.outputs, **hidden)

    def _connect_rest(self) -> None:
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
        parts.kept.select(kept, [self._session, self._own, parts.language], opened, **hidden)
        parts.tab.change(None, parts.tab, None, js=TAB_KEEPS, **hidden)
        again: Any = (
            lambda tab, *given: self._kept.chosen(tab, "open", None, *given),
            [parts.tab, self._own, parts.language],
        )
        shown_again = arrived.then(*again, opened, js=TAB_KEPT, **hidden)
        # The box opens last: Gradio may drop an event that begins while it ends another one's stream, without a word.
        opens: Any = (lambda *given: (trainer.told(*given), gr.Textbox(interactive=True)), lesson[1])
        shown_again.then(*opens, [trainer.text, parts.box], **hidden)

    async def _ask(
        self,
        question: str,
        before: Messages,
        session_id: str | None,
        area: Polygons | None,
        language: Language,
        own: list[str],
        busy: bool,
    ) -> AsyncIterator[Updates]:
        if busy or not question.strip():
            yield {self._parts.box: question}
            return
        parts, session_id, turn = self._parts, session_id or uuid4().hex, Turn(question.strip())
        # Said with every update: the page drops what it has not drawn yet when the next update comes.
        runs: Updates = {
            parts.send: button_shown(False),
            parts.again: button_shown(False),
            parts.stop: button_shown(True),
        }
        # Listed before it is answered: a page that is loaded again meanwhile finds the conversation.
        kept, listed = self._kept.remembered(session_id, own, language)
        known = {self._session: session_id, self._own: kept, parts.kept: listed, parts.tab: session_id}
        yield {parts.box: "", parts.chat: before + turn.messages(language), self._busy: True, **known, **runs}
        async with aclosing(self._events(turn.question, session_id, area)) as events:
            async for event in events:
                turn.take(event)
                yield {parts.chat: before + turn.messages(language), **runs, **self._results(turn, language)}
        yield {
            parts.map: await asyncio.to_thread(self._shown.map, language, session_id, turn, area),
            parts.send: button_shown(True),
            parts.stop: button_shown(False),
            parts.again: button_shown(True),
            self._turn: turn,
            self._busy: False,
        }

    async def _events(self, question: str, session_id: str, area: Polygons | None) -> AsyncGenerator[Event, None]:
        stream = self._assistant.stream(question, session_id=session_id, area=area)
        try:
            async for event in stream:
                yield event
        except Exception:  # noqa: BLE001  # a door: the traceback goes to the log, a reference to the user
            reference = uuid4().hex[:8]
            _log.exception("question failed reference=%s session=%s", reference, session_id)
            yield ErrorEvent(
                message="The question could not be finished.",
                hint="Ask again; if it fails again, report the reference.",
                reference=reference,
            )
        finally:
            # A stopped question must stop its tools now, not when the garbage is collected.
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

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
        asked = [place for place, message in enumerate(messages) if message["role"] == "user"]
        return (turn.question if turn else ""), messages[: asked[-1]] if asked else messages

    def _on_stop(self, messages: Messages, language: Language) -> tuple[Any, ...]:
        return stopped(messages, language), False, button_shown(True), button_shown(False)

    def _on_reset(self, session_id: str | None, language: Language) -> tuple[Any, ...]:
        self._end(session_id)
        shown = [False, button_shown(True), button_shown(False), button_shown(False)]
        return [], "", None, None, empty_html(language), self._shown.map(language, None, None, None), *shown

    def _end(self, session_id: str | None) -> None:
        if session_id:
            self._on_end(session_id)
