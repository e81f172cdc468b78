"""What is read of a question that is asked after another one."""

import pytest

from assistant import conversation
from assistant.computes import ComputeRequest
from assistant.layers import LayerRequest
from tests.reading import read_after
from tools.errors import PlaceAmbiguous
from tools.places import resolve_place


@pytest.mark.parametrize(
    ("question", "request_"),
    [
        ("and for Trier?", LayerRequest("Trier", "", "", "districts", "Tree cover per district in Metz")),
        ("Trier", LayerRequest("Trier", "", "", "districts", "Tree cover per district in Metz")),
        ("and in 2018?", LayerRequest("Metz", "2018", "", "districts", "Tree cover per district in Metz")),
        ("Which product shows wetlands?", None),
        ("thanks!", None),
    ],
)
def test_a_follow_up_changes_the_layer_asked_for(question: str, request_: LayerRequest | None) -> None:
    assert read_after(question, "Tree cover per district in Metz").layer == request_


def test_a_threshold_can_follow_a_computation() -> None:
    read = read_after("Which parcels are above 0.6?", "NDVI per parcel near Metz in May 2025")
    (wanted,) = read.computes
    assert (wanted.output, wanted.period, wanted.pick.above, read.place) == ("per_polygon", "May 2025", 0.6, "Metz")


def test_a_remark_after_a_computation_is_no_follow_up() -> None:
    before = ("NDVI of Metz in May 2025",)
    assert read_after("thanks!", *before).intent == "thanks"
    assert read_after("frogs", *before).computes == ()
    assert read_after("et en juin 2025 ?", *before).computes == (
        ComputeRequest("composite", "juin 2025", "parcels", "ndvi", "Metz"),
    )


@pytest.mark.parametrize("name", ["Luxembourg", "Córdoba", "Saint-Armel", "Halle", "Springfield", "41.4, 2.2"])
def test_an_option_alone_answers_which_place_is_meant(name: str) -> None:
    question = f"NDVI of {name} in May 2024"
    with pytest.raises(PlaceAmbiguous) as caught:
        resolve_place(conversation.read(question).place)
    for option in caught.value.options:
        wanted = read_after(option, question)
        assert (wanted.intent, wanted.periods) == ("compute", ("May 2024",))
        assert resolve_place(wanted.place) == resolve_place(option)


def test_a_follow_up_goes_on_with_the_subject_before_it() -> None:
    first = "NDVI in Rennes in July 2026"
    found = read_after("and in May?", first, "and in Cayenne?")
    assert (found.intent, found.place, found.periods, found.subject) == ("compute", "Cayenne", ("May 2026",), first)
    asked = "Which product maps soil sealing in Portugal?"
    assert read_after("and in Spain?", asked).subject == asked
    assert read_after("and what about snow in Spain?", asked).subject == ""
    assert read_after(asked, first).subject == ""


SEASON = "When did the growing season start around Rennes in 2025?"


SERIES = "NDVI curve of Rennes in 2025"


DISTRICTS = "NDVI per district of Rennes in 2025"


JUNE = "NDVI of Rennes in June 2025"


@pytest.mark.parametrize("before", [SEASON, SERIES, DISTRICTS, "Was NDVI around Rennes in May 2019 unusual?"])
@pytest.mark.parametrize("question", ["NDVI within 3 km of Nantes in June 2024", "Show NDVI of Nantes in May 2025"])
def test_a_complete_question_takes_nothing_from_the_one_before(before: str, question: str) -> None:
    assert read_after(question, before).computes == conversation.read(question).computes


@pytest.mark.parametrize(
    ("question", "before", "index", "output", "period", "place"),
    [
        ("and EVI?", JUNE, "evi", "composite", "June 2025", "Rennes"),
        ("What about EVI?", JUNE, "evi", "composite", "June 2025", "Rennes"),
        ("et EVI ?", JUNE, "evi", "composite", "June 2025", "Rennes"),
        ("now EVI", JUNE, "evi", "composite", "June 2025", "Rennes"),
        ("same for EVI", SERIES, "evi", "series", "2025", "Rennes"),
        ("now in May 2025", JUNE, "ndvi", "composite", "May 2025", "Rennes"),
        ("and within 5 km?", JUNE, "ndvi", "composite", "June 2025", "5 km around Rennes"),
        ("und im Umkreis von 5 km?", JUNE, "ndvi", "composite", "June 2025", "5 km around Rennes"),
        ("and within 5 km in June 2024?", JUNE, "ndvi", "composite", "June 2024", "5 km around Rennes"),
        ("and within 5 km?", "NDVI within 3 km of Rennes in 2025", "ndvi", "composite", "2025", "5 km around Rennes"),
        ("and the peak?", SEASON, "ndvi", "phenology", "2025", "Rennes"),
        ("et la fin ?", SEASON, "ndvi", "phenology", "2025", "Rennes"),
        ("and in 2024?", SEASON, "ndvi", "phenology", "2024", "Rennes"),
        ("and around Cayenne?", SEASON, "ndvi", "phenology", "2025", "Cayenne"),
        ("and the peak?", SERIES, "ndvi", "series", "2025", "Rennes"),
        ("EVI in May 2025?", SEASON, "evi", "composite", "May 2025", "Rennes"),
    ],
)
def test_a_follow_up_changes_the_one_thing_it_names(
    question: str, before: str, index: str, output: str, period: str, place: str
) -> None:
    (wanted,) = read_after(question, before).computes
    assert (wanted.index, wanted.output, wanted.period, wanted.place) == (index, output, period, place)


def test_what_a_follow_up_demands_is_added_to_the_question_before() -> None:
    before = ("Which product maps forests in Spain at 10 m?",)
    read = read_after("but not the tree cover density one", *before)
    assert read.subject == f"{before[0]} but not the tree cover density one"
    assert read.place == "Spain"
    assert read_after("but not sealed land, lakes: which product?", *before).subject == ""


def test_two_products_set_side_by_side_are_no_follow_up() -> None:
    earlier = "Did NDVI change around Rennes between summer 2025 and summer 2026? Show a map."
    found = read_after("Compare tree cover density and CORINE Land Cover", earlier)
    assert (found.intent, found.computes) == ("recommend", ())
