"""A stand-in for the assistant with fixed events, and how a test asks on the page."""

import asyncio
import os
import struct
import threading
import zlib
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

from playwright.sync_api import Page

from assistant.database import Database
from assistant.jobs import Jobs, Running
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
from tools.schema import Artifact, Period, Place, Plan, Polygons, Question, Statistics, StatisticsRow

SYNTHETIC = "Built on synthetic demo data: the numbers say nothing about the real place."


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size, rows = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0), (b"\0" + bytes((60, 140, 60)) * 64) * 48
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def artifact(kind: str, title: str, media_type: str) -> Artifact:
    return Artifact.model_validate(
        {"id": f"id-{kind}", "kind": kind, "title": title, "media_type": media_type, "path": "unused",
         "size_bytes": 2048, "sha256": "0" * 64, "plan_fingerprint": "0" * 16}
    )  # fmt: skip


def square(name: str, west: float) -> dict[str, object]:
    ring = [[west, 48.0], [west + 0.01, 48.0], [west + 0.01, 48.01], [west, 48.01], [west, 48.0]]
    return {
        "type": "Feature", "id": name, "properties": {"name": name},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }  # fmt: skip


def answer(text: str, **more: object) -> Answer:
    return Answer.model_validate({"text": text, "session_id": "s", "model": "stand-in", "seconds": 0.1, **more})


def computed(warnings: tuple[str, ...] = (SYNTHETIC,)) -> Answer:
    units = Polygons(
        name="parcels", source="demo", collection={"type": "FeatureCollection",
        "features": [square("P1 <b>", -1.7), square("P2", -1.6)]},
    )  # fmt: skip
    place = Place(name="Rennes", kind="city", bbox=(-1.7, 48, -1.5, 48.1), area_km2=1.0, source="test")
    period = Period.model_validate({"start": "2025-06-01", "end": "2025-08-31", "label": "this summer"})
    plan = Plan(recipe_id="ndvi", collection_id="c", output="per_polygon", place=place, polygons=units, period=period)
    rows = (
        StatisticsRow(label="P1 <b>", value=0.0, valid_pixels=75, total_pixels=100, outcome="ok"),
        StatisticsRow(label="P2", value=None, valid_pixels=0, total_pixels=90, outcome="no_data"),
    )
    return answer(
        "Mean NDVI is 0 in P1.",
        plan=plan,
        statistics=(Statistics(rows=rows, unit="1", method="Mean of valid pixels."),),
        artifacts=(artifact("map", "NDVI map", "image/png"), artifact("table", "Rows", "text/csv")),
        warnings=warnings,
        follow_ups=("And last summer?",),
    )


def waiting() -> Pending:
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
        self.maps: list[Artifact] = []
        self.closed, self.goes_on = threading.Event(), threading.Event()

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.kept.database if self.kept else Database(Path(os.devnull)))

    async def stream(
        self, question: str, *, session_id: str | None = None, area: Polygons | None = None, job_id: str = ""
    ) -> AsyncIterator[Event]:
        self.areas.append(area)
        self.sessions.append(session_id)
        self.questions.append(question)
        yield ToolStarted(call_id="1", name="find_place", args={"name": "Rennes"})
        if question.startswith("wait"):
            await self._wait(Running(session_id or "", question, lambda: None, followed=True, job_id=job_id))
        yield ToolProgress(call_id="1", message="Looking it up")
        yield ToolFinished(call_id="1", name="find_place", text="Rennes, France", outcome="ok", seconds=0.25)
        for event in self._ending(question):
            if self.kept and session_id and isinstance(event, AnswerEvent):
                asked = event.answer.question
                self.kept.save(
                    session_id, question, event.answer, pending=[waiting()] if asked and asked.approves else []
                )
            yield event

    async def _wait(self, job: Running) -> None:
        jobs = self.jobs
        await asyncio.to_thread(jobs.begin, job)
        try:
            while not self.goes_on.is_set():
                await asyncio.sleep(0.02)
        finally:
            jobs.end(job)
            jobs.close()
            self.closed.set()

    def _ending(self, question: str) -> list[Event]:
        if question.startswith("crash"):
            raise RuntimeError("secret detail")
        if question.startswith("fail"):
            return [ErrorEvent(message="The hub does not answer.", hint="Start it and ask again.")]
        if question.startswith("which"):
            asked = Question(text="Which Rennes?", options=("Rennes, France", "Rennes, USA"))
            return [QuestionEvent(question=asked), AnswerEvent(answer=answer(asked.text, question=asked))]
        if question.startswith("large"):
            asked = Question(text="It would read 900 MB.", options=("Run it", "Cancel"), approves=("f" * 16,))
            return [QuestionEvent(question=asked), AnswerEvent(answer=answer(asked.text, question=asked))]
        if question.startswith("layers"):
            return [AnswerEvent(answer=answer("Two maps.", artifacts=self.maps))]
        if question.startswith("explain"):
            return [AnswerEvent(answer=answer("The finding.\n\n" + "More of it.\n\n" * 60))]
        found = computed()
        return [ArtifactEvent(artifact=found.artifacts[0]), TextEvent(text="Mean"), AnswerEvent(answer=found)]


def ask(page: Page, question: str) -> None:
    page.get_by_role("button", name="Ask", exact=True).wait_for()  # it is hidden while a question is answered
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
