"""The openEO back-end, asked through the ordinary openEO client, against plain numpy on the same files."""

import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import openeo
import pytest
import rasterio
import xarray as xr
import zarr
from affine import Affine
from rasterio.warp import transform_bounds, transform_geom
from shapely.geometry import box, mapping

from tools.hub.archive import Archive
from tools.hub.limits import Limits
from tools.hub.openeo_errors import JobCanceled
from tools.hub.run import run_to_file
from tools.hub.server import running_hub
from tools.hub.watch import Run

CRS, WEST, NORTH, SIZE = "EPSG:32630", 600_000.0, 5_330_000.0, 64
DATES = (date(2024, 5, 15), date(2024, 6, 15), date(2024, 7, 15), date(2024, 8, 15))
SCALE, OFFSET = 0.0001, -0.1
BOX = (WEST + 100, NORTH - 500, WEST + 400, NORTH - 200)


def _write(path: Path, values: np.ndarray[Any, Any], pixel: float) -> None:
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="COG", height=height, width=width, count=1, dtype=values.dtype, crs=CRS,
        transform=Affine(pixel, 0, WEST, 0, -pixel, NORTH), nodata=0, compress="deflate",
    ) as raster:  # fmt: skip
        raster.write(values, 1)


def _scene(folder: Path, day: date, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    red, nir = (rng.integers(1100, 6000, (SIZE, SIZE)).astype(np.uint16) for _ in range(2))
    red[:3] = 0
    layers = {"B04_10m": red, "B08_10m": nir, "SCL_20m": rng.choice([4, 5, 8, 9], (SIZE // 2,) * 2).astype(np.uint8)}
    for name, values in layers.items():
        _write(folder / f"{day}_{name}.tif", values, 20 if name == "SCL_20m" else 10)
    return layers


def _item(day: date, names: list[str], cloud: float) -> dict[str, Any]:
    bbox = list(transform_bounds(CRS, "EPSG:4326", WEST, NORTH - SIZE * 10, WEST + SIZE * 10, NORTH))
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": f"scene-{day}", "collection": "tiny", "bbox": bbox,
        "geometry": mapping(box(*bbox)), "links": [],
        "properties": {"datetime": f"{day}T10:50:00Z", "eo:cloud_cover": cloud},
        "assets": {n: {"href": f"tiny/{day}_{n}.tif", "type": "image/tiff"} for n in names},
    }  # fmt: skip


BANDS = [
    {"name": "B04_10m", "common_name": "red", "scale": SCALE, "offset": OFFSET, "nodata": 0, "gsd": 10},
    {"name": "B08_10m", "common_name": "nir", "scale": SCALE, "offset": OFFSET, "nodata": 0, "gsd": 10},
    {"name": "SCL_20m", "clms:role": "scl", "nodata": 0, "gsd": 20},
]


@pytest.fixture(scope="module")
def hub_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def scenes(hub_dir: Path) -> Iterator[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    (hub_dir / "tiny").mkdir()
    rng = np.random.default_rng(7)
    layers = [_scene(hub_dir / "tiny", day, rng) for day in DATES]
    items = [_item(day, list(layers[0]), 10.0 * n) for n, day in enumerate(DATES)]
    archive = Archive(hub_dir)
    archive.put_collection({
        "type": "Collection", "stac_version": "1.0.0", "id": "tiny", "title": "Tiny", "description": "Test scenes.",
        "license": "CC0-1.0", "links": [], "summaries": {"bands": BANDS},
        "extent": {"spatial": {"bbox": [items[0]["bbox"]]}, "temporal": {"interval": [["2024-05-15T00:00:00Z", None]]}},
        "cube:dimensions": {
            "x": {"type": "spatial", "axis": "x", "extent": [-2, 0]},
            "y": {"type": "spatial", "axis": "y", "extent": [48, 49]},
            "t": {"type": "temporal", "extent": ["2024-05-15T00:00:00Z", None]},
            "bands": {"type": "bands", "values": [b["name"] for b in BANDS]},
        },
    })  # fmt: skip
    archive.put_items(items)
    with running_hub(hub_dir) as url:
        yield url, {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}


@pytest.fixture(scope="module")
def archive(scenes: tuple[str, Any], hub_dir: Path) -> Archive:
    return Archive(hub_dir)


@pytest.fixture(scope="module")
def connection(scenes: tuple[str, Any]) -> openeo.Connection:
    return openeo.connect(f"{scenes[0]}/openeo")


@pytest.fixture(scope="module")
def expected(scenes: tuple[str, dict[str, np.ndarray[Any, Any]]]) -> np.ndarray[Any, Any]:
    """SCL-masked NDVI per date, by plain numpy."""
    stack = scenes[1]
    red, nir = (np.where(stack[n] == 0, np.nan, stack[n] * SCALE + OFFSET) for n in ("B04_10m", "B08_10m"))
    cloudy = np.isin(np.kron(stack["SCL_20m"], np.ones((1, 2, 2), np.uint8)), (8, 9))
    return np.where(cloudy, np.nan, (nir - red) / (nir + red))


def _extent(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return {"west": west, "south": south, "east": east, "north": north, "crs": CRS}


def _masked_ndvi(connection: openeo.Connection, **options: Any) -> openeo.DataCube:
    options = {"spatial_extent": None, "temporal_extent": ["2024-05-01", "2024-09-01"], **options}
    cube = connection.load_collection("tiny", bands=["B04_10m", "B08_10m", "SCL_20m"], **options)
    scl = cube.band("SCL_20m")
    red, nir = cube.band("B04_10m") * SCALE + OFFSET, cube.band("B08_10m") * SCALE + OFFSET
    return ((nir - red) / (nir + red)).mask((scl == 8) | (scl == 9))


def _polygon(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return transform_geom(CRS, "EPSG:4326", mapping(box(west, south, east, north)))  # type: ignore[no-any-return]


def test_the_client_reads_what_the_hub_offers(connection: openeo.Connection) -> None:
    assert "tiny" in connection.list_collection_ids()
    assert connection.describe_collection("tiny")["summaries"]["bands"][0]["common_name"] == "red"
    assert {"load_collection", "aggregate_spatial", "save_result"} <= {p["id"] for p in connection.list_processes()}
    assert connection.capabilities().api_version() == "1.2.0"
    assert "GTiff" in connection.list_file_formats()["output"]


def test_masked_ndvi_median_equals_numpy(connection: openeo.Connection, expected: Any, tmp_path: Path) -> None:
    cube = _masked_ndvi(connection, spatial_extent=_extent(*BOX))
    cube.reduce_dimension(dimension="t", reducer="median").download(tmp_path / "ndvi.tif", format="GTiff")
    with rasterio.open(tmp_path / "ndvi.tif") as raster:
        assert raster.crs.to_string() == CRS
        assert tuple(raster.bounds) == BOX
        result = raster.read(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, for pixels that are cloudy on every date
        median = np.nanmedian(expected[:, 20:50, 10:40], axis=0)
    np.testing.assert_allclose(result, median, atol=1e-5)


def test_statistics_per_polygon_take_pixels_by_their_centres(connection: openeo.Connection, expected: Any) -> None:
    ndvi = _masked_ndvi(connection)
    shapes = (
        _polygon(WEST + 94, NORTH - 206, WEST + 206, NORTH - 94),
        _polygon(WEST + 1, NORTH - 14, WEST + 4, NORTH - 12),
    )
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in shapes]
    polygons = {"type": "FeatureCollection", "features": features}
    mean = ndvi.aggregate_spatial(polygons, reducer="mean").execute()
    counts = ndvi.aggregate_spatial(polygons, reducer=lambda data: data.count()).execute()
    totals = ndvi.aggregate_spatial(polygons, reducer=lambda data: data.count(condition=True)).execute()
    window = expected[:, 9:21, 9:21]
    assert list(mean) == [f"{day}T00:00:00Z" for day in DATES]
    for n, label in enumerate(mean):
        assert mean[label][0] == pytest.approx([np.nanmean(window[n])], abs=1e-5)
        assert mean[label][1] == [None]
        assert counts[label] == [[np.isfinite(window[n]).sum()], [0]]
        assert totals[label] == [[144], [0]]


def test_two_bands_of_one_cube_come_back_side_by_side(connection: openeo.Connection, expected: Any) -> None:
    ndvi = _masked_ndvi(connection).reduce_dimension(dimension="t", reducer="mean")
    valid = ndvi.apply(lambda x: x.is_valid() if hasattr(x, "is_valid") else x == x)
    both = ndvi.add_dimension("bands", "NDVI", "bands").merge_cubes(valid.add_dimension("bands", "VALID", "bands"))
    area = _polygon(WEST + 100, NORTH - 200, WEST + 200, NORTH - 100)
    [[mean, _]] = both.aggregate_spatial(area, reducer="mean").execute()
    pixels = np.nanmean(expected[:, 10:20, 10:20], axis=0)
    assert mean == pytest.approx(np.nanmean(pixels), abs=1e-5)


def test_periods_are_half_open_and_cloud_cover_filters(connection: openeo.Connection, tmp_path: Path) -> None:
    options: dict[str, Any] = {"temporal_extent": ["2024-05-15", "2024-08-15"], "max_cloud_cover": 15}
    cube = connection.load_collection("tiny", spatial_extent=_extent(*BOX), bands=["B04_10m"], **options)
    cube.download(tmp_path / "red.nc", format="netCDF")
    with xr.open_dataset(tmp_path / "red.nc", engine="h5netcdf") as dataset:
        assert list(dataset["t"].values.astype("datetime64[D]").astype(str)) == ["2024-05-15", "2024-06-15"]
        assert dataset["B04_10m"].shape == (2, 30, 30)


def test_clients_at_once_get_what_one_gets_and_no_more_runs_than_allowed(
    monkeypatch: pytest.MonkeyPatch, hub_dir: Path, expected: Any
) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def counted(*args: Any, **options: Any) -> Path:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return run_to_file(*args, **options)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr("tools.hub.openeo_api.run_to_file", counted)
    with running_hub(hub_dir, limits=Limits(runs=2, keep=False)) as url, ThreadPoolExecutor(6) as pool:

        def ask(number: int) -> Any:
            area = _polygon(WEST + 100, NORTH - 200 - 10 * number, WEST + 200, NORTH - 100)
            cube = _masked_ndvi(openeo.connect(f"{url}/openeo")).reduce_dimension(dimension="t", reducer="mean")
            return cube.aggregate_spatial(area, reducer="mean").execute()[0][0]

        found = list(pool.map(ask, range(6)))
    means = [np.nanmean(np.nanmean(expected[:, 10 : 20 + number, 10:20], axis=0)) for number in range(6)]
    assert found == pytest.approx(means, abs=1e-5)
    assert most <= 2


def test_a_cube_comes_as_zarr_in_one_file(connection: openeo.Connection, tmp_path: Path) -> None:
    assert connection.list_file_formats()["output"]["Zarr"]["gis_data_types"] == ["raster"]
    cube = connection.load_collection(
        "tiny", spatial_extent=_extent(*BOX), temporal_extent=["2024-05-15", "2024-08-15"], bands=["B04_10m"]
    )
    cube.download(tmp_path / "red.zarr.zip", format="Zarr")
    cube.download(tmp_path / "red.nc", format="netCDF")
    with (
        zarr.storage.ZipStore(tmp_path / "red.zarr.zip", mode="r") as store,
        xr.open_zarr(store, decode_coords="all") as found,
        xr.open_dataset(tmp_path / "red.nc", engine="h5netcdf", decode_coords="all") as same,
    ):
        xr.testing.assert_equal(found.load(), same.load())
        assert found.rio.crs == same.rio.crs


def test_ndvi_can_be_added_as_a_band(connection: openeo.Connection, scenes: Any) -> None:
    cube = connection.load_collection("tiny", spatial_extent=_extent(*BOX), bands=["B04_10m", "B08_10m"])
    series = cube.ndvi(nir="nir", red="red", target_band="ndvi").mean_time().aggregate_spatial(
        _polygon(*BOX), reducer="max"
    ).execute()  # fmt: skip
    red, nir = (scenes[1][n].astype(float) for n in ("B04_10m", "B08_10m"))
    ratio = ((nir - red) / (nir + red))[:, 20:50, 10:40].mean(axis=0)
    assert series[0][2] == pytest.approx(ratio.max(), abs=1e-5)


def test_a_batch_job_gives_its_results_as_stac(connection: openeo.Connection, expected: Any, tmp_path: Path) -> None:
    cube = _masked_ndvi(connection, spatial_extent=_extent(*BOX)).reduce_dimension(dimension="t", reducer="max")
    job = cube.create_job(out_format="GTiff", title="maximum")
    job.start_and_wait(print=lambda text: None, max_poll_interval=0.2, connection_retry_interval=0.1)
    assert job.status() == "finished"
    [path] = job.get_results().download_files(tmp_path, include_stac_metadata=False)
    with rasterio.open(path) as raster:
        np.testing.assert_allclose(raster.read(1), np.fmax.reduce(expected[:, 20:50, 10:40]), atol=1e-5)
    job.delete_job()
    with pytest.raises(openeo.rest.OpenEoApiError, match="JobNotFound"):
        job.describe()


def test_validation_names_what_is_wrong(connection: openeo.Connection) -> None:
    graph = {
        "load": {"process_id": "load_collection", "arguments": {"id": "no-such", "spatial_extent": None}},
        "odd": {"process_id": "run_udf", "arguments": {"data": {"from_node": "load"}}, "result": True},
    }
    assert {e["code"] for e in connection.validate_process_graph(graph)} == {"CollectionNotFound", "ProcessUnsupported"}
    assert connection.validate_process_graph(_masked_ndvi(connection).flat_graph()) == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"temporal_extent": ["2020-01-01", "2020-02-01"]}, "NoDataAvailable"),
        ({"temporal_extent": ["2024-06-01", "2024-05-01"]}, "TemporalExtentEmpty"),
        ({"spatial_extent": {"west": 20, "south": 10, "east": 21, "north": 11}}, "NoDataAvailable"),
    ],
)
def test_failures_have_openeo_codes(connection: openeo.Connection, options: dict[str, Any], code: str) -> None:
    with pytest.raises(openeo.rest.OpenEoApiError, match=code) as caught:
        _masked_ndvi(connection, **options).max_time().execute()
    assert caught.value.http_status_code == 400


BOX_IN_WORDS = {"west": "a", "south": 0, "east": 1, "north": 1}
BOX_SWAPPED = {"west": 1, "south": 0, "east": 0, "north": 1}
NO_POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1]]]}
NO_GEOMETRY = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": None}]}
BOX_IN_NO_CRS = {"west": 0, "south": 0, "east": 1, "north": 1, "crs": "/etc/passwd"}


@pytest.mark.parametrize(
    "node",
    [
        {"process_id": {"x": 1}, "arguments": []},
        {"process_id": "load_collection", "arguments": {"id": "tiny", "spatial_extent": BOX_IN_WORDS}},
        {"process_id": "load_collection", "arguments": {"id": "tiny", "spatial_extent": BOX_IN_NO_CRS}},
        {"process_id": "load_collection", "arguments": {"id": "tiny", "spatial_extent": BOX_SWAPPED}},
        {"process_id": "load_collection", "arguments": {"id": "tiny", "spatial_extent": NO_POLYGON}},
        {"process_id": "load_collection", "arguments": {"id": "tiny", "spatial_extent": NO_GEOMETRY}},
        {"process_id": "load_collection", "arguments": {"id": ["tiny"]}},
        {"process_id": "load_collection", "arguments": {"id": "tiny", "temporal_extent": ["2024", 5]}},
        {"process_id": "save_result", "arguments": {"data": 1, "format": 5}},
        {"process_id": "reduce_dimension", "arguments": {"data": {}, "dimension": "t", "reducer": "mean"}},
        {"process_id": "sum", "arguments": {"data": "1"}},
        {"process_id": "add", "arguments": None},
        {"process_id": "array_create", "arguments": {"data": [1], "repeat": 10**10}},
        {"process_id": "absolute", "arguments": {"x": {"from_node": ["a"]}}},
    ],
)
def test_values_of_the_wrong_kind_are_refused(connection: openeo.Connection, node: dict[str, Any]) -> None:
    body = {"process": {"process_graph": {"a": {**node, "result": True}}}}
    reply = connection.post("/result", json=body, check_error=False)
    assert reply.status_code == 400, reply.text


def test_a_body_that_is_no_graph_is_refused_in_openeo_shape(connection: openeo.Connection) -> None:
    nested: list[Any] = []
    for _ in range(400):
        nested = [nested]
    deep = {"a": {"process_id": "sum", "arguments": {"data": nested}, "result": True}}
    graphs: list[Any] = [{"a": "x"}, {"a": None}, deep]
    for body in ([1, 2], {"process": {}}, *({"process": {"process_graph": graph}} for graph in graphs)):
        reply = connection.post("/result", json=body, check_error=False)
        assert reply.status_code == 400, reply.text
        assert {"id", "code", "message"} <= set(reply.json())
    checked = connection.post("/validation", json={"process": {"process_graph": {"a": None}}}).json()["errors"]
    assert [one["code"] for one in checked] == ["ProcessGraphInvalid"]


def _ndvi_graph(archive_connection: openeo.Connection) -> dict[str, Any]:
    cube = _masked_ndvi(archive_connection, spatial_extent=_extent(*BOX)).max_time()
    return cube.save_result(format="GTiff").flat_graph()


def test_cancelling_one_run_leaves_another_running(
    connection: openeo.Connection, archive: Archive, tmp_path: Path
) -> None:
    graph, reading, stop = _ndvi_graph(connection), threading.Event(), threading.Event()
    shares: list[float] = []

    def wait_for_the_end(share: float) -> None:
        shares.append(share)
        reading.set()
        assert stop.wait(60)

    (tmp_path / "slow").mkdir()
    (tmp_path / "fast").mkdir()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(run_to_file, archive, graph, tmp_path / "slow", Run(wait_for_the_end, stop.is_set))
        while not reading.wait(0.2):
            assert not slow.done(), slow.exception()
        fast: list[float] = []

        def note(share: float) -> None:
            fast.append(share)
            stop.set()

        # The second run starts while the first one reads, and ends although the first one is told to stop.
        path = run_to_file(archive, graph, tmp_path / "fast", Run(note))
        with pytest.raises(JobCanceled):
            slow.result(timeout=60)
    assert path.is_file()
    assert fast[-1] == 1.0
    assert fast == sorted(fast)
    assert shares[-1] < 1.0
