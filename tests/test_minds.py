"""Which mind answers: a second model, then the planner; what a question may use up; in which language it is told."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from assistant.agent import Assistant
from assistant.database import utc_now
from assistant.models import get_chat_models
from assistant.schema import Answer, ErrorEvent, ToolStarted
from assistant.sessions import Sessions
from assistant.settings import Settings
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import SmallToolbox, small_assistant
from tools.schema import Estimate, ToolResult
from ui.cli import main

QUESTION = "How green are the parcels around Rennes this summer?"
COMPUTE = ("compute", {"index": "ndvi", "place": "Rennes", "period": "this summer", "output": "per_polygon"})


def _with(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=changes)


async def test_a_second_model_answers_where_the_first_does_not_and_it_is_said(settings: Settings) -> None:
    with chat_server(says(""), status=500) as dead, chat_server(calls(COMPUTE), says("Parcel A has 0.6.")) as chat:
        told = _with(
            settings, llm_base_url=dead.base_url, llm_model="first", llm_retries=0,
            llm_fallback_base_url=chat.base_url, llm_fallback_model="second",
        )  # fmt: skip
        answer = await small_assistant(told).ask(QUESTION)
    assert answer.model == "second"
    assert answer.text == "Parcel A has 0.6."
    assert any("first was not usable" in one and "second answered" in one for one in answer.warnings)


async def test_the_planner_answers_where_both_models_fail(settings: Settings) -> None:
    with chat_server(says(""), status=500) as dead:
        told = _with(settings, llm_base_url=dead.base_url, llm_model="a", llm_retries=0, llm_fallback_model="b")
        answer = await small_assistant(told).ask(QUESTION)
    assert answer.model == "offline-planner"
    assert len([one for one in answer.warnings if "offline planner answered" in one]) == 2


async def test_what_a_model_leaves_out_of_a_call_is_filled_in_from_the_question(settings: Settings) -> None:
    made = calls(("search_products", {"question": "land"}), ("compute", {"index": "ndvi", "place": "Rennes"}))
    with chat_server(made, says("Parcel A has 0.6.")) as chat:
        answer = await small_assistant(_with(settings, llm_base_url=chat.base_url, llm_model="a")).ask(QUESTION)
    assert answer.model == "a"
    search, compute = answer.tool_calls
    assert search.args == {"question": QUESTION}
    assert (compute.args["period"], compute.args["output"]) == ("this summer", "per_polygon")


@pytest.mark.parametrize(
    ("named", "index", "model"), [("NDWI", "ndvi", "offline-planner"), ("NDWI", "NDWI", "a"), ("BAI", "bai", "a")]
)
async def test_a_model_is_held_to_the_index_that_a_question_names(
    settings: Settings, named: str, index: str, model: str
) -> None:
    made = calls(("compute", COMPUTE[1] | {"index": index, "period": "June 2025"}))
    with chat_server(made, says("Parcel A has 0.6.")) as chat:
        told = _with(settings, llm_base_url=chat.base_url, llm_model="a")
        answer = await small_assistant(told).ask(f"{named} of the parcels around Rennes in June 2025")
    assert answer.model == model
    assert any("another index" in one for one in answer.warnings) == (model != "a")


async def test_a_failing_call_is_tried_again(settings: Settings) -> None:
    with chat_server(says(""), status=500) as dead:
        await small_assistant(_with(settings, llm_base_url=dead.base_url, llm_model="a", llm_retries=2)).ask(QUESTION)
    assert len(dead.requests) == 3


async def test_a_model_that_never_answers_is_left_after_its_time(settings: Settings) -> None:
    with chat_server(calls(COMPUTE), wait_s=5) as slow:
        told = _with(settings, llm_base_url=slow.base_url, llm_model="a", llm_retries=0, llm_timeout_s=0.2)
        answer = await small_assistant(told).ask(QUESTION)
    assert answer.model == "offline-planner"


def test_anthropic_is_a_setting(settings: Settings) -> None:
    pytest.importorskip("langchain_anthropic", reason="the extra `anthropic` is not installed")
    model = get_chat_models(_with(settings, llm_provider="anthropic", llm_model="some-model"))[0]
    assert type(model).__name__ == "ChatAnthropic"


async def test_a_model_that_uses_too_many_tokens_is_left(settings: Settings) -> None:
    with chat_server(calls(COMPUTE)) as chat:
        told = _with(settings, llm_base_url=chat.base_url, llm_model="a", max_turn_tokens=20)
        answer = await small_assistant(told).ask(QUESTION)
    assert answer.model == "offline-planner"
    assert any("more than 20 tokens" in one for one in answer.warnings)


class _Large(SmallToolbox):
    """Estimates each computation at a thousand pixels."""

    def compute(
        self, index: Any, place: str, period: str, output: Any, units: Any = "parcels", against: str = ""
    ) -> ToolResult:
        found = super().compute(index, place, period, output, units, against)
        return found.model_copy(
            update={"estimate": Estimate(pixels=1000, scenes=1, megabytes=1, seconds=1, allowed=True, reason="small")}
        )


async def test_a_question_starts_no_computation_beyond_its_pixels(settings: Settings) -> None:
    services = small_assistant(settings).services()
    other = ("compute", {**COMPUTE[1], "place": "Cayenne"})
    with chat_server(calls(COMPUTE), calls(other), says("Parcel A has 0.6.")) as chat:
        told = _with(settings, llm_base_url=chat.base_url, llm_model="a", max_turn_pixels=500)
        answer = await Assistant(told, services=services, toolbox=_Large).ask(QUESTION)
    assert [call.outcome for call in answer.tool_calls] == ["ok", "not_run"]
    assert "500 pixels" in answer.tool_calls[1].result


class _Endless(SmallToolbox):
    """Computes until it is stopped."""

    stopped = False

    def compute(
        self, index: Any, place: str, period: str, output: Any, units: Any = "parcels", against: str = ""
    ) -> ToolResult:
        import time

        while not self.context.cancelled():
            time.sleep(0.01)
        type(self).stopped = True
        self.context.stop_if_asked()
        raise AssertionError


async def test_a_question_that_takes_too_long_is_stopped_with_its_computation(settings: Settings) -> None:
    services = small_assistant(settings).services()
    assistant = Assistant(_with(settings, max_turn_s=0.5), services=services, toolbox=_Endless)
    events = [event async for event in assistant.stream(QUESTION)]
    assert isinstance(events[0], ToolStarted)
    assert isinstance(events[-1], ErrorEvent)
    assert "0.5 seconds" in events[-1].message
    for _ in range(200):
        if _Endless.stopped:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("The computation went on.")


async def test_the_language_of_the_answer_can_be_fixed(settings: Settings) -> None:
    answer = await small_assistant(settings).ask("What can you do?", language="fr")
    assert answer.language == "fr"
    with chat_server(calls(COMPUTE), says("Parcel A: 0,6.")) as chat:
        told = _with(settings, llm_base_url=chat.base_url, llm_model="a")
        await small_assistant(told).ask(QUESTION, language="de")
    assert "Answer in German." in str(chat.requests[0]["messages"][0])


def test_conversations_are_listed_exported_expired_and_deleted(settings: Settings) -> None:
    sessions = Sessions(settings.database)
    answer = Answer(text="It is green.", session_id="first-conversation", model="m", seconds=0)
    for name in ("first-conversation", "second-conversation"):
        sessions.save(name, "Is it green?", answer)
    run, told = CliRunner(), {"CLMS_DATA_DIR": str(settings.data_dir)}
    listed = run.invoke(main, ["sessions", "list"], env=told)
    assert "first-conversation" in listed.output
    exported = run.invoke(main, ["sessions", "export", "first-conversation"], env=told)
    assert json.loads(exported.output)["turns"][0]["answer"]["text"] == "It is green."
    assert run.invoke(main, ["sessions", "delete", "first-conversation"], env=told).exit_code == 0
    assert run.invoke(main, ["sessions", "export", "first-conversation"], env=told).exit_code == 1
    assert sessions.expire(1) == 0
    _age(sessions, days=3)
    assert sessions.expire(5) == 0
    assert sessions.expire(2) == 1
    assert sessions.listed() == ()


def _age(sessions: Sessions, *, days: int) -> None:
    from assistant.database import tables

    turn = tables().tables["turn"]
    with sessions.database.begin() as db:
        db.execute(turn.update().values(asked_at=utc_now() - timedelta(days=days)))


def test_a_model_answers_in_each_event_loop_of_a_process(settings: Settings) -> None:
    with chat_server(calls(COMPUTE), says("Parcel A has 0.6."), calls(COMPUTE), says("Parcel B has 0.4.")) as chat:
        told = _with(settings, llm_base_url=chat.base_url, llm_model="a", llm_retries=0)
        answers = [asyncio.run(small_assistant(told).ask(QUESTION)) for _ in range(2)]
    assert [one.text for one in answers] == ["Parcel A has 0.6.", "Parcel B has 0.4."]
