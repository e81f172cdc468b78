"""Names to places: spellings, qualifiers, ambiguity, coordinates."""

import pytest

from tools.errors import PlaceAmbiguous, PlaceNotFound
from tools.places import find_places, resolve_place


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Rennes", "Rennes, France"),
        ("rennes, FRANCE", "Rennes, France"),
        ("Rennes France", "Rennes, France"),
        ("around Rennes (France)", "Rennes, France"),
        ("Roazhon", "Rennes, France"),
        ("Cayenne", "Cayenne, French Guiana"),
        ("Kourou", "Kourou, French Guiana"),
        ("Cologne", "Köln, Germany"),
        ("munchen", "Munich, Germany"),
        ("Barcelona", "Barcelona, Spain"),
        ("Saint Malo", "Saint-Malo, France"),
        ("Paris, Texas", "Paris, Texas, United States"),
        ("St Georges, French Guiana", "Saint-Georges, French Guiana"),
        ("Halle (Saale)", "Halle (Saale), Germany"),
    ],
)
def test_resolves_names(text: str, name: str) -> None:
    place = resolve_place(text)
    assert place.name == name
    assert place.kind == "city"
    assert "GeoNames" in place.source


def test_city_box_grows_with_population_and_is_square() -> None:
    small, large = resolve_place("Cayenne"), resolve_place("Paris")
    assert small.area_km2 == pytest.approx(25, rel=0.01)
    assert 25 < large.area_km2 <= 400
    assert "±2.5 km" in small.source
    west, south, east, north = small.bbox
    assert (west + east) / 2 == pytest.approx(-52.33, abs=0.02)
    assert (south + north) / 2 == pytest.approx(4.94, abs=0.02)


@pytest.mark.parametrize("text", ["Toledo", "Saint-Denis", "Halle", "Springfield"])
def test_ambiguous_names_ask_and_every_option_resolves(text: str) -> None:
    with pytest.raises(PlaceAmbiguous) as caught:
        resolve_place(text)
    options = caught.value.options
    assert len(options) > 1
    boxes = {resolve_place(option).bbox for option in options}
    assert len(boxes) == len(options)


def test_countries() -> None:
    place = resolve_place("French Guiana")
    assert place.kind == "country"
    assert place.bbox[0] < -54 < -52 < place.bbox[2]
    assert resolve_place("Luxembourg").kind == "country"
    assert resolve_place("the Netherlands") == resolve_place("Netherlands")


def test_unknown_place_names_near_spellings() -> None:
    with pytest.raises(PlaceNotFound, match="Rennnes") as caught:
        resolve_place("Rennnes")
    assert "'Rennes, France'" in caught.value.hint


@pytest.mark.parametrize("text", ["Xyzzyx", "", "Rennes, Estonia", "1e5", "'; DROP TABLE"])
def test_unknown_place_has_a_hint(text: str) -> None:
    with pytest.raises(PlaceNotFound) as caught:
        resolve_place(text)
    assert caught.value.hint
    assert find_places(text) == []


def test_coordinates() -> None:
    place = resolve_place("-1.67, 48.11")
    assert place.kind == "position"
    assert place.area_km2 == pytest.approx(25, rel=0.01)
    assert resolve_place("-1.7,48.0,-1.6,48.2").bbox == (-1.7, 48.0, -1.6, 48.2)


@pytest.mark.parametrize("text", ["48.11,-200", "1,2,1,4", "5,50,4,51", "0,0,0,95"])
def test_impossible_coordinates(text: str) -> None:
    with pytest.raises(PlaceNotFound) as caught:
        resolve_place(text)
    assert caught.value.hint


def test_find_places_ranks_and_limits() -> None:
    found = find_places("Valencia", limit=2)
    assert [place.name for place in found] == ["Valencia, Spain", "Valencia, Venezuela"]
