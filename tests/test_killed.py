"""`clms-assistant ask` killed in the middle: what was finished stays, what was open is taken up by the next one."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from knowledge.ingest import build_index
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.locks import take_lock

MAPPING = "id: small\ntitle: a hub where all runs are jobs\nsame_as_stac: true\nlogin: none\nsync_max_values: 1\n"
QUESTION = "NDVI map of 1 km around Rennes in June 2025"


def fill(data: Path) -> None:
    for day in ("2025-06-04", "2025-06-14"):
        files = []
        for name, seed in (("B04", 1), ("B08", 2), ("SCL", 3)):
            path = data / f"{day}_{name}.tif"
            stored = np.random.default_rng(seed).integers(1100, 6000, (600, 600)).astype("uint16")
            with rasterio.open(
                path, "w", driver="GTiff", width=600, height=600, count=1, dtype="uint16", nodata=0,
                crs="EPSG:32630", transform=Affine(10, 0, 594_000, 0, -10, 5_333_000),
            ) as target:  # fmt: skip
                target.write(np.full_like(stored, 4) if name == "SCL" else stored, 1)
            files.append(path)
        add_files(data / "hub", files, collection_id="s2", datetime=day, scale=0.0001, offset=-0.1)


def jobs(data: Path) -> dict[str, str]:
    path = data / "hub" / "jobs" / "jobs.sqlite"
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path, timeout=10)) as database:
            return dict(database.execute("SELECT id, status FROM jobs").fetchall())
    except sqlite3.OperationalError:  # the tables are being made
        return {}


def ask(data: Path) -> "subprocess.Popen[str]":
    settings = {
        "CLMS_DATA_DIR": str(data), "CLMS_EMBEDDING_MODEL": "none", "CLMS_OPENEO_MAPPING": str(data / "small.yaml"),
        "CLMS_DEMO": "false",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "ui.cli", "ask", QUESTION], env={**os.environ, **settings}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_ask_is_taken_up_where_it_was(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "small.yaml").write_text(MAPPING)
    build_index(tmp_path / "index", embedding_model="none")
    lock = take_lock(tmp_path / "hub" / "jobs" / "worker.sqlite")  # keeps the job from running
    assert lock is not None
    with closing(lock), ask(tmp_path) as first:
        wait_for(lambda: "queued" in jobs(tmp_path).values() or first.poll() is not None)
        first.kill()
        first.communicate()
    (job_id,) = jobs(tmp_path)
    with running_hub(tmp_path / "hub"):
        wait_for(lambda: jobs(tmp_path)[job_id] == "finished")
    with ask(tmp_path) as second:
        answer, told = second.communicate(timeout=120)
    assert f"Found the batch job {job_id} again: finished" in told
    assert "mean NDVI" in answer
    assert jobs(tmp_path) == {}  # they were needed only until the run had ended
    assert list((tmp_path / "artifacts" / "runs").glob("*.jobs")) == []
