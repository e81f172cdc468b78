"""The offline planner: what it reads in a question, which tools it calls, how it writes."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from assistant import conversation
from assistant.planner import CHECKER, OfflinePlanner, next_message
from tests.reading import read_after
from tools.schema import ToolResult

MENU = ("search_products", "explain_product", "find_place", "search_scenes", "compute")


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("Hello!", "greeting"),
        ("What can you do?", "help"),
        ("What's the capital of France?", "out_of_scope"),
        ("Write me a limerick", "out_of_scope"),
        ("Which product shows sealed soil in cities?", "recommend"),
        ("How much of Lyon is sealed?", "recommend"),
        ("Explain the Urban Atlas", "explain"),
        ("What is CLC+ Backbone?", "explain"),
        ("Which scenes are there for Brest in July 2025?", "scenes"),
        ("How green was Lille last summer?", "compute"),
        ("ndvi of my fields last year", "compute"),
    ],
)
def test_the_intent_is_read(question: str, intent: str) -> None:
    assert conversation.read(question).intent == intent


@pytest.mark.parametrize(
    ("question", "place", "periods"),
    [
        ("How green are the fields near Saint-Malo this summer?", "Saint-Malo", ("this summer",)),
        ("ndvi map of nantes in june 2025", "nantes", ("june 2025",)),
        ("NDVI of Rennes, France on 2025-06-15", "Rennes, France", ("2025-06-15",)),
        ("NDVI at -1.68, 48.11 for May to July 2025", "-1.68, 48.11", ("May to July 2025",)),
        ("Compare the NDVI of Brest in summer 2024 and summer 2025", "Brest", ("summer 2024", "summer 2025")),
        ("How has vegetation around Vannes changed since 2021?", "Vannes", ("since 2021",)),
    ],
)
def test_place_and_periods_are_read(question: str, place: str, periods: tuple[str, ...]) -> None:
    read = conversation.read(question)
    assert (read.place, read.periods) == (place, periods)


@pytest.mark.parametrize(
    ("question", "outputs"),
    [
        ("NDVI per parcel around Brest in May 2025", [("per_polygon", "May 2025")]),
        ("NDVI of this plot on 3 June 2021, and its curve over the year",
         [("per_polygon", "3 June 2021"), ("series", "2021")]),
        ("Show an NDVI map of Brest in May 2025 and a time series since 2024",
         [("composite", "May 2025"), ("series", "since 2024")]),
        ("Compare NDVI of Brest in 2023 and 2024", [("composite", "2023")]),
    ],
)  # fmt: skip
def test_each_output_asked_for_is_one_computation(question: str, outputs: list[tuple[str, str]]) -> None:
    assert [(wanted.output, wanted.period) for wanted in conversation.read(question).computes] == outputs


def test_a_follow_up_keeps_what_it_does_not_change() -> None:
    read = read_after("and for Cayenne?", "How green are the districts around Rennes this summer?")
    assert read.place == "Cayenne"
    assert [(wanted.output, wanted.period, wanted.units) for wanted in read.computes] == [
        ("per_polygon", "this summer", "districts")
    ]


def test_a_compute_question_calls_for_advice_and_for_the_number() -> None:
    message = next_message([HumanMessage("How green is Brest this summer?")], MENU)
    assert [call["name"] for call in message.tool_calls] == ["search_products", "compute"]


def test_two_periods_and_a_number_are_one_call_with_its_arguments() -> None:
    question = HumanMessage(
        "Compare NDVI per parcel near Brest, summer 2024 against summer 2025: the 3 lowest below -0.1?"
    )
    search, compute = next_message([question], MENU).tool_calls
    assert search["name"] == "search_products"
    assert compute["args"] == {
        "index": "ndvi", "place": "Brest", "period": "summer 2024", "output": "per_polygon", "units": "parcels",
        "against": "summer 2025", "below": -0.1, "rank": "lowest", "count": 3,
    }  # fmt: skip


def test_only_tools_on_the_menu_are_called() -> None:
    message = next_message([HumanMessage("How green is Brest this summer?")], ("search_products",))
    assert [call["name"] for call in message.tool_calls] == ["search_products"]


def test_after_the_results_comes_text_and_a_message_of_the_checker_is_no_question() -> None:
    question = HumanMessage("Which product shows snow?")
    calls = next_message([question], MENU)
    result = ToolResult(text="FSC shows snow.")
    told = ToolMessage(result.text, artifact=result, tool_call_id=calls.tool_calls[0]["id"])
    again = HumanMessage("Write again.", name=CHECKER)
    assert "FSC shows snow." in next_message([question, calls, told, again], MENU).text


def test_an_unknown_product_is_looked_for() -> None:
    for question in ("What is the Wood Layer?", "Explain nitrogen dioxide", "What is NO2?"):
        calls = next_message([HumanMessage(question)], MENU).tool_calls
        assert [call["name"] for call in calls] == ["search_products"], question
    known = next_message([HumanMessage("What is the Urban Atlas?")], MENU).tool_calls
    assert [call["name"] for call in known] == ["explain_product"]


@pytest.mark.parametrize(
    ("question", "pair"),
    [
        ("difference between CLC and CLC+", ("CLC", "CLC+")),
        ("Unterschied zwischen HR-VPP und MR-VPP", ("HR-VPP", "MR-VPP")),
        ("quelle différence entre Urban Atlas et CORINE ?", ("Urban Atlas", "CORINE")),
        ("diferencia entre CORINE y CLC+ Backbone", ("CORINE", "CLC+ Backbone")),
        ("confronta HR-VPP e MR-VPP", ("HR-VPP", "MR-VPP")),
        ("SWI or SSM?", ("SWI", "SSM")),
        ("compare forest and grassland in Spain", None),
        ("is it wheat or maize around Reims", None),
        ("compare CLC 2012 with CLC 2018", None),
    ],
)
def test_two_products_are_set_side_by_side(question: str, pair: tuple[str, str] | None) -> None:
    calls = next_message([HumanMessage(question)], (*MENU, "compare_products")).tool_calls
    found = [tuple(call["args"].values()) for call in calls if call["name"] == "compare_products"]
    assert found == ([pair] if pair else [])


async def test_streaming_gives_the_same_as_generating() -> None:
    planner = OfflinePlanner()
    chunks = [chunk async for chunk in planner.astream([HumanMessage("hello")])]
    assert "".join(str(chunk.text) for chunk in chunks) == planner.invoke([HumanMessage("hello")]).text
    bound = OfflinePlanner(menu=MENU)
    whole: AIMessage = bound.invoke([HumanMessage("Which product shows snow?")])
    assert whole.tool_calls[0]["name"] == "search_products"
