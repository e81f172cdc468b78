"""The hub on a Dask cluster of two worker processes: the same pixels, cancelled, and without workers."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openeo
import pytest
import rasterio
from affine import Affine
from distributed import LocalCluster

from tools.hub.add import add_files
from tools.hub.cluster import Cluster
from tools.hub.limits import Limits
from tools.hub.openeo_errors import JobCanceled, OpenEOError
from tools.hub.server import running_hub
from tools.hub.watch import Run

SIZE = 300


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as made:
        yield made


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    for day in range(1, 4):
        for number, band in enumerate(("B04", "B08")):
            file = folder / f"s2_{band}_2024060{day}.tif"
            values = np.random.default_rng(10 * day + number).integers(1, 9000, (SIZE, SIZE)).astype("uint16")
            grid: Any = {"crs": "EPSG:32630", "transform": Affine(10, 0, 600_000, 0, -10, 5_330_000), "nodata": 0}
            size: Any = {"driver": "GTiff", "width": SIZE, "height": SIZE, "count": 1, "dtype": "uint16"}
            with rasterio.open(file, "w", **size, **grid) as raster:
                raster.write(values, 1)
        files = sorted(folder.glob(f"*_2024060{day}.tif"))
        add_files(folder / "archive", files, collection_id="s2", datetime=f"2024-06-0{day}")
    return folder / "archive"


def pixels(hub: Path, folder: Path, limits: Limits) -> Any:
    with running_hub(hub, limits=limits) as url:
        cube = openeo.connect(f"{url}/openeo").load_collection("s2", bands=["B04", "B08"])
        ratio = cube.reduce_dimension(dimension="bands", reducer=lambda b: (b[1] - b[0]) / (b[1] + b[0]))
        ratio.reduce_dimension(dimension="t", reducer="median").download(folder / "made.tif", format="GTiff")
    with rasterio.open(folder / "made.tif") as raster:
        return raster.read(1)


def test_a_cluster_gives_the_pixels_of_this_machine(hub: Path, tmp_path: Path, cluster: LocalCluster) -> None:
    little = 24 * SIZE * 50 * 6 * (os.cpu_count() or 1)  # several blocks
    here = pixels(hub, tmp_path, Limits(memory_bytes=little))
    before = cluster.scheduler.transition_counter
    there = pixels(hub, tmp_path, Limits(memory_bytes=little, dask_scheduler=cluster.scheduler_address))
    np.testing.assert_array_equal(here, there)
    assert np.ptp(here) > 1
    assert cluster.scheduler.transition_counter > before


def test_an_error_on_a_worker_is_the_error_here(hub: Path, cluster: LocalCluster) -> None:
    import dask.array
    import xarray as xr

    def refuse(_: Any) -> Any:
        raise OpenEOError("ProcessParameterInvalid", "Not this one.", "Take another.")

    lazy = xr.DataArray(dask.array.ones(4, chunks=2).map_blocks(refuse, dtype=float, meta=np.empty(0)))
    with pytest.raises(OpenEOError, match=r"Not this one\. Take another\."):
        Cluster(cluster.scheduler_address).compute(lazy, Run())


def test_a_cancelled_run_is_given_up(cluster: LocalCluster) -> None:
    import dask.array
    import xarray as xr

    def linger(block: Any) -> Any:
        time.sleep(0.2)
        return block

    lazy = xr.DataArray(dask.array.ones(600, chunks=1).map_blocks(linger, dtype=float, meta=np.empty(0)))
    asked = threading.Event()
    threading.Timer(0.5, asked.set).start()
    with pytest.raises(JobCanceled):
        Cluster(cluster.scheduler_address).compute(lazy, Run(cancelled=asked.is_set))


def test_a_cluster_that_is_not_there_is_told(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.hub.cluster._CONNECT_S", 0.5)
    graph = {
        "load": {"process_id": "load_collection", "arguments": {"id": "s2", "spatial_extent": None,
                                                                "temporal_extent": None}},
        "save": {"process_id": "save_result", "arguments": {"data": {"from_node": "load"}, "format": "netCDF"},
                 "result": True},
    }  # fmt: skip
    with running_hub(hub, limits=Limits(dask_scheduler="tcp://127.0.0.1:1")) as url:
        reply = httpx.post(f"{url}/openeo/result", json={"process": {"process_graph": graph}}, timeout=60)
    assert reply.status_code == 503
    assert "unset CLMS_DASK_SCHEDULER" in reply.json()["message"]
