"""Files of a user in the hub: pixels unchanged, dates and bands read from the file, clear refusals."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from knowledge.errors import ClmsError
from tools.hub.add import add_files
from tools.hub.archive import Archive


def write_tif(path: Path, values: np.ndarray, *, crs: str | None = "EPSG:32630", size: float = 10.0) -> Path:
    layers = values if values.ndim == 3 else values[np.newaxis]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=layers.shape[1],
        width=layers.shape[2],
        count=layers.shape[0],
        dtype=layers.dtype,
        crs=crs,
        transform=Affine(size, 0, 600_000, 0, -size, 5_330_000),
        nodata=255,
    ) as file:
        file.write(layers)
    return path


def test_a_geotiff_keeps_its_pixels_and_is_not_called_synthetic(tmp_path: Path) -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    file = write_tif(tmp_path / "TCD_2018_010m.tif", values)
    report = add_files(tmp_path / "hub", [file], collection_id="trees", datetime="2018/2019")
    assert report.bands == ("TCD",)
    archive = Archive(tmp_path / "hub")
    (item,) = archive.items("trees")
    assert item["properties"]["clms:synthetic"] is False
    assert item["properties"]["start_datetime"] == "2018-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2019-12-31T23:59:59Z"
    with rasterio.open(archive.asset_path(item, "TCD")) as stored:
        assert np.array_equal(stored.read(1), values)
        assert stored.nodata == 255
        assert stored.transform == Affine(10, 0, 600_000, 0, -10, 5_330_000)


def test_sentinel_band_names_give_common_names_and_cloud_cover(tmp_path: Path) -> None:
    red = write_tif(tmp_path / "scene_B04_10m.tif", np.full((4, 4), 700, dtype=np.uint16))
    classes = write_tif(tmp_path / "scene_SCL_20m.tif", np.array([[4, 9], [4, 4]], dtype=np.uint8), size=20.0)
    report = add_files(
        tmp_path / "hub", [red, classes], collection_id="s2", datetime="2019-05-02", scale=0.0001, offset=-0.1
    )
    assert report.bands == ("B04", "SCL")
    assert "B04" in report.notes[0]
    archive = Archive(tmp_path / "hub")
    collection = archive.collection("s2")
    assert collection is not None
    red_band, classes_band = collection["summaries"]["bands"]
    assert (red_band["common_name"], red_band["scale"], red_band["offset"]) == ("red", 0.0001, -0.1)
    assert (classes_band["clms:role"], classes_band["scale"]) == ("scl", 1.0)
    assert archive.items("s2")[0]["properties"]["eo:cloud_cover"] == 25.0


def test_adding_twice_replaces_and_a_new_date_joins(tmp_path: Path) -> None:
    file = write_tif(tmp_path / "TCD.tif", np.zeros((4, 4), dtype=np.uint8))
    for year in ("2018", "2018", "2021"):
        add_files(tmp_path / "hub", [file], collection_id="trees", datetime=year)
    archive = Archive(tmp_path / "hub")
    assert len(archive.items("trees")) == 2
    collection = archive.collection("trees")
    assert collection is not None
    assert collection["extent"]["temporal"]["interval"] == [["2018-01-01T00:00:00Z", "2021-12-31T23:59:59Z"]]


def test_a_band_added_later_joins_the_others_of_its_date(tmp_path: Path) -> None:
    for name, value in (("B04", 7), ("B08", 9), ("B04", 8)):
        file = write_tif(tmp_path / f"{name}.tif", np.full((4, 4), value, dtype=np.uint16))
        add_files(tmp_path / "hub", [file], collection_id="s2", datetime="2019-05-02")
    archive = Archive(tmp_path / "hub")
    (item,) = archive.items("s2")
    for name, value in (("B04", 8), ("B08", 9)):
        with rasterio.open(archive.asset_path(item, name)) as stored:
            assert (stored.read(1) == value).all()
    assert len(list((tmp_path / "hub").rglob("*.tif"))) == 2  # the file that was replaced is gone


ADDING = """
import sys
from pathlib import Path
from tools.hub.add import add_files
add_files(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]], collection_id="many", datetime="2018")
"""


def test_a_killed_add_leaves_nothing_and_the_next_one_is_whole(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    pixels = np.random.default_rng(1).integers(0, 250, (256, 256), dtype=np.uint8)
    files = [write_tif(tmp_path / f"band{number}.tif", pixels) for number in range(30)]
    child = subprocess.Popen([sys.executable, "-c", ADDING, str(hub), *map(str, files)])
    while child.poll() is None and len(list(hub.glob("many/add-*/*/*.tif"))) < 3:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    archive = Archive(hub)
    assert archive.collections() == []
    assert archive.items("many") == []
    report = add_files(hub, files, collection_id="many", datetime="2018")
    (item,) = archive.items("many")
    assert len(item["assets"]) == len(report.bands) == 30
    assert len(list(hub.rglob("*.tif"))) == 30  # what the killed process left is gone


FILLING = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n" + ADDING


def test_a_full_disk_is_told_and_nothing_is_added(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    Archive(hub)
    pixels = np.random.default_rng(1).integers(0, 250, (256, 256), dtype=np.uint8)
    file = write_tif(tmp_path / "noise.tif", pixels)
    command = [sys.executable, "-c", FILLING, str(hub), str(file)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "StorageError: The files could not be written into the hub" in child.stderr
    assert Archive(hub).collections() == []
    assert list(hub.rglob("*.tif")) == []


def write_netcdf(path: Path) -> Path:
    """Write a CF file of two dates through GDAL's own multidimensional translation of a stack."""
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("scipy")
    data = xarray.Dataset(
        {
            "B08": (("t", "y", "x"), np.arange(18, dtype=np.float32).reshape(2, 3, 3), {"grid_mapping": "crs"}),
            "crs": ((), np.int32(0), {"crs_wkt": rasterio.CRS.from_epsg(32630).to_wkt()}),
        },
        coords={
            "t": ("t", np.array([10713.0, 10718.0]), {"units": "days since 1990-01-01", "standard_name": "time"}),
            "y": ("y", [5_000_025.0, 5_000_015.0, 5_000_005.0], {"standard_name": "projection_y_coordinate"}),
            "x": ("x", [600_005.0, 600_015.0, 600_025.0], {"standard_name": "projection_x_coordinate"}),
        },
        attrs={"Conventions": "CF-1.9"},
    )
    data.to_netcdf(path, engine="scipy")
    return path


def test_a_netcdf_becomes_one_item_for_each_date(tmp_path: Path) -> None:
    file = write_netcdf(tmp_path / "series.nc")
    report = add_files(tmp_path / "hub", [file], collection_id="series", datetime=None)
    assert report.bands == ("B08",)
    archive = Archive(tmp_path / "hub")
    items = archive.items("series")
    assert [item["properties"]["datetime"] for item in items] == ["2019-05-02T00:00:00Z", "2019-05-07T00:00:00Z"]
    with rasterio.open(archive.asset_path(items[1], "B08")) as stored:
        assert np.array_equal(stored.read(1), np.arange(9, 18, dtype=np.float32).reshape(3, 3))


def test_what_cannot_be_added_is_refused_with_a_reason(tmp_path: Path) -> None:
    values = np.zeros((4, 4), dtype=np.uint8)
    good = write_tif(tmp_path / "TCD.tif", values)
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"not a raster")
    lost = write_tif(tmp_path / "lost.tif", values, crs=None)
    for file, when, said in (
        (broken, "2018", "cannot be read"),
        (tmp_path / "absent.tif", "2018", "no file"),
        (lost, "2018", "coordinate reference system"),
        (good, None, "what time"),
        (good, "yesterday", "not a date"),
        (good, "2019-05-02/2018-05-02", "not a period"),
    ):
        with pytest.raises(ClmsError, match=said) as caught:
            add_files(tmp_path / "hub", [file], collection_id="mine", datetime=when)
        assert caught.value.hint
    with pytest.raises(ClmsError, match="cannot name"):
        add_files(tmp_path / "hub", [good], collection_id="../out", datetime="2018")
    assert Archive(tmp_path / "hub").collections() == []
