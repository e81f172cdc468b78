"""Questions for classifications and feature stacks are understood in five languages, and no other is taken for one."""

from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from assistant import tasks
from assistant.planner import next_message
from knowledge.lexicon import LANGUAGES, Language
from tests.reading import read_after
from tools.periods import parse_period
from ui.page_words import say

ALL_BANDS = {"bands": "all", "format": "netcdf"}


def read(question: str, *earlier: str) -> tuple[str, str, str, dict[str, Any]]:
    task = read_after(question, *earlier)
    assert task.tool
    return task.tool, task.place, "".join(task.periods), task.options


@pytest.mark.parametrize(
    ("question", "period"),
    [
        ("classify the land around Rennes into 4 classes for summer 2025", "summer 2025"),
        ("Unsupervised classification of Rennes, summer 2025, four classes", "summer 2025"),
        ("Classe le sol autour de Rennes en 4 classes, été 2025", "été 2025"),
        ("Klassifiziere das Land um Rennes in 4 Klassen, Sommer 2025", "Sommer 2025"),
        ("Clasifica el suelo alrededor de Rennes en 4 clases, verano de 2025", "verano de 2025"),
        ("Classifica il suolo intorno a Rennes in 4 classi, estate 2025", "estate 2025"),
    ],
)
def test_land_is_classified_by_k_means(question: str, period: str) -> None:
    assert read(question) == ("classify", "Rennes", period, {"method": "kmeans", "classes": 4})


@pytest.mark.parametrize(
    "question",
    [
        "train a random forest on my polygons, 2019",
        "Entraîne une forêt aléatoire sur mes polygones, 2019",
        "Trainiere einen Random Forest mit meinen Polygonen, 2019",
        "Entrena un bosque aleatorio con mis polígonos, 2019",
        "Addestra una foresta casuale sui miei poligoni, 2019",
    ],
)
def test_a_forest_learns_from_the_attached_polygons(question: str) -> None:
    assert read(question) == ("classify", "", "2019", {"method": "random_forest", "label": ""})


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("Divide Rennes into 4 land classes for July 2026", 4),
        ("What classes does k-means find around Rennes in July 2026?", 5),
        ("Teile das Land um Rennes in 6 Landbedeckungsklassen ein, Juli 2026", 6),
        ("cluster Sentinel-2 pixels of Rennes into six groups, July 2026", 6),
        ("Cluster Rennes into 3 zones, May 2019", 3),
        ("Cluster Rennes into three zones, May 2019", 3),
        ("Klassifiziere Rennes in drei Klassen", 3),
    ],
)
def test_loose_words_say_the_same(question: str, count: int) -> None:
    tool, place, _, options = read(question)
    assert (tool, place, options) == ("classify", "Rennes", {"method": "kmeans", "classes": count})


def test_a_radius_and_a_month_are_no_count() -> None:
    question = "Cluster the land within 3 km of Rennes in July 2025"
    assert read(question) == ("classify", "3 km around Rennes", "July 2025", {"method": "kmeans", "classes": 5})


def test_the_attribute_with_the_classes_can_be_named() -> None:
    assert read('Random forest on my labelled polygons, attribute "Kulturart", 2019')[3]["label"] == "Kulturart"
    assert read("Random forest on my labelled polygons, column lc_1, 2019")[3]["label"] == "lc_1"


@pytest.mark.parametrize(
    "question",
    [
        "give me all bands of 2019 for this field as netCDF for machine learning",
        "Donne-moi toutes les bandes de 2019 pour ce champ en netCDF pour l'apprentissage automatique",
        "Gib mir alle Bänder von 2019 für dieses Feld als netCDF für maschinelles Lernen",
        "Dame todas las bandas de 2019 de este campo en netCDF para aprendizaje automático",
        "Dammi tutte le bande del 2019 per questo campo in netCDF per l'apprendimento automatico",
    ],
)
def test_all_bands_make_a_feature_stack(question: str) -> None:
    assert read(question) == ("feature_stack", "", "2019", ALL_BANDS)


def test_bands_indices_and_format_are_read() -> None:
    assert read("B04, B08 and NDVI bands of Rennes for 2025 as GeoTIFF") == (
        "feature_stack", "Rennes", "2025", {"bands": "B04, B08, NDVI", "format": "geotiff"},
    )  # fmt: skip
    assert read("Data cube of Sentinel-2 for Rennes, 2025") == ("feature_stack", "Rennes", "2025", ALL_BANDS)
    assert read("The red, green and NIR bands around Rennes for July 2026 as netCDF")[3]["bands"] == "green, red, nir"
    assert read("Export NDVI and NDWI of this area for 2025 as a GeoTIFF stack")[3]["bands"] == "NDVI, NDWI"
    assert read("Die roten Kanäle um Rennes 2026 als GeoTIFF")[3]["bands"] == "red"
    assert read("All bands around Rennes in 2025 as zarr")[3] == {"bands": "all", "format": "zarr"}


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Stack red/nir/NDVI of Rennes summer 2026 as netCDF", {"bands": "red, nir, NDVI", "format": "netcdf"}),
        ("stack red, nir and NDVI of Rennes, summer 2026, GeoTIFF", {"bands": "red, nir, NDVI", "format": "geotiff"}),
        ("NDVI of Rennes in July 2026 as Zarr", {"bands": "NDVI", "format": "zarr"}),
        ("Median NDVI of Rennes, July 2026, netCDF", {"bands": "NDVI", "format": "netcdf", "composite": True}),
        ("NDVI-Karte von Rennes, Juli 2026, als Zarr", {"bands": "NDVI", "format": "zarr", "composite": True}),
    ],
)  # fmt: skip
def test_every_named_part_of_a_stack_and_its_format_are_read(question: str, options: dict[str, object]) -> None:
    tool, place, _, read_options = read(question)
    assert (tool, place, read_options) == ("feature_stack", "Rennes", options)


@pytest.mark.parametrize(
    "question",
    [
        "Classify NDVI around Rennes with breaks at 0.2, 0.4 and 0.6 in July 2025",
        "NDVI classes of Rennes in July 2025: breaks 0.2, 0.4, 0.6",
    ],
)
def test_breaks_of_an_index_are_no_coordinates(question: str) -> None:
    options = {"method": "thresholds", "index": "NDVI", "breaks": "0.2, 0.4, 0.6"}
    assert read(question) == ("classify", "Rennes", "July 2025", options)


@pytest.mark.parametrize(
    "question",
    [
        "Which product has land cover classes?",
        "What is k-means?",
        "Classifica le particelle per NDVI intorno a Rennes, luglio 2025",
        "How many classes does CORINE have?",
        "Show the land cover classes of Rennes in 2018",
        "Land cover classification of Rennes in 2018",
        "Which product should I use for machine learning in Spain?",
        "How green are the parcels around Rennes this summer?",
        "Is there a land cover classification of Brittany?",
        "Area of each land cover class in Rennes, 2018",
        "classify the land into 4 classes",
        "I trained a random forest; which CLMS product can I compare it with?",
        "Which training data can I use for a random forest in Spain?",
        "Give me Tree Cover Density of Brittany 2018 as GeoTIFF",
    ],
)
def test_other_questions_are_left_alone(question: str) -> None:
    assert tasks.read(question) is None


def test_a_short_question_changes_the_task_before() -> None:
    first = "classify the land around Rennes into 4 classes for summer 2025"
    assert read("and with 6 classes?", first)[3]["classes"] == 6
    assert read("and around Cayenne?", first)[1] == "Cayenne"
    assert read("and in July 2025?", first)[2] == "July 2025"
    assert read("and as GeoTIFF?", "all bands around Rennes in 2025")[3]["format"] == "geotiff"
    assert read("now with 6 classes", first)[2:] == ("summer 2025", {"method": "kmeans", "classes": 6})
    assert read("now with 6 zones", first)[3]["classes"] == 6
    assert read("and within 5 km?", first)[1] == "5 km around Rennes"
    stack = read("now as GeoTIFF", "all bands around Rennes in 2025")
    assert stack[2:] == ("2025", {"bands": "all", "format": "geotiff"})
    assert not read_after("How green is it?", first).tool


def test_the_planner_calls_the_tool_once_with_its_arguments() -> None:
    question = HumanMessage("classify the land around Rennes into 4 classes")
    message = next_message([question], ("search_products", "classify"))
    assert isinstance(message, AIMessage)
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [
        ("classify", {"place": "Rennes", "period": "last 12 months", "method": "kmeans", "classes": 4})
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_true_colour_image_is_asked_for_as_the_page_asks(language: Language) -> None:
    question = say(language, "ask_true_colour", place="Rennes, France", start="2026-06-01", end="2026-08-31")
    tool, place, period, options = read(question)
    assert (tool, place, options) == ("feature_stack", "Rennes, France", tasks.TRUE_COLOUR)
    assert parse_period(period, today=date(2026, 9, 1)).days == "2026-06-01 to 2026-08-31"


def test_a_question_about_true_colour_makes_no_image() -> None:
    assert tasks.read("What are true colour images?") is None


def test_colours_beside_the_near_infrared_are_bands() -> None:
    found = tasks.read("Put green, nir and EVI2 of Metz in May 2025 into one netCDF")
    assert found is not None
    assert found.options["bands"] == "green, nir, EVI2"
