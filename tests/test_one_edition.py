"""Place, period and pixel are held against one edition together; what is not known is told and comes last."""

from datetime import date

import pytest

from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.fitness import shortfalls, suited
from knowledge.matches import Need, ProductMatch
from knowledge.ranking import judge, order, with_reasons
from knowledge.verdicts import replaced, yes_or_no

KENYA = (33.9, -4.7, 41.9, 5.0)
CANADA = (-141.0, 41.7, -52.6, 83.1)
GREENLAND = (-73.3, 59.8, -11.3, 83.6)
RUSSIA = (27.3, 41.2, 180.0, 81.9)
VIENNA = (16.2, 48.1, 16.6, 48.3)
ZERMATT = (7.6, 45.9, 7.9, 46.1)
UKRAINE = (22.1, 44.4, 40.2, 52.4)
WITHIN_UKRAINE = ((30.5, 50.4), (36.2, 50.0), (32.0, 47.5), (34.0, 49.0))
OTHERS = {"sea": 0.0}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def in_year(year: int) -> tuple[date, date]:
    return date(year, 1, 1), date(year, 12, 31)


def kinds(catalogue: Catalogue, product_id: str, need: Need) -> set[str]:
    return {one.kind for one in shortfalls(catalogue.get(product_id), need, catalogue)}


@pytest.mark.parametrize(
    ("product_id", "bbox", "year", "pixel_m", "finest_m"),
    [
        ("soil-water-index", KENYA, None, 1000, 12_500),
        ("imperviousness", VIENNA, 2009, 10, 20),
        ("tree-cover-density", VIENNA, 2012, 10, 20),
        ("water-bodies", None, 2005, 100, 1000),
        ("leaf-area-index", None, 2005, 300, 1000),
        ("lake-ice-extent", CANADA, None, 250, 500),
        ("snow-cover-extent", GREENLAND, 2018, 500, 1000),
    ],
)
def test_the_pixel_is_of_an_edition_that_has_the_place_and_the_period(
    catalogue: Catalogue,
    product_id: str,
    bbox: tuple[float, float, float, float] | None,
    year: int | None,
    pixel_m: float,
    finest_m: float,
) -> None:
    start, end = in_year(year) if year else (None, None)
    need = Need(bbox=bbox, start=start, end=end, pixel_m=pixel_m)
    assert suited(catalogue.get(product_id), need).resolution_m == finest_m
    assert "pixel" in kinds(catalogue, product_id, need)


@pytest.mark.parametrize(
    ("product_id", "bbox", "year", "pixel_m"),
    [
        ("soil-water-index", VIENNA, 2024, 1000),
        ("imperviousness", VIENNA, 2018, 10),
        ("tree-cover-density", VIENNA, 2020, 10),
        ("leaf-area-index", KENYA, 2016, 300),
        ("lake-ice-extent", VIENNA, 2025, 250),
    ],
)
def test_an_edition_that_has_all_three_lacks_nothing(
    catalogue: Catalogue, product_id: str, bbox: tuple[float, float, float, float], year: int, pixel_m: float
) -> None:
    start, end = in_year(year)
    assert not kinds(catalogue, product_id, Need(bbox=bbox, start=start, end=end, pixel_m=pixel_m))


def test_a_fine_edition_that_has_a_part_of_the_place_is_no_fine_edition_of_the_whole(catalogue: Catalogue) -> None:
    points = tuple((float(lon), 60.0) for lon in range(32, 170, 4))
    snow = catalogue.get("snow-cover-extent")
    assert suited(snow, Need(bbox=RUSSIA, points=points)).resolution_m == 1000
    assert kinds(catalogue, snow.id, Need(bbox=RUSSIA, points=points, pixel_m=500)) == {"place"}


def ordered(nearness: dict[str, float], catalogue: Catalogue, question: str, need: Need) -> list[ProductMatch]:
    """Order products as a search does, with the reasons that are told."""
    return [with_reasons(one, question, need) for one in order(nearness, catalogue, need, frozenset())]


def test_facts_are_told_of_the_place_and_the_period(catalogue: Catalogue) -> None:
    start, end = in_year(2009)
    found = ordered({"imperviousness": 1.0}, catalogue, "sealing", Need(bbox=VIENNA, start=start, end=end))
    assert any(one.startswith("Facts: pixels of 20 m;") for one in found[0].why)
    (soil,) = ordered({"soil-water-index": 1.0}, catalogue, "soil", Need(bbox=KENYA))
    assert "It covers the place (Global)." in soil.why
    assert soil.pixel_m == 12_500


@pytest.mark.parametrize("product_id", ["urban-atlas", "riparian-zones", "coastal-zones", "natura-2000", "hot-spots"])
def test_that_a_place_is_covered_is_not_said_without_its_outline(catalogue: Catalogue, product_id: str) -> None:
    (found,) = ordered({product_id: 1.0}, catalogue, "land cover", Need(bbox=VIENNA))
    assert "was not verified (coverage:" in found.lacks
    assert not any(one.startswith("It covers the place") for one in found.why)
    assert found.fits
    assert found.verified is (product_id != "hot-spots")


def test_parts_of_an_area_are_denied_outside_it(catalogue: Catalogue) -> None:
    assert kinds(catalogue, "urban-atlas", Need(bbox=KENYA)) == {"place"}


def test_years_that_are_not_known_are_not_taken_for_the_years_asked(catalogue: Catalogue) -> None:
    start, end = in_year(1985)
    assert kinds(catalogue, "clcplus-core", Need(start=start, end=end)) == {"unverified"}
    assert not kinds(catalogue, "clcplus-core", Need())


def test_what_is_not_known_comes_after_what_is(catalogue: Catalogue) -> None:
    nearness = {"clcplus-backbone": 1.0, "clcplus-core": 0.9, "global-land-cover-10m": 0.6}
    found = ordered(nearness, catalogue, "land cover", Need(bbox=UKRAINE, points=WITHIN_UKRAINE))
    assert [one.product.id for one in found] == ["global-land-cover-10m", "clcplus-backbone", "clcplus-core"]


def test_what_is_not_known_is_not_offered_in_place_of_what_was_asked(catalogue: Catalogue) -> None:
    nearness = {"tree-cover-change": 1.0, "hot-spots": 0.9}
    found = ordered(nearness, catalogue, "tree cover change", Need(bbox=UKRAINE, points=WITHIN_UKRAINE))
    answer = judge(found, OTHERS, named=frozenset(), limit=2)
    assert [one.product.id for one in answer.matches] == ["tree-cover-change", "hot-spots"]
    assert not answer.matches[0].fits


def test_a_product_asked_for_is_given_with_what_is_not_known(catalogue: Catalogue) -> None:
    nearness = {"urban-atlas": 1.0, "corine-land-cover": 0.7}
    found = ordered(nearness, catalogue, "urban", Need(bbox=ZERMATT))
    assert found[0].product.id == "urban-atlas"
    assert found[0].shortfalls[0].kind == "place"


@pytest.mark.parametrize(
    ("product_id", "cadence"), [("leaf-type", "yearly"), ("water-bodies", "monthly"), ("imperviousness", "3-yearly")]
)
def test_how_often_is_told_of_the_map_that_goes_on(catalogue: Catalogue, product_id: str, cadence: str) -> None:
    assert catalogue.get(product_id).cadence == cadence


@pytest.mark.parametrize(
    ("year", "begins"),
    [
        (2021, "No. The edition clcplus-backbone-2021 of "),
        (2023, "CLCplus Backbone land cover, 10 m covers the place"),
        (2024, "Nothing for 2024: its latest is 2023"),
    ],
)
def test_a_place_is_not_affirmed_for_an_edition_that_does_not_exist(
    catalogue: Catalogue, year: int, begins: str
) -> None:
    begin, end = in_year(year)
    need = Need(bbox=(-3.0, 55.0, -2.5, 55.5), start=begin, end=end)
    said = yes_or_no(f"Does CLC+ Backbone {year} cover the United Kingdom?", need, catalogue)
    assert said.startswith(begins)


@pytest.mark.parametrize(
    ("question", "years", "told"),
    [
        ("Can I subtract CORINE 2000 from 2018?", (2000, 2018), "No. Do not subtract its years 2000 and 2018: Status"),
        ("Darf ich HRL Forest Type 2015 und 2018 vergleichen?", (2015, 2018), "No. Do not subtract its years 2015"),
        (
            "¿Puedo restar Tree Cover Density 2012 y 2021?",
            (2012, 2021),
            "No. Do not subtract its years 2012 and 2021: Old",
        ),
        ("Is Tree Cover Density 2018 comparable to 2021?", (2018, 2021), "Yes. One yearly series"),
        ("Posso confrontare Urban Atlas 2012 e 2018?", (2012, 2018), "Not verified: Whether the status layers"),
        ("Peut-on comparer FAPAR 2015 et 2020 ?", (2015, 2020), "Not verified: Each version covers"),
        (
            "May I subtract HRL Forest Type 2012 from 2015?",
            (2012, 2015),
            "Not verified: whether 2012 and 2015 of HRL For",
        ),
        ("Can I subtract Imperviousness Change 2006 from 2018?", (2006, 2018), ""),
        ("Which CORINE shows the difference of 2000 and 2018?", (2000, 2018), ""),
    ],
)
def test_whether_two_years_may_be_subtracted_is_told_of_the_editions_that_have_them(
    catalogue: Catalogue, question: str, years: tuple[int, int], told: str
) -> None:
    need = Need(start=date(years[0], 1, 1), end=date(years[1], 12, 31))
    said = yes_or_no(question, need, catalogue)
    assert said.startswith(told)
    assert bool(said) is bool(told)


def test_years_between_editions_are_held_against_those_inside_the_period(catalogue: Catalogue) -> None:
    need = Need(start=date(2005, 1, 1), end=date(2020, 12, 31), change=True)
    kinds = {one.kind: one.text for one in shortfalls(catalogue.get("imperviousness"), need, catalogue)}
    assert kinds["change"].startswith("Do not subtract its years 2006 and 2018: Pixels of 20 m")
    layers = shortfalls(catalogue.get("imperviousness-change"), need, catalogue)
    assert not {"change", "compare"} & {one.kind for one in layers}


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (
            "FAPAR 300 m v1 of Andalusia",
            "fapar_global_300m_10daily_v1 is replaced by fapar_global_300m_10daily_v2 (2014 to",
        ),
        ("Where is the Water Bodies 300 m 10-daily map?", "wb_global_300m_10daily_v1 is replaced by wb_global_300m_mo"),
        ("FAPAR 300 m v2 of Andalusia", ""),
        ("HRL Tree Cover Density 2015 of Bavaria", ""),
        ("Which version of FAPAR 300 m replaced v1?", ""),
    ],
)
def test_a_version_that_is_gone_is_told_with_what_took_its_place(
    catalogue: Catalogue, question: str, told: str
) -> None:
    said = replaced(question, catalogue)
    assert said.startswith(told)
    assert bool(said) is bool(told)
