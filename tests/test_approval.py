"""Large runs are asked about first, at every door; only the user's own words let them run."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi import FastAPI
from fastapi.testclient import TestClient
from mcp import Client
from mcp.types import ElicitResult

from assistant.agent import Assistant
from assistant.schema import Answer
from assistant.settings import Settings
from knowledge.ingest import build_index
from tests.servers.chat import calls, chat_server, says
from tools.approval import CANCEL, RUN_IT
from tools.errors import NotApproved, TooLarge
from tools.hub.demo import ensure_demo
from tools.hub.server import running_hub
from tools.schema import Question
from tools.toolbox import Context, Toolbox
from ui.api import add_doors
from ui.cli import main
from ui.mcp_api import create_mcp_server
from ui.turn import Turn

TODAY = date(2025, 9, 10)
BOX = "-1.686, 48.111, -1.673, 48.118"
QUESTION = f"Show a map of NDVI of {BOX} this summer"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings with a first limit so low that the tiny demo archive is above it."""
    folder = tmp_path_factory.mktemp("approval")
    plain = Settings(data_dir=folder, embedding_model="none", port=0)
    ensure_demo(plain.hub_dir, today=TODAY, size_px=128)
    build_index(plain.index_dir, embedding_model="none")
    with running_hub(plain.hub_dir) as url:
        yield plain.model_copy(
            update={"ask_above_mb": 0.06, "stac_url": f"{url}/stac", "openeo_url": f"{url}/openeo"}
        )  # fmt: skip


@pytest.fixture
def assistant(settings: Settings) -> Iterator[Assistant]:
    """An assistant of its own for each test, as after a restart."""
    made = Assistant(settings)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _nothing_ran_before(settings: Settings) -> None:
    """Forget earlier runs: what has been computed needs no approval."""
    for run in (settings.artifacts_dir / "runs").glob("*.json"):
        run.unlink()


async def asked(assistant: Assistant, question: str = QUESTION) -> tuple[Answer, Question]:
    answer = await assistant.ask(question, today=TODAY)
    assert answer.question is not None
    return answer, answer.question


async def test_a_large_run_asks_with_its_figures_and_runs_nothing(assistant: Assistant) -> None:
    answer, question = await asked(assistant)
    assert (answer.outcome, answer.statistics, answer.artifacts) == ("not_run", (), ())
    assert (question.options[0], question.options[-1]) == (RUN_IT, CANCEL)
    assert len(question.options) == 4
    assert len(question.approves) == 1
    for unit in ("scenes", "pixels", "MB", " s. "):
        assert unit in question.text
    assert question.text in answer.text
    assert not [warning for warning in answer.warnings if "taken out" in warning]


async def test_a_small_run_is_never_asked_about(settings: Settings) -> None:
    usual = Assistant(settings.model_copy(update={"ask_above_mb": Settings(data_dir=settings.data_dir).ask_above_mb}))
    answer = await usual.ask(QUESTION, today=TODAY)
    assert (answer.outcome, answer.question) == ("ok", None)


async def test_run_it_runs_exactly_that_plan_also_after_a_restart(settings: Settings, assistant: Assistant) -> None:
    answer, question = await asked(assistant)
    restarted = Assistant(settings)
    done = await restarted.ask("Run it", session_id=answer.session_id, today=date(2026, 1, 1))
    assert done.outcome == "ok"
    assert done.plan is not None
    assert (done.plan.fingerprint,) == question.approves
    assert done.plan.period.end.year == TODAY.year
    assert [call.name for call in done.tool_calls] == ["search_products", "compute"]
    more = await restarted.ask("and in June 2025?", session_id=answer.session_id, today=TODAY, approve=True)
    assert more.plan is not None
    assert (more.plan.place.name, more.plan.period.start, more.plan.output) == (BOX, date(2025, 6, 1), "composite")


@pytest.mark.parametrize("kind", ["Fewer dates", "Smaller area"])
async def test_each_smaller_alternative_works_when_its_words_are_sent(assistant: Assistant, kind: str) -> None:
    answer, question = await asked(assistant)
    option = next(one for one in question.options if one.startswith(kind))
    done = await assistant.ask(option, session_id=answer.session_id)
    assert (done.outcome, done.question) == ("ok", None)
    assert done.plan is not None
    assert (done.plan.fingerprint,) != question.approves


async def test_cancel_runs_nothing(assistant: Assistant) -> None:
    answer, _ = await asked(assistant)
    done = await assistant.ask("Cancel", session_id=answer.session_id)
    assert (done.outcome, done.tool_calls, done.text) == ("not_run", (), "Cancelled: nothing was run.")


async def test_the_word_of_somebody_else_runs_nothing(assistant: Assistant) -> None:
    await asked(assistant)
    other = await assistant.ask("Run it", session_id="somebody-else-0123456789")
    assert (other.outcome, other.tool_calls, other.plan) == ("not_run", (), None)
    assert "Nothing waits" in other.text


@pytest.mark.parametrize("between", ["hmm, let me think", "What is CORINE Land Cover?"])
async def test_the_plan_goes_on_waiting_after_other_words_and_runs_once(assistant: Assistant, between: str) -> None:
    answer, question = await asked(assistant)
    await assistant.ask(between, session_id=answer.session_id, today=TODAY)
    done = await assistant.ask("ok, run it", session_id=answer.session_id)
    assert done.plan is not None
    assert (done.outcome, (done.plan.fingerprint,)) == ("ok", question.approves)
    again = await assistant.ask("Run it", session_id=answer.session_id)
    assert (again.outcome, again.plan) == ("not_run", None)
    assert not assistant.sessions.pending(answer.session_id, ())


async def test_a_plan_that_was_cancelled_or_replaced_waits_no_longer(assistant: Assistant) -> None:
    answer, question = await asked(assistant)
    await assistant.ask("Cancel", session_id=answer.session_id)
    assert "Nothing waits" in (await assistant.ask("Run it", session_id=answer.session_id)).text
    again = await assistant.ask(QUESTION, session_id=answer.session_id, today=TODAY)
    other = await assistant.ask(f"Show a map of NDWI of {BOX} this summer", session_id=again.session_id, today=TODAY)
    assert other.question is not None
    waiting = assistant.sessions.pending(answer.session_id, ())
    assert tuple(one.fingerprint for one in waiting) == other.question.approves != question.approves


async def test_the_user_can_approve_beforehand(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION, today=TODAY, approve=True)
    assert (answer.outcome, answer.question) == ("ok", None)


async def test_a_difference_is_asked_about_once(assistant: Assistant) -> None:
    answer, question = await asked(assistant, f"NDVI of {BOX} in spring 2025 against summer 2025")
    assert len(question.approves) == 1
    assert not any(option.startswith("Fewer dates") for option in question.options)
    done = await assistant.ask("Run it", session_id=answer.session_id)
    assert (done.outcome, done.question) == ("ok", None)


async def test_two_large_runs_of_one_question_are_approved_together(assistant: Assistant) -> None:
    answer, question = await asked(assistant, f"Show a map of NDVI and of NDWI of {BOX}, summer 2025")
    assert len(question.approves) == 2
    done = await assistant.ask("Run it", session_id=answer.session_id)
    assert len(done.statistics) == 2


async def test_two_places_are_made_smaller_together_and_keep_their_advice(assistant: Assistant) -> None:
    answer, question = await asked(assistant, "Compare NDVI in Rennes and in Cayenne in summer 2025")
    smaller = next(one for one in question.options if one.startswith("Smaller area"))
    assert smaller.count("Smaller area") == 2
    assert "in the middle of Rennes" in smaller
    assert "in the middle of Cayenne" in smaller
    assert answer.text.count(RUN_IT) == 1
    done = await assistant.ask(smaller, session_id=answer.session_id)
    whole = await assistant.ask("Compare NDVI in Rennes and in Cayenne in summer 2025", today=TODAY, approve=True)
    assert len(done.statistics) == len(whole.statistics) == 2, done.text
    told = [one.recommendation.product_id for one in (answer, done, whole) if one.recommendation]
    assert told == [told[0]] * 3


async def test_no_model_approves_and_what_it_leaves_out_is_asked_all_the_same(settings: Settings) -> None:
    args = {"index": "ndvi", "place": BOX, "period": "summer 2025", "output": "composite"}
    replies = [calls(("compute", args)), calls(("compute", {**args, "units": "districts"})), says("I approve. Done.")]
    with chat_server(*replies) as script:
        model = settings.model_copy(update={"llm_base_url": script.base_url, "llm_model": "m"})
        answer = await Assistant(model).ask(QUESTION, today=TODAY)
    assert answer.statistics == ()
    assert answer.question is not None
    assert answer.question.text in answer.text


def test_another_plan_is_not_approved(assistant: Assistant) -> None:
    context = Context(today=TODAY, session_id="test", approved=frozenset({"0123456789abcdef"}))
    with pytest.raises(NotApproved):
        Toolbox(assistant.services(), context).compute("ndvi", BOX, "summer 2025", "composite")


def test_above_the_hard_limit_nothing_can_be_approved(assistant: Assistant) -> None:
    services = replace(assistant.services(), max_pixels=1000)
    context = Context(today=TODAY, session_id="test", approves_all=True)
    with pytest.raises(TooLarge):
        Toolbox(services, context).compute("ndvi", BOX, "summer 2025", "composite")


@pytest.fixture
def door(assistant: Assistant, settings: Settings) -> Iterator[TestClient]:
    app = FastAPI()
    add_doors(app, assistant, settings)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def chat(door: TestClient, *messages: tuple[str, str], **clms: object) -> dict[str, Any]:
    told = [{"role": role, "content": text} for role, text in messages]
    body = {"messages": told, "clms": {"today": TODAY.isoformat(), **clms}}
    answer: dict[str, Any] = door.post("/v1/chat/completions", json=body).json()
    return answer


@pytest.mark.parametrize("keeps_session", [True, False])
def test_the_chat_door_takes_the_word_with_and_without_a_session(door: TestClient, keeps_session: bool) -> None:
    first = chat(door, ("user", QUESTION))
    text = first["choices"][0]["message"]["content"]
    assert first["clms"]["outcome"] == "not_run"
    assert "pending" not in first["clms"]
    if keeps_session:
        done = chat(door, ("user", "run it"), session_id=first["clms"]["session_id"])
    else:
        done = chat(door, ("user", QUESTION), ("assistant", text), ("user", "run it"))
    assert done["clms"]["outcome"] == "ok"
    assert done["clms"]["statistics"]


def test_the_chat_door_takes_approval_beforehand(door: TestClient) -> None:
    assert chat(door, ("user", QUESTION), approve=True)["clms"]["outcome"] == "ok"


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "CLMS_DATA_DIR": str(settings.data_dir),
        "CLMS_STAC_URL": str(settings.stac_url),
        "CLMS_OPENEO_URL": str(settings.openeo_url),
        "CLMS_EMBEDDING_MODEL": "none",
        "CLMS_ASK_ABOVE_MB": "0.06",
    }


COMMAND = ["ask", QUESTION, "--today", TODAY.isoformat()]


def test_the_command_line_says_how_to_answer_and_takes_yes(environment: dict[str, str]) -> None:
    asked_back = CliRunner(env=environment).invoke(main, COMMAND)
    last = asked_back.stdout.splitlines()[-1]
    assert last.startswith('To answer: clms-assistant ask "Run it" --session ')
    done = CliRunner(env=environment).invoke(main, ["ask", "Run it", "--session", last.split()[-1]])
    assert "Files:" in done.stdout
    _forget(environment)
    at_once = CliRunner(env=environment).invoke(main, [*COMMAND, "--yes"])
    assert "Files:" in at_once.stdout


def _forget(environment: dict[str, str]) -> None:
    for run in Path(environment["CLMS_DATA_DIR"]).glob("artifacts/runs/*.json"):
        run.unlink()


def test_at_a_terminal_the_options_are_asked_for(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    done = CliRunner(env=environment).invoke(main, COMMAND, input="1\n")
    assert "1. Run it" in done.stderr
    assert "Files:" in done.stdout


async def test_the_page_shows_the_options_as_buttons(assistant: Assistant) -> None:
    turn = Turn(QUESTION)
    async for event in assistant.stream(QUESTION, today=TODAY):
        turn.take(event)
    buttons = [option["value"] for option in turn.messages()[-1]["options"]]
    assert (buttons[0], buttons[-1], len(buttons)) == (RUN_IT, CANCEL, 4)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("choice", ["Run it", ""])
async def test_over_mcp_the_user_is_asked_and_the_words_of_a_model_approve_nothing(
    assistant: Assistant, choice: str, mode: Any
) -> None:
    shown: list[Any] = []

    async def answer(_: Any, wanted: Any) -> ElicitResult:
        shown.append(wanted)
        return ElicitResult(action="accept", content={"choice": choice}) if choice else ElicitResult(action="decline")

    asked_for = {"question": QUESTION, "today": TODAY.isoformat()}
    ask_user: Any = answer
    async with Client(create_mcp_server(assistant), elicitation_callback=ask_user, mode=mode) as client:
        told = (await client.call_tool("ask", asked_for)).structured_content or {}
        assert told["outcome"] == ("ok" if choice else "not_run")
        assert shown[0].requested_schema["properties"]["choice"]["enum"][0] == RUN_IT
    if not choice:
        async with Client(create_mcp_server(assistant)) as client:
            words = {"question": "Run it", "session_id": told["session_id"]}
            again = (await client.call_tool("ask", words)).structured_content or {}
            said = await client.call_tool("ask", words)
        assert (again["outcome"], again["statistics"]) == ("not_run", [])
        assert "A large computation waits" in str(said.content)


@pytest.mark.parametrize(("choice", "outcome"), [("Run it", "ok"), ("Smaller", "ok"), ("Cancel", "not_run")])
async def test_over_mcp_a_step_asks_its_user_too(assistant: Assistant, choice: str, outcome: str) -> None:
    async def answer(_: Any, wanted: Any) -> ElicitResult:
        options = wanted.requested_schema["properties"]["choice"]["enum"]
        chosen = next(option for option in options if option.startswith(choice))
        return ElicitResult(action="accept", content={"choice": chosen})

    step = {"index": "ndvi", "place": BOX, "period": "summer 2025", "output": "composite"}
    ask_user: Any = answer
    async with Client(create_mcp_server(assistant), elicitation_callback=ask_user) as client:
        told = (await client.call_tool("compute", step)).structured_content or {}
    assert (told["outcome"], bool(told["statistics"])) == (outcome, outcome == "ok")
