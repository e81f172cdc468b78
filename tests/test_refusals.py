"""What a question refuses, in five languages, and what only looks like a refusal; change told by editions."""

from datetime import date

import pytest

from assistant.comparison import compared_products
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.fitness import period_note, shortfalls
from knowledge.matches import Need
from knowledge.refusals import Refused, read_refusal
from knowledge.wording import read_wording
from tools import product_compare

CORINE = {"corine-land-cover", "corine-land-cover-change"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize(
    "question",
    [
        "land cover, but please nothing from CORINE",
        "Is there a land cover map that is not CORINE?",
        "CORINE won't do",
        "cobertura del suelo, no quiero CORINE",
        "CORINE no me sirve",
        "occupation du sol, surtout pas de CORINE Land Cover",
        "Landbedeckung, alles außer CORINE",
        "CORINE will ich nicht",
        "non voglio CORINE per la copertura del suolo",
        "I can't use CORINE, what then?",
        "no me gusta CORINE",
        "CORINE mag ich nicht",
        "non mi piace CORINE",
        "cobertura del suelo, CORINE no",
        "not CORINE, daily snow",
        "not CORINE, Urban Atlas please",
        "not CORINE, tree cover at 10 m",
        "not CORINE, at 10 m",
    ],
)
def test_a_product_is_refused_in_many_ways(catalogue: Catalogue, question: str) -> None:
    assert read_refusal(question, catalogue).products == CORINE


@pytest.mark.parametrize(
    "question",
    [
        "not only CORINE but others, too",
        "why not CORINE?",
        "nicht nur CORINE",
        "Hektar mit nicht mehr als 30 % Baumbedeckung",
        "pourquoi ne pas utiliser CORINE ?",
        "por qué no usar CORINE",
        "perché non CORINE?",
        "I cannot do without CORINE",
        "don't exclude CORINE",
        "is there no CORINE for 2021?",
        "gibt es kein CORINE 2021?",
        "is CORINE not on CDSE?",
        "why can't I use CORINE?",
        "Warum ist CORINE zu grob?",
        "How do I avoid CORINE errors?",
        "Posso usare CORINE, no?",
        "Sirve CORINE, no?",
        "areas without snow",
        "fields with no crops",
        "parcels not within 300 m of the road",
    ],
)
def test_what_only_looks_like_a_refusal_refuses_nothing(catalogue: Catalogue, question: str) -> None:
    found = read_refusal(question, catalogue)
    assert (found.products, found.facts) == (frozenset(), Refused())


def test_a_list_of_refusals_is_read_to_its_end_and_no_further(catalogue: Catalogue) -> None:
    found = read_refusal("land cover of Latvia, not CLC+, Urban Atlas and not CORINE for a report", catalogue)
    assert found.products >= {*CORINE, "clcplus-backbone", "urban-atlas"}
    assert found.rest.split()[-3:] == ["for", "a", "report"]
    assert "corine" not in found.rest


def test_behind_a_bare_comma_only_a_name_at_the_end_of_its_clause_is_refused(catalogue: Catalogue) -> None:
    trees = read_refusal("Not imperviousness, tree cover please", catalogue)
    assert "imperviousness" in trees.products
    assert "tree-cover-density" not in trees.products
    graz = read_refusal("Not CORINE, not Urban Atlas, land cover of Graz at 10 m", catalogue)
    assert graz.products >= {*CORINE, "urban-atlas"}
    assert "clcplus-backbone" not in graz.products
    assert graz.facts == Refused()
    assert "urban-atlas" in read_refusal("land use without CORINE, Urban Atlas.", catalogue).products


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("land use, not vector", "vector data"),
        ("Schnee ohne Sentinel-1", "data from Sentinel-1"),
        ("NDVI que no sea de 1 km", "pixels of 1000 m"),
        ("neige, mais pas quotidien", "daily data"),
        ("copertura del suolo senza GeoTIFF", "geotiff data"),
    ],
)
def test_sensors_formats_pixels_and_rhythms_are_refused_by_their_facts(
    catalogue: Catalogue, question: str, told: str
) -> None:
    assert read_refusal(question, catalogue).facts.told == (told,)


@pytest.mark.parametrize(
    ("refused", "blocked", "free"),
    [
        (Refused(sensors=frozenset({"sentinel1"})), "wet-snow", "snow-phenology"),
        (Refused(formats=frozenset({"vector"})), "urban-atlas", "corine-land-cover"),
        (Refused(pixels_m=frozenset({1000.0})), "ndvi-statistics", "ndvi-global"),
        (Refused(cadences=frozenset({"daily"})), "snow-cover-extent", "snow-phenology"),
    ],
)
def test_a_product_is_blocked_only_where_no_edition_is_free_of_what_is_refused(
    catalogue: Catalogue, refused: Refused, blocked: str, free: str
) -> None:
    need = Need(refused=refused)
    assert [one.blocks for one in shortfalls(catalogue.get(blocked), need, catalogue)][:1] == [True]
    assert not any(one.kind == "refused" for one in shortfalls(catalogue.get(free), need, catalogue))


@pytest.mark.parametrize(
    ("question", "pixel_m", "below"),
    [
        ("land cover finer than 100 m", 100.0, True),
        ("land cover, not coarser than 30 m", 30.0, False),
        ("NDVI, not 1 km but something finer", 1000.0, True),
        ("LST 10 m Madrid", 10.0, False),
        ("sub-metre snow maps", 1.0, True),
        ("wind 10 m above ground", None, False),
        ("trees within 300 m", None, False),
    ],
)
def test_how_fine_pixels_must_be_is_read(
    catalogue: Catalogue, question: str, pixel_m: float | None, below: bool
) -> None:
    wording = read_wording(question, catalogue)
    assert (wording.pixel_m, wording.pixel_below) == (pixel_m, below)


def test_a_name_stands_for_all_products_that_bear_it_in_their_titles(catalogue: Catalogue) -> None:
    assert read_refusal("vegetation, anything but NDVI", catalogue).products >= {"ndvi-global", "ndvi-statistics"}


@pytest.mark.parametrize(
    ("question", "pair"),
    [
        ("HR-VPP oder globale Phänologie?", ("HR-VPP", "Land Surface Phenology, global 300 m")),
        ("what's better, TCD or forest type", ("TCD", "forest type")),
        ("forest or grassland?", None),
        ("land cover or land use map of Spain", None),
    ],
)
def test_two_products_are_weighed_where_one_is_called_by_its_name(question: str, pair: tuple[str, str] | None) -> None:
    assert compared_products(question) == pair


def test_a_comparison_rests_on_the_editions_that_it_names(catalogue: Catalogue) -> None:
    one, other = catalogue.get("imperviousness"), catalogue.get("impervious-built-up")
    assert "has not been verified" in product_compare.told_together(one, other, catalogue)
    corine, backbone = catalogue.get("corine-land-cover"), catalogue.get("clcplus-backbone")
    told = product_compare.told_together(corine, backbone, catalogue)
    assert "(clc-2018, clcplus-backbone-2018-raster): Pixels are 100 m against 10 m." in told


def years(first: int, last: int) -> Need:
    return Need(start=date(first, 1, 1), end=date(last, 12, 31))


def test_change_that_shares_only_the_last_year_is_not_of_the_period(catalogue: Catalogue) -> None:
    trees = catalogue.get("tree-cover-change")
    note = period_note(trees, years(2012, 2018))
    assert note.startswith("No layer of change spans 2012 to 2018 as a whole")
    assert "tccm-2012-2015" in note
    assert "2018 to 2024" not in note
    assert period_note(trees, years(2015, 2018)) == "For 2015 to 2018: 2015 to 2018 (tccm-2015-2018)."


def test_change_that_leaves_out_a_part_of_the_period_falls_short(catalogue: Catalogue) -> None:
    corine = catalogue.get("corine-land-cover-change")
    lacks = [one.text for one in shortfalls(corine, years(2006, 2021), catalogue) if one.kind == "period"]
    assert lacks == ["Its layers of change tell of 2006 to 2018 only, not of 2006 to 2021."]
    assert not any(one.kind == "period" for one in shortfalls(corine, years(2000, 2012), catalogue))
