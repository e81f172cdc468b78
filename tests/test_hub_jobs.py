"""Batch jobs of the hub in a process of its own: killed, started again, cancelled, followed, on a full disk."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openeo
import pytest
import rasterio
from affine import Affine

from tools.hub.add import add_files
from tools.hub.jobs import MAX_ATTEMPTS, Jobs
from tools.hub.limits import Limits
from tools.hub.openeo_errors import OpenEOError
from tools.hub.server import running_hub

WEST, NORTH, SIZE = 600_000.0, 5_330_000.0, 300
SERVING = """
import resource, sys, uvicorn
from pathlib import Path
from tools.hub.app import create_hub
if int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
uvicorn.run(create_hub(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="critical")
"""


@contextmanager
def hub_process(hub: Path, *, largest_file: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a hub in a process that can be killed; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen([sys.executable, "-c", SERVING, str(hub), str(port), str(largest_file)])
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url))
        yield url, child
    finally:
        child.kill()
        child.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openeo/conformance").is_success
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub with three dates of one band."""
    folder = tmp_path_factory.mktemp("jobs")
    for month in (5, 6, 7):
        path = folder / "red.tif"
        with rasterio.open(path, "w", driver="GTiff", height=SIZE, width=SIZE, count=1, dtype="float32",
                           crs="EPSG:32630", transform=Affine(10, 0, WEST, 0, -10, NORTH)) as raster:  # fmt: skip
            pixels = np.random.default_rng(month).normal(month, 1, (SIZE, SIZE))
            raster.write(pixels.astype(np.float32), 1)
        add_files(folder / "hub", [path], collection_id="s2", datetime=f"2024-0{month}-15")
    return folder / "hub"


def connect(url: str) -> openeo.Connection:
    return openeo.connect(f"{url}/openeo")


def quick_job(connection: openeo.Connection) -> openeo.BatchJob:
    return connection.load_collection("s2").max_time().create_job(out_format="GTiff")


def slow_job(connection: openeo.Connection) -> openeo.BatchJob:
    """Weigh 41 x 41 neighbours of every pixel: some seconds of honest work."""
    smooth = connection.load_collection("s2").apply_kernel(np.ones((41, 41)) / 41**2, border="replicate")
    return smooth.create_job(out_format="netCDF")


def messages(job: openeo.BatchJob) -> list[str]:
    return [entry["message"] for entry in job.logs()]


def test_a_killed_hub_keeps_finished_jobs_and_starts_open_ones_again(hub: Path, tmp_path: Path) -> None:
    with hub_process(hub) as (url, child):
        connection = connect(url)
        quick, slow, waiting = quick_job(connection), slow_job(connection), quick_job(connection)
        quick.start_job()
        wait_for(lambda: quick.status() == "finished")
        before = httpx.get(f"{url}/openeo/jobs/{quick.job_id}/results/openEO.tif").content
        slow.start_job()
        waiting.start_job()
        wait_for(lambda: slow.status() == "running")
        child.send_signal(signal.SIGKILL)
        child.wait()
    with hub_process(hub) as (url, _):
        connection = connect(url)
        quick, slow, waiting = (connection.job(job.job_id) for job in (quick, slow, waiting))
        assert quick.status() == "finished"
        assert httpx.get(f"{url}/openeo/jobs/{quick.job_id}/results/openEO.tif").content == before
        wait_for(lambda: waiting.status() == "finished" and slow.status() == "finished")
        assert [path.name for path in slow.get_results().download_files(tmp_path, include_stac_metadata=False)] == [
            "openEO.nc"
        ]
        assert any("stopped while the job was running" in text for text in messages(slow))
        assert not any("stopped" in text for text in messages(quick))
    assert list((hub / "jobs").glob("*.part")) == []


def test_cancel_frees_the_worker_and_a_cancelled_job_starts_anew(hub: Path) -> None:
    with running_hub(hub) as url:
        connection = connect(url)
        slow, quick = slow_job(connection), quick_job(connection)
        slow.start_job()
        wait_for(lambda: slow.status() == "running")
        slow.stop_job()
        assert slow.status() == "canceled"
        quick.start_job()
        wait_for(lambda: quick.status() == "finished")
        assert slow.status() == "canceled"
        assert not (hub / "jobs" / slow.job_id).exists()
        slow.start_job()
        wait_for(lambda: slow.status() == "finished")
        assert messages(slow).count("Started.") == 2


def test_the_log_tells_what_a_job_did_and_why_it_failed(hub: Path) -> None:
    with running_hub(hub) as url:
        connection = connect(url)
        cube = connection.load_collection("s2").max_time()
        seen = cube.process("inspect", data=cube, message="the maximum", level="warning")
        told = seen.create_job(out_format="GTiff")
        failing = connection.load_collection("s2", temporal_extent=["2030-01-01", "2030-02-01"]).create_job()
        for job in (told, failing):
            job.start_job()
        wait_for(lambda: failing.status() == "error" and told.status() == "finished")
        warned = httpx.get(f"{url}/openeo/jobs/{told.job_id}/logs", params={"level": "warning"}).json()["logs"]
        assert [entry["message"] for entry in warned] == [f"User the maximum cube of 1 bands, {SIZE} y, {SIZE} x"]
        everything = told.logs()
        assert [entry["message"] for entry in everything][:2] == ["Queued.", "Started."]
        rest = httpx.get(f"{url}/openeo/jobs/{told.job_id}/logs", params={"offset": everything[0]["id"]}).json()
        assert len(rest["logs"]) == len(everything) - 1
        [error] = [entry for entry in failing.logs() if entry["level"] == "error"]
        assert "no data for the given extents" in error["message"]
        with pytest.raises(openeo.rest.OpenEoApiError, match="no data for the given extents"):
            failing.get_results().get_metadata(force=True)


ENDING = """
import os, sys, time
from pathlib import Path
from tools.hub.jobs import Jobs
jobs = Jobs(Path(sys.argv[1]), lambda *_: os._exit(7))
if not jobs.all():
    jobs.start(jobs.create({"process": {"process_graph": {}}}))
time.sleep(30)
"""


def test_a_job_that_ends_its_process_each_time_is_given_up(tmp_path: Path) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert subprocess.run([sys.executable, "-c", ENDING, str(tmp_path)], check=False).returncode == 7
    jobs = Jobs(tmp_path, lambda *_: tmp_path)
    wait_for(lambda: jobs.all()[0]["status"] == "error")
    with pytest.raises(OpenEOError, match=f"stopped {MAX_ATTEMPTS} times"):
        jobs.finished(jobs.all()[0]["id"])


def result(url: str, cube: openeo.DataCube) -> Any:
    body = {"process": {"process_graph": cube.save_result(format="netCDF").flat_graph()}}
    return httpx.post(f"{url}/openeo/result", json=body, timeout=60)


def test_limits_bound_what_a_request_loads(hub: Path) -> None:
    with running_hub(hub, limits=Limits(values=SIZE * SIZE * 2)) as url:
        reply = result(url, connect(url).load_collection("s2"))
        assert (reply.status_code, reply.json()["code"]) == (400, "ProcessGraphComplexity")
        assert f"{SIZE * SIZE * 3:,}" in reply.json()["message"]
        two = connect(url).load_collection("s2", temporal_extent=["2024-05-01", "2024-07-01"])
        assert result(url, two).is_success
    with running_hub(hub, limits=Limits(items=2)) as url:
        assert result(url, connect(url).load_collection("s2")).json()["code"] == "ProcessGraphComplexity"


def test_a_full_disk_is_an_openeo_error_and_nothing_stays(hub: Path) -> None:
    with hub_process(hub, largest_file=20_000) as (url, _):
        reply = result(url, connect(url).load_collection("s2"))
        assert reply.status_code == 500
        assert reply.json()["code"] == "StorageFailure"
        assert "disk is full" in reply.json()["message"]
    assert list((hub / ".tmp").iterdir()) == []


def finishing(tmp_path: Path) -> tuple[Jobs, str]:
    jobs = Jobs(tmp_path / "jobs", lambda _, folder, __: folder)
    first = jobs.create({"process": {"process_graph": {}}})
    jobs.start(first)
    wait_for(lambda: jobs.get(first)["status"] == "finished")
    return jobs, first


def test_a_folder_that_is_taken_away_ends_the_jobs_quietly(tmp_path: Path) -> None:
    others = set(threading.enumerate())
    finishing(tmp_path)
    [worker] = [thread for thread in set(threading.enumerate()) - others if thread.name == "openeo-jobs"]
    shutil.rmtree(tmp_path / "jobs")
    wait_for(lambda: not worker.is_alive())


def test_jobs_go_on_after_the_disk_failed_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.hub.jobs._RETRY_S", 0.1)
    jobs, first = finishing(tmp_path)
    database, aside = tmp_path / "jobs" / "jobs.sqlite", tmp_path / "aside"
    database.rename(aside)
    database.mkdir()
    time.sleep(1.5)  # the worker looks once a second
    database.rmdir()
    aside.rename(database)
    assert jobs.get(first)["status"] == "finished"
    second = jobs.create({"process": {"process_graph": {}}})
    jobs.start(second)
    wait_for(lambda: jobs.get(second)["status"] == "finished")
