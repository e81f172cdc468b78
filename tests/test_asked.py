"""Facts asked for by their kind: told from the catalogue with their source, or said to be not verified."""

from pathlib import Path

import pytest

from assistant.answers import compose
from assistant.conversation import read
from knowledge.asked import asked_facts
from knowledge.asked_cues import kinds_in, load_cues, without_cues
from knowledge.asked_lines import TELL
from knowledge.asked_service import service_facts
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from knowledge.verdicts import replaced, serves_for, use_asked
from tools.advice import advise
from tools.schema import ToolResult


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    build_index(folder, embedding_model="none")
    return folder


@pytest.mark.parametrize(
    ("question", "product", "told"),
    [
        ("What does 251 mean in water bodies?", "water-bodies", "Code 251: No data (Water bodies"),
        (
            "What does 254 mean in water bodies?",
            "water-bodies",
            "Meaning of 254: not verified. Known codes of WB: 0 sea",
        ),
        ("Was bedeutet der Wert 120 im SWI?", "soil-water-index", "Code 120: 60 % (SWI"),
        ("No-data value of NDVI 300 m?", "ndvi-global", "No data: 255."),
        (
            "no-data value of the Soil Water Index",
            "soil-water-index",
            "No-data value of swi_europe_1km_daily_v2: not verif",
        ),
        ("Under which licence is CLC?", "corine-land-cover", "Licence: Copernicus full, free and open data policy"),
        ("¿Con qué licencia?", "urban-atlas", "Licence: Copernicus full, free and open data policy"),
        ("How accurate is CLC 2018?", "corine-land-cover", "Accuracy of clc-2018: not stated in this catalogue. Where"),
        ("CRS of CLCplus Backbone", "clcplus-backbone", "Coordinate reference system: EPSG:3035 (clcplus-backbone"),
        ("Dateiformat von HR-VPP?", "hr-vpp", "Format: COG (hrvpp-vpp"),
        ("How soon is LAI published?", "leaf-area-index", "Time until published of lai_global_300m_10daily_v2: not"),
        ("MMU of Urban Atlas", "urban-atlas", "Minimum mapping unit: 0.25 ha"),
        ("Qué significa el código 41 en CORINE?", "corine-land-cover", "Grid code 41, code 512: Water bodies (CORINE"),
        ("What are classes 311, 312 and 313 of CLC?", "corine-land-cover", "Code 313: Mixed forest (CORINE"),
        ("Since when is there CORINE?", "corine-land-cover", "First year: 1990 (clc-1990)"),
        ("Which policies does it serve?", "riparian-zones", "Its documents name it for Floods Directive."),
        ("Which policies does it serve?", "surface-albedo", "Policies it serves: not verified."),
        (
            "Is CORINE Land Cover a STAC collection?",
            "corine-land-cover",
            "No. Not available for clc-2018: STAC on CDSE.",
        ),
        ("Is the 1 km LAI still produced?", "leaf-area-index", "No. Data of lai_global_1km_10daily_v2 end in 2020."),
        ("Is the 300 m LAI v2 still produced?", "leaf-area-index", "Yes. Data of lai_global_300m_10daily_v2 go on"),
        ("Is ndvi v1 superseded?", "ndvi-global", "Yes. ndvi_global_300m_10daily_v1 is replaced by ndvi_global_300m"),
        ("Is CLC 2018 superseded?", "corine-land-cover", "No. clc-2018 is not superseded."),
        ("Is CLC 2018 still produced?", "corine-land-cover", "Production of clc-2018 today: not verified."),
        (
            "Is NDVI 300 m v2 still current?",
            "ndvi-global",
            "No. Data of ndvi_global_300m_10daily_v2 end in 2025. ndvi_",
        ),
        (
            "Are HR-VPP daily indices (vi) still produced?",
            "hr-vpp",
            "No. hrvpp-vi is discontinued. hrvpp-vi is replaced",
        ),
        ("HR-VPP: da quando?", "hr-vpp", "First year: 2017 (hrvpp-vpp)"),
        ("Ogni quanto viene prodotto HR-VPP?", "hr-vpp", "Production rhythm: yearly (hrvpp-vpp)"),
        (
            "What replaces HRL Forest Type 2015?",
            "forest-type",
            "Editions: fty-2015 (2015, archive, replaced by clms_vlcc",
        ),
        ("DOI of CLC", "corine-land-cover", "DOI: clc-2018: 10.2909/960998c1"),
        ("Was ist der Nachfolger des LAI 1 km?", "leaf-area-index", "Editions: lai_global_1km_10daily_v2 (1999"),
        ("¿Hay algo más nuevo que EGMS 2015-2021?", "ground-motion", "update 3: 2019-01 to 2023-12."),
        ("Quelle est la résolution de l'imperméabilité ?", "imperviousness", "Resolution: 10 m"),
    ],
)
def test_a_fact_is_told_by_its_kind_and_what_is_unknown_is_not_made_up(
    catalogue: Catalogue, question: str, product: str, told: str
) -> None:
    lines = asked_facts(catalogue.get(product), question, catalogue)
    assert any(line.startswith(told) for line in lines), lines


def test_facts_name_their_source_and_stand_first(index_dir: Path) -> None:
    question = "Under which licence is CORINE Land Cover?"
    advice = advise(Retriever(index_dir, embedding_model="none"), question)
    assert advice.recommendation is not None
    assert advice.recommendation.facts[-1].startswith("Source of these facts: copernicus-land/clms-cdse-migration-data")
    text = compose(read(question), [ToolResult(text=advice.text, recommendation=advice.recommendation)])
    assert text.startswith("**CORINE Land Cover: facts asked for**\n- Licence: Copernicus full, free")


@pytest.mark.parametrize(
    "question",
    [
        "precision agriculture in the Po valley",
        "what does it show at 300 m",
        "CLC in 2018",
        "land cover for my unit",
        "forest in small towns",
        "drought after years of heat",
        "land cover at the scale of districts",
        "CLC des cités, quand il pleut",
        "fields converted to forest",
    ],
)
def test_words_that_only_look_like_a_fact_bring_none(catalogue: Catalogue, question: str) -> None:
    assert asked_facts(catalogue.get("corine-land-cover"), question, catalogue) == ()


@pytest.mark.parametrize(
    ("question", "product", "told"),
    [
        (
            "openEO id of the monthly burnt area v4?",
            "burnt-area",
            "Available for ba_global_300m_monthly_v4: openEO on CDSE (",
        ),
        (
            "Since when is there a soil water index at 1 km over Europe?",
            "soil-water-index",
            "First year: 2015 (swi_europe_1km_daily_v1",
        ),
        ("Welche Auflösung hat Small Woody Features?", "small-woody-features", "Resolution: 5 m, 100 m (swf-2021"),
        ("How often is CORINE updated?", "corine-land-cover", "Production rhythm: 6-yearly (clc-2018"),
        ("Quels capteurs ?", "surface-soil-moisture", "Sensors: SENTINEL1 SAR"),
        ("Scale of snow cover?", "snow-cover-extent", "SCE-SCE in %: stored value x 1 - 100 (scale 1, offset -100)"),
        ("scale of seasonal productivity", "hr-vpp", "SPROD: values in PPI*day; scale and offset not"),
        ("scale of the flags", "ndvi-global", "NDVI300-QFLAG: bit flags, never to be scaled"),
    ],
)
def test_facts_are_those_of_the_edition_and_encoding_meant(
    catalogue: Catalogue, question: str, product: str, told: str
) -> None:
    lines = asked_facts(catalogue.get(product), question, catalogue)
    assert any(line.startswith(told) for line in lines), lines


def test_how_often_something_happens_is_no_question_for_the_rhythm(catalogue: Catalogue) -> None:
    lines = asked_facts(catalogue.get("grassland-mowing"), "How often were the meadows cut in 2021?", catalogue)
    assert not any(line.startswith("Production rhythm") for line in lines)


@pytest.mark.parametrize(
    ("question", "product", "told"),
    [
        ("Can I use Sentinel-2 mosaics commercially?", "", False),
        ("Can I use HR-VPP commercially?", "hr-vpp", True),
        ("Wie genau ist die Baumbedeckungsdichte?", "tree-cover-density", True),
        ("What is the licence of the tree cover density?", "tree-cover-density", True),
    ],
)
def test_facts_are_told_of_a_product_that_the_question_names(
    index_dir: Path, question: str, product: str, told: bool
) -> None:
    found = advise(Retriever(index_dir, embedding_model="none"), question)
    assert found.recommendation is not None
    assert found.recommendation.product_id == product or not told
    assert bool(found.recommendation.facts) is told


def test_a_code_is_told_once(catalogue: Catalogue) -> None:
    lines = asked_facts(catalogue.get("corine-land-cover"), "What does CLC code 41 mean?", catalogue)
    assert [line for line in lines if "41" in line] == [lines[0]]
    assert not any("not verified" in line for line in lines)


def test_facts_are_told_of_each_product_named_not_of_an_everyday_word(index_dir: Path) -> None:
    retriever = Retriever(index_dir, embedding_model="none")
    both = advise(retriever, "What is the minimum mapping unit of CORINE Land Cover and of CLC change?")
    assert both.recommendation is not None
    assert {"Minimum mapping unit: 25 ha", "Minimum mapping unit: 5 ha"} <= {
        line.split(";")[0].split(" (")[0] for line in both.recommendation.facts
    }
    mowing = advise(retriever, "Where do farmers cut grass in spring, and in which format?")
    assert mowing.recommendation is not None
    assert mowing.recommendation.product_id == "grassland-mowing"
    assert len([line for line in mowing.recommendation.facts if line.startswith("Format")]) == 1


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (
            "May I sell maps made from CLMS data?",
            "Licence of 188 current data sets (76 products): ",
        ),
        (
            "Darf ich Karten aus CLMS-Daten verkaufen?",
            "European Image Mosaics: The very high resolution mosaics are for",
        ),
        ("Can I sell posters made from CLMS data?", "Licence of 188 current data sets (76 products): "),
        ("Which licence do the snow products have?", "Licence of 11 current data sets (7 products): "),
        ("¿Con qué licencia se publican los datos CLMS?", "The licence names three conditions"),
        ("what CRS do the High Resolution Layers use?", "Coordinate reference system: EPSG:3035"),
        ("Comment citer CLMS ?", "One sentence or DOI to cite the whole service by: not verified."),
        ("Serve un account per scaricare i dati CLMS?", "CLMS portal: to search and read you need no account"),
        ("Is the data free for a commercial startup?", "Licence of "),
        ("Are the snow maps free for companies?", "Licence of 11 "),
        ("Kann ich die Daten in ArcGIS öffnen?", "Format: "),
        ("Who can I contact if data is missing?", "An address or a form for questions: not verified."),
        ("Wen kann ich fragen, wenn Daten fehlen?", "An address or a form for questions: not verified."),
        ("What projection do the snow products have?", "Coordinate reference system, not verified: Persistent Snow"),
    ],
)
def test_facts_of_the_whole_service_or_a_family_are_told_without_a_product(
    index_dir: Path, question: str, told: str
) -> None:
    found = advise(Retriever(index_dir, embedding_model="none"), question)
    assert found.recommendation is None
    assert any(line.startswith(told) for line in found.text.splitlines()), found.text
    assert "Source" in found.text or "https://" in found.text


@pytest.mark.parametrize(
    "question",
    [
        "Can I use drone pictures commercially?",
        "population projections for cities",
        "Which map shows forest?",
        "Is there an image free of clouds for the Alps?",
        "Which CLMS product maps burnt land in Spain as NetCDF?",
    ],
)
def test_facts_of_the_service_do_not_answer_what_is_about_something_else(catalogue: Catalogue, question: str) -> None:
    assert service_facts(question, catalogue) == ()


def test_words_for_facts_do_not_choose_the_product(index_dir: Path) -> None:
    retriever = Retriever(index_dir, embedding_model="none")
    plain = retriever.find("Which map shows the tree cover?").matches[0]
    asked = retriever.find("Which map shows the tree cover commercially, for free?").matches[0]
    assert (asked.product.id, asked.relevance) == (plain.product.id, pytest.approx(plain.relevance))


@pytest.mark.parametrize(
    "text", ["print your API key", "the id of my user", "our collection of stamps", "s3 is a road"]
)
def test_loose_words_ask_for_no_services(text: str) -> None:
    assert "services" not in kinds_in(text.lower())


def test_numbers_that_are_classes_ask_for_classes(catalogue: Catalogue) -> None:
    lines = asked_facts(catalogue.get("crop-types"), "lauter Zahlen wie 1110 und 2100 - wo ist der Mais?", catalogue)
    assert any(line.startswith("Code 1130: Maize") for line in lines), lines
    assert asked_facts(catalogue.get("corine-land-cover"), "CLC 2018 within 311 m of a river", catalogue) == ()


def test_cues_are_whole_expressions() -> None:
    kinds = set(load_cues())
    assert kinds == set(TELL) - {"codes"}
    assert without_cues("Wälder kommerziell nutzen", meta_only=True).split() == ["Wälder", "nutzen"]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("NDVI 2 weeks ago", ""),
        ("NDVI on 2 May 2024", ""),
        ("NDVI v2", "_v2 is replaced by ndvi_global_300m_10daily_v3"),
    ],
)
def test_a_bare_number_names_no_version(question: str, told: str) -> None:
    said = replaced(question, load_catalogue())
    assert told in said if told else not said


@pytest.mark.parametrize("question", ["Does CORINE show airports?", "Does Urban Atlas show roads?"])
def test_what_is_a_class_of_a_product_is_shown_by_it(question: str) -> None:
    catalogue = load_catalogue()
    used = use_asked(question, catalogue)
    assert used is not None
    assert serves_for(*used, {}, catalogue).startswith("Yes.")


def test_that_another_product_is_nearer_denies_nothing() -> None:
    catalogue = load_catalogue()
    corine = catalogue.get("corine-land-cover")
    assert not serves_for(corine, "sentinel-2", {"another": 0.99}, catalogue).startswith("No.")
