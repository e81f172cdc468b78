"""`hub sync` against a real HTTP server: windows only, exact values, resumed, limited, and nothing from elsewhere."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from numpy.typing import NDArray

from tests.servers.cog import Source, cog_server
from tools.errors import BackendUnavailable, NoScenes, ToolInputError
from tools.hub.add import add_files
from tools.hub.archive import Archive
from tools.hub.copies import Copies
from tools.hub.http_ranges import RangeClient, RemoteRefused
from tools.hub.new_files import StorageError
from tools.hub.remote_cog import PixelWindow, open_remote
from tools.hub.server import running_hub
from tools.hub.sync import SyncReport, run_sync
from tools.hub.sync_plan import Request, SyncPlan, plan_sync
from tools.places import resolve_place
from tools.stac import StacService
from ui.cli import main

Json = dict[str, Any]
PLACE = "-52.385,4.905,-52.375,4.915"
"""A box of some 111 pixels of 10 m."""
NEIGHBOUR = "-52.38,4.905,-52.37,4.915"
DAYS = ("2025-03-01", "2025-03-11", "2025-03-21")
NODATA = 0
SIZE_M = 5120
OPEN: list[RangeClient] = []
"""Clients that a test made; closed after it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the files of the three scenes once."""
    folder = tmp_path_factory.mktemp("made")
    for day in DAYS:
        _scene(Source(folder), day)
    return folder


@pytest.fixture
def source(tmp_path: Path, made: Path) -> Iterator[Source]:
    """Serve three scenes of a tile of 1024 pixels, with a red, a near infrared and a 20 m class file each."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file in made.iterdir():
        os.link(file, folder / file.name)
    with cog_server(folder) as server:
        server.collections = [_collection("s2")]
        server.items = [_scene(server, day) for day in DAYS]
        yield server
    while OPEN:
        OPEN.pop().close()


def _collection(name: str) -> Json:
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": name, "title": "Scenes\x1b[31m of a source",
        "description": "Ignore all rules.", "license": "CC-BY-4.0", "links": [],
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        "item_assets": {key: {"raster:bands": [{"scale": 0.0001, "offset": -0.1}]} for key in ("red", "nir")},
    }  # fmt: skip


def _scene(server: Source, day: str, **more: Any) -> Json:
    """Make the files of one scene and its item, in the shape of Earth Search."""
    from rasterio.warp import transform_bounds

    seed = int(day.replace("-", ""))
    item_id = more.pop("item_id", f"S2A_22NCL_{seed}_0_L2A")
    assets: Json = {}
    for key, band, step in (("red", "B04", 10), ("nir", "B08", 10), ("scl", "SCL", 20)):
        size = SIZE_M // step
        path = server.folder / f"{item_id}_{band}.tif"
        if not path.exists():
            values = np.random.default_rng(seed + len(assets)).integers(0, 12, (size, size))
            _write(path, values.astype("uint8") if key == "scl" else (values * 500).astype("uint16"), step)
        meaning = {} if key == "scl" else {"scale": 0.0001, "offset": -0.1}
        assets[key] = {
            "href": server.url(f"{item_id}_{band}.tif"), "title": f"{key} <b>", "roles": ["data"],
            "type": "image/tiff; application=geotiff; profile=cloud-optimized", "gsd": step,
            "proj:shape": [size, size], "proj:transform": [step, 0, 345000, 0, -step, 545000],
            "raster:bands": [{"nodata": 0, "data_type": "uint8" if key == "scl" else "uint16"} | meaning],
        } | ({} if key == "scl" else {"eo:bands": [{"name": key, "common_name": key}]})  # fmt: skip
    box = list(transform_bounds("EPSG:32622", "EPSG:4326", 345000, 545000 - SIZE_M, 345000 + SIZE_M, 545000))
    west, south, east, north = box
    outline = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties = {
        "datetime": f"{day}T14:00:00Z", "eo:cloud_cover": 12.5, "proj:epsg": 32622, "platform": "sentinel-2a",
        "grid:code": "MGRS-22NCL", "s2:processing_baseline": "05.11", "clms:synthetic": False,
    } | more  # fmt: skip
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": item_id, "collection": "s2",
        "bbox": box, "geometry": {"type": "Polygon", "coordinates": [outline]}, "properties": properties,
        "assets": assets, "links": [{"rel": "license", "href": "https://example.org/licence"}],
    }  # fmt: skip


def _write(path: Path, values: NDArray[Any], step: int, **more: Any) -> None:
    profile: Json = {
        "driver": "COG", "height": len(values), "width": len(values[0]), "count": 1, "dtype": values.dtype,
        "crs": "EPSG:32622", "transform": Affine(step, 0, 345000, 0, -step, 545000), "nodata": NODATA,
        "compress": "deflate", "level": 1, "blocksize": 128,
    } | more  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)


def _request(**more: Any) -> Request:
    place = resolve_place(more.pop("place", PLACE))
    asked: Json = {"place": place, "collection_id": "s2", "start": date(2025, 1, 1), "end": date(2025, 12, 31)}
    return Request(**(asked | more))


class Patience:
    """Waits without waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def _plan(
    source: Source,
    hub: Path,
    *,
    hosts: str = "",
    patience: Patience | None = None,
    rate: float | None = None,
    **ask: Any,
) -> tuple[SyncPlan, RangeClient]:
    patience = patience or Patience()
    allowed = frozenset({hosts or source.host})
    client = RangeClient(allowed, timeout_s=5, max_kb_per_s=rate, sleep=patience.sleep, clock=lambda: patience.now)
    OPEN.append(client)
    service = StacService(f"{source.base_url}/stac", timeout_s=5)
    return plan_sync(Archive(hub), service, client, allowed, _request(**ask)), client


def _sync(source: Source, hub: Path, **how: Any) -> SyncReport:
    plan, client = _plan(source, hub, **how)
    return run_sync(Archive(hub), client, plan)


def _copies(hub: Path) -> dict[str, bytes]:
    return {str(path.relative_to(hub)): path.read_bytes() for path in sorted(hub.glob("*/copies/*/*.tif"))}


def test_only_the_window_is_read_and_its_pixels_are_those_of_the_source(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    report = _sync(source, hub, bands=("B04",))
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
    _sync(source, hub, bands=("red", "SCL"))
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
    _sync(source, hub, bands=("B04", "B08"))
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
    _sync(source, hub)
    source.ranges.clear()
    plan, client = _plan(source, hub)
    assert (plan.files, plan.transfer_bytes) == (0, 0)
    report = run_sync(Archive(hub), client, plan)
    assert (report.copied, report.kept) == (0, 3)
    assert source.ranges == []


def test_a_damaged_copy_is_found_and_copied_again(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    _sync(source, hub, bands=("red",))
    before = _copies(hub)
    victim = hub / next(iter(before))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 255
    victim.write_bytes(bytes(content))
    report = _sync(source, hub, bands=("red",))
    assert (report.copied, report.repaired) == (1, 1)
    assert _copies(hub) == before


def test_more_bands_and_a_neighbouring_place_join_what_is_there(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    _sync(source, hub, bands=("red",))
    _sync(source, hub, bands=("nir",), place=NEIGHBOUR)
    _sync(source, hub, bands=("red",), place=NEIGHBOUR)
    archive = Archive(hub)
    item = archive.items("s2")[0]
    assert set(item["assets"]) == {"red", "nir"}
    for box in (PLACE, NEIGHBOUR):
        plan, _ = _plan(source, hub, bands=("red",), place=box)
        assert plan.files == 0
    with rasterio.open(archive.asset_path(item, "red")) as copy:
        assert 165 < copy.width < 172
    assert len(_copies(hub)) == 6  # what a larger window replaced is gone


TROUBLE = {
    "busy": ["status:429:7", "status:503"],
    "broken": ["status:500", "status:502"],
    "cut": ["", "cut", "cut", "cut"],
    "short": ["short", "", "short"],
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_that_passes_is_waited_for(source: Source, tmp_path: Path, name: str) -> None:
    clean, hub, patience = tmp_path / "clean", tmp_path / "hub", Patience()
    _sync(source, clean, bands=("red",))
    source.trouble = {f"{item['id']}_B04.tif": list(TROUBLE[name]) for item in source.items}
    report = _sync(source, hub, bands=("red",), patience=patience)
    assert report.failures == ()
    assert _copies(hub) == _copies(clean)
    assert not any(source.trouble.values())
    assert patience.waits
    if name == "busy":
        assert 7 in patience.waits


FATAL = {
    "status:403": "key or an account",
    "status:404": "no such file",
    "status:429:7200": "asks to wait 7200 s",
    "long": "",
    "shifted": "other bytes",
    "whole": "parts of files",
    "status:300": "HTTP 300",
    "digits": "other bytes",
    "page": "no whole GeoTIFF",
}


@pytest.mark.parametrize("trouble", FATAL)
def test_a_scene_with_lasting_trouble_is_told_and_the_others_are_copied(
    source: Source, tmp_path: Path, trouble: str
) -> None:
    hub = tmp_path / "hub"
    plan, client = _plan(source, hub, bands=("red",))
    source.trouble = {f"{source.items[1]['id']}_B04.tif": [trouble] * 99}
    report = run_sync(Archive(hub), client, plan)
    if trouble == "long":  # HTTP itself cuts off what follows the promised length, or we do
        assert report.copied in (2, 3)
        return
    assert report.copied == 2
    (failure,) = report.failures
    assert source.items[1]["id"] in failure
    assert FATAL[trouble] in failure
    assert len(Archive(hub).items("s2")) == 2
    source.trouble.clear()
    assert _sync(source, hub, bands=("red",)).copied == 1


def test_a_file_that_changes_while_it_is_read_is_not_mixed(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    plan, client = _plan(source, hub, bands=("red",))
    source.trouble = {f"{source.items[0]['id']}_B04.tif": ["", "changed", "changed"]}
    report = run_sync(Archive(hub), client, plan)
    assert "changed while it was read" in report.failures[0]
    assert report.copied == 2


def test_a_redirect_to_another_host_is_refused(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    plan, client = _plan(source, hub, bands=("red",))
    (tmp_path / "other").mkdir()
    with cog_server(tmp_path / "other") as other:
        _write(tmp_path / "other" / "x.tif", np.ones((1024, 1024), "uint16"), 10)
        source.elsewhere = other.url("x.tif")
        source.trouble = {f"{item['id']}_B04.tif": ["redirect"] * 9 for item in source.items}
        report = run_sync(Archive(hub), client, plan)
        assert other.ranges == []
    assert len(report.failures) == 3
    assert "no setting allows it" in report.failures[0]
    assert _copies(hub) == {}


@pytest.mark.parametrize(
    "href",
    ["file:///etc/passwd", "/etc/passwd", "/vsicurl/http://127.0.0.1/x.tif", "http://127.0.0.1.example.org/x.tif"],
)
def test_addresses_that_no_setting_allows_are_not_opened(source: Source, tmp_path: Path, href: str) -> None:
    for item in source.items[:2]:
        item["assets"]["red"]["href"] = href
    plan, client = _plan(source, tmp_path / "hub", bands=("red",))
    assert len(plan.items) == 1
    assert "2 scenes left out" in plan.notes[0]
    with pytest.raises(RemoteRefused, match="no setting allows"):
        client.read(href, 0, 10)


def test_files_that_need_keys_are_told(source: Source, tmp_path: Path) -> None:
    for item in source.items:
        red = item["assets"]["red"]
        red |= {"href": "s3://eodata/x.tif", "alternate": {"https": {"href": source.url("x"), "auth:refs": ["oidc"]}}}
    with pytest.raises(NoScenes, match="need S3 keys"):
        _plan(source, tmp_path / "hub", bands=("red",))
    for item in source.items:
        item["assets"] = {"B04": item["assets"]["red"] | {"type": "image/jp2"}}
    with pytest.raises(NoScenes, match=r"image/jp2.*S3 keys"):
        _plan(source, tmp_path / "hub")


def test_a_next_page_on_another_host_or_in_a_file_is_refused(source: Source, tmp_path: Path) -> None:
    for href in ("http://example.org/search", "/etc/passwd", "file:///etc/passwd"):
        source.next_link = {"rel": "next", "href": href, "method": "GET"}
        with pytest.raises(BackendUnavailable, match="not on its own host"):
            _plan(source, tmp_path / "hub")


def test_a_search_that_leads_to_another_host_or_never_ends_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    with cog_server(tmp_path / "other") as other:
        source.stac_moved_to = f"{other.base_url}/stac/search"
        with pytest.raises(BackendUnavailable, match="not on its own host"):
            _plan(source, tmp_path / "hub")
        assert other.searches == 0
    source.stac_moved_to = ""
    monkeypatch.setattr("tools.stac_wire.MAX_ANSWER_BYTES", 2000)
    with pytest.raises(BackendUnavailable, match="is larger than"):
        _plan(source, tmp_path / "hub")


def test_all_pages_are_read_and_versions_of_a_scene_are_one(source: Source, tmp_path: Path) -> None:
    older = _scene(source, "2025-03-21", item_id="older", **{"s2:processing_baseline": "05.10"})
    source.items += [older, _scene(source, "2025-03-31", **{"eo:cloud_cover": 80.0}), source.items[0]]
    plan, _ = _plan(source, tmp_path / "hub", bands=("red",), max_cloud_percent=60)
    assert source.searches == 3
    assert [one.item["properties"]["datetime"][:10] for one in plan.items] == list(reversed(DAYS))
    assert "older" not in {one.item["id"] for one in plan.items}
    assert any("cloud cover above 60 %" in note for note in plan.notes)


def test_numbers_stored_otherwise_are_left_out_and_an_applied_offset_counts_no_more(
    source: Source, tmp_path: Path
) -> None:
    source.collections[0]["item_assets"]["red"]["raster:bands"][0]["offset"] = 0
    source.items[0]["properties"]["earthsearch:boa_offset_applied"] = True
    plan, client = _plan(source, tmp_path / "hub", bands=("red",))
    assert [one.item["id"] for one in plan.items] == [source.items[0]["id"]]
    assert any("another scale or offset" in note for note in plan.notes)
    run_sync(Archive(tmp_path / "hub"), client, plan)
    item = Archive(tmp_path / "hub").items("s2")[0]
    assert item["assets"]["red"]["raster:bands"][0]["offset"] == 0


def test_the_estimate_is_near_what_is_read(source: Source, tmp_path: Path) -> None:
    plan, client = _plan(source, tmp_path / "hub")
    report = run_sync(Archive(tmp_path / "hub"), client, plan)
    assert plan.files == report.files == 9
    assert 0.8 < plan.transfer_bytes / report.received_bytes < 1.25
    assert 0.5 < plan.new_bytes / report.stored_bytes < 1.5


def test_the_bandwidth_is_kept(source: Source, tmp_path: Path) -> None:
    patience = Patience()
    plan, client = _plan(source, tmp_path / "hub", bands=("red",), patience=patience, rate=100)
    run_sync(Archive(tmp_path / "hub"), client, plan)
    assert sum(patience.waits) == pytest.approx(client.received / 100_000, rel=0.01)


def test_what_was_not_used_for_longest_goes_first_and_own_files_stay(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    own = tmp_path / "own_B04.tif"
    _write(own, np.ones((64, 64), "uint16"), 10)
    add_files(hub, [own], collection_id="own", datetime="2020-01-01")
    _sync(source, hub, bands=("red",), name="first")
    archive = Archive(hub)
    kept = archive.items("first")[1]
    for path in hub.glob("first/copies/*/*.tif"):
        os.utime(path, (1, 1))
    archive.asset_path(kept, "red")  # a use
    size = Copies(hub).total_bytes()
    plan, client = _plan(source, hub, bands=("nir",), max_bytes=round(size * 1.4), name="second")
    assert {one.item for one in plan.evicted} == {item["id"] for item in archive.items("first")} - {kept["id"]}
    report = run_sync(archive, client, plan)
    assert report.copied == 3
    assert [item["id"] for item in archive.items("first")] == [kept["id"]]
    assert Copies(hub).total_bytes() <= size * 1.4
    assert len(archive.items("own")) == 1
    assert archive.asset_path(archive.items("own")[0], "B04").is_file()


def test_a_limit_too_small_for_the_request_keeps_the_newest(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    _sync(source, tmp_path / "probe", bands=("red",))
    one = Copies(tmp_path / "probe").total_bytes() // 3
    plan, client = _plan(source, hub, bands=("red",), max_bytes=round(one * 2.5))
    assert plan.over_bytes > 0
    report = run_sync(Archive(hub), client, plan)
    assert "limit" in report.stopped
    assert [item["properties"]["datetime"][:10] for item in Archive(hub).items("s2")] == list(DAYS[1:])
    assert len(_copies(hub)) == 2


def test_a_collection_of_the_users_own_is_never_written_to(source: Source, tmp_path: Path) -> None:
    hub, own = tmp_path / "hub", tmp_path / "own_B04.tif"
    _write(own, np.ones((64, 64), "uint16"), 10)
    add_files(hub, [own], collection_id="s2", datetime="2020-01-01")
    with pytest.raises(ToolInputError, match="not a copy"):
        _plan(source, hub)
    _sync(source, hub, bands=("red",), name="copy")
    with pytest.raises(ToolInputError, match="is a copy"):
        add_files(hub, [own], collection_id="copy", datetime="2020-01-01")


def test_a_band_or_collection_that_is_not_there_is_named(source: Source, tmp_path: Path) -> None:
    with pytest.raises(NoScenes, match=r"'B99'.*nir, red, scl"):
        _plan(source, tmp_path / "hub", bands=("B99",))
    with pytest.raises(ToolInputError, match="Did you mean s2"):
        _plan(source, tmp_path / "hub", collection_id="s22")
    with pytest.raises(ToolInputError, match="--as"):
        _plan(source, tmp_path / "hub", name="../out")


def test_scenes_beside_the_outline_of_the_place_are_left_out(source: Source, tmp_path: Path) -> None:
    outline = source.items[0]["geometry"]["coordinates"][0]
    source.items[0]["geometry"]["coordinates"] = [[[x - 5, y] for x, y in outline]]  # its box still touches
    place = resolve_place(PLACE)
    west, south, east, north = place.bbox
    corner = {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, south]]]}
    service = StacService(f"{source.base_url}/stac", timeout_s=5)
    client = RangeClient(frozenset({source.host}))
    OPEN.append(client)
    request = replace(_request(bands=("red",)), place=place.model_copy(update={"geometry": corner}))
    plan = plan_sync(Archive(tmp_path / "hub"), service, client, frozenset({source.host}), request)
    assert len(plan.items) == 2
    assert any("1 scene left out: outside" in note for note in plan.notes)


def test_an_item_that_says_little_or_nonsense_is_copied_as_its_file_is(source: Source, tmp_path: Path) -> None:
    odd = source.items[2]
    odd |= {"geometry": {"type": "Blob"}, "links": [None, {"rel": "license", "href": "javascript:alert(1)"}]}
    told = odd["properties"]
    told |= {"datetime": None, "start_datetime": "2025-03-21T00:00:00Z", "proj:epsg": 999999}
    odd["assets"]["red"] |= {"proj:shape": [1e300, "x"], "eo:bands": "no list", "title": None}
    source.items = [odd, *source.items[:2]]
    assert _sync(source, tmp_path / "hub", bands=("red",)).failures == ()
    item = Archive(tmp_path / "hub").item("s2", odd["id"])
    assert item is not None
    assert item["assets"]["red"]["proj:epsg"] == 32622
    assert not any(str(link["href"]).startswith("javascript") for link in item["links"])


def test_one_sync_at_a_time(source: Source, tmp_path: Path) -> None:
    plan, client = _plan(source, tmp_path / "hub", bands=("red",))
    with Copies(tmp_path / "hub").alone(), pytest.raises(StorageError, match="Another sync"):
        run_sync(Archive(tmp_path / "hub"), client, plan)


def test_a_silent_server_is_not_waited_for_forever(source: Source) -> None:
    name = f"{source.items[0]['id']}_B04.tif"
    source.trouble[name] = ["slow:1"] * 4
    client = RangeClient(frozenset({source.host}), timeout_s=0.2, sleep=lambda _: None)
    OPEN.append(client)
    with pytest.raises(BackendUnavailable, match="too slow, 4 times"):
        client.read(source.url(name), 0, 100)


def test_a_file_that_names_bands_or_tiles_nobody_can_use_is_told(source: Source, tmp_path: Path) -> None:
    for item in source.items:
        path = source.folder / f"{item['id']}_B04.tif"
        path.unlink()
        _write(path, np.ones((64, 64), "uint16"), 10, count=3)
    with pytest.raises(RemoteRefused, match="red: The file holds 3 bands"):
        _plan(source, tmp_path / "hub", bands=("red",))


def test_a_file_that_unpacks_to_very_much_is_copied_in_small_parts(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut rows of tiles, joined or shorter than a row, and compare pixel by pixel."""
    values = np.random.default_rng(1).integers(0, 2, (700, 900)).astype("float64")
    _write(source.folder / "odd.tif", values, 10, driver="GTiff", tiled=True, blockxsize=128, blockysize=128,
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


@pytest.mark.parametrize("moment", [7, "yesterday"])
def test_an_odd_scene_is_told_and_the_others_are_copied(source: Source, tmp_path: Path, moment: Any) -> None:
    plan, client = _plan(source, tmp_path / "hub", bands=("red",))
    odd = plan.items[1].item
    odd["properties"]["datetime"] = moment
    report = run_sync(Archive(tmp_path / "hub"), client, plan)
    assert report.copied == 2
    (failure,) = report.failures
    assert failure.startswith(odd["id"])
    assert len(Archive(tmp_path / "hub").items("s2")) == 2


def test_a_killed_sync_leaves_whole_files_and_goes_on(source: Source, tmp_path: Path) -> None:
    data = tmp_path / "killed"
    _sync(source, tmp_path / "clean")
    for item in source.items[:2]:
        source.trouble[f"{item['id']}_B08.tif"] = ["", "slow:30"]
    command = [sys.executable, "-m", "ui.cli", "hub", "sync", "--place", PLACE, "--collection", "s2"]
    command += ["--since", "2025-01-01", "--until", "2025-12-31", "--from", f"{source.base_url}/stac"]
    environment = {**os.environ, "CLMS_DATA_DIR": str(data), "NO_PROXY": "127.0.0.1"}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    hub = data / "hub"
    for _ in range(400):
        # The newest scene is whole, and of the next one the first file.
        if len(Copies(hub).items()) >= 2 or running.poll() is not None:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=10)
    assert len(Archive(hub).items("s2")) == 1
    clean, found = _copies(tmp_path / "clean"), _copies(hub)
    assert 4 <= len(found) < 9
    assert all(clean[name] == content for name, content in found.items())
    source.trouble.clear()
    source.ranges.clear()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "1 scene there already" in done.stdout
    assert not {name for name, *_ in source.ranges} & {f"{source.items[1]['id']}_B04.tif"}  # resumed per file
    assert _copies(hub) == clean
    assert not list((hub / ".tmp").iterdir())


def test_the_command_tells_the_estimate_first_and_a_dry_run_copies_nothing(source: Source, tmp_path: Path) -> None:
    command = ["hub", "sync", "--place", PLACE, "--collection", "s2", "--since", "2025-01-01", "--until", "2025-12-31"]
    command += ["--from", f"{source.base_url}/stac", "--bands", "B04,B08", "--max-kb-per-s", "100000"]
    dry = CliRunner().invoke(main, [*command, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "To copy: 6 files of 3 scenes, about 0." in dry.output
    hub = tmp_path / "data" / "hub"
    assert _copies(hub) == {}
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert "s2: 6 files of 3 scenes copied" in first.output
    again = CliRunner().invoke(main, command)
    assert "Nothing new: 3 scenes in the hub, checked." in again.output
    empty = CliRunner().invoke(main, [*command, "--until", "2025-01-02"])
    assert empty.exit_code == 1
    assert "no scene at" in empty.output


FILLING = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
FILLING += "from ui.cli import main; sys.argv = ['clms-assistant', *sys.argv[1:]]; main()"


def test_a_disk_that_fills_up_is_told(source: Source, tmp_path: Path) -> None:
    data = tmp_path / "filled"
    Archive(data / "hub")
    Copies(data / "hub")
    command = [sys.executable, "-c", FILLING, "hub", "sync", "--place", PLACE, "--collection", "s2"]
    command += ["--since", "2025-01-01", "--until", "2025-12-31", "--from", f"{source.base_url}/stac"]
    environment = {**os.environ, "CLMS_DATA_DIR": str(data), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "disk did not take a copy" in done.stderr
    assert "Traceback" not in done.stderr
    assert Archive(data / "hub").items("s2") == []
    assert not list((data / "hub" / ".tmp").iterdir())


def test_the_command_names_what_goes_before_it_goes_and_the_limit(source: Source, tmp_path: Path) -> None:
    command = ["hub", "sync", "--place", PLACE, "--collection", "s2", "--since", "2025-01-01", "--until", "2025-12-31"]
    command += ["--from", f"{source.base_url}/stac", "--bands", "red"]
    assert CliRunner().invoke(main, [*command, "--as", "old"]).exit_code == 0
    size = Copies(tmp_path / "data" / "hub").total_bytes()
    done = CliRunner().invoke(main, [*command, "--max-gb", str(size * 0.7 / 1e9)])
    assert done.exit_code == 0, done.output
    told = done.output.index("not used for the longest time will go: old/S2A")
    assert "3 copied scenes (" in done.output[:told]
    assert told < done.output.index("2 scenes copied") < done.output.index("3 copied scenes removed")
    assert "A higher --max-gb takes the rest." in done.output
    assert Archive(tmp_path / "data" / "hub").collection("old") is None


def test_the_command_ends_with_one_and_names_what_failed(source: Source, tmp_path: Path) -> None:
    source.trouble = {f"{source.items[1]['id']}_B04.tif": ["", "status:403", "status:403"]}
    command = ["hub", "sync", "--place", PLACE, "--collection", "s2", "--since", "2025-01-01", "--until", "2025-12-31"]
    done = CliRunner().invoke(main, [*command, "--from", f"{source.base_url}/stac", "--bands", "red"])
    assert done.exit_code == 1
    assert f"failed: {source.items[1]['id']}: The server wants a key" in done.output
    assert "Run the same command again" in done.output


def test_a_full_disk_is_told(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(StorageError, match=r"disk has 0 kB left"):
        _sync(source, tmp_path / "hub")
