"""The demo archive: marked as synthetic, complete, the same each time, and picked up where a killed run left off."""

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tools.hub.archive import Archive
from tools.hub.demo import BUILT, DISTRICTS, PARCELS, SCENES, TREES, demo_dates, ensure_demo

TODAY = date(2026, 9, 20)
ALL = {SCENES, TREES, BUILT, PARCELS, DISTRICTS}


@pytest.fixture(scope="module")
def hub_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    assert ensure_demo(folder, today=TODAY, size_px=64, dates=2)
    return folder


def test_twelve_dates_are_the_last_ones_of_the_season() -> None:
    dates = demo_dates(TODAY)
    assert len(dates) == 12
    assert dates[-1] == date(2026, 8, 15)
    assert dates == sorted(dates)
    assert demo_dates(date(2026, 8, 15), 1) == [date(2026, 7, 15)]


def test_every_collection_and_item_says_that_it_is_synthetic(hub_dir: Path) -> None:
    archive = Archive(hub_dir)
    assert {c["id"] for c in archive.collections()} == ALL
    for collection in archive.collections():
        assert collection["clms:synthetic"] is True
        assert "Synthetic demo data" in collection["title"]
        for item in archive.items(collection["id"]):
            assert item["properties"]["clms:synthetic"] is True
            assert "Synthetic demo data" in item["properties"]["title"]


def test_a_second_run_makes_nothing(hub_dir: Path) -> None:
    assert not ensure_demo(hub_dir, today=TODAY, size_px=64, dates=2)


def test_a_later_day_adds_only_the_new_dates(tmp_path: Path) -> None:
    ensure_demo(tmp_path, today=TODAY, size_px=32, dates=1)
    said: list[str] = []
    assert ensure_demo(tmp_path, today=date(2026, 10, 20), size_px=32, dates=1, on_progress=said.append)
    assert len(said) == 2
    assert len(Archive(tmp_path).items(SCENES)) == 4


def test_stored_values_follow_scale_offset_and_scene_classes(hub_dir: Path) -> None:
    archive = Archive(hub_dir)
    for item in archive.items(SCENES):
        read = {}
        for key in item["assets"]:
            with rasterio.open(archive.asset_path(item, key)) as file:
                read[key] = file.read(1)
        classes = read["SCL_20m"]
        assert set(np.unique(classes)) <= {3, 4, 5, 8, 9}
        assert item["properties"]["eo:cloud_cover"] == pytest.approx((classes >= 8).mean() * 100, abs=0.01)
        red, nir = (read[key] * 0.0001 - 0.1 for key in ("B04_10m", "B08_10m"))
        clear = np.kron(np.isin(classes, (4, 5)), np.ones((2, 2), dtype=bool))
        assert red[clear].min() > 0
        if clear.any():
            assert 0 < np.median(((nir - red) / (nir + red))[clear]) < 1


def test_parcels_differ_in_size_and_have_names(hub_dir: Path) -> None:
    archive = Archive(hub_dir)
    item = archive.items(PARCELS, bbox=(-2.0, 48.0, -1.5, 48.3))[0]
    parcels = json.loads(archive.asset_path(item, "data").read_text(encoding="utf-8"))["features"]
    assert 35 <= len(parcels) <= 45
    assert len({parcel["id"] for parcel in parcels}) == len({p["properties"]["name"] for p in parcels}) == len(parcels)
    assert min(parcel["properties"]["area_ha"] for parcel in parcels) < 0.02


def test_a_killed_run_is_taken_up_again(hub_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "hub"
    shutil.copytree(hub_dir, copy)
    for database in copy.glob("archive.sqlite*"):
        database.unlink()
    lost = next((copy / SCENES).iterdir())
    shutil.rmtree(lost)
    kept = {path: path.stat().st_mtime_ns for path in copy.rglob("*.tif")}
    assert ensure_demo(copy, today=TODAY, size_px=64, dates=2)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (lost / "B04_10m.tif").is_file()
    assert len(Archive(copy).items(SCENES)) == 4
    assert not list(copy.glob(".making-*"))
