"""The exported files against the real hub: script, notebook and graph give the numbers of the run."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import openeo
import pytest
import rasterio
from affine import Affine
from nbclient import NotebookClient
from rasterio.warp import transform_bounds

from tests.test_export import run_script
from tools.export import synthetic_note, write_graph
from tools.export_code import write_notebook, write_script
from tools.hub.archive import Archive
from tools.hub.server import running_hub
from tools.layers import Layer, Layers
from tools.recipes import build_graphs
from tools.schema import Output, Period, Place, Plan, Polygons, Statistics
from tools.workspace import Workspace
from tools.zonal import drop_empty_dates, rows_from_json

# rasterio 1.4 multiplies affine transforms with an operator that affine 3 means to retire.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

SIZE = 24
LEFT, TOP = 597_000, 5_332_000
BANDS = {"B04_10m": "red", "B08_10m": "nir"}


def _degrees(left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
    found: tuple[float, float, float, float] = transform_bounds("EPSG:32630", "EPSG:4326", left, bottom, right, top)
    return found


def _box(bounds: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = bounds
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


@pytest.fixture(scope="module")
def hub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hub")
    archive = Archive(folder)
    bounds = _degrees(LEFT, TOP - 10 * SIZE, LEFT + 10 * SIZE, TOP)
    random = np.random.default_rng(3)
    items = []
    for month in (5, 6, 7):
        assets = {}
        for name in (*BANDS, "SCL_20m"):
            values = random.integers(1500, 6000, (1, SIZE, SIZE)).astype("uint16")
            if name == "SCL_20m":
                values[:] = 8 if month == 7 else 4
                values[:, :6, :6] = 9
            path = folder / f"{month}_{name}.tif"
            with rasterio.open(
                path, "w", driver="GTiff", width=SIZE, height=SIZE, count=1, dtype="uint16", nodata=0,
                crs="EPSG:32630", transform=Affine(10, 0, LEFT, 0, -10, TOP),
            ) as target:  # fmt: skip
                target.write(values)
            assets[name] = {"href": path.name, "type": "image/tiff; application=geotiff", "roles": ["data"]}
        items.append(
            {
                "type": "Feature", "stac_version": "1.0.0", "id": f"scene-{month}", "collection": "fields",
                "geometry": _box(bounds), "bbox": list(bounds), "links": [], "assets": assets,
                "properties": {"datetime": f"2026-{month:02}-15T11:00:00Z", "eo:cloud_cover": 5.0},
            }
        )  # fmt: skip
    archive.put_collection(_collection(bounds))
    archive.put_items(items)
    with running_hub(folder) as url:
        yield f"{url}/openeo"


def _collection(bounds: tuple[float, float, float, float]) -> dict[str, Any]:
    bands: list[dict[str, Any]] = [
        {"name": name, "common_name": common, "scale": 0.0001, "offset": -0.1, "nodata": 0, "gsd": 10}
        for name, common in BANDS.items()
    ]
    bands.append({"name": "SCL_20m", "clms:role": "scl", "nodata": 0, "gsd": 10})
    interval = ["2026-05-15T00:00:00Z", "2026-07-16T00:00:00Z"]
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": "fields", "title": "Fields", "description": "Test fields",
        "license": "proprietary", "links": [], "summaries": {"bands": bands},
        "extent": {"spatial": {"bbox": [list(bounds)]}, "temporal": {"interval": [interval]}},
        "cube:dimensions": {
            "x": {"type": "spatial", "axis": "x", "extent": [bounds[0], bounds[2]], "reference_system": 32630},
            "y": {"type": "spatial", "axis": "y", "extent": [bounds[1], bounds[3]], "reference_system": 32630},
            "t": {"type": "temporal", "extent": interval},
            "bands": {"type": "bands", "values": [band["name"] for band in bands]},
        },
    }  # fmt: skip


def _units() -> Polygons:
    corners = {"North field": (10, 150, 110, 230), "South field": (90, 10, 225, 90), "Cloudy corner": (5, 190, 40, 235)}
    features = [
        {
            "type": "Feature",
            "id": str(number),
            "properties": {"name": name},
            "geometry": _box(_degrees(LEFT + x0, TOP - 240 + y0, LEFT + x1, TOP - 240 + y1)),
        }
        for number, (name, (x0, y0, x1, y1)) in enumerate(corners.items())
    ]
    return Polygons(name="Fields", source="f.geojson", collection={"type": "FeatureCollection", "features": features})


def _run(output: Output, url: str) -> tuple[Plan, dict[str, dict[str, Any]], Statistics]:
    units = _units()
    place = Place(name="Fields", kind="uploaded area", bbox=units.bbox, area_km2=0.05, source="f.geojson")
    period = Period(start=date(2026, 5, 1), end=date(2026, 7, 31), label="May to July 2026")
    plan = Plan(recipe_id="ndvi", collection_id="fields", output=output, place=place, polygons=units, period=period)
    layers = Layers(
        collection_id="fields",
        bands=tuple(
            Layer(name=name, common_name=common, scale=0.0001, offset=-0.1, gsd_m=10) for name, common in BANDS.items()
        ),
        scl="SCL_20m",
    )
    graphs = build_graphs(plan, layers, units, units.bbox)
    connection = openeo.connect(url)
    labels = [feature["properties"]["name"] for feature in units.collection["features"]]
    mean, count = (connection.execute(graphs[kind]) for kind in ("mean", "count"))
    rows = drop_empty_dates(rows_from_json(mean, count, labels))
    return plan, graphs, Statistics(rows=rows, unit="NDVI", method="mean")


@pytest.mark.parametrize("output", ["series", "per_polygon"])
def test_every_exported_file_gives_the_numbers_of_the_run(hub_url: str, tmp_path: Path, output: Output) -> None:
    plan, graphs, numbers = _run(output, hub_url)
    assert any(row.outcome == "ok" for row in numbers.rows)
    workspace = Workspace(tmp_path / "artifacts")
    script = write_script(workspace, graphs, plan, openeo_url=hub_url, expected=numbers)
    raster = tmp_path / "ndvi.tif"
    lines = run_script(script, "--raster", str(raster))
    assert lines[-1] == f"Same as the first run: all {len(numbers.rows)} rows agree."
    assert raster.exists() == ("raster" in graphs)
    artifact = write_notebook(workspace, graphs, plan, openeo_url=hub_url, expected=numbers)
    notebook = nbformat.read(artifact.path, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(cell_output["text"] for cell in notebook.cells for cell_output in cell.get("outputs", []))
    assert printed.splitlines() == lines
    graph = write_graph(workspace, graphs["mean"], plan, note=synthetic_note(scenes=True, units=False))
    connection = openeo.connect(hub_url)
    loaded = json.loads(Path(graph.path).read_text(encoding="utf-8"))
    assert loaded["description"].startswith("Synthetic demo data")
    assert connection.validate_process_graph(loaded) == []
    assert connection.execute(graph.path) == connection.execute(loaded) == connection.execute(graphs["mean"])
