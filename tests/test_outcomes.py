"""Zero, no data, not covered, not run and failed stay five different things up to the last word, at every door."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from assistant.agent import Assistant
from assistant.findings import OUTCOME_WORDS
from assistant.schema import AnswerEvent
from assistant.settings import Settings
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import SmallToolbox, small_assistant
from tools.errors import BackendUnavailable, NoScenes, NotCovered, TooLarge
from tools.schema import Outcome, Statistics, StatisticsRow, ToolResult
from ui.api import add_doors
from ui.cli import _as_text
from ui.turn import Turn

QUESTION = "How green is Rennes this summer?"
COMPUTE = ("compute", {"index": "ndvi", "place": "Rennes", "period": "this summer", "output": "composite"})
SILENT = says("Here is what was found for the place and the period.")
"""What a model says that passes over how it ended; no number in it can be checked."""
ENDINGS: dict[Outcome, Exception | None] = {
    "ok": None,
    "no_data": NoScenes("No scene of this summer shows Rennes.", "Ask for another period."),
    "not_covered": NotCovered("The archive does not reach Rennes.", "Ask for another place."),
    "not_run": TooLarge("This would read 900000000 pixels.", "Take a smaller area."),
    "failed": BackendUnavailable("The back-end does not answer.", "Try again later."),
}
ZERO = "0.000"


def _toolbox(outcome: Outcome) -> type[SmallToolbox]:
    class Ending(SmallToolbox):
        def compute(
            self, index: Any, place: str, period: str, output: Any, units: Any = "parcels", against: str = ""
        ) -> ToolResult:
            if (error := ENDINGS[outcome]) is not None:
                raise error
            plan = self._plan(index, place, period, output)
            row = StatisticsRow(label=place, value=0.0, valid_pixels=9, total_pixels=9, outcome="ok")
            text = f"The mean NDVI of Rennes is {ZERO}."
            return ToolResult(text=text, plan=plan, statistics=Statistics(rows=(row,), unit="1", method="m"))

    return Ending


@asynccontextmanager
async def _assistant(settings: Settings, outcome: Outcome, mind: str) -> AsyncIterator[Assistant]:
    services = small_assistant(settings).services()
    if mind == "planner":
        yield Assistant(settings, services=services, toolbox=_toolbox(outcome))
        return
    said = says(f"The mean NDVI of Rennes is {ZERO}.") if outcome == "ok" else SILENT
    with chat_server(calls(COMPUTE), said) as chat:
        told = settings.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "silent"})
        yield Assistant(told, services=services, toolbox=_toolbox(outcome))


async def _texts(assistant: Assistant) -> dict[str, str]:
    """Ask at each door and give the last words of each."""
    turn = Turn(QUESTION)
    async for event in assistant.stream(QUESTION):
        turn.take(event)
        last = event
    assert isinstance(last, AnswerEvent)
    found = {"page": turn.messages()[-1]["content"], "command line": _as_text(last.answer)}
    app = FastAPI()
    add_doors(app, assistant, assistant.settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as door:
        asked = {"model": "clms-assistant", "messages": [{"role": "user", "content": QUESTION}]}
        reply = await door.post("/v1/chat/completions", json=asked)
        found["chat completions"] = reply.json()["choices"][0]["message"]["content"]
        events = (await door.post("/api/chat", json={"question": QUESTION})).text
        told = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
        found["events"] = told[-1]["text"]
    return found


@pytest.mark.parametrize("mind", ["planner", "model"])
@pytest.mark.parametrize("outcome", ENDINGS)
async def test_how_it_ended_is_told_at_every_door_and_no_other_ending(
    settings: Settings, outcome: Outcome, mind: str
) -> None:
    async with _assistant(settings, outcome, mind) as assistant:
        texts = await _texts(assistant)
        answer = await assistant.ask(QUESTION)
    assert answer.outcome == outcome
    assert bool(answer.statistics) == (outcome == "ok")
    for door, text in texts.items():
        error = ENDINGS[outcome]
        own = str(error) if error else ZERO
        assert own in text, door
        if error:
            assert f"{OUTCOME_WORDS[outcome]}: " in text, door
            assert ZERO not in text, door
        for other in OUTCOME_WORDS.keys() - {outcome, "ok"}:
            assert f"{OUTCOME_WORDS[other]}: " not in text, door


async def test_a_step_that_went_well_the_second_time_is_not_told_as_failed(settings: Settings) -> None:
    wrong = ("compute", {**COMPUTE[1], "place": "Atlantisburgh"})
    with chat_server(calls(wrong), calls(COMPUTE), says("Parcel A has 0.6.")) as chat:
        told = settings.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "learner"})
        answer = await small_assistant(told).ask(QUESTION)
    assert answer.outcome == "ok"
    assert answer.text == "Parcel A has 0.6."
