"""`hub sync` against a real HTTP server: windows only, exact values, resumed, limited, own files untouched."""

import hashlib
import json
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.servers.cog import Source
from tests.sync.helpers import (
    DAYS,
    NEIGHBOUR,
    NODATA,
    OPEN,
    PLACE,
    Patience,
    copies_in,
    new_scene,
    planned,
    request_for,
    synced,
    write_cog,
)
from tools.errors import NoScenes, ToolInputError
from tools.hub.add import add_files
from tools.hub.archive import Archive
from tools.hub.copies import Copies
from tools.hub.http_ranges import RangeClient
from tools.hub.new_files import StorageError
from tools.hub.remote_cog import PixelWindow, open_remote
from tools.hub.server import running_hub
from tools.hub.sync import run_sync
from tools.hub.sync_plan import plan_sync
from tools.places import resolve_place
from tools.stac import StacService


def test_only_the_window_is_read_and_its_pixels_are_those_of_the_source(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    report = synced(source, hub, bands=("B04",))
    assert (report.copied, report.files, report.failures) == (3, 3, ())
    whole = sum((source.folder / f"{item['id']}_B04.tif").stat().st_size for item in source.items)
    assert source.sent_bytes() < whole / 2
    archive = Archive(hub)
    for item in archive.items("s2"):
        assert set(item["assets"]) == {"red"}
        with rasterio.open(archive.asset_path(item, "red")) as copy:
            assert (copy.crs.to_epsg(), copy.nodata, copy.dtypes[0]) == (32622, NODATA, "uint16")
            assert 110 < copy.width < 116
            with rasterio.open(source.folder / f"{item['id']}_B04.tif") as original:
                window = original.window(*copy.bounds)
                assert window.col_off == round(window.col_off, 6)
                np.testing.assert_array_equal(copy.read(1), original.read(1, window=window))


def test_the_item_keeps_what_the_source_says_and_where_it_came_from(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    synced(source, hub, bands=("red", "SCL"))
    archive = Archive(hub)
    item = archive.items("s2")[0]
    red = item["assets"]["red"]
    assert red["raster:bands"][0] | {"scale": 0.0001, "offset": -0.1, "nodata": 0} == red["raster:bands"][0]
    assert item["properties"]["eo:cloud_cover"] == 12.5
    path = archive.asset_path(item, "red")
    assert red["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert red["file:size"] == path.stat().st_size
    collection = archive.collection("s2")
    assert collection is not None
    assert collection["license"] == "CC-BY-4.0"
    assert "\x1b" not in json.dumps(collection, ensure_ascii=False)
    described = {band["name"]: band for band in collection["summaries"]["bands"]}
    assert "scale" not in described["scl"]
    assert described["scl"]["clms:role"] == "scl"
    with running_hub(hub) as url:
        import httpx

        served = httpx.get(f"{url}/stac/collections/s2/items/{item['id']}").json()
    links = {link["rel"]: link["href"] for link in served["links"]}
    assert links["via"] == f"{source.base_url}/stac/collections/s2/items/{item['id']}"
    assert links["license"] == "https://example.org/licence"


def test_a_computation_on_the_hub_gives_the_numbers_of_the_source(source: Source, tmp_path: Path) -> None:
    import openeo

    hub = tmp_path / "hub"
    synced(source, hub, bands=("B04", "B08"))
    box = dict(zip(("west", "south", "east", "north"), resolve_place(PLACE).bbox, strict=True))
    with running_hub(hub) as url:
        connection = openeo.connect(f"{url}/openeo")
        cube = connection.load_collection("s2", box, ["2025-03-01", "2025-04-01"], ["red", "nir"])
        cube.ndvi(red="red", nir="nir").reduce_dimension("t", "median").download(tmp_path / "n.tif", format="GTiff")
    with rasterio.open(tmp_path / "n.tif") as made:
        found, bounds = made.read(1), made.bounds
    layers = []
    for item in source.items:
        bands = []
        for name in ("B04", "B08"):
            with rasterio.open(source.folder / f"{item['id']}_{name}.tif") as original:
                values = original.read(1, window=original.window(*bounds)).astype("float32")
                bands.append(np.where(values == NODATA, np.nan, values))
        layers.append((bands[1] - bands[0]) / (bands[1] + bands[0]))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pixels without a value on any date
        expected = np.nanmedian(np.array(layers), axis=0)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_second_run_reads_no_pixel_and_says_nothing_new(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    synced(source, hub)
    source.ranges.clear()
    plan, client = planned(source, hub)
    assert (plan.files, plan.transfer_bytes) == (0, 0)
    report = run_sync(Archive(hub), client, plan)
    assert (report.copied, report.kept) == (0, 3)
    assert source.ranges == []


def test_more_bands_and_a_neighbouring_place_join_what_is_there(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    synced(source, hub, bands=("red",))
    synced(source, hub, bands=("nir",), place=NEIGHBOUR)
    synced(source, hub, bands=("red",), place=NEIGHBOUR)
    archive = Archive(hub)
    item = archive.items("s2")[0]
    assert set(item["assets"]) == {"red", "nir"}
    for box in (PLACE, NEIGHBOUR):
        plan, _ = planned(source, hub, bands=("red",), place=box)
        assert plan.files == 0
    with rasterio.open(archive.asset_path(item, "red")) as copy:
        assert 165 < copy.width < 172
    assert len(copies_in(hub)) == 6  # what a larger window replaced is gone


def test_all_pages_are_read_and_versions_of_a_scene_are_one(source: Source, tmp_path: Path) -> None:
    older = new_scene(source, "2025-03-21", item_id="older", **{"s2:processing_baseline": "05.10"})
    source.items += [older, new_scene(source, "2025-03-31", **{"eo:cloud_cover": 80.0}), source.items[0]]
    plan, _ = planned(source, tmp_path / "hub", bands=("red",), max_cloud_percent=60)
    assert source.searches == 3
    assert [one.item["properties"]["datetime"][:10] for one in plan.items] == list(reversed(DAYS))
    assert "older" not in {one.item["id"] for one in plan.items}
    assert any("cloud cover above 60 %" in note for note in plan.notes)


def test_numbers_stored_otherwise_are_left_out_and_an_applied_offset_counts_no_more(
    source: Source, tmp_path: Path
) -> None:
    source.collections[0]["item_assets"]["red"]["raster:bands"][0]["offset"] = 0
    source.items[0]["properties"]["earthsearch:boa_offset_applied"] = True
    plan, client = planned(source, tmp_path / "hub", bands=("red",))
    assert [one.item["id"] for one in plan.items] == [source.items[0]["id"]]
    assert any("another scale or offset" in note for note in plan.notes)
    run_sync(Archive(tmp_path / "hub"), client, plan)
    item = Archive(tmp_path / "hub").items("s2")[0]
    assert item["assets"]["red"]["raster:bands"][0]["offset"] == 0


def test_the_estimate_is_near_what_is_read(source: Source, tmp_path: Path) -> None:
    plan, client = planned(source, tmp_path / "hub")
    report = run_sync(Archive(tmp_path / "hub"), client, plan)
    assert plan.files == report.files == 9
    assert 0.8 < plan.transfer_bytes / report.received_bytes < 1.25
    assert 0.5 < plan.new_bytes / report.stored_bytes < 1.5


def test_the_bandwidth_is_kept(source: Source, tmp_path: Path) -> None:
    patience = Patience()
    plan, client = planned(source, tmp_path / "hub", bands=("red",), patience=patience, rate=100)
    run_sync(Archive(tmp_path / "hub"), client, plan)
    assert sum(patience.waits) == pytest.approx(client.received / 100_000, rel=0.01)


def test_what_was_not_used_for_longest_goes_first_and_own_files_stay(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    own = tmp_path / "own_B04.tif"
    write_cog(own, np.ones((64, 64), "uint16"), 10)
    add_files(hub, [own], collection_id="own", datetime="2020-01-01")
    synced(source, hub, bands=("red",), name="first")
    archive = Archive(hub)
    kept = archive.items("first")[1]
    for path in hub.glob("first/copies/*/*.tif"):
        os.utime(path, (1, 1))
    archive.asset_path(kept, "red")  # a use
    size = Copies(hub).total_bytes()
    plan, client = planned(source, hub, bands=("nir",), max_bytes=round(size * 1.4), name="second")
    assert {one.item for one in plan.evicted} == {item["id"] for item in archive.items("first")} - {kept["id"]}
    report = run_sync(archive, client, plan)
    assert report.copied == 3
    assert [item["id"] for item in archive.items("first")] == [kept["id"]]
    assert Copies(hub).total_bytes() <= size * 1.4
    assert len(archive.items("own")) == 1
    assert archive.asset_path(archive.items("own")[0], "B04").is_file()


def test_a_limit_too_small_for_the_request_keeps_the_newest(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    synced(source, tmp_path / "probe", bands=("red",))
    one = Copies(tmp_path / "probe").total_bytes() // 3
    plan, client = planned(source, hub, bands=("red",), max_bytes=round(one * 2.5))
    assert plan.over_bytes > 0
    report = run_sync(Archive(hub), client, plan)
    assert "limit" in report.stopped
    assert [item["properties"]["datetime"][:10] for item in Archive(hub).items("s2")] == list(DAYS[1:])
    assert len(copies_in(hub)) == 2


def test_a_collection_of_the_users_own_is_never_written_to(source: Source, tmp_path: Path) -> None:
    hub, own = tmp_path / "hub", tmp_path / "own_B04.tif"
    write_cog(own, np.ones((64, 64), "uint16"), 10)
    add_files(hub, [own], collection_id="s2", datetime="2020-01-01")
    with pytest.raises(ToolInputError, match="not a copy"):
        planned(source, hub)
    synced(source, hub, bands=("red",), name="copy")
    with pytest.raises(ToolInputError, match="is a copy"):
        add_files(hub, [own], collection_id="copy", datetime="2020-01-01")


def test_a_band_or_collection_that_is_not_there_is_named(source: Source, tmp_path: Path) -> None:
    with pytest.raises(NoScenes, match=r"'B99'.*nir, red, scl"):
        planned(source, tmp_path / "hub", bands=("B99",))
    with pytest.raises(ToolInputError, match="Did you mean s2"):
        planned(source, tmp_path / "hub", collection_id="s22")
    with pytest.raises(ToolInputError, match="--as"):
        planned(source, tmp_path / "hub", name="../out")


def test_scenes_beside_the_outline_of_the_place_are_left_out(source: Source, tmp_path: Path) -> None:
    outline = source.items[0]["geometry"]["coordinates"][0]
    source.items[0]["geometry"]["coordinates"] = [[[x - 5, y] for x, y in outline]]  # its box still touches
    place = resolve_place(PLACE)
    west, south, east, north = place.bbox
    corner = {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, south]]]}
    service = StacService(f"{source.base_url}/stac", timeout_s=5)
    client = RangeClient(frozenset({source.host}))
    OPEN.append(client)
    request = replace(request_for(bands=("red",)), place=place.model_copy(update={"geometry": corner}))
    plan = plan_sync(Archive(tmp_path / "hub"), service, client, frozenset({source.host}), request)
    assert len(plan.items) == 2
    assert any("1 scene left out: outside" in note for note in plan.notes)


def test_one_sync_at_a_time(source: Source, tmp_path: Path) -> None:
    plan, client = planned(source, tmp_path / "hub", bands=("red",))
    with Copies(tmp_path / "hub").alone(), pytest.raises(StorageError, match="Another sync"):
        run_sync(Archive(tmp_path / "hub"), client, plan)


def test_a_file_that_unpacks_to_very_much_is_copied_in_small_parts(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut rows of tiles, joined or shorter than a row, and compare pixel by pixel."""
    values = np.random.default_rng(1).integers(0, 2, (700, 900)).astype("float64")
    write_cog(source.folder / "odd.tif", values, 10, driver="GTiff", tiled=True, blockxsize=128, blockysize=128,
           blocksize=None, level=None)  # fmt: skip
    client = RangeClient(frozenset({source.host}))
    OPEN.append(client)
    window = PixelWindow(100, 60, 777, 611)
    for limit in (64_000_000, 8 * 128 * 900 * 2, 8 * 128 * 300, 1):
        monkeypatch.setattr("tools.hub.remote_cog.DECODED_BYTES", limit)
        with open_remote(client, source.url("odd.tif")) as cog:
            sizes = [part.pixels * 8 for part, _ in cog._batches(window)]
            cog.save(window, tmp_path / "part.tif")
        assert max(sizes) <= max(limit, 8 * 128 * 128)
        assert sum(sizes) == window.pixels * 8
        with rasterio.open(tmp_path / "part.tif") as made:
            assert (made.read(1) == values[60:671, 100:877]).all()
