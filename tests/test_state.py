"""What a conversation has settled is kept with its turns, read by no model, and holds a model to it."""

from typing import Any

import pytest

from assistant.conversation import ConversationState, read, replayed
from assistant.database import tables
from assistant.settings import Settings
from assistant.translation import language_asked
from knowledge.errors import ClmsError
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import small_assistant

QUESTION = "How green are the parcels around Rennes in summer 2025?"
COMPUTE: dict[str, Any] = {"index": "ndvi", "place": "Rennes", "period": "summer 2025", "output": "per_polygon"}


@pytest.mark.parametrize(
    "question",
    [
        QUESTION,
        "NDVI change of Metz from May 2024 to May 2025",
        "How sealed was Lille in 2024, district by district?",
        "classify the land around Rennes into 4 classes for summer 2025",
        "What is Urban Atlas?",
        "Which images of Valencia, Spain are there in May 2025?",
    ],
)
def test_a_state_is_the_same_after_it_was_kept(question: str) -> None:
    state = replayed([("user", question), ("assistant", "**Product to use: HRL Grassland**")])
    assert state.latest is not None
    assert state.latest.text == question
    assert state.products == ("HRL Grassland",)
    assert ConversationState.model_validate_json(state.model_dump_json()) == state


def test_small_talk_a_yes_and_a_no_settle_nothing() -> None:
    told = [("user", QUESTION), ("assistant", "**HRL Grassland**")]
    small = [(role, words) for words in ("thanks!", "yes", "Cancel", "hello") for role in ("user", "assistant")]
    assert replayed([*told, *small]) == replayed(told)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_short_question_goes_on_after_two_hundred_turns_and_a_restart(settings: Settings, kept: bool) -> None:
    assistant = small_assistant(settings)
    answer = await assistant.ask(QUESTION)
    hello, session_id = await assistant.ask("hello"), answer.session_id
    for _ in range(200 if kept else 20):
        assistant.sessions.save(session_id, "hello", hello, state=assistant.sessions.state(session_id))
    if not kept:  # as an older program left it
        with assistant.sessions.database.begin() as db:
            db.execute(tables().tables["state"].delete())
    answer = await small_assistant(settings).ask("and in 2019?", session_id=session_id)
    assert answer.plan is not None
    assert (answer.plan.place.name, answer.plan.period.label, answer.plan.output) == ("Rennes", "2019", "per_polygon")


WRITTEN = "POLYGON((2 47, 2.1 47, 2.1 47.1, 2 47))"


@pytest.mark.parametrize(
    ("asked", "box"),
    [
        (("and in 2019?",), (2, 47, 2.1, 47.1)),
        (("thanks", "and in Cayenne?", "und 2019?"), (0, 0, 1, 1)),
        (("and in Cayenne?", "NDVI of this area in 2018"), (2, 47, 2.1, 47.1)),
    ],
)
async def test_a_polygon_in_a_question_is_the_place_of_the_next(
    settings: Settings, asked: tuple[str, ...], box: tuple[float, ...]
) -> None:
    session_id = (await small_assistant(settings).ask(f"NDVI of {WRITTEN} in May 2025")).session_id
    for question in asked:
        answer = await small_assistant(settings).ask(question, session_id=session_id)  # each after a restart
    assert answer.plan is not None
    assert answer.plan.place.bbox == pytest.approx(box)


async def test_a_client_that_sends_its_messages_keeps_its_polygon(settings: Settings) -> None:
    history = [("user", f"NDVI of {WRITTEN} in May 2025"), ("assistant", "0.6"), ("user", "POLYGON((2 47))")]
    answer = await small_assistant(settings).ask("and in 2019?", history=history)
    assert answer.plan is not None
    assert answer.plan.place.bbox == pytest.approx((2, 47, 2.1, 47.1))


async def test_a_deleted_conversation_settles_nothing(settings: Settings) -> None:
    assistant = small_assistant(settings)
    session_id = (await assistant.ask(QUESTION)).session_id
    assert assistant.sessions.state(session_id).place == "Rennes"
    assistant.forget(session_id)
    assert assistant.sessions.state(session_id) == ConversationState()


@pytest.mark.parametrize(
    ("made", "model"),
    [
        ({"place": "Cayenne", "period": "2019"}, "offline-planner"),
        ({"period": "2020"}, "offline-planner"),
        (None, "offline-planner"),
        ({"place": "Rennes, France", "period": "2019-01-01/2019-12-31"}, "stand-in"),
    ],
    ids=["another place", "another period", "nothing computed", "what was asked"],
)
async def test_a_model_is_held_to_place_and_period_in_later_turns(
    settings: Settings, made: dict[str, str] | None, model: str
) -> None:
    second = [says("Parcel A has 0.6.")] if made is None else [calls(("compute", COMPUTE | made)), says("A: 0.6.")]
    with chat_server(calls(("compute", COMPUTE)), says("Parcel A has 0.6."), *second) as chat:
        told = settings.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "stand-in"})
        first = await small_assistant(told).ask(QUESTION)
        answer = await small_assistant(told).ask("and in 2019?", session_id=first.session_id)
    assert first.model == "stand-in"
    assert answer.model == model
    assert answer.plan is not None
    assert (answer.plan.place.name[:6], answer.plan.period.label[:4]) == ("Rennes", "2019")


async def test_a_model_may_answer_from_the_conversation(settings: Settings) -> None:
    with chat_server(calls(("compute", COMPUTE)), says("Parcel A has 0.6."), says("Parcel A had 0.6.")) as chat:
        told = settings.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "stand-in"})
        first = await small_assistant(told).ask(QUESTION)
        answer = await small_assistant(told).ask("What did Parcel A have?", session_id=first.session_id)
    assert answer.text == "Parcel A had 0.6."


@pytest.mark.parametrize(
    ("asked", "language"),
    [("in German please", "de"), ("Réponds en italien.", "it"), ("¿y en francés?", "fr"), ("Auf Spanisch bitte", "es")],
)
async def test_the_last_answer_is_told_in_another_language_and_so_are_the_next(
    settings: Settings, asked: str, language: str
) -> None:
    first = await small_assistant(settings).ask(QUESTION)
    again = await small_assistant(settings).ask(asked, session_id=first.session_id)
    assert again.plan == first.plan
    assert small_assistant(settings).sessions.state(first.session_id).language == language
    later = await small_assistant(settings).ask("2019?", session_id=first.session_id)
    assert later.plan is not None
    assert (later.plan.place.name, later.plan.period.label) == ("Rennes", "2019")
    assert small_assistant(settings).sessions.state(first.session_id).language == language


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("How green is Rennes in June 2026? Answer in German.", "de"),
        ("Quelle est la densité des arbres à Lyon ? In English please.", "en"),
        ("Which product shows forests in German national parks?", "en"),
        ("Are there manuals in French?", "en"),
    ],
)
def test_the_language_to_answer_in_is_the_one_asked_for(question: str, language: str) -> None:
    assert language_asked(question) == language


async def test_undo_goes_back_to_the_question_before_and_on_from_there(settings: Settings) -> None:
    first = await small_assistant(settings).ask(QUESTION)
    session_id = first.session_id
    for question in ("and in Cayenne?", "Rückgängig", "in French please", "and in 2019?"):
        answer = await small_assistant(settings).ask(question, session_id=session_id)
    assert answer.plan is not None
    assert (answer.plan.place.name, answer.plan.period.label) == ("Rennes", "2019")


async def test_undo_with_no_question_before_says_so(settings: Settings) -> None:
    with pytest.raises(ClmsError, match="Es gibt nichts zurückzunehmen"):
        await small_assistant(settings).ask("Rückgängig", language="de")


@pytest.mark.parametrize(
    ("asked", "rank", "count"),
    [
        ("the three best", "highest", 3),
        ("the last two", "lowest", 2),
        ("no, the lowest", "lowest", 5),
        ("die drei besten", "highest", 3),
        ("les 2 derniers", "lowest", 2),
        ("los dos peores", "lowest", 2),
        ("i primi tre", "highest", 3),
    ],
)
def test_the_ends_of_a_ranking_are_picked_in_few_words(asked: str, rank: str, count: int) -> None:
    state = replayed([("user", QUESTION), ("assistant", "0.6")])
    (request,) = read(asked, state).computes
    assert (request.place, request.pick.rank, request.pick.count) == ("Rennes", rank, count)
    (later,) = read("that one but for July 2026", state.after(asked, "0.7")).computes
    assert (later.place, later.period, later.pick.rank) == ("Rennes", "July 2026", rank)


def test_the_other_product_is_the_one_told_after_the_last() -> None:
    told = "**Product to use: HRL Forest Type**\n- Why not HRL Tree Cover Density: it has shares."
    state = replayed([("user", "Which products show forests?"), ("assistant", told)])
    assert read("no, the other", state).product == "HRL Tree Cover Density"
    assert read("the other one", state.after("no, the other", "")).product == "HRL Forest Type"
