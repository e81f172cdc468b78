"""Dates stored as numbers, such as the season dates of HR-VPP: decoded before any statistic."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from assistant import conversation
from knowledge.catalogue import load_catalogue
from knowledge.decoding import date_rules, decode_dates
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.rasters import write_band
from tools.areas import parse_geojson
from tools.errors import ToolInputError
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.schema import Polygons, ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

SIZE, LEFT, TOP = 10, 600_000, 5_330_000
CORNER = (LEFT, TOP)
STORED = np.full((SIZE, SIZE), 21100, dtype="int16")
STORED[:, :5] = np.random.default_rng(3).choice([20350, 20366, 21001, 21012, 21020], (SIZE, 5))  # across the new year
STORED[0, :5] = (-32768, 0, 21000, 21366, 19400)  # no data, and days that do not exist
MOWN = np.random.default_rng(5).choice([0, 120, 150, 152, 65533], (SIZE, SIZE)).astype("uint16")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("dates")
    add_files(
        root / "hub",
        [write_band(root / "SOSD.tif", STORED, CORNER, nodata=-32768)],
        collection_id="vpp-start",
        datetime="2021",
    )
    later = np.full((SIZE, SIZE), 21250, dtype="int16")
    add_files(
        root / "hub",
        [write_band(root / "EOSD.tif", later, CORNER, nodata=-32768)],
        collection_id="vpp-end",
        datetime="2021",
    )
    add_files(
        root / "hub",
        [write_band(root / "GRAMD1.tif", MOWN, CORNER, nodata=None)],
        collection_id="mowing",
        datetime="2020",
    )
    build_index(root / "index", embedding_model="none")
    with running_hub(root / "hub") as url:
        retriever = Retriever(root / "index", embedding_model="none")
        yield Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(root / "artifacts"))


def halves() -> Polygons:
    features = []
    for number, name in enumerate(("Early", "Late")):
        left = LEFT + 50 * number
        west, south, east, north = transform_bounds("EPSG:32630", "EPSG:4326", left, TOP - 100, left + 50, TOP)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": name}, "geometry": polygon})
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="halves")


def ask(services: Services, layer: str, **options: Any) -> ToolResult:
    context = Context(today=date(2026, 9, 20), session_id="t", area=halves())
    return Toolbox(services, context).layer_statistics(layer, "", **options)


def middle(edition: str, variable: str, stored: NDArray[Any], year: int) -> tuple[date, int]:
    """Give the median date of stored numbers by the standard library, and how many there are."""
    days = decode_dates(load_catalogue(), edition, variable, stored, year=year).days
    known = [one.toordinal() for one in days[~np.isnat(days)].tolist()]
    return date.fromordinal(round(median(known))), len(known)


def test_season_dates_are_decoded_before_the_median(services: Services) -> None:
    found = ask(services, "start of season of HR-VPP", period="2021")
    assert found.statistics is not None
    early, late = found.statistics.rows
    expected, count = middle("hrvpp-vpp", "SOSD", STORED[:, :5], 2021)
    assert date(2021, 1, 1) + timedelta(days=round(early.value or 0) - 1) == expected
    assert (early.valid_pixels, early.total_pixels, count) == (45, 50, 45)
    assert late.value == 100
    assert found.statistics.unit == "day of 2021"
    told = f"Early: median start-of-season date {expected} (day {expected.timetuple().tm_yday} of {expected.year})"
    assert told in found.text
    assert "Late: median start-of-season date 2021-04-10 (day 100 of 2021)" in found.text
    assert found.text.index("Early: median") < found.text.index("Late: median")
    assert {"map", "chart", "raster", "table", "script"} <= {one.kind for one in found.artifacts}


def test_the_words_choose_between_start_and_end(services: Services) -> None:
    found = ask(services, "end of the season, HR-VPP", period="2021")
    assert "Late: median end-of-season date 2021-09-07 (day 250 of 2021)" in found.text


def test_days_of_the_year_are_of_the_year_of_the_layer(services: Services) -> None:
    found = ask(services, "day of the first mowing of grassland", period="2020")
    expected, count = middle("clms_vlcc_grassland-mowing-dates_europe_10m_yearly_v1", "GRAMD1", MOWN[:, 5:], 2020)
    assert found.statistics is not None
    late = found.statistics.rows[1]
    assert (late.value, late.valid_pixels) == (expected.timetuple().tm_yday, count)
    assert f"Late: median day of year of the first mowing {expected}" in found.text


def test_years_of_dates_are_not_subtracted(services: Services) -> None:
    add_files(
        Path(services.workspace.root).parent / "hub",
        [write_band(services.workspace.root / "SOSD.tif", STORED, CORNER, nodata=-32768)],
        collection_id="vpp-start",
        datetime="2022",
    )
    found = None
    with pytest.raises(ToolInputError):
        found = ask(services, "start of season of HR-VPP", period="2021", against="2022")
    assert found is None


def test_only_layers_of_dates_have_rules_for_dates() -> None:
    catalogue = load_catalogue()
    season = date_rules(catalogue, "hrvpp-vpp", "SOSD")
    assert season is not None
    assert (season.date, season.special) == ("yydoy", {-32768: "no data"})
    assert date_rules(catalogue, "hrvpp-vpp", "AMPL") is None


@pytest.mark.parametrize(
    ("question", "place", "units"),
    [
        ("Median start of season of HR-VPP per parcel around Metz in 2021", "Metz", "parcels"),
        ("When did the growing season start in Metz in 2021 according to HR-VPP?", "Metz", "place"),
        ("Zeige SOSD je Parzelle in Metz 2021", "Metz", "parcels"),
    ],
)
def test_a_question_that_names_the_layer_asks_for_the_layer(question: str, place: str, units: str) -> None:
    read = conversation.read(question)
    assert read.layer is not None
    assert (read.layer.place, read.layer.period, read.layer.units) == (place, "2021", units)
    assert read.computes == ()


def test_naming_the_product_alone_asks_for_no_numbers() -> None:
    assert conversation.read("I need HR-VPP for Metz in 2021").layer is None
    assert conversation.read("Which product gives SOSD per parcel in Metz?").layer is None
