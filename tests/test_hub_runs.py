"""Runs of process graphs on the hub: what is kept between them, and what follows when the archive changes."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine

from tools.hub.add import add_files
from tools.hub.archive import Archive
from tools.hub.cube_cache import CubeCache
from tools.hub.limits import Limits
from tools.hub.loading import Grid, block_sizes
from tools.hub.run import run_to_file
from tools.hub.scratch import computed, scratch
from tools.hub.server import running_hub
from tools.hub.watch import Run

CRS, WEST, NORTH, SIZE = "EPSG:32630", 600_000.0, 5_330_000.0, 40


def add_date(hub: Path, folder: Path, day: str, value: float) -> None:
    """Add one date with red = value and nir = 3 * value."""
    for name, factor in (("B04", 1), ("B08", 3)):
        path = folder / f"{name}.tif"
        with rasterio.open(path, "w", driver="GTiff", height=SIZE, width=SIZE, count=1, dtype="float32", crs=CRS,
                           transform=Affine(10, 0, WEST, 0, -10, NORTH)) as raster:  # fmt: skip
            raster.write(np.full((SIZE, SIZE), value * factor, np.float32), 1)
        add_files(hub, [path], collection_id="s2", datetime=day)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub with three dates of two bands: 1 and 3, 2 and 6, 3 and 9."""
    for month, value in ((5, 1.0), (6, 2.0), (7, 3.0)):
        add_date(tmp_path / "hub", tmp_path, f"2024-0{month}-15", value)
    return tmp_path / "hub"


def median_nodes(band: str = "B08") -> dict[str, Any]:
    """Load the dates of one band and take the median."""
    extent = {"west": WEST, "south": NORTH - 400, "east": WEST + 400, "north": NORTH, "crs": CRS}
    arguments = {"id": "s2", "spatial_extent": extent, "temporal_extent": None, "bands": [band]}
    median = {"m": {"process_id": "median", "arguments": {"data": {"from_parameter": "data"}}, "result": True}}
    reduced = {"data": {"from_node": "load"}, "dimension": "t", "reducer": {"process_graph": median}}
    return {
        "load": {"process_id": "load_collection", "arguments": arguments},
        "median": {"process_id": "reduce_dimension", "arguments": reduced},
    }


def raster_graph(band: str = "B08") -> dict[str, Any]:
    saved = {"data": {"from_node": "median"}, "format": "GTiff"}
    return median_nodes(band) | {"save": {"process_id": "save_result", "arguments": saved, "result": True}}


def square(left: float, top: float, size: float) -> dict[str, Any]:
    """A square polygon, so many metres from the corner of the scene."""
    west, south, east, north = WEST + left, NORTH - top - size, WEST + left + size, NORTH - top
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north],
                                                [west, south]]]}  # fmt: skip


def table_graph(reducer: str, *shapes: dict[str, Any]) -> dict[str, Any]:
    area = {
        "type": "GeometryCollection", "geometries": list(shapes) or [square(10, 10, 80)],
        "crs": {"type": "name", "properties": {"name": CRS}},
    }  # fmt: skip
    child = {"r": {"process_id": reducer, "arguments": {"data": {"from_parameter": "data"}}, "result": True}}
    arguments = {"data": {"from_node": "median"}, "geometries": area, "reducer": {"process_graph": child}}
    return median_nodes() | {"zonal": {"process_id": "aggregate_spatial", "arguments": arguments, "result": True}}


def read_layers(hub: Path, graph: dict[str, Any], folder: Path, cubes: CubeCache) -> tuple[Path, int]:
    """Run a graph; give its file and how often it reported pixels read."""
    shares: list[float] = []
    path = run_to_file(Archive(hub), graph, folder, Run(shares.append), cubes=cubes)
    return path, len(shares)


def test_tables_and_map_of_one_question_read_their_pixels_once(hub: Path, tmp_path: Path) -> None:
    cubes = CubeCache(10_000_000)
    table, first = read_layers(hub, table_graph("mean"), tmp_path, cubes)
    assert first > 0
    assert table.read_text() == "[[6.0]]"
    table, again = read_layers(hub, table_graph("count"), tmp_path, cubes)
    assert (table.read_text(), again) == ("[[64.0]]", 0)
    path, again = read_layers(hub, raster_graph(), tmp_path, cubes)
    assert again == 0
    with rasterio.open(path) as raster:
        assert (raster.read(1) == 6).all()


def test_nothing_kept_is_used_for_another_graph_or_after_new_files(hub: Path, tmp_path: Path) -> None:
    cubes = CubeCache(10_000_000)
    read_layers(hub, raster_graph(), tmp_path, cubes)
    path, read = read_layers(hub, raster_graph("B04"), tmp_path, cubes)
    assert read > 0
    with rasterio.open(path) as raster:
        assert (raster.read(1) == 2).all()
    add_date(hub, tmp_path, "2024-07-15", 7.0)
    add_date(hub, tmp_path, "2024-08-15", 8.0)
    path, read = read_layers(hub, raster_graph(), tmp_path, cubes)
    assert read > 0
    with rasterio.open(path) as raster:
        assert (raster.read(1) == (6 + 21) / 2).all()


def test_a_cube_larger_than_the_memory_for_it_is_not_kept(hub: Path, tmp_path: Path) -> None:
    cubes = CubeCache(SIZE * SIZE * 4)
    for _ in range(2):
        _, read = read_layers(hub, raster_graph(), tmp_path, cubes)
        assert read > 0


def test_each_polygon_gets_all_its_pixels_also_where_others_lie(hub: Path, tmp_path: Path) -> None:
    apart = [square(0, 0, 50), square(50, 0, 30), square(1, 61, 5), square(390, 390, 100), square(4000, 0, 50)]
    over = [*apart, square(20, 20, 50), square(0, 0, 400)]
    pixels = [25, 9, 1, 1, 0, 25, 1600]
    for shapes in (apart, over, apart[:1]):
        path = run_to_file(Archive(hub), table_graph("count", *shapes), tmp_path)
        assert [row[0] for row in json.loads(path.read_text())] == pixels[: len(shapes)]


def test_little_memory_gives_the_same_by_way_of_the_disk(hub: Path, tmp_path: Path) -> None:
    raster, table = raster_graph(), table_graph("count", square(0, 0, 400), square(100, 100, 30))
    coarser = {"data": {"from_node": "median"}, "resolution": 20, "method": "average"}
    raster["coarse"] = {"process_id": "resample_spatial", "arguments": coarser}
    raster["save"]["arguments"]["data"] = {"from_node": "coarse"}
    for graph in (raster, raster_graph(), table):
        files = []
        for memory in (10**9, 50_000):
            folder = tmp_path / str(memory)
            folder.mkdir(exist_ok=True)
            files.append(run_to_file(Archive(hub), graph, folder, limits=Limits(memory_bytes=memory)))
            assert list(folder.iterdir()) == files[-1:]
            files[-1] = files[-1].rename(tmp_path / f"{memory}{files[-1].suffix}")
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_large_cube_lies_in_a_file_and_a_small_one_in_memory(tmp_path: Path) -> None:
    import dask.array
    import xarray as xr

    with scratch(tmp_path, Limits(memory_bytes=16_000, runs=1)):
        for rows, in_file in ((50, False), (51, True)):
            lazy = xr.DataArray(dask.array.arange(rows * 10, chunks=70).reshape(rows, 10).astype("float32"))
            found = computed(lazy)
            assert isinstance(found.data, np.memmap) is in_file
            assert (found.values.ravel() == np.arange(rows * 10)).all()


@pytest.mark.parametrize("cells", [1, 100, 5_000, 65_536, 70_000, 300_000, 10**9])
def test_blocks_are_bounded_and_cut_between_tiles(cells: int) -> None:
    grid = Grid(CRS, WEST, NORTH, 10, 10, 1000, 700, first=(100, -20), tile=(256, 256))
    sizes = block_sizes(grid, cells)
    assert [sum(one) for one in sizes] == [700, 1000]
    assert max(sizes[0]) * max(sizes[1]) <= cells
    if cells >= 256 * 256:
        for first, count, pieces in zip(grid.first, (700, 1000), sizes, strict=True):
            edges = [first + sum(pieces[:number]) for number in range(len(pieces))]
            assert all(edge % 256 == 0 or edge in (first, first + count) for edge in edges)


def test_no_thread_that_computes_outlives_the_server(hub: Path) -> None:
    before = set(threading.enumerate())
    with running_hub(hub) as url:
        answer = httpx.post(f"{url}/openeo/result", json={"process": {"process_graph": raster_graph()}})
        started = [one for one in set(threading.enumerate()) - before if one.name.startswith("openeo-run")]
        assert answer.status_code == 200
        assert started
    for one in started:
        one.join(timeout=5)
    assert not any(one.is_alive() for one in started)
