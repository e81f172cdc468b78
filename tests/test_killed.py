"""`clms-assistant ask` killed in the middle: the next takes up what was open; all lies in the data folder."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from knowledge.ingest import build_index
from tools.hub.add import add_files
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
    with closing(sqlite3.connect(data / "hub" / "jobs" / "jobs.sqlite", timeout=10)) as database:
        return dict(database.execute("SELECT id, status FROM jobs").fetchall())


def ask(data: Path, home: Path) -> "subprocess.Popen[str]":
    settings = {
        "CLMS_DATA_DIR": str(data), "CLMS_EMBEDDING_MODEL": "none", "CLMS_OPENEO_MAPPING": str(data / "small.yaml"),
        "CLMS_DEMO": "false", "HOME": str(home),
    }  # fmt: skip
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "ui.cli", "ask", QUESTION], env=inherited | settings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_ask_is_taken_up_where_it_was_and_nothing_is_written_outside_the_data_folder(tmp_path: Path) -> None:
    data, home = tmp_path / "data", tmp_path / "home"
    data.mkdir()
    home.mkdir()
    fill(data)
    (data / "small.yaml").write_text(MAPPING)
    build_index(data / "index", embedding_model="none")
    lock = take_lock(data / "hub" / "jobs" / "worker.sqlite")  # keeps the job from running
    assert lock is not None
    with closing(lock), ask(data, home) as first:
        assert first.stderr is not None
        assert any("queued" in line for line in first.stderr)
        first.kill()
    assert list(jobs(data).values()) == ["queued"]
    (job_id,) = jobs(data)
    with ask(data, home) as second:
        answer, told = second.communicate(timeout=120)
    assert f"Found the batch job {job_id} again" in told
    assert "mean NDVI" in answer
    assert "Files:" in answer
    assert jobs(data) == {}  # they were needed only until the run had ended
    assert list((data / "artifacts" / "runs").glob("*.jobs")) == []
    assert list(home.rglob("*")) == []
    assert (data / "matplotlib").exists()
