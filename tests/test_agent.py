"""The loop with real models over HTTP and with the offline planner: events, failures, checks, sessions."""

import errno
import sqlite3
from pathlib import Path

import pytest

from assistant.agent import Assistant
from assistant.schema import Answer, AnswerEvent, ErrorEvent, ToolFinished, ToolProgress, ToolStarted
from assistant.sessions import Sessions
from assistant.settings import Settings
from assistant.storage import storage_failure
from knowledge.errors import ClmsError
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import small_assistant

QUESTION = "How green are the parcels around Rennes this summer?"
COMPUTE = ("compute", {"index": "ndvi", "place": "Rennes", "period": "this summer", "output": "per_polygon"})


async def ask(settings: Settings, question: str = QUESTION, **options: str) -> Answer:
    return await small_assistant(settings).ask(question, **options)


async def test_a_question_gets_advice_a_number_and_files(settings: Settings) -> None:
    answer = await ask(settings)
    assert answer.outcome == "ok"
    assert answer.model == "offline-planner"
    assert answer.recommendation is not None
    assert answer.recommendation.title in answer.text
    assert "0.500" in answer.text
    assert [call.name for call in answer.tool_calls] == ["search_products", "compute"]
    assert [artifact.kind for artifact in answer.artifacts] == ["table"]
    assert "Synthetic demo data." in answer.text
    assert not [warning for warning in answer.warnings if "taken out" in warning]
    assert answer.follow_ups


async def test_every_step_that_begins_ends_and_the_last_event_is_the_answer(settings: Settings) -> None:
    assistant = small_assistant(settings)
    events = []
    async for event in assistant.stream(QUESTION):
        events.append(event)
    assert isinstance(events[0], ToolStarted)
    assert any(isinstance(event, ToolProgress) for event in events)
    begun = {event.call_id for event in events if isinstance(event, ToolStarted)}
    ended = {event.call_id for event in events if isinstance(event, ToolFinished)}
    assert begun == ended
    assert isinstance(events[-1], AnswerEvent)


@pytest.mark.parametrize(
    ("place", "outcome", "words"),
    [("Atlantisburgh", "not_run", "Name a place nearby."), ("Deadhub", "failed", "Start it.")],
)
async def test_an_expected_failure_is_told_with_its_hint_and_no_number(
    settings: Settings, place: str, outcome: str, words: str
) -> None:
    answer = await ask(settings, f"How green is {place} this summer?")
    assert answer.outcome == outcome
    assert words in answer.text
    assert answer.statistics == ()


async def test_an_unexpected_failure_shows_a_reference_and_no_secret(settings: Settings) -> None:
    answer = await ask(settings, "How green is Crash this summer?")
    assert answer.outcome == "failed"
    assert "reference" in answer.text
    assert "/etc" not in answer.model_dump_json()


async def test_a_provider_drives_the_same_loop(settings: Settings) -> None:
    with chat_server(calls(COMPUTE), says("The mean NDVI is 0.50 over 2 parcels.")) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.text == "The mean NDVI is 0.50 over 2 parcels."
    assert answer.model == "stand-in"
    assert answer.usage == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    menu = {tool["function"]["name"] for tool in chat.requests[0]["tools"]}
    assert {"search_products", "compute"} <= menu
    assert len(chat.requests) == 2


async def test_a_planted_number_is_written_again(settings: Settings) -> None:
    with chat_server(calls(COMPUTE), says("NDVI is 0.93."), says("The mean NDVI is 0.5.")) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.text == "The mean NDVI is 0.5."
    assert any("0.93" in warning for warning in answer.warnings)


async def test_a_stubborn_planted_number_is_taken_out(settings: Settings) -> None:
    planted = says("The mean NDVI is 0.5. Yields will rise by 17 % in 2031.")
    with chat_server(calls(COMPUTE), planted, planted) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.text.startswith("The mean NDVI is 0.5.\n\n")
    assert "17 %" not in answer.text
    assert any("2 numbers" in warning and 'removed: "' in warning for warning in answer.warnings)


async def test_a_gutted_text_is_followed_by_what_was_computed(settings: Settings) -> None:
    planted = says("The parcels look fine. Their NDVI is minus 0.5.")
    with chat_server(calls(COMPUTE), planted, planted) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.text == "The parcels look fine.\n\nNDVI 0.6 and 0.4"


async def test_a_number_without_any_tool_call_does_not_get_through(settings: Settings) -> None:
    with chat_server(says("The NDVI is 0.77.")) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert "0.77" not in answer.text
    assert answer.model == "offline-planner"
    assert any("did not call the tools" in warning for warning in answer.warnings)


async def test_a_dead_provider_leaves_the_planner_to_answer(settings: Settings) -> None:
    with chat_server(says(""), status=500) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.outcome == "ok"
    assert answer.model == "offline-planner"
    assert any("offline planner answered" in warning for warning in answer.warnings)


async def test_wrong_arguments_leave_the_planner_to_answer(settings: Settings) -> None:
    wrong = calls(("compute", {"index": "greenness", "where": 7}))
    with chat_server(wrong, wrong, wrong) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.model == "offline-planner"
    assert any("wrong arguments" in warning for warning in answer.warnings)


async def test_an_endless_loop_of_tool_calls_ends(settings: Settings) -> None:
    with chat_server(calls(COMPUTE)) as chat:
        answer = await ask(with_model(settings, chat.base_url))
    assert answer.model == "offline-planner"
    assert any("tool calls" in warning for warning in answer.warnings)


async def test_a_conversation_goes_on_and_nobody_else_sees_it(settings: Settings) -> None:
    first = await ask(settings)
    second = await ask(settings, "and for Cayenne?", session_id=first.session_id)
    assert second.plan is not None
    assert second.plan.place.name == "Cayenne"
    assert second.plan.output == "per_polygon"
    stranger = await ask(settings, "and for Cayenne?")
    assert stranger.plan is None
    assert stranger.session_id != first.session_id
    guessed = await ask(settings, "hello", session_id="1")
    assert guessed.session_id != "1"


async def test_a_follow_up_finds_what_was_settled_thirty_turns_before(settings: Settings) -> None:
    first = await ask(settings, "NDVI per parcel around Rennes in June 2025")
    detour = first.model_copy(update={"plan": None})
    for _ in range(30):
        Sessions(settings.database).save(first.session_id, "What is HRL Grassland?", detour)
    later = await ask(settings, "and for Cayenne?", session_id=first.session_id)
    assert later.plan is not None
    assert (later.plan.place.name, later.plan.output) == ("Cayenne", "per_polygon")
    assert later.tool_calls[-1].args["period"] == "June 2025"


async def test_a_client_that_keeps_the_conversation_can_go_on_with_its_beginning(settings: Settings) -> None:
    detour = (("user", "What is HRL Grassland?"), ("assistant", "Grass."))
    history = (("user", "NDVI per parcel around Rennes in June 2025"), ("assistant", "Done."), *(detour * 30))
    later = await small_assistant(settings).ask("and for Cayenne?", history=history)
    assert later.plan is not None
    assert (later.plan.place.name, later.plan.output) == ("Cayenne", "per_polygon")


async def test_an_empty_question_is_an_error_with_a_hint(settings: Settings) -> None:
    events = [event async for event in small_assistant(settings).stream("  ")]
    assert isinstance(events[-1], ErrorEvent)
    assert events[-1].hint
    with pytest.raises(ClmsError):
        await ask(settings, " ")


def with_model(settings: Settings, base_url: str) -> Settings:
    return settings.model_copy(update={"llm_base_url": base_url, "llm_model": "stand-in"})


async def test_a_question_without_end_is_refused(settings: Settings) -> None:
    events = [event async for event in small_assistant(settings).stream("which " * 2000)]
    assert isinstance(events[-1], ErrorEvent)
    assert "longer than" in events[-1].message


@pytest.fixture
def unwritable(tmp_path: Path) -> Settings:
    """Settings whose data folder lies inside a file: not even root can write there."""
    (tmp_path / "file").write_text("")
    return Settings(data_dir=tmp_path / "file" / "data", embedding_model="none", port=0)


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(unwritable: Settings) -> None:
    answer = await ask(unwritable, "What can you do?")
    assert answer.outcome == "ok"
    assert any("could not be kept" in warning and "CLMS_DATA_DIR" in warning for warning in answer.warnings)


async def test_files_that_cannot_be_written_are_told_and_none_is_listed(unwritable: Settings) -> None:
    answer = await ask(unwritable)
    assert answer.outcome == "failed"
    assert answer.artifacts == ()
    assert "cannot be written" in answer.text
    assert "reference" not in answer.text


async def test_a_data_folder_that_cannot_be_opened_is_named(unwritable: Settings) -> None:
    with pytest.raises(ClmsError, match=r"cannot be written\. .*CLMS_DATA_DIR"):
        await Assistant(unwritable).ask(QUESTION)


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    full = storage_failure(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x")), tmp_path)
    assert "full" in str(full)
    database = sqlite3.connect(tmp_path / "small.sqlite")
    database.executescript("PRAGMA max_page_count = 2; CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        database.execute("INSERT INTO t VALUES (zeroblob(100000))")
    database.close()
    assert "full" in str(storage_failure(caught.value, tmp_path))
    assert storage_failure(OSError(errno.ENOENT, "No such file", "/elsewhere"), tmp_path) is None
    assert storage_failure(sqlite3.OperationalError("no such table: words"), tmp_path) is None


@pytest.mark.parametrize(
    ("question", "told"),
    [("What can you do?", "NDVI"), ("hello", "NDVI"), ("Book me a flight to Rome", "outside what I can answer")],
)
async def test_what_it_says_of_itself_passes_its_own_check(settings: Settings, question: str, told: str) -> None:
    answer = await small_assistant(settings).ask(question)
    assert told in answer.text
    assert answer.warnings == ()
