"""The web page: hands questions to the assistant and draws the events that come back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from html import escape
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import yaml
from fastapi import FastAPI

from assistant.schema import ErrorEvent, Event
from assistant.settings import Settings, point_libraries_at
from knowledge.errors import ClmsError
from tools.areas import read_polygons
from tools.schema import Polygons
from ui.panels import EMPTY, polygon_figure, result_html, warnings_html
from ui.turn import Turn, stopped

_log = logging.getLogger(__name__)
_ASSETS = Path(__file__).parent / "assets"
_AREA_TYPES = [".geojson", ".json", ".gpkg", ".zip", ".kml", ".csv"]
_PLACEHOLDER = "Ask about land in Europe and its overseas regions, or start with an example."
_ASKS_AT_ONCE = 8

_SHOW_ANSWER = """() => setTimeout(() => {
  const told = [...document.querySelectorAll('#chat [data-testid="bot"]')].pop();
  const frame = told?.closest('[role="log"]');
  if (frame) frame.scrollTop += told.getBoundingClientRect().top - frame.getBoundingClientRect().top - 48;
}, 300)"""
"""Scrolls to where the answer begins: left to itself, the conversation shows its end."""

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
    app: FastAPI, assistant: Answering, settings: Settings, *, on_end: Callable[[str], None] = _keep_nothing
) -> FastAPI:
    """Put the page at `/` of an app; call it after every other route is there.

    The page links files as `artifacts/{id}`, which the app must serve. `on_end` hears of each conversation that ends.
    """
    point_libraries_at(settings)
    import gradio as gr

    mounted: FastAPI = gr.mount_gradio_app(
        app,
        Page(assistant, settings, on_end).blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=settings.max_area_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        favicon_path=str(_ASSETS / "logo.svg"),
        # Names of fonts on the reader's machine: a themed web font would be fetched from elsewhere.
        theme=gr.themes.Default(
            primary_hue="green", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css_paths=_ASSETS / "style.css",
    )
    return mounted


class Page:
    """The page's components and what happens between them."""

    def __init__(self, assistant: Answering, settings: Settings, on_end: Callable[[str], None]) -> None:
        import gradio as gr

        self._assistant = assistant
        self._settings = settings
        self._on_end = on_end
        with gr.Blocks(title="CLMS Assistant", analytics_enabled=False, delete_cache=(3600, 3600)) as self.blocks:
            gr.HTML(_header(settings), elem_id="banner")
            self._session: gr.State = gr.State(None, delete_callback=self._end)
            self._area: gr.State = gr.State(None)
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=300, elem_id="conversation"):
                    self._build_chat()
                with gr.Column(scale=6, min_width=300, elem_id="results"):
                    self._build_results()
            self._connect()

    def _build_chat(self) -> None:
        import gradio as gr

        self._chat = gr.Chatbot(
            label="Conversation",
            show_label=False,
            elem_id="chat",
            height="62vh",
            min_height=380,
            examples=[{"text": text} for text in load_examples()],
            placeholder=_PLACEHOLDER,
            latex_delimiters=[],
            allow_tags=False,
            buttons=["copy"],
            feedback_options=None,
        )
        self._box = gr.Textbox(
            label="Your question", placeholder="For example: NDVI of my field since May", lines=1, max_lines=6
        )
        with gr.Row(elem_id="actions"):
            self._send = gr.Button("Ask", variant="primary", min_width=80)
            self._stop = gr.Button("Stop", variant="stop", min_width=80, visible=False)
            self._attach = gr.UploadButton("Attach area", file_types=_AREA_TYPES, min_width=110)
            self._drop = gr.Button("Remove area", min_width=110, visible=False)
            self._reset = gr.Button("New conversation", min_width=140)
        self._area_note = gr.HTML("", elem_id="area-note")

    def _build_results(self) -> None:
        import gradio as gr

        self._result = gr.HTML(EMPTY, elem_id="result")
        self._map = gr.Plot(label="Interactive map: point at a polygon for its value", visible=False, elem_id="map")

    def _connect(self) -> None:
        import gradio as gr

        # Defined here because Gradio hands over the event only where the annotation is its own class.
        def example(event: gr.SelectData) -> str:
            return str(event.value["text"])

        def option(event: gr.SelectData) -> str:
            return str(event.value)

        hidden: Any = {"show_progress": "hidden", "api_visibility": "private"}
        ask: Any = {
            "fn": self._ask,
            "inputs": [self._box, self._chat, self._session, self._area],
            "outputs": [
                self._box, self._chat, self._session, self._result, self._map, self._send, self._stop,
            ],
            "concurrency_limit": _ASKS_AT_ONCE,
            "concurrency_id": "ask",
            **hidden,
        }  # fmt: skip
        runs = [
            gr.on([self._box.submit, self._send.click], **ask),
            self._chat.example_select(example, None, self._box, **hidden).then(**ask),
            self._chat.option_select(option, None, self._box, **hidden).then(**ask),
        ]
        buttons = [self._send, self._stop]
        for run in runs:
            run.then(None, js=_SHOW_ANSWER, **hidden)
        self._stop.click(self._on_stop, self._chat, [self._chat, *buttons], cancels=runs, **hidden)
        noted = [self._area, self._area_note, self._drop]
        self._attach.upload(self._on_upload, self._attach, noted, **hidden)
        self._drop.click(lambda: (None, "", gr.Button(visible=False)), None, noted, **hidden)
        fresh = [self._chat, self._session, self._result, self._map, *buttons]
        for trigger in (self._reset.click, self._chat.clear):
            trigger(self._on_reset, self._session, fresh, cancels=runs, **hidden)

    async def _ask(
        self, question: str, before: Messages, session_id: str | None, area: Polygons | None
    ) -> AsyncIterator[Updates]:
        import gradio as gr

        if not question.strip():
            return
        session_id = session_id or uuid4().hex
        turn = Turn(question.strip())
        yield {
            self._box: "",
            self._session: session_id,
            self._chat: before + turn.messages(),
            self._send: gr.Button(visible=False),
            self._stop: gr.Button(visible=True),
        }
        async with aclosing(self._events(turn.question, session_id, area)) as events:
            async for event in events:
                turn.take(event)
                yield {self._chat: before + turn.messages(), **self._results(turn)}
        yield {**self._results(turn), self._send: gr.Button(visible=True), self._stop: gr.Button(visible=False)}

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

    def _results(self, turn: Turn) -> Updates:
        import gradio as gr

        if not turn.artifacts and not turn.answer and not turn.failed:
            return {}
        shown = bool(turn.artifacts or (turn.answer and (turn.answer.statistics or turn.answer.recommendation)))
        figure = polygon_figure(turn.answer) if turn.answer else None
        return {
            self._result: result_html(turn.question, turn.artifacts, turn.answer) if shown else EMPTY,
            self._map: gr.Plot(figure, visible=figure is not None),
        }

    async def _on_upload(self, path: str) -> tuple[Any, ...]:
        import gradio as gr

        file = Path(path)
        try:
            area = await asyncio.to_thread(read_polygons, file, max_bytes=self._settings.max_area_bytes)
        except ClmsError as error:
            return None, _refused(file.name, error), gr.Button(visible=False)
        finally:
            file.unlink(missing_ok=True)
        return area, _attached(area), gr.Button(visible=True)

    def _on_stop(self, messages: Messages) -> tuple[Any, ...]:
        import gradio as gr

        return stopped(messages), gr.Button(visible=True), gr.Button(visible=False)

    def _on_reset(self, session_id: str | None) -> tuple[Any, ...]:
        import gradio as gr

        self._end(session_id)
        return [], None, EMPTY, gr.Plot(None, visible=False), gr.Button(visible=True), gr.Button(visible=False)

    def _end(self, session_id: str | None) -> None:
        if session_id:
            self._on_end(session_id)


def load_examples() -> list[str]:
    """Read the example questions."""
    texts: list[str] = yaml.safe_load((_ASSETS / "examples.yaml").read_text(encoding="utf-8"))
    return texts


def _header(settings: Settings) -> str:
    logo = (_ASSETS / "logo.svg").read_text(encoding="utf-8")
    mind = (
        f"Answers by the language model {settings.llm_model or 'of the set service'}; numbers are checked in code."
        if settings.llm_base_url
        else "Answers by the offline planner: rules on this machine, no language model, no key."
    )
    return (
        f"<header>{logo}<div><h1>CLMS Assistant</h1>"
        "<p>Copernicus land products, with reasons, and computations you can run again.</p></div></header>"
        f'<p class="mind">{escape(mind)}</p>'
    )


def _attached(area: Polygons) -> str:
    count = len(area.collection["features"])
    noun = "polygon" if count == 1 else "polygons"
    return (
        f'<p class="note" role="status"><strong>Area attached.</strong> {escape(area.name)}: {count} {noun}. '
        f"Questions are now about it.</p>{warnings_html(area.warnings)}"
    )


def _refused(name: str, error: ClmsError) -> str:
    return (
        f'<p class="note failed" role="alert"><strong>No area attached.</strong> {escape(name)}: '
        f"{escape(error.message)} {escape(error.hint)}</p>"
    )
