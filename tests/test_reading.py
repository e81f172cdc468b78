"""What a question says of surroundings, changes and seasons."""

import pytest
from pyproj import Geod
from shapely.geometry import shape

from assistant import conversation
from tools.errors import PlaceAmbiguous, PlaceNotFound
from tools.places import find_places, resolve_place


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("NDVI within 3 km of Rennes in June 2025", "3 km around Rennes"),
        ("NDVI in a 3 km radius around Rennes in June 2025", "3 km around Rennes"),
        ("NDVI in Rennes and 5 km around in summer 2024", "5 km around Rennes"),
        ("NDVI for 2 miles around Rennes in June 2025", "3.219 km around Rennes"),
        ("NDVI im Umkreis von 3 km um Rennes im Juni 2025", "3 km around Rennes"),
        ("NDVI dans un rayon de 2,5 km autour de Rennes en juin 2025", "2.5 km around Rennes"),
        ("NDVI à moins de 3 kilomètres de Rennes en juin 2025", "3 km around Rennes"),
        ("NDVI en un radio de 3 km alrededor de Rennes en junio de 2025", "3 km around Rennes"),
        ("NDVI entro 3 km da Rennes in giugno 2025", "3 km around Rennes"),
        ("NDVI with pixels of 1 km in Rennes in June 2025", "Rennes"),
        ("NDVI at 1 km resolution around Rennes in June 2025", "Rennes"),
        ("NDVI at 10 m around Rennes in June 2025", "Rennes"),
        ("You told me of Rennes before: what is the NDVI 2 km around Rennes in June 2025?", "2 km around Rennes"),
        ("NDVI within 500 m of Rennes in June 2025", "0.5 km around Rennes"),
        ("NDVI within 10,000 metres of Rennes in June 2025", "10 km around Rennes"),
        ("NDVI im Umkreis von 1.500 Metern um Rennes im Juni 2025", "1.5 km around Rennes"),
        ("NDVI within 0.500 km of Rennes in June 2025", "0.5 km around Rennes"),
        ("NDVI within 3 km of -1.7,48.1 in June 2025", "3 km around -1.7,48.1"),
        ("NDVI more than 5 km away from Rennes in June 2025", "Rennes"),
    ],
)
def test_a_radius_is_read_and_a_pixel_size_is_none(question: str, place: str) -> None:
    assert conversation.read(question).place == place


def test_the_number_of_a_radius_is_no_threshold() -> None:
    (asked,) = conversation.read("parcelles à moins de 1 km de Rennes avec NDVI en juin 2025").computes
    assert not asked.pick
    (asked,) = conversation.read("NDVI of the parcels within 3 km of Rennes above 0.6 in June 2025").computes
    assert asked.pick.above == 0.6


def test_a_town_becomes_a_circle_of_the_radius() -> None:
    place = resolve_place("within 3 km of Rennes")
    middle = shape(place.geometry).centroid
    edge = [Geod(ellps="WGS84").inv(middle.x, middle.y, lon, lat)[2] for lon, lat in place.geometry["coordinates"][0]]
    assert min(edge) == pytest.approx(3000, rel=1e-3)
    assert max(edge) == pytest.approx(3000, rel=1e-3)
    assert place.area_km2 == pytest.approx(28.27, rel=2e-3)
    assert place.name == "3 km around Rennes, France"
    assert "circle" in place.source


def test_a_region_grows_by_the_radius() -> None:
    region, grown = resolve_place("Brittany"), resolve_place("2 km around Brittany")
    assert shape(grown.geometry).contains(shape(region.geometry))
    assert [one.name for one in find_places("2 km around Brittany")] == [grown.name]


def test_a_choice_between_places_keeps_the_radius() -> None:
    with pytest.raises(PlaceAmbiguous) as caught:
        resolve_place("3 km around Córdoba")
    assert resolve_place(caught.value.options[0]).name == caught.value.options[0] == "3 km around Córdoba, Spain"


def test_a_position_becomes_a_circle() -> None:
    assert resolve_place("3 km around -1.7,48.1").area_km2 == pytest.approx(28.27, rel=2e-3)


@pytest.mark.parametrize("words", ["0 km around Rennes", "-5 km around Rennes", "20000 km around Rennes"])
def test_a_radius_that_makes_no_sense_is_told(words: str) -> None:
    with pytest.raises(PlaceNotFound, match="radius"):
        resolve_place(words)


@pytest.mark.parametrize(
    "question",
    [
        "How did NDVI change from June 2024 to June 2025 around Rennes?",
        "NDVI Entwicklung von Juni 2024 bis Juni 2025 in Rennes",
        "comment a évolué le NDVI de juin 2024 à juin 2025 à Rennes ?",
    ],
)
def test_a_change_from_one_june_to_another_is_a_difference(question: str) -> None:
    (asked,) = conversation.read(question).computes
    assert asked.against
    assert asked.output == "composite"


def test_a_change_within_one_year_is_a_curve_and_one_of_a_layer_is_between_two_editions() -> None:
    (asked,) = conversation.read("How did NDVI change from March to October 2025 near Rennes?").computes
    assert (asked.output, asked.against) == ("series", "")
    layer = conversation.read("Tree cover change from 2018 to 2023 in Rennes districts").layer
    assert layer is not None
    assert (layer.period, layer.against, layer.place) == ("2018", "2023", "Rennes")


@pytest.mark.parametrize("words", ["throughout the season", "across the season 2025", "through the year"])
def test_a_season_is_no_place(words: str) -> None:
    (asked,) = conversation.read(f"NDVI of my parcels {words}").computes
    assert (asked.output, asked.place) == ("series", "")


@pytest.mark.parametrize(
    "question", ["Is CLC 2018 comparable with CLC 2012?", "Can I compare Urban Atlas 2012 and 2018?"]
)
def test_two_years_of_a_named_product_are_no_index(question: str) -> None:
    read = conversation.read(question)
    assert (read.intent, read.place, read.computes) == ("recommend", "", ())
