"""The offline planner's wording: what is said first, comparisons, numbers of things, and next questions."""

from datetime import date

import pytest

from assistant import answers, comparison, conversation
from assistant.settings import Settings
from assistant.slots import Slots
from tests.servers.menu import small_assistant
from tools.periods import parse_period
from tools.schema import Outcome, Output, Period, Place, Plan, Statistics, StatisticsRow, ToolResult

TODAY = date(2025, 9, 10)


def result(
    value: float | None,
    year: int,
    *,
    output: Output = "composite",
    outcome: Outcome = "ok",
    place: str = "Metz, France",
) -> ToolResult:
    """Give what a computation of one May returns."""
    plan = Plan(
        recipe_id="ndvi",
        collection_id="test",
        output=output,
        place=Place(name=place, kind="city", bbox=(6, 49, 6.1, 49.1), area_km2=4.0, source="test"),
        period=Period(start=date(year, 5, 1), end=date(year, 5, 31), label="this weird label"),
    )
    day = f"{year}-05-07" if output == "series" else None
    row = StatisticsRow(
        label="Metz", date=day, value=value, valid_pixels=1 if value else 0, total_pixels=1, outcome=outcome
    )
    return ToolResult(
        text="words", outcome=outcome, plan=plan, statistics=Statistics(rows=(row,), unit="1", method="How.")
    )


def with_second_date(done: ToolResult) -> ToolResult:
    """Add a lower value a week later."""
    assert done.statistics is not None
    (row,) = done.statistics.rows
    later = row.model_copy(update={"date": f"{str(row.date)[:8]}14", "value": 0.1})
    return done.model_copy(update={"statistics": done.statistics.model_copy(update={"rows": (row, later)})})


def test_a_comparison_puts_the_values_next_to_each_other_and_makes_no_new_number() -> None:
    text = comparison.side_by_side([result(0.512, 2024), result(0.634, 2025)], asked=2)
    lines = text.splitlines()
    assert lines[1:3] == [
        "- Metz, France, 2024-05-01 to 2024-05-31: mean NDVI 0.512 (1 of 1 pixel valid)",
        "- Metz, France, 2025-05-01 to 2025-05-31: mean NDVI 0.634 (1 of 1 pixel valid)",
    ]
    assert "0.122" not in text
    assert "difference itself was not computed" in text


def test_curves_are_compared_by_their_peaks() -> None:
    curves = [result(0.5, 2024, output="series"), with_second_date(result(0.6, 2025, output="series"))]
    text = comparison.side_by_side(curves, asked=2)
    assert "is 0.500 on 2024-05-07, the only date" in text
    assert "peaks at 0.600 on 2025-05-07" in text


def test_a_side_without_a_value_is_told_as_such() -> None:
    text = comparison.side_by_side([result(0.5, 2024), result(None, 2025, outcome="no_data")], asked=2)
    assert "2025-05-31: no data" in text


def test_one_side_alone_is_no_comparison() -> None:
    failed = ToolResult(text="Down.", outcome="failed")
    assert comparison.side_by_side([result(0.5, 2024), failed], asked=2) == comparison.NOTHING_TO_COMPARE
    assert comparison.side_by_side([result(0.5, 2024)], asked=1) == ""


@pytest.mark.parametrize("output", ["composite", "series", "per_polygon"])
@pytest.mark.parametrize("place", ["Metz, France", "Las Palmas, Spain"])
def test_each_suggested_question_means_what_it_says(output: Output, place: str) -> None:
    done = result(0.5, 2025, output=output, place=place)
    found = answers.follow_ups([done])
    assert len(found) == 2
    for question in found:
        assert "weird" not in question
        read = conversation.read(question)
        (wanted,) = read.computes
        assert wanted.output != output
        assert read.place == place
        period = parse_period(wanted.period, today=TODAY)
        assert (period.start, period.end) == (date(2025, 5, 1), date(2025, 5, 31))


def test_one_thing_is_not_told_as_many() -> None:
    read = conversation.read("NDVI curve of Metz in May 2025")
    text = answers.compose(read, [result(0.5, 2025, output="series")])
    assert "the only date with data" in text
    assert "peaks" not in text
    many = answers.compose(read, [with_second_date(result(0.5, 2025, output="series"))])
    assert "2 of 2 dates with data" in many
    mean = answers.compose(conversation.read("NDVI of Metz in May 2025"), [result(0.5, 2025)])
    assert "1 of 1 pixel valid" in mean


def test_what_was_not_computed_comes_first() -> None:
    read = conversation.read("Forecast the NDVI of the districts of Metz in May 2025")
    first = answers.compose(read, [result(0.5, 2025, output="per_polygon")]).splitlines()[0]
    assert first.startswith("Not run: a forecast.")
    assert "spectral indices as" in first


@pytest.mark.parametrize(
    ("missing", "results", "outcome"),
    [
        (("EVI",), [ToolResult(text="A product.")], "not_run"),
        (("a ranking",), [result(0.5, 2025)], "ok"),
        (("a ranking",), [result(None, 2025, outcome="no_data")], "no_data"),
        ((), [ToolResult(text="A product.")], "ok"),
    ],
)
def test_a_part_that_no_tool_computes_did_not_run(
    missing: tuple[str, ...], results: list[ToolResult], outcome: str
) -> None:
    assert answers.planned_outcome(Slots("compute", missing=missing), results) == outcome


async def test_the_answer_itself_says_not_run(settings: Settings) -> None:
    answer = await small_assistant(settings).ask("Compute NBRT1 for Metz in May 2025", today=TODAY)
    assert answer.outcome == "not_run"
    assert answer.text.startswith("Not run: NBRT1 (Normalized Burn Ratio Thermal 1; it needs Thermal Infrared)")
    assert answer.statistics == ()
    assert [call.name for call in answer.tool_calls] == ["search_products"]


async def test_a_comparison_goes_through_the_loop(settings: Settings) -> None:
    question = "Compare NDVI per parcel near Metz between May 2024 and May 2025"
    answer = await small_assistant(settings).ask(question, today=TODAY)
    asked = {call.args["period"] for call in answer.tool_calls if call.name == "compute"}
    assert asked == {"May 2024"}
    assert [call.args["against"] for call in answer.tool_calls if call.name == "compute"] == ["May 2025"]
    assert "Parcel B: -0.050 (from 0.450 to 0.400)" in answer.text
    assert not [warning for warning in answer.warnings if "no tool gave" in warning]


def test_another_subject_is_refused_in_a_sentence() -> None:
    text = answers.compose(conversation.read("Find me a flight to Metz"), [])
    assert "\n" not in text
    assert text.count(". ") == 0


def test_advice_beside_a_computation_that_did_not_run_does_not_make_it_well() -> None:
    refused = ToolResult(text="Not run: '1995' is too early.", outcome="not_run")
    assert answers.worst_outcome([ToolResult(text="No product was found."), refused]) == "not_run"
    assert answers.worst_outcome([ToolResult(text="A product.")]) == "ok"
