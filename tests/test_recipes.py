"""The NDVI recipe builds the graph that is on file, and reads bands from every dialect of metadata."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tools.errors import ToolInputError
from tools.indices import get_recipe as recipe_of
from tools.layers import Layer, Layers, read_layers
from tools.recipes import build_graphs, method_text
from tools.schema import Output, Period, Place, Plan, Polygons

GOLDEN = Path(__file__).parent / "golden"
BOX = (-1.7, 48.1, -1.69, 48.11)
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[-1.7, 48.1], [-1.69, 48.1], [-1.69, 48.11], [-1.7, 48.11], [-1.7, 48.1]]],
}
FEATURE = {"type": "Feature", "id": "7", "properties": {"name": "Field", "owner": "secret"}, "geometry": SQUARE}
UNITS = Polygons(name="fields", source="test", collection={"type": "FeatureCollection", "features": [FEATURE]})


def layers(*, scl: str | None = "SCL_20m", scale: float | None = 0.0001, offset: float | None = -0.1) -> Layers:
    bands = (
        Layer(name="B04_10m", common_name="red", scale=scale, offset=offset),
        Layer(name="B08_10m", common_name="nir", scale=scale, offset=offset),
    )
    return Layers(collection_id="s2", bands=bands, scl=scl)


def plan(output: Output) -> Plan:
    place = Place(name="Field", kind="uploaded area", bbox=BOX, area_km2=0.8, source="test")
    period = Period(start=date(2025, 6, 1), end=date(2025, 6, 30), label="June 2025")
    return Plan(recipe_id="ndvi", collection_id="s2", output=output, place=place, polygons=UNITS, period=period)


def processes(graph: dict[str, Any]) -> list[str]:
    return [node["process_id"] for node in graph.values()]


def test_the_graph_is_the_one_on_file() -> None:
    found = build_graphs(plan("per_polygon"), layers(), UNITS, BOX)
    assert found == json.loads((GOLDEN / "ndvi_per_polygon.json").read_text(encoding="utf-8"))


def test_a_series_keeps_its_dates_and_has_no_raster() -> None:
    found = build_graphs(plan("series"), layers(), UNITS, BOX)
    assert set(found) == {"mean", "count"}
    assert "median" not in json.dumps(found["mean"])


def test_the_half_open_end_includes_the_last_day() -> None:
    load = build_graphs(plan("composite"), layers(), UNITS, BOX)["raster"]["loadcollection1"]
    assert load["arguments"]["temporal_extent"] == ["2025-06-01", "2025-07-01"]


def test_names_of_polygons_stay_here() -> None:
    assert "secret" not in json.dumps(build_graphs(plan("per_polygon"), layers(), UNITS, BOX))


def test_without_scene_classes_and_scale_the_graph_is_shorter() -> None:
    bare = layers(scl=None, scale=None, offset=None)
    graph = build_graphs(plan("composite"), bare, UNITS, BOX)["raster"]
    reducer = graph["reducedimension1"]["arguments"]["reducer"]["process_graph"]
    assert graph["loadcollection1"]["arguments"]["bands"] == ["B04_10m", "B08_10m"]
    assert not {"neq", "multiply"} & set(processes(reducer))
    assert "no cloud mask" in method_text(plan("composite"), recipe_of("ndvi"), bare)


def test_a_collection_without_infrared_is_refused() -> None:
    lacking = Layers(collection_id="rgb", bands=(Layer(name="r", common_name="red"),))
    with pytest.raises(ToolInputError, match="needs nir, which the collection rgb lacks"):
        build_graphs(plan("composite"), lacking, UNITS, BOX)


def test_bands_are_read_from_item_assets() -> None:
    asset = {
        "bands": [{"name": "B04", "eo:common_name": "red"}],
        "raster:scale": 0.0001,
        "raster:offset": -0.1,
        "gsd": 10,
    }
    found = read_layers({"id": "sentinel-2-l2a", "item_assets": {"B04_10m": asset, "SCL_20m": {}, "SCL_60m": {}}})
    assert found.find("red") == Layer(name="B04_10m", common_name="red", scale=0.0001, offset=-0.1, gsd_m=10)
    assert found.scl == "SCL_20m"


def test_bands_are_read_from_summaries() -> None:
    band = {"name": "B8", "common_name": "nir", "scale": 0.5, "offset": 1}
    found = read_layers({"id": "x", "clms:synthetic": True, "summaries": {"bands": [band]}})
    assert getattr(found.find("nir"), "scale", None) == 0.5
    assert found.synthetic
