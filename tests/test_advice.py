"""Product advice through the menu: period and editions, size of units, and quotes that are looked up."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from shutil import copytree

import pytest

from knowledge.asked import asked_facts
from knowledge.catalogue import load_catalogue
from knowledge.fitness import shortfalls
from knowledge.ingest import build_index
from knowledge.matches import Need
from knowledge.retrieval import Retriever
from tools.advice import unit_size_m
from tools.areas import parse_geojson
from tools.errors import ToolInputError
from tools.reach import find_reach
from tools.schema import Polygons
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

TODAY = date(2026, 9, 20)


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advice")
    build_index(folder, embedding_model="none")
    return folder


def make_toolbox(index: Path, *, area: Polygons | None = None) -> Toolbox:
    services = Services(
        retriever=Retriever(index, embedding_model="none"), stac_url="", openeo_url="", workspace=Workspace(index / "w")
    )
    return Toolbox(services, Context(today=TODAY, session_id="test", area=area))


@pytest.fixture
def toolbox(index_dir: Path) -> Toolbox:
    return make_toolbox(index_dir)


def squares(sides_m: Sequence[float]) -> Polygons:
    """Make squares at 48 degrees north, one of each side in metres."""
    features = []
    for number, side in enumerate(sides_m):
        west, south, high, wide = 10.0 + number * 0.2, 48.0, side / 111_200, side / 74_500
        ring = [[west, south], [west + wide, south], [west + wide, south + high], [west, south + high], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {}, "geometry": geometry})
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="mine.geojson")


def test_a_year_between_two_editions_is_told_to_be_bracketed(toolbox: Toolbox) -> None:
    text = toolbox.search_products("imperviousness density", period="2020").text
    assert "No edition is for 2020 itself: 2018 (imd-2018) and 2021 (imd-2021) bracket it." in text
    assert "bracket" not in toolbox.search_products("imperviousness density", period="2021").text


def test_a_replaced_edition_is_named_with_what_replaced_it(toolbox: Toolbox) -> None:
    found = toolbox.search_products("NDVI, global", period="2022")
    assert found.recommendation is not None
    assert found.recommendation.product_id == "ndvi-global"
    assert "ndvi_global_300m_10daily_v2, superseded, replaced by ndvi_global_300m_10daily_v3" in found.text


def test_a_year_before_all_data_is_refused_with_the_nearest_product(toolbox: Toolbox) -> None:
    found = toolbox.search_products("evapotranspiration", period="1995")
    assert found.recommendation is None
    assert found.text.startswith("No CLMS product answers this")
    assert "(id evapotranspiration): Nothing for 1995: its data begin with 2025" in found.text


@pytest.mark.parametrize(
    ("question", "place", "told"),
    [
        ("imperviousness density", "Kenya", "(id imperviousness): It does not cover the place"),
        ("hedges at 1 m", "", "(id small-woody-features): Its finest pixels are 5 m, not 1 m."),
        ("albedo", "", "(id surface-albedo): It is no longer offered."),
        ("air quality", "Paris", "Who has it: Copernicus Atmosphere Monitoring Service (CAMS)."),
        ("xyzzy", "", "No CLMS product was found for these words. Name the subject"),
    ],
)
def test_no_product_is_recommended_where_none_answers(toolbox: Toolbox, question: str, place: str, told: str) -> None:
    found = toolbox.search_products(question, place=place)
    assert found.recommendation is None
    assert found.text.startswith("No CLMS product")
    assert told in found.text
    assert found.outcome == "ok"


@pytest.mark.parametrize("question", ["and in Cayenne?", "which blorptastic zindle?"])
def test_words_that_are_not_understood_are_no_statement_about_the_service(toolbox: Toolbox, question: str) -> None:
    found = toolbox.search_products(question, place="Cayenne")
    assert found.recommendation is None
    assert "is about this" not in found.text
    assert "Name the subject" in found.text


def test_alternatives_say_what_they_lack(toolbox: Toolbox) -> None:
    found = toolbox.search_products("tree cover density", place="Democratic Republic of the Congo")
    assert found.recommendation is not None
    assert found.recommendation.product_id == "pantropical-tree-cover"
    lacks = {one.product_id: one.lacks for one in found.recommendation.alternatives}
    assert "does not cover the place" in lacks["tree-cover-density"]


def test_a_policy_is_said_to_be_named_by_a_document_or_by_us_only(toolbox: Toolbox) -> None:
    found = toolbox.search_products("which layer for the Water Framework Directive and rivers", period="2018")
    assert found.recommendation is not None
    told = [one for one in found.recommendation.why if "Water Framework Directive" in one]
    assert told
    assert any(one.quote == told[0] and one.verified for one in found.citations)
    assert not any("Directive" in one for one in toolbox.search_products("rivers").text.split(" Facts:")[:1])


def test_a_period_that_cannot_be_read_hinders_nothing_but_is_told(toolbox: Toolbox) -> None:
    found = toolbox.search_products("imperviousness density", period="the day of the turtle")
    assert found.recommendation is not None
    assert any("period was not checked" in warning for warning in found.warnings)
    assert toolbox.search_products("imperviousness density", period="2021").warnings == ()


def test_the_size_of_units_is_that_of_the_middle_polygon() -> None:
    assert unit_size_m(squares([50, 120, 4000])) == pytest.approx(120, rel=0.01)
    assert unit_size_m(None) is None


@pytest.mark.parametrize(
    ("sides_m", "product_id"),
    [([80, 100, 90], "hr-vpp"), ([6000, 8000, 100], "ndvi-global")],
)
def test_attached_polygons_decide_by_their_real_size(index_dir: Path, sides_m: list[float], product_id: str) -> None:
    found = make_toolbox(index_dir, area=squares(sides_m)).search_products("mean NDVI of my polygons")
    assert found.recommendation is not None
    assert found.recommendation.product_id == product_id


def test_units_named_in_the_call_decide_without_a_file(toolbox: Toolbox) -> None:
    picked = {units: toolbox.search_products("mean NDVI", units=units).recommendation for units in ("any", "parcels")}
    assert {units: one.product_id if one else "" for units, one in picked.items()} == {
        "any": "ndvi-global",
        "parcels": "hr-vpp",
    }


def test_each_quote_is_a_reason_and_stands_in_a_passage_of_its_product(toolbox: Toolbox) -> None:
    found = toolbox.search_products("how much of my town is sealed", period="2020")
    assert found.recommendation is not None
    told = [*found.recommendation.why, *found.recommendation.cautions, *found.recommendation.access]
    told += [one.lacks for one in found.recommendation.alternatives]
    stored = toolbox.services.retriever.stored(one.passage_id for one in found.citations)
    assert all(any(one.quote in reason for reason in told) for one in found.citations)
    assert all(one.quote in stored[one.passage_id].text for one in found.citations)
    assert all(one.verified for one in found.citations)
    own = f"{found.recommendation.product_id}#"
    assert {f"{own}about", f"{own}use", f"{own}limits", f"{own}access"} <= {one.passage_id for one in found.citations}
    assert not any("bracket" in one.quote for one in found.citations)


def test_a_quote_that_the_index_does_not_hold_is_not_verified(index_dir: Path, tmp_path: Path) -> None:
    other = Path(copytree(index_dir, tmp_path / "other"))
    with closing(sqlite3.connect(other / "index.sqlite")) as database, database:
        database.execute("UPDATE entries SET text = 'Something else.' WHERE id = 'imperviousness#use'")
        database.execute("DELETE FROM entries WHERE id = 'imperviousness#access'")
    found = make_toolbox(other).search_products("imperviousness density")
    verified = {one.passage_id: one.verified for one in found.citations if one.passage_id.startswith("imperviousness#")}
    assert verified == {
        "imperviousness#about": True,
        "imperviousness#use": False,
        "imperviousness#limits": True,
        "imperviousness#access": False,
    }


def test_an_explained_product_is_quoted_from_its_passages(toolbox: Toolbox) -> None:
    found = toolbox.explain_product("egms")
    assert all(one.verified and one.quote in found.text for one in found.citations)
    assert {one.passage_id.split("#")[1] for one in found.citations} == {"about", "use", "limits", "access"}


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("Which DOI has CORINE Land Cover 2018?", "clc-2018: 10.2909/960998c1-1870-4e82-8051-6485205ebbac"),
        ("scale and offset of global NDVI 300 m", "stored value x 0.004 - 0.08"),
        ("minimum mapping unit of CORINE", "Minimum mapping unit: 25 ha; minimum width 100 m"),
        ("How many classes has CORINE?", "CORINE Land Cover nomenclature, 44 level-3 classes: 44 classes."),
        ("Welchen Code hat Mais in den HRL Crop Types?", "Code 1130: Maize"),
        ("latest update of EGMS", "update 3: 2019-01 to 2023-12"),
        ("Is CORINE Land Cover a STAC collection?", "No. Not available for clc-2018: STAC on CDSE."),
    ],
)
def test_the_kind_of_fact_asked_for_is_told(toolbox: Toolbox, question: str, fact: str) -> None:
    found = toolbox.search_products(question, period="2018" if "2018" in question else "")
    assert fact in found.text
    assert found.recommendation is not None
    assert fact not in toolbox.search_products(found.recommendation.title).text


def test_facts_asked_for_are_told_of_a_product_that_is_explained(index_dir: Path) -> None:
    services = make_toolbox(index_dir).services
    asked = Toolbox(services, Context(today=TODAY, session_id="test", question="Explain the classes of CORINE"))
    assert "44 classes" in asked.explain_product("CORINE").text


@pytest.mark.parametrize(
    ("place", "covered"),
    [("Congo Basin", False), ("the Alps", True), ("Po valley", True), ("Mombasa Beach", False), ("Gebäude", None)],
)
def test_a_place_is_understood_as_a_region_or_by_a_part_of_its_name(
    toolbox: Toolbox, place: str, covered: bool | None
) -> None:
    found = toolbox.search_products("imperviousness density", place=place)
    assert (found.recommendation is not None) is (covered is not False)
    assert any("Coverage was not checked" in one for one in found.warnings) is (covered is None)


def test_the_number_in_a_products_name_excludes_no_product(toolbox: Toolbox) -> None:
    found = toolbox.search_products("land use in Natura 2000 sites", period="2000")
    assert found.recommendation is not None
    assert found.recommendation.product_id == "natura-2000"


def test_words_too_far_from_any_product_lead_to_a_question_not_to_a_denial(toolbox: Toolbox) -> None:
    found = toolbox.search_products("blorp zindle quorx frabble snork gimble soil")
    assert found.recommendation is None
    assert "No CLMS product" not in found.text
    assert "Name the subject" in found.text


def test_the_size_of_the_place_decides_which_pixels_are_useful(toolbox: Toolbox) -> None:
    retriever = toolbox.services.retriever
    shortfalls = {
        place_m: {one.product.id: one.lacks for one in retriever.find("NDVI", Need(place_m=place_m), limit=79).matches}
        for place_m in (7_000.0, 300_000.0)
    }
    assert "only about 23 of them from side to side" in shortfalls[7_000.0]["ndvi-global"]
    assert "from side to side" not in shortfalls[7_000.0]["hr-vpp"]
    assert "from side to side" not in shortfalls[300_000.0]["ndvi-global"]


def test_why_not_tells_what_is_lacking_or_how_the_product_differs(toolbox: Toolbox) -> None:
    found = toolbox.search_products("vegetation index").recommendation
    assert found is not None
    catalogue = toolbox.services.retriever.catalogue
    lacks = {one.product_id: one.lacks for one in found.alternatives}
    assert lacks
    assert all(str(catalogue.get(one).measures) in text for one, text in lacks.items())
    assert not any("begin in" in text for text in lacks.values())


def test_two_products_side_by_side_are_told_from_the_catalogue(toolbox: Toolbox) -> None:
    told = toolbox.compare_products("CLC", "CLC+")
    assert "| Detail | pixels of 100 m | pixels of 10 m |" in told.text
    assert "| Smallest unit mapped | 25 ha |" in told.text
    assert "44" in told.text
    assert told.citations
    assert all(one.verified for one in told.citations)
    with pytest.raises(ToolInputError, match="are both CORINE Land Cover"):
        toolbox.compare_products("CLC", "CORINE")


def test_products_most_like_one_are_listed_without_it(toolbox: Toolbox) -> None:
    told = toolbox.compare_products("HRL Imperviousness Density")
    titles = [one["title"] for one in told.data["products"]]
    assert len(titles) == 4
    assert "HRL Imperviousness Density" not in titles
    assert any("Imperviousness" in one or "built-up" in one.lower() for one in titles)
    catalogue = toolbox.services.retriever.catalogue
    assert all(catalogue.get(one).summary in told.text for one in titles)
    assert told.citations
    assert told.recommendation is None


def test_a_subject_of_others_is_denied_without_quotes_of_manuals(toolbox: Toolbox) -> None:
    for question in ("CO2 of planes", "water at the beach clean enough to bathe", "jellyfish"):
        found = toolbox.search_products(question)
        assert found.recommendation is None, question
        assert "Who has it: " in found.text
        assert "documents say" not in found.text


@pytest.mark.parametrize(
    ("place", "share"),
    [
        ("Algeria", "none"),
        ("Morocco", "none"),
        ("Ukraine", "none"),
        ("Brazil", "none"),
        ("Casablanca", "none"),
        ("Kaliningrad", "none"),
        ("Portugal", "whole"),
        ("Norway", "whole"),
        ("French Guiana", "whole"),
        ("Mayotte", "whole"),
        ("Moldova", "none"),
        ("Democratic Republic of Congo", "none"),
        ("Rennes", "whole"),
    ],
)
def test_a_place_is_covered_by_its_inside_not_by_its_box(place: str, share: str) -> None:
    reach = find_reach(place, None, None)
    need = Need(bbox=reach.bbox, points=reach.points)
    trees = load_catalogue().get("tree-cover-density")
    lacks = [one for one in shortfalls(trees, need, load_catalogue()) if one.kind == "place"]
    assert [one.blocks for one in lacks] == ([True] if share == "none" else [])


@pytest.mark.parametrize(
    ("place", "covered"), [("Andes", False), ("les Alpes", True), ("Sahara", False), ("Danube basin", True)]
)
def test_a_large_region_is_meant_before_a_town_of_its_name(place: str, covered: bool) -> None:
    reach = find_reach(place, None, None)
    assert load_catalogue().get("tree-cover-density").covers_place(reach.bbox) is covered
    assert "box drawn around" in reach.warnings[0]


def test_a_lake_is_not_the_region_of_its_name() -> None:
    assert not load_catalogue().get("tree-cover-density").covers_place(find_reach("Lake Victoria", None, None).bbox)
    unknown = find_reach("lago Toscana", None, None)
    assert unknown.bbox is None
    assert "not checked" in unknown.warnings[0]


def test_a_place_outside_europe_is_told_by_its_whole_name() -> None:
    assert find_reach("Po", None, None).warnings == ("The place was read as Pô, Burkina Faso.",)
    assert find_reach("Rennes", None, None).warnings == ()


@pytest.mark.parametrize(
    ("place", "share"),
    [
        ("Germany; Ukraine", "part"),
        ("Germany; Moldova", "part"),
        ("Austria; Alps", "whole"),
        ("Ukraine; Kenya", "none"),
    ],
)
def test_places_asked_for_together_must_all_be_covered(place: str, share: str) -> None:
    reach = find_reach(place, None, None)
    need = Need(bbox=reach.bbox, points=reach.points)
    trees = load_catalogue().get("tree-cover-density")
    lacks = [one for one in shortfalls(trees, need, load_catalogue()) if one.kind == "place"]
    assert [one.blocks for one in lacks] == {"whole": [], "part": [False], "none": [True]}[share]
    assert reach.warnings[0] == f"Coverage was checked for {place.replace('; ', ' and ')} together."


@pytest.mark.parametrize(
    ("question", "product", "told"),
    [
        ("What does class 312 mean in CORINE?", "corine-land-cover", "Code 312: Coniferous forest"),
        ("What is grid code 24 in CLC?", "corine-land-cover", "Grid code 24, code 312: Coniferous forest"),
        ("Was bedeutet Klasse 11 in CLC+ Backbone?", "clcplus-backbone", "Code 11: Snow and ice"),
    ],
)
def test_a_class_is_told_by_its_code(question: str, product: str, told: str) -> None:
    catalogue = load_catalogue()
    assert any(line.startswith(told) for line in asked_facts(catalogue.get(product), question, catalogue))


def test_a_year_is_no_code_of_a_class() -> None:
    catalogue = load_catalogue()
    lines = asked_facts(catalogue.get("corine-land-cover"), "Which classes has CLC 2018?", catalogue)
    assert not any("ode " in line for line in lines)


def test_a_product_with_a_part_of_the_place_is_found_and_says_so(index_dir: Path) -> None:
    retriever = Retriever(index_dir, embedding_model="none")
    need = Need(bbox=(0.0, -1.0, 4.0, 48.0), points=((2.0, 47.0), (2.0, 0.0)))
    match = next(
        one for one in retriever.find("tree cover density", need).matches if one.product.id == "tree-cover-density"
    )
    assert "only a part of the place" in match.lacks
    assert not any("It covers the place" in reason for reason in match.why)


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("EU deforestation regulation, which map for 2020?", "Brazil"),
        ("Entwaldungsverordnung: welche Karte für 2020?", "Indonesia"),
    ],
)
def test_a_product_whose_subject_the_best_one_also_shows_is_an_alternative(
    toolbox: Toolbox, question: str, place: str
) -> None:
    found = toolbox.search_products(question, place=place, period="2020").recommendation
    assert found is not None
    assert found.product_id == "global-land-cover-10m"
    assert "pantropical-tree-cover" in {one.product_id for one in found.alternatives}


@pytest.mark.parametrize(
    ("question", "place", "product_id"),
    [("Schnee", "Patagonia", "snow-cover-extent"), ("how much cropland is there", "Senegal", "global-land-cover-10m")],
)
def test_where_the_named_product_has_no_data_one_of_its_subject_is_taken(
    toolbox: Toolbox, question: str, place: str, product_id: str
) -> None:
    found = toolbox.search_products(question, place=place).recommendation
    assert found is not None
    assert found.product_id == product_id
