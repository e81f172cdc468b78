"""Processes of the back-end, by the specification: through the ordinary client where they work on cubes."""

import inspect
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openeo
import pytest
import rasterio
import xarray as xr
from affine import Affine
from openeo.extra.spectral_indices import append_index, compute_indices

from evals.bench.openeo_vectors import run_cases
from tools.hub.add import add_files
from tools.hub.executor import Executor, common_processes
from tools.hub.openeo_errors import OpenEOError
from tools.hub.process_specs import process_specs
from tools.hub.processes_arrays import Labelled
from tools.hub.server import running_hub

CRS, WEST, NORTH, SIZE = "EPSG:32630", 600_000.0, 5_330_000.0, 20
DAYS = ("2024-05-01", "2024-06-01")
Values = dict[str, np.ndarray[Any, Any]]


def call(process_id: str, **arguments: Any) -> Any:
    """Run one process with plain values, as a graph of one node."""
    given = {name: {"from_parameter": name} for name in arguments}
    return Executor({}).run({"n": {"process_id": process_id, "arguments": given, "result": True}}, arguments)


@pytest.fixture(scope="module")
def values() -> Values:
    """Stored numbers per band: dates, rows, columns; zero is no-data."""
    rng = np.random.default_rng(3)
    shape = (len(DAYS), SIZE, SIZE)
    stored = {name: rng.integers(100, 5000, shape).astype(np.uint16) for name in ("B04", "B08")}
    stored["B08"][:, 0, 0] = 0
    return stored


@pytest.fixture(scope="module")
def cube(values: Values, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openeo.DataCube]:
    folder = tmp_path_factory.mktemp("processes")
    for position, day in enumerate(DAYS):
        for name, stored in values.items():
            with rasterio.open(
                folder / f"{name}.tif", "w", driver="GTiff", height=SIZE, width=SIZE, count=1, dtype="uint16", crs=CRS,
                transform=Affine(10, 0, WEST, 0, -10, NORTH), nodata=0,
            ) as raster:  # fmt: skip
                raster.write(stored[position], 1)
        files = [folder / f"{name}.tif" for name in values]
        add_files(folder / "hub", files, collection_id="SENTINEL2_L2A", datetime=day, scale=0.0001, offset=-0.1)
    with running_hub(folder / "hub") as url:
        yield openeo.connect(f"{url}/openeo").load_collection("SENTINEL2_L2A", bands=list(values))


def download(cube: openeo.DataCube, path: Path) -> xr.Dataset:
    cube.download(path, format="netCDF")
    return xr.load_dataset(path, engine="h5netcdf")


def ndvi(values: Values) -> np.ndarray[Any, Any]:
    red, nir = (np.where(values[n] == 0, np.nan, values[n]).astype(float) for n in ("B04", "B08"))
    return (nir - red) / (nir + red)


def test_the_clients_spectral_indices_run(cube: openeo.DataCube, values: Values, tmp_path: Path) -> None:
    alone = download(compute_indices(cube, ["NDVI"]), tmp_path / "alone.nc")
    np.testing.assert_allclose(alone["NDVI"], ndvi(values), atol=1e-6)
    added = download(append_index(cube, "NDVI"), tmp_path / "added.nc")
    assert {"B04", "B08", "NDVI"} <= set(added.data_vars)
    np.testing.assert_allclose(added["NDVI"], ndvi(values), atol=1e-6)
    np.testing.assert_allclose(added["B04"], values["B04"])


def test_resampling_to_coarser_pixels_averages_the_valid_ones(
    cube: openeo.DataCube, values: Values, tmp_path: Path
) -> None:
    coarse = download(cube.resample_spatial(resolution=20, method="average"), tmp_path / "coarse.nc")
    stored = np.where(values["B08"] == 0, np.nan, values["B08"]).reshape(2, SIZE // 2, 2, SIZE // 2, 2)
    np.testing.assert_allclose(coarse["B08"], np.nanmean(stored, axis=(2, 4)), rtol=1e-5)
    np.testing.assert_allclose(coarse["x"][:2], [WEST + 10, WEST + 30])
    near = download(cube.resample_spatial(resolution=5), tmp_path / "near.nc")
    np.testing.assert_allclose(near["B04"], values["B04"].repeat(2, axis=1).repeat(2, axis=2))


def test_a_cube_takes_the_grid_of_another(cube: openeo.DataCube, values: Values, tmp_path: Path) -> None:
    coarse = cube.resample_spatial(resolution=40, method="max")
    there = download(cube.resample_cube_spatial(coarse, method="min"), tmp_path / "there.nc")
    lowest = values["B04"].reshape(2, SIZE // 4, 4, SIZE // 4, 4).min(axis=(2, 4))
    np.testing.assert_allclose(there["B04"], lowest)
    back = download(coarse.resample_cube_spatial(cube, method="near"), tmp_path / "back.nc")
    assert back["B04"].shape == values["B04"].shape


def test_another_reference_system_keeps_the_place(cube: openeo.DataCube, values: Values, tmp_path: Path) -> None:
    cube.max_time().resample_spatial(projection=4326, method="near").download(tmp_path / "wgs84.tif", format="GTiff")
    with rasterio.open(tmp_path / "wgs84.tif") as raster:
        assert raster.crs.to_epsg() == 4326
        assert set(np.unique(raster.read(1)[np.isfinite(raster.read(1))])) <= set(np.unique(values["B04"].max(axis=0)))
        (x,), (y,) = rasterio.warp.transform(CRS, "EPSG:4326", [WEST + 55], [NORTH - 95])
        [(red, _)] = raster.sample([(x, y)])
    assert red == values["B04"].max(axis=0)[9, 5]


def test_wrong_resampling_is_refused_with_its_code(cube: openeo.DataCube) -> None:
    for wrong in ({"method": "magic", "resolution": 20}, {"resolution": -1}, {"resolution": 20, "align": "middle"}):
        graph = cube.resample_spatial(resolution=20).flat_graph()
        graph["resamplespatial1"]["arguments"].update(wrong)
        with pytest.raises(openeo.rest.OpenEoApiError, match="ProcessParameterInvalid"):
            cube.connection.execute({"process_graph": graph})
    with pytest.raises(openeo.rest.OpenEoApiError, match="ProcessGraphComplexity"):
        cube.resample_spatial(resolution=0.001).execute()


def test_kernels_weigh_neighbours(cube: openeo.DataCube, values: Values, tmp_path: Path) -> None:
    smooth = cube.filter_bands(["B04"]).apply_kernel([[1, 1, 1]] * 3, factor=1 / 9, border="replicate")
    padded = np.pad(values["B04"].astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    np.testing.assert_allclose(download(smooth, tmp_path / "k.nc")["B04"], windows.mean(axis=(3, 4)), rtol=1e-5)


def test_all_pixels_reduce_to_one_number(cube: openeo.DataCube, values: Values) -> None:
    graph = cube.reduce_spatial(reducer="mean").save_result(format="JSON").flat_graph()
    result = cube.connection.execute({"process_graph": graph})
    assert result["data"][1][0] == pytest.approx(values["B04"][1].mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("period", "dates", "labels"),
    [
        ("hour", ("2020-06-01T00:30", "2020-06-01T02:00"), ["2020-06-01-00", "2020-06-01-01", "2020-06-01-02"]),
        ("day", ("2020-12-31", "2021-01-01"), ["2020-366", "2021-001"]),
        ("week", ("2020-12-28", "2021-01-04"), ["2020-53", "2021-01"]),
        ("dekad", ("2024-01-31", "2024-02-11"), ["2024-03", "2024-04", "2024-05"]),
        ("month", ("2023-12-01", "2024-01-31"), ["2023-12", "2024-01"]),
        ("season", ("2023-12-01", "2024-03-01"), ["2023-djf", "2024-mam"]),
        ("tropical-season", ("2024-04-30", "2024-05-01"), ["2023-ndjfma", "2024-mjjaso"]),
        ("decade", ("2019-06-01", "2020-06-01"), ["2010", "2020"]),
        ("decade-ad", ("2020-06-01", "2021-06-01"), ["2011", "2021"]),
    ],
)
def test_calendar_periods_are_labelled_as_specified(period: str, dates: tuple[str, str], labels: list[str]) -> None:
    from tools.hub.cube import Cube

    times = np.array(dates, dtype="datetime64[ns]")
    cube = Cube(xr.DataArray(np.array([[[1.0]], [[5.0]]]), dims=["t", "y", "x"], coords={"t": times}))
    mean = {"process_graph": {"m": {"process_id": "mean", "arguments": {"data": {"from_parameter": "data"}},
                                    "result": True}}}  # fmt: skip
    graph = {"process_id": "aggregate_temporal_period", "result": True,
             "arguments": {"data": {"from_parameter": "cube"}, "period": period, "reducer": mean}}  # fmt: skip
    result = Executor({}).run({"n": graph}, {"cube": cube})
    assert result.labels("t") == labels
    found = result.data.values.ravel()
    assert (found[0], found[-1]) == (1.0, 5.0)
    assert np.isnan(found[1:-1]).all()


@pytest.mark.parametrize(
    ("intervals", "labels", "sums"),
    [
        ([[None, "2024-05-02"], ["2024-05-02", None]], ["..", "2024-05-02"], [3, 4]),
        ([["06:00:00", "18:00:00"], ["18:00:00", "06:00:00"]], ["06:00:00", "18:00:00"], [2, 5]),
        ([["2024-05-01", "2024-05-02"]], ["2024-05-01T00:00:00Z"], [3]),
    ],
)
def test_intervals_may_be_open_or_hours_of_the_day(
    intervals: list[list[str | None]], labels: list[str], sums: list[float]
) -> None:
    from tools.hub.cube import Cube

    times = np.array(["2024-05-01T01:00", "2024-05-01T12:00", "2024-05-02T23:00"], dtype="datetime64[ns]")
    cube = Cube(xr.DataArray(np.array([1.0, 2.0, 4.0])[:, None, None], dims=["t", "y", "x"], coords={"t": times}))
    total = {"process_graph": {"s": {"process_id": "sum", "arguments": {"data": {"from_parameter": "data"}},
                                     "result": True}}}  # fmt: skip
    graph = {"process_id": "aggregate_temporal", "result": True,
             "arguments": {"data": {"from_parameter": "cube"}, "intervals": intervals, "reducer": total}}  # fmt: skip
    result = Executor({}).run({"n": graph}, {"cube": cube})
    assert result.labels("t") == labels
    np.testing.assert_array_equal(result.data.values.ravel(), sums)


def test_official_cases_are_told_apart(tmp_path: Path) -> None:
    cases = {
        "subtract": [
            {"arguments": {"x": 5, "y": 2.5}, "returns": 2.5},
            {"arguments": {"x": 5, "y": 2.5}, "returns": 2},
        ],
        "clip": [{"arguments": {"x": 1, "min": 2, "max": 1}, "throws": "MinMaxSwapped"}],
        "array_append": [{"arguments": {"data": [], "value": 0}, "returns": [1]}],
        "lte": [{"arguments": {"x": 1, "y": 1}, "returns": True}] * 15
        + [{"arguments": {"x": 2, "y": 1}, "returns": True}],
        "text_find": [{"arguments": {}, "returns": 0}],
        "mask": [{"arguments": {"data": {"$ref": "assets/not-there.json5"}}}],
    }
    for name, tests in cases.items():
        text = json.dumps({"id": name, "tests": tests}).replace('"id"', "id")  # JSON5 needs no quotes
        (tmp_path / f"{name}.json5").write_text(f"// official\n{text}", encoding="utf-8")
    outcomes = {name: outcome for name, outcome, _ in run_cases(tmp_path)}
    assert outcomes.pop("lte 15") == "failed"  # disputed, but we give something else than before
    assert {outcome for name, outcome in outcomes.items() if name.startswith("lte")} == {"passed"}
    assert {name: outcome for name, outcome in outcomes.items() if not name.startswith("lte")} == {
        "subtract 0": "passed", "subtract 1": "failed", "clip 0": "passed", "array_append 0": "disputed",
        "text_find 0": "not listed", "mask 0": "without its file",
    }  # fmt: skip


B01_B02 = Labelled([4, 5], ("B01", "B02"))


@pytest.mark.parametrize(
    ("process_id", "arguments", "expected"),
    [
        ("array_append", {"data": [], "value": 0}, [0]),
        ("array_element", {"data": B01_B02, "label": "B02"}, 5),
        ("array_find", {"data": B01_B02, "value": 4}, 0),
        ("array_modify", {"data": ["a", "b", None, "c"], "values": [], "index": 2}, ["a", "b", None, "c"]),
        ("lte", {"x": float("inf"), "y": float("inf")}, True),
        ("mod", {"x": 27, "y": -5}, -3),
        ("mod", {"x": 2, "y": float("-inf")}, float("-inf")),
        ("product", {"data": [1, float("-inf"), 3, float("inf")]}, float("-inf")),
    ],
)
def test_where_official_examples_err_the_specification_holds(
    process_id: str, arguments: dict[str, Any], expected: Any
) -> None:
    assert call(process_id, **arguments) == expected


def test_callbacks_get_the_parameters_that_the_specification_names() -> None:
    above = {"process_id": "gt", "arguments": {"x": {"from_parameter": "x"}, "y": 2}, "result": True}
    condition = {"process_graph": {"gt": above}}
    for process_id, expected in (("array_filter", [3, 4]), ("count", 2)):
        node = {"process_id": process_id, "arguments": {"data": [1, 2, 3, 4], "condition": condition}, "result": True}
        assert Executor({}).run({"n": node}) == expected
    with pytest.raises(OpenEOError, match="process graph"):
        call("count", data=[1], condition={"gt": above})


def test_elements_are_put_into_arrays_with_their_labels() -> None:
    more = Labelled([7], ("B03",))
    assert call("array_modify", data=B01_B02, values=more, index=1) == Labelled([4, 7, 5], ("B01", "B03", "B02"))
    assert call("array_modify", data=B01_B02, values=[], index=0, length=1) == Labelled([5], ("B02",))
    assert call("array_modify", data=B01_B02, values=[7], index=2) == [4, 5, 7]
    for values, index in ((B01_B02, 0), ([7], 3)):
        with pytest.raises(OpenEOError):
            call("array_modify", data=B01_B02, values=values, index=index)


def test_every_process_that_runs_is_listed_and_every_listed_one_runs() -> None:
    listed = {spec["id"] for spec in process_specs()}
    assert listed == {*common_processes(), "inspect", "load_collection", "save_result"}
    for spec in process_specs():
        if spec["id"] in common_processes():
            ours = inspect.signature(common_processes()[spec["id"]]).parameters
            for one in spec["parameters"]:
                default = ours[one["name"]].default
                told = one.get("default") if one.get("optional") else inspect.Parameter.empty
                assert default == told or (not default and told == []), (spec["id"], one["name"])
            required = {p["name"]: {"from_parameter": p["name"]} for p in spec["parameters"]}
            node = {"process_id": spec["id"], "arguments": required, "result": True}
            assert Executor({}).validate({"n": node}) == [], spec["id"]


@pytest.mark.parametrize(
    ("process_id", "arguments", "expected"),
    [
        ("int", {"x": -3.7}, -3),
        ("int", {"x": float("nan")}, None),
        ("order", {"data": [3, None, 1], "nodata": True}, [2, 0, 1]),
        ("order", {"data": [3, None, 1], "asc": False}, [0, 2]),
        ("sort", {"data": [3, None, 1], "nodata": False}, [None, 1, 3]),
        ("rearrange", {"data": [5, 4, 3], "order": [2, 0]}, [3, 5]),
        ("array_interpolate_linear", {"data": [None, 1, None, 3, None]}, [None, 1, 2, 3, None]),
        ("array_find_label", {"data": B01_B02, "label": "B02"}, 1),
        ("text_concat", {"data": ["a", 1, True, None], "separator": "-"}, "a-1-true-null"),
        ("text_begins", {"data": "NDVI", "pattern": "nd", "case_sensitive": False}, True),
        ("date_shift", {"date": "2024-01-31", "value": 1, "unit": "month"}, "2024-02-29"),
        ("date_shift", {"date": "2024-03-31T00:00:00+02:00", "value": -1, "unit": "day"}, "2024-03-30T00:00:00+02:00"),
        ("date_difference", {"date1": "2024-01-01", "date2": "2024-03-01", "unit": "month"}, 2),
        ("date_difference", {"date1": "2024-01-02", "date2": "2024-01-01", "unit": "day"}, -1),
        ("date_between", {"x": "2024-01-02", "min": "2024-01-01", "max": "2024-01-02", "exclude_max": True}, False),
    ],
)
def test_single_values(process_id: str, arguments: dict[str, Any], expected: Any) -> None:
    assert call(process_id, **arguments) == expected


def test_order_and_filling_work_on_every_pixel_by_itself() -> None:
    block = np.array([[3.0, np.nan], [np.nan, 1.0], [1.0, 5.0]], np.float32)
    np.testing.assert_array_equal(call("sort", data=block), [[1, 1], [3, 5], [np.nan, np.nan]])
    np.testing.assert_array_equal(call("sort", data=block, asc=False, nodata=False)[0], [np.nan, np.nan])
    np.testing.assert_array_equal(call("array_interpolate_linear", data=block)[:, 0], [3, 2, 1])
    labelled = Labelled(block, ("2024-01-01", "2024-01-02", "2024-01-05"))
    filled = call("array_interpolate_linear", data=labelled)
    np.testing.assert_allclose(filled.values[:, 0], [3, 2.5, 1])


def test_dates_that_are_none_are_refused() -> None:
    for arguments in ({"date": "soon", "value": 1}, {"date": "2024-01-01", "value": 10**9}):
        with pytest.raises(OpenEOError):
            call("date_shift", unit="year", **arguments)


def test_no_data_in_truth_values_stays_three_valued() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        block = np.array([1.0, 3.0, np.nan], np.float32)
        above = {"process_id": "gt", "arguments": {"x": {"from_parameter": "x"}, "y": 2}}
        wet = {"process_id": "eq", "arguments": {"x": {"from_parameter": "x"}, "y": 3}}
        both = {"process_id": "and", "arguments": {"x": {"from_node": "above"}, "y": {"from_node": "wet"}}}
        graph = {"above": above, "wet": wet, "both": both}
        count = {"process_id": "add", "arguments": {"x": {"from_node": "both"}, "y": 1}, "result": True}
        result = Executor({}).run({**graph, "count": count}, {"x": block})
        np.testing.assert_array_equal(result, [1, 2, np.nan])
        chosen = {"process_id": "if", "arguments": {"value": {"from_node": "both"}, "accept": 7}, "result": True}
        np.testing.assert_array_equal(Executor({}).run({**graph, "c": chosen}, {"x": block}), [np.nan, 7, np.nan])
