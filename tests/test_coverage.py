"""Where products have data, as geometry."""

import pytest

from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.fitness import shortfalls
from knowledge.matches import Need

AFRICA = (36.0, -2.0, 38.0, 0.0)
RENNES = (-1.8, 48.0, -1.5, 48.2)
CAYENNE = (-52.5, 4.7, -52.2, 5.0)
IN_EUROPE = ("Lisbon", "Reykjavik", "Ankara", "Pristina")
PLACES = {
    "Lisbon": (-9.14, 38.72),
    "Reykjavik": (-21.9, 64.14),
    "Ankara": (32.85, 39.93),
    "Pristina": (21.16, 42.66),
    "Oslo": (10.75, 59.91),
    "Tromso": (18.95, 69.65),
    "Zurich": (8.54, 47.37),
    "London": (-0.12, 51.5),
    "Kyiv": (30.52, 50.45),
    "Chisinau": (28.86, 47.01),
    "Minsk": (27.57, 53.9),
    "Moscow": (37.62, 55.75),
    "Cayenne": (-52.33, 4.92),
    "Saint-Denis": (55.45, -20.88),
    "Kinshasa": (15.3, -4.3),
    "Sydney": (151.2, -33.9),
    "Longyearbyen": (15.6, 78.2),
    "McMurdo": (166.7, -77.8),
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def test_coverage_knows_overseas_departments_and_other_continents(catalogue: Catalogue) -> None:
    tree_cover, ndvi = catalogue.get("tree-cover-density"), catalogue.get("ndvi-global")
    assert tree_cover.covers_place(RENNES)
    assert tree_cover.covers_place(CAYENNE)
    assert not tree_cover.covers_place(AFRICA)
    assert ndvi.covers_place(AFRICA)


@pytest.mark.parametrize(
    ("place", "lon", "lat", "covered"),
    [
        ("Vienna", 16.37, 48.21, True),
        ("Ankara", 32.85, 39.93, True),
        ("Las Palmas", -15.43, 28.12, True),
        ("Tunis", 10.18, 36.80, False),
        ("Kyiv", 30.52, 50.45, False),
        ("Chisinau", 28.86, 47.01, False),
        ("Kaliningrad", 20.51, 54.71, False),
    ],
)
def test_neighbours_of_europe_are_not_taken_for_covered(
    catalogue: Catalogue, place: str, lon: float, lat: float, covered: bool
) -> None:
    around = (lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05)
    assert catalogue.get("corine-land-cover").covers_place(around) is covered, place


@pytest.mark.parametrize(
    ("product_id", "inside", "outside"),
    [
        ("corine-land-cover", (*IN_EUROPE, "London", "Cayenne"), ("Kyiv", "Minsk", "Moscow", "Kinshasa")),
        ("imperviousness", (*IN_EUROPE, "London"), ("Kyiv", "Minsk", "Moscow")),
        ("crop-types", (*IN_EUROPE, "Saint-Denis"), ("Kyiv", "Minsk", "Moscow")),
        ("urban-atlas", IN_EUROPE, ("Kyiv", "Minsk", "Moscow", "Sydney")),
        ("urban-atlas-building-height", IN_EUROPE, ("Kyiv", "Minsk", "Moscow")),
        ("natura-2000", ("Lisbon", "London"), ("Ankara", "Pristina", "Oslo", "Kyiv", "Minsk", "Cayenne")),
        (
            "ground-motion",
            ("Lisbon", "Reykjavik", "Oslo", "Tromso", "Zurich", "London"),
            ("Pristina", "Kyiv", "Moscow"),
        ),
        ("mr-vpp", (*IN_EUROPE, "London", "Kyiv"), ("Chisinau", "Minsk", "Moscow", "Kinshasa")),
        ("pantropical-tree-cover", ("Kinshasa", "Cayenne", "Sydney"), ("Lisbon", "Ankara", "London")),
        ("snow-water-equivalent", ("Reykjavik", "Longyearbyen", "Moscow"), ("Kinshasa", "Sydney", "Cayenne")),
        ("ndvi-global", ("Sydney", "Longyearbyen", "Kyiv"), ("McMurdo",)),
    ],
)
def test_each_kind_of_coverage_holds_known_places_and_leaves_others_out(
    catalogue: Catalogue, product_id: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    product = catalogue.get(product_id)
    covered = {
        name
        for name, (lon, lat) in PLACES.items()
        if product.covers_place((lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05))
    }
    assert covered >= set(inside)
    assert not covered & set(outside)


def test_the_united_kingdom_is_covered_where_and_when_the_documents_say_so(catalogue: Catalogue) -> None:
    london = (-0.2, 51.4, 0.0, 51.6)
    assert catalogue.get("imperviousness").covers_place(london)
    assert catalogue.get("fractional-snow-cover").covers_place(london)
    assert not catalogue.get("crop-types").covers_place(london)


def test_an_announced_edition_says_nothing_about_coverage(catalogue: Catalogue) -> None:
    assert not catalogue.get("natura-2000").covers_place(AFRICA)


@pytest.mark.parametrize(
    ("product_id", "place", "kinds"),
    [
        ("ground-motion", "Lisbon", []),
        ("ground-motion", "Zurich", ["unverified"]),  # sources disagree on it
        ("ground-motion", "Kyiv", ["place"]),
        ("hot-spots", "Kinshasa", ["unverified"]),  # chosen landscapes, whose outlines are not known
        ("gbov", "Sydney", ["unverified"]),
        ("clcplus-core", "Lisbon", ["unverified"]),
        ("urban-atlas", "Lisbon", ["place"]),  # cities of a known area
    ],
)
def test_what_is_not_known_of_a_place_is_told_as_not_verified(
    catalogue: Catalogue, product_id: str, place: str, kinds: list[str]
) -> None:
    lon, lat = PLACES[place]
    need = Need(bbox=(lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05))
    found = [
        one for one in shortfalls(catalogue.get(product_id), need, catalogue) if one.kind in ("place", "unverified")
    ]
    assert [one.kind for one in found] == kinds
    assert [one.blocks for one in found] == [place == "Kyiv"] * len(kinds)
