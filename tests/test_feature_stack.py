"""Feature stacks: the pixels of plain numpy on every date, and a file that says what it holds."""

import csv
import json
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import openeo
import pytest
import rasterio
import xarray as xr
import zarr
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import transform_geom

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.exported import run_script
from tools.areas import parse_geojson
from tools.errors import JobFailed, NoScenes, TooLarge, ToolInputError
from tools.feature_stack import Format, Variable, make_stack
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.schema import ToolResult
from tools.stack_files import StackData
from tools.toolbox import Context, Services
from tools.workspace import Workspace

SIZE, LEFT, TOP = 12, 600_000, 5_330_000
DAYS = ("2025-06-04", "2025-06-14", "2025-07-24")
BANDS = ("B04", "B08", "B11")
TODAY = date(2025, 10, 1)


def write(path: Path, values: NDArray[np.uint16], size: float) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="uint16", nodata=0,
        crs="EPSG:32630", transform=Affine(size, 0, LEFT, 0, -size, TOP),
    ) as target:  # fmt: skip
        target.write(values, 1)
    return path


@dataclass(frozen=True)
class World:
    """A hub with three dates of two bands of 10 m and one of 20 m."""

    services: Services
    reflectance: dict[str, NDArray[np.float64]]
    """Masked values of each band, shape (dates, rows, columns)."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root, random = tmp_path_factory.mktemp("stack"), np.random.default_rng(3)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in BANDS}
    for day in DAYS:
        classes = random.choice([4, 4, 8], (SIZE, SIZE)).astype("uint16")
        files = [write(root / f"{day}_SCL.tif", classes, 10)]
        for name in BANDS:
            wide = 2 if name == "B11" else 1
            stored = random.integers(1100, 6000, (SIZE // wide, SIZE // wide)).astype("uint16")
            files.append(write(root / f"{day}_{name}.tif", stored, 10 * wide))
            full = stored.repeat(wide, 0).repeat(wide, 1) * 1e-4 - 0.1
            found[name].append(np.where(classes == 8, np.nan, full))
        add_files(root / "hub", files, collection_id="s2", datetime=day, scale=0.0001, offset=-0.1)
    build_index(root / "index", embedding_model="none")
    with running_hub(root / "hub") as url:
        retriever = Retriever(root / "index", embedding_model="none")
        services = Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(root / "artifacts"))
        yield World(services, {name: np.array(dates) for name, dates in found.items()})


def stack(
    world: World, bands: str = "all", file_format: Format = "netcdf", period: str = "2025", *, composite: bool = False
) -> ToolResult:
    right, bottom = LEFT + 10 * SIZE, TOP - 10 * SIZE
    ring = [[LEFT, TOP], [right, TOP], [right, bottom], [LEFT, bottom], [LEFT, TOP]]
    outline: dict[str, Any] = transform_geom("EPSG:32630", "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
    context = Context(today=TODAY, session_id="t", area=parse_geojson(outline, name="field"))
    return make_stack(
        world.services, context, bands=bands, place="", period=period, format=file_format, composite=composite
    )


def raster_of(result: ToolResult) -> Path:
    return Path(next(one.path for one in result.artifacts if one.kind == "raster"))


def test_netcdf_holds_the_masked_scaled_pixels_of_every_date(world: World) -> None:
    found = stack(world, "all, NDVI")
    assert found.data["variables"] == ["B04", "B08", "B11", "NDVI"]
    x, y = LEFT + 5 + 10 * np.arange(SIZE), TOP - 5 - 10 * np.arange(SIZE)
    red, nir = world.reflectance["B04"], world.reflectance["B08"]
    with xr.open_dataset(raster_of(found), engine="h5netcdf", decode_coords="all") as data:
        inner = data.sel(x=x, y=y)
        for name in BANDS:
            assert inner[name].values == pytest.approx(world.reflectance[name], abs=1e-6, nan_ok=True)
        assert inner["NDVI"].values == pytest.approx((nir - red) / (nir + red), abs=1e-5, nan_ok=True)
        assert [str(one)[:10] for one in data["time"].values] == list(DAYS)
        assert data.attrs["Conventions"] == "CF-1.8"
        assert (data["B04"].attrs["units"], data["B04"].attrs["long_name"]) == ("1", "red reflectance")
        assert data["x"].attrs["standard_name"] == "projection_x_coordinate"
        assert data.rio.crs.to_epsg() == 32630
        assert np.isnan(data["B04"].encoding["_FillValue"])
        assert data["B04"].encoding["grid_mapping"] == "spatial_ref"


def test_numbers_without_a_scale_are_called_stored_values(world: World, tmp_path: Path) -> None:
    digits = np.full((SIZE, SIZE), 1234, "uint16")
    files = [write(tmp_path / f"{DAYS[0]}_{name}.tif", digits, 10) for name in ("B04", "B08")]
    add_files(tmp_path / "hub", files, collection_id="s2", datetime=DAYS[0])
    with running_hub(tmp_path / "hub") as url:
        services = replace(world.services, stac_url=f"{url}/stac", openeo_url=f"{url}/openeo")
        found = stack(World(services, {}), "red")
    with xr.open_dataset(raster_of(found), engine="h5netcdf") as data:
        assert data["B04"].attrs["long_name"] == "red stored value"
        assert "units" not in data["B04"].attrs
        assert float(data["B04"].max()) == 1234
    with Path(next(one.path for one in found.artifacts if one.kind == "table")).open() as stream:
        assert {(row["long_name"], row["unit"]) for row in csv.DictReader(stream)} == {("red stored value", "")}


def test_geotiff_and_table_list_the_layers_by_date_and_name(world: World) -> None:
    found = stack(world, "red, NDVI", "geotiff")
    with rasterio.open(raster_of(found)) as source:
        assert source.descriptions == tuple(f"{day} {name}" for day in DAYS for name in ("B04", "NDVI"))
        assert source.tags(3) == {"date": DAYS[1], "name": "B04"}
        assert source.crs.to_epsg() == 32630
        assert np.isnan(source.nodata)
        layers = source.read()
    with Path(next(one.path for one in found.artifacts if one.kind == "table")).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["date"], row["name"]) for row in rows] == [(day, name) for day in DAYS for name in ("B04", "NDVI")]
    assert [int(row["valid_pixels"]) for row in rows] == [int(np.isfinite(layer).sum()) for layer in layers]
    red = world.reflectance["B04"]
    assert [int(row["valid_pixels"]) for row in rows[::2]] == [int(np.isfinite(day).sum()) for day in red]


def test_zarr_in_one_file_holds_what_netcdf_holds(world: World) -> None:
    found = stack(world, "red, NDVI", "zarr")
    assert "as Zarr in one ZIP file" in found.text
    with (
        zarr.storage.ZipStore(raster_of(found), mode="r") as store,
        xr.open_zarr(store, decode_coords="all") as data,
        xr.open_dataset(raster_of(stack(world, "red, NDVI")), engine="h5netcdf", decode_coords="all") as same,
    ):
        for name in ("B04", "NDVI"):
            assert np.array_equal(data[name].values, same[name].values, equal_nan=True)
            assert data[name].attrs == same[name].attrs
        assert np.array_equal(data["time"].values, same["time"].values)
        assert data.rio.crs.to_epsg() == 32630
        assert data.attrs == same.attrs


def test_a_composite_is_the_median_of_the_dates(world: World) -> None:
    found = stack(world, "red, NDVI", composite=True)
    assert found.data["dates"] == ["2025-01-01/2025-10-01"]
    assert "the median over the dates, 2 layers" in found.text
    x, y = LEFT + 5 + 10 * np.arange(SIZE), TOP - 5 - 10 * np.arange(SIZE)
    red, nir = world.reflectance["B04"], world.reflectance["B08"]
    with xr.open_dataset(raster_of(found), engine="h5netcdf") as data, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where all dates are masked
        inner = data.sel(x=x, y=y).isel(time=0)
        expected = {"B04": np.nanmedian(red, 0), "NDVI": np.nanmedian((nir - red) / (nir + red), 0)}
        for name, values in expected.items():
            assert inner[name].values == pytest.approx(values, abs=1e-5, nan_ok=True)
        assert data["NDVI"].attrs["cell_methods"] == "time: median"


def test_the_text_tells_what_is_in_the_file(world: World) -> None:
    found = stack(world, "NDVI")
    assert "1 variable (NDVI) of 3 dates (2025-06-04 to 2025-07-24), 3 layers" in found.text
    assert "pixels of 10 m (EPSG:32630)" in found.text
    assert {one.kind for one in found.artifacts} == {
        "raster",
        "table",
        "graph",
        "script",
        "notebook",
        "provenance",
        "metadata",
    }


def test_script_and_notebook_make_the_stack_again(world: World, tmp_path: Path) -> None:
    files = {one.kind: Path(one.path) for one in stack(world, "red, NDVI").artifacts}
    ran = subprocess.run(
        [sys.executable, files["script"]], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    assert "Same as the first run: all 6 layers." in ran.stdout
    cells = [cell.source for cell in nbformat.read(files["notebook"], as_version=4).cells if cell.cell_type == "code"]
    (tmp_path / "cells.py").write_text("\n\n".join(cells).replace('"stack.nc"', repr(str(tmp_path / "b.nc"))))
    assert list(runpy.run_path(str(tmp_path / "cells.py"))["stack"]["t"].dt.month.values) == [6, 6, 7]


def test_the_script_of_a_zarr_composite_writes_it_again(world: World, tmp_path: Path) -> None:
    found = stack(world, "red, NDVI", "zarr", composite=True)
    script = next(Path(one.path) for one in found.artifacts if one.kind == "script")
    assert "Same as the first run: all 2 layers." in run_script(script, folder=tmp_path)
    with (
        zarr.storage.ZipStore(tmp_path / "stack.zarr.zip", mode="r") as store,
        zarr.storage.ZipStore(raster_of(found), mode="r") as first,
        xr.open_zarr(store, decode_coords="all") as again,
        xr.open_zarr(first) as ours,
    ):
        assert again.rio.crs.to_epsg() == 32630
        assert np.array_equal(again["NDVI"].values, ours["NDVI"].values[0], equal_nan=True)


def test_the_graph_runs_alone_and_its_file_says_where_the_pixels_are(world: World, tmp_path: Path) -> None:
    found = stack(world, "red, NDVI")
    graph = next(one for one in found.artifacts if one.kind == "graph")
    again = tmp_path / "again.nc"
    openeo.connect(world.services.openeo_url).download(json.loads(Path(graph.path).read_text()), again)
    with (
        xr.open_dataset(again, engine="h5netcdf", decode_coords="all") as data,
        xr.open_dataset(raster_of(found)) as ours,
    ):
        assert data.rio.crs.to_epsg() == 32630
        assert np.array_equal(data["NDVI"].values, ours["NDVI"].values, equal_nan=True)


def test_what_cannot_be_stacked_is_refused_with_what_can(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolInputError, match="'purple' is neither a band") as unknown:
        stack(world, "red, purple")
    assert "B04 (red)" in unknown.value.hint
    with pytest.raises(ToolInputError, match="needs"):
        stack(world, "NDWI")  # no green band here
    with pytest.raises(NoScenes):
        stack(world, period="2023")
    monkeypatch.setattr("tools.feature_stack.MAX_VALUES", 1000)
    with pytest.raises(TooLarge, match="fewer bands"):
        stack(world)


def test_a_file_without_the_asked_for_variable_is_refused(tmp_path: Path) -> None:
    xr.Dataset({"B03": (("t", "y", "x"), np.ones((1, 2, 2), "float32"))}).to_netcdf(
        tmp_path / "a.nc", engine="h5netcdf"
    )
    with pytest.raises(JobFailed, match="without B04"):
        StackData.read(tmp_path / "a.nc", (Variable("B04", "red"),))
    with pytest.raises(JobFailed, match="without a reference system"):
        StackData.read(tmp_path / "a.nc", (Variable("B03", "green"),))
