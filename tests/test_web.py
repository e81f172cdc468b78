"""The page, driven as a reader would: in Chromium, over loopback, with the network shut."""

import asyncio
import json
import os
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI, Response
from playwright.sync_api import Browser, Page, expect, sync_playwright

from assistant.feedback import FeedbackStore
from assistant.pending import read_reply
from assistant.schema import (
    Answer,
    AnswerEvent,
    ArtifactEvent,
    ErrorEvent,
    Event,
    Pending,
    QuestionEvent,
    TextEvent,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from assistant.sessions import Sessions
from assistant.settings import Settings
from knowledge.lexicon import LANGUAGES
from tools.schema import Artifact, Period, Place, Plan, Polygons, Question, Statistics, StatisticsRow
from ui.lessons import load_lessons
from ui.page_layout import load_examples
from ui.page_words import all_words
from ui.panels import result_html
from ui.turn import Turn, stopped
from ui.web import mount_page

_CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_SYNTHETIC = "Built on synthetic demo data: the numbers say nothing about the real place."


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size, rows = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0), (b"\0" + bytes((60, 140, 60)) * 64) * 48
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _artifact(kind: str, title: str, media_type: str) -> Artifact:
    return Artifact.model_validate(
        {"id": f"id-{kind}", "kind": kind, "title": title, "media_type": media_type, "path": "unused",
         "size_bytes": 2048, "sha256": "0" * 64, "plan_fingerprint": "0" * 16}
    )  # fmt: skip


def _square(name: str, west: float) -> dict[str, object]:
    ring = [[west, 48.0], [west + 0.01, 48.0], [west + 0.01, 48.01], [west, 48.01], [west, 48.0]]
    return {
        "type": "Feature", "id": name, "properties": {"name": name},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }  # fmt: skip


def _answer(text: str, **more: object) -> Answer:
    return Answer.model_validate({"text": text, "session_id": "s", "model": "stand-in", "seconds": 0.1, **more})


def _computed(warnings: tuple[str, ...] = (_SYNTHETIC,)) -> Answer:
    units = Polygons(
        name="parcels", source="demo", collection={"type": "FeatureCollection",
        "features": [_square("P1 <b>", -1.7), _square("P2", -1.6)]},
    )  # fmt: skip
    place = Place(name="Rennes", kind="city", bbox=(-1.7, 48, -1.5, 48.1), area_km2=1.0, source="test")
    period = Period.model_validate({"start": "2025-06-01", "end": "2025-08-31", "label": "this summer"})
    plan = Plan(recipe_id="ndvi", collection_id="c", output="per_polygon", place=place, polygons=units, period=period)
    rows = (
        StatisticsRow(label="P1 <b>", value=0.0, valid_pixels=75, total_pixels=100, outcome="ok"),
        StatisticsRow(label="P2", value=None, valid_pixels=0, total_pixels=90, outcome="no_data"),
    )
    return _answer(
        "Mean NDVI is 0 in P1.",
        plan=plan,
        statistics=(Statistics(rows=rows, unit="1", method="Mean of valid pixels."),),
        artifacts=(_artifact("map", "NDVI map", "image/png"), _artifact("table", "Rows", "text/csv")),
        warnings=warnings,
        follow_ups=("And last summer?",),
    )


def _waiting() -> Pending:
    args = {"index": "NDVI", "place": "Rennes", "period": "2025", "output": "composite"}
    return Pending(
        fingerprint="f" * 16, tool="compute", args=args, changes={}, question="large", today=date(2026, 9, 1)
    )  # fmt: skip


class ScriptedAssistant:
    """Stands in for the assistant: fixed events, chosen by the first word of the question."""

    def __init__(self) -> None:
        self.areas: list[Polygons | None] = []
        self.sessions: list[str | None] = []
        self.questions: list[str] = []
        self.kept: Sessions | None = None
        self.closed = threading.Event()

    async def stream(
        self, question: str, *, session_id: str | None = None, area: Polygons | None = None
    ) -> AsyncIterator[Event]:
        self.areas.append(area)
        self.sessions.append(session_id)
        self.questions.append(question)
        yield ToolStarted(call_id="1", name="find_place", args={"name": "Rennes"})
        try:
            if question.startswith("wait"):
                await asyncio.sleep(60)
        finally:
            self.closed.set()
        yield ToolProgress(call_id="1", message="Looking it up")
        yield ToolFinished(call_id="1", name="find_place", text="Rennes, France", outcome="ok", seconds=0.25)
        for event in self._ending(question):
            if self.kept and session_id and isinstance(event, AnswerEvent):
                waiting = [_waiting()] if event.answer.question and event.answer.question.approves else []
                self.kept.save(session_id, question, event.answer, pending=waiting)
            yield event

    def _ending(self, question: str) -> list[Event]:
        if question.startswith("crash"):
            raise RuntimeError("secret detail")
        if question.startswith("fail"):
            return [ErrorEvent(message="The hub does not answer.", hint="Start it and ask again.")]
        if question.startswith("which"):
            asked = Question(text="Which Rennes?", options=("Rennes, France", "Rennes, USA"))
            return [QuestionEvent(question=asked), AnswerEvent(answer=_answer(asked.text, question=asked))]
        if question.startswith("large"):
            asked = Question(text="It would read 900 MB.", options=("Run it", "Cancel"), approves=("f" * 16,))
            return [QuestionEvent(question=asked), AnswerEvent(answer=_answer(asked.text, question=asked))]
        if question.startswith("explain"):
            return [AnswerEvent(answer=_answer("The finding.\n\n" + "More of it.\n\n" * 60))]
        answer = _computed()
        return [ArtifactEvent(artifact=answer.artifacts[0]), TextEvent(text="Mean"), AnswerEvent(answer=answer)]


@contextmanager
def _served(assistant: ScriptedAssistant, settings: Settings) -> Iterator[str]:
    app = FastAPI()

    @app.get("/artifacts/{artifact_id}")
    def artifact(artifact_id: str) -> Response:
        return Response(_png(), media_type="image/png")

    mount_page(app, assistant, settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def assistant() -> ScriptedAssistant:
    return ScriptedAssistant()


@pytest.fixture(scope="module")
def address(assistant: ScriptedAssistant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    before = dict(os.environ)
    settings = Settings(data_dir=tmp_path_factory.mktemp("page"))
    assistant.kept = Sessions(settings.database)
    with _served(assistant, settings) as url:
        yield url
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not _CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {_CHROMIUM}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh visit; at its end nothing may have gone to another host or to the error console."""
    context = browser.new_context(viewport={"width": 360, "height": 800}, locale="en-GB")
    opened = context.new_page()
    opened.set_default_timeout(45_000)  # a busy machine: the first visit waits for everything to load
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda request: complaints.append(request.url) if _is_elsewhere(request.url, address) else None
    )
    opened.goto(address)
    yield opened
    context.close()
    assert complaints == []


def _is_elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))


def _ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_a_question_brings_steps_map_table_and_files_without_sideways_scrolling(page: Page) -> None:
    _ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    page.get_by_text("Find place: Rennes").wait_for()
    assert page.get_by_role("img", name="NDVI map").evaluate(
        "async image => { await image.decode(); return image.naturalWidth }"
    )
    assert page.get_by_role("row", name="P1 <b> 0 75 of 100 75% computed").is_visible()
    assert page.get_by_role("row", name="P2 no value 0 of 90 0% no data").is_visible()
    assert page.get_by_role("link", name="Rows").get_attribute("href") == "artifacts/id-table"
    assert page.get_by_text("Not real.").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_long_answer_is_shown_from_its_beginning(page: Page) -> None:
    _ask(page, "explain at length")
    finding = page.get_by_text("The finding.")
    finding.wait_for()
    page.wait_for_function(
        """() => {
          const frame = document.querySelector('#chat [role="log"]').getBoundingClientRect();
          const told = [...document.querySelectorAll('#chat p')].find(p => p.textContent === 'The finding.');
          const top = told.getBoundingClientRect().top;
          return top >= frame.top && top < frame.top + frame.height / 2;
        }"""
    )


def test_an_example_is_a_button_that_asks(page: Page, assistant: ScriptedAssistant) -> None:
    page.get_by_role("button", name=load_examples()[0]).click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()


def test_an_option_of_a_question_is_a_button_in_the_same_session(page: Page, assistant: ScriptedAssistant) -> None:
    _ask(page, "which place?")
    page.get_by_role("button", name="Rennes, USA").click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    assert assistant.sessions[-1] == assistant.sessions[-2] is not None


def test_stop_ends_the_running_question_and_the_page_takes_the_next(page: Page, assistant: ScriptedAssistant) -> None:
    assistant.closed.clear()
    _ask(page, "wait for it")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert assistant.closed.wait(5)
    _ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()


def test_failures_are_a_sentence_and_a_hint(page: Page) -> None:
    _ask(page, "fail")
    page.get_by_text("The hub does not answer.").wait_for()
    assert page.get_by_text("Start it and ask again.").is_visible()
    _ask(page, "crash")
    page.get_by_text("Reference for the log").wait_for()
    assert "secret detail" not in page.content()


def test_an_attached_area_goes_with_the_question_and_a_broken_one_does_not(
    page: Page, assistant: ScriptedAssistant, tmp_path: Path
) -> None:
    broken, good = tmp_path / "broken.geojson", tmp_path / "field.geojson"
    broken.write_text('{"type": "FeatureCollection", "features": [')
    good.write_text(json.dumps({"type": "FeatureCollection", "features": [_square("field", -1.7)]}))
    picker = page.locator("#actions input[type=file]")
    picker.set_input_files(broken)
    page.get_by_text("No area attached.").wait_for()
    picker.set_input_files(good)
    page.get_by_text("Area attached. field, polygons: 1.").wait_for()
    _ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    attached = assistant.areas[-1]
    assert attached is not None
    assert len(attached.collection["features"]) == 1


def test_a_drawn_area_is_the_place_of_the_next_question(page: Page, assistant: ScriptedAssistant) -> None:
    page.get_by_role("button", name="Draw an area").click()
    board = page.locator(".map-board")
    for x, y in ((100, 100), (200, 100), (200, 200), (100, 200)):
        board.click(position={"x": x, "y": y})
    page.get_by_role("button", name="Use this area").click()
    page.get_by_text("Area attached. drawn area, polygons: 1.").wait_for()
    _ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    drawn = assistant.areas[-1]
    assert drawn is not None
    west, south, east, north = drawn.bbox
    assert -40 < west < east < 50
    assert 30 < south < north < 75


def test_a_click_on_a_polygon_tells_its_numbers(page: Page) -> None:
    _ask(page, "How green?")
    page.locator(".map-board path.leaflet-interactive").first.click()
    told = page.locator(".map-told")
    told.wait_for()
    assert "P1 <b>" in told.inner_text()
    assert "75 of 100" in told.inner_text()


def test_a_large_run_is_changed_and_started_without_typing_a_question(page: Page, assistant: ScriptedAssistant) -> None:
    _ask(page, "large run")
    expect(page.get_by_label("Most cloud in a scene (%)")).to_have_value("80")
    page.get_by_label("Most cloud in a scene (%)").fill("20")
    page.get_by_label("Dates").fill("July 2025")
    page.get_by_role("button", name="Run with these changes").click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    assert assistant.questions[-1] == "Changed plan: Dates July 2025; Most cloud in a scene (%) 20"
    assert assistant.kept is not None
    (run,) = assistant.kept.pending(assistant.sessions[-1] or "", ())
    reply = read_reply(assistant.questions[-1], [run])
    assert reply is not None
    assert reply.calls == (("compute", {**_waiting().args, "period": "July 2025", "max_cloud": "20"}),)
    assert reply.approved == frozenset()
    # While Gradio takes the card away there may be two of it for a moment.
    expect(page.locator("#plan").locator("visible=true")).to_have_count(0)


def test_feedback_is_kept_with_its_conversation(page: Page, assistant: ScriptedAssistant) -> None:
    _ask(page, "How green?")
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_label("The numbers").check()
    page.get_by_label("Comment (optional)").fill("Too high")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Thank you.").wait_for()
    assert assistant.kept is not None
    given = FeedbackStore(assistant.kept.database).all()[-1]
    assert (given.rating, given.reasons, given.comment) == ("down", ("numbers",), "Too high")
    assert (given.session_id, given.country) == (assistant.sessions[-1], "FR")


def test_a_conversation_is_found_again_shared_to_read_and_deleted(page: Page, browser: Browser, address: str) -> None:
    _ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    page.get_by_role("button", name="Lessons and sharing").click()
    page.get_by_role("button", name="Link to read this conversation").click()
    link = page.locator("#share-link a").get_attribute("href")
    assert link is not None
    reader = browser.new_page()
    reader.goto(address + link)
    assert "Mean NDVI is 0 in P1." in reader.locator("body").inner_text()
    assert reader.locator("input, textarea, button, script").count() == 0
    later = page.context.new_page()
    later.goto(address)
    later.get_by_role("button", name="Earlier conversations").click()
    later.get_by_role("button", name="Open: How green?").first.click()
    later.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    later.get_by_role("row", name="P2 no value").wait_for()
    later.get_by_role("button", name="Delete: How green?").first.click()
    later.get_by_text("Mean NDVI is 0 in P1.").wait_for(state="hidden")
    refused = reader.goto(address + link)
    assert refused is not None
    assert not refused.ok
    reader.close()


def test_a_lesson_asks_its_questions(page: Page, assistant: ScriptedAssistant) -> None:
    page.get_by_role("button", name="Lessons and sharing").click()
    step = next(iter(load_lessons().values())).steps[0]
    page.get_by_role("button", name=step.ask).last.click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    assert assistant.questions[-1] == step.ask


def test_working_steps_can_be_hidden(page: Page) -> None:
    _ask(page, "How green?")
    page.get_by_text("Find place: Rennes").wait_for()
    page.get_by_label("Hide working steps").check()
    page.get_by_text("Find place: Rennes").wait_for(state="hidden")


def test_asking_again_puts_the_new_answer_in_the_place_of_the_old(page: Page, assistant: ScriptedAssistant) -> None:
    _ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    before = len(assistant.questions)
    page.get_by_role("button", name="Ask again").click()
    while len(assistant.questions) == before:
        page.wait_for_timeout(50)
    assert assistant.questions[-2:] == ["How green?", "How green?"]
    expect(page.get_by_text("Mean NDVI is 0 in P1.")).to_have_count(1)
    expect(page.locator("#chat [data-testid=user]")).to_have_count(1)


def test_axe_finds_nothing_against_wcag_aa(page: Page) -> None:
    only = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    page.get_by_role("button", name=load_examples()[0]).wait_for()
    assert [one["id"] for one in Axe().run(page, options=only).response["violations"]] == []
    _ask(page, "How green?")
    page.get_by_role("row", name="P2 no value").wait_for()
    page.get_by_role("button", name="Lessons and sharing").click()
    assert [one["id"] for one in Axe().run(page, options=only).response["violations"]] == []


def test_the_page_speaks_the_language_of_the_browser_and_then_the_chosen_one(browser: Browser, address: str) -> None:
    opened = browser.new_page(locale="fr-FR")
    opened.goto(address)
    opened.get_by_role("button", name="Demander").wait_for()
    opened.get_by_role("button", name="Dessiner une zone").wait_for()
    opened.get_by_label("Langue").click()
    opened.get_by_role("option", name="Deutsch").click()
    opened.get_by_role("button", name="Fragen").wait_for()
    opened.get_by_role("button", name="Fläche zeichnen").wait_for()
    opened.get_by_role("button", name=load_examples("de")[0]).wait_for()
    opened.close()


def test_every_label_is_there_in_five_languages_with_the_same_blanks() -> None:
    for key, words in all_words().items():
        assert len(words) == len(LANGUAGES), key
        assert len({tuple(sorted(re.findall(r"\{\w+\}", one))) for one in words}) == 1, key


def test_the_banner_on_synthetic_data_needs_a_warning_that_says_so() -> None:
    answer = _computed(warnings=("Two dates were cloudy.",))
    assert "Not real" not in result_html("q", answer.artifacts, answer)


def test_text_from_outside_never_becomes_markup() -> None:
    answer = _computed(warnings=("<img src=x>",))
    assert "<img src=x>" not in result_html("<script>", answer.artifacts, answer)
    assert "<script>" not in result_html("<script>", answer.artifacts, answer)


def test_an_image_in_an_answer_is_not_fetched() -> None:
    turn = Turn("q")
    turn.take(TextEvent(text="![x](http://elsewhere.example/a.png)"))
    assert turn.messages()[-1]["content"].startswith("!\\[")


def test_a_stopped_step_is_closed() -> None:
    turn = Turn("q")
    turn.take(ToolStarted(call_id="1", name="compute", args={}))
    assert stopped(turn.messages())[1]["metadata"] == {"title": "Compute (stopped)", "status": "done"}
