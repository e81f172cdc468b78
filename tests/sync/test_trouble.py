"""`hub sync` and servers that are busy, cut, lying or hostile; killed processes and full disks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.servers.cog import Source, cog_server
from tests.sync.helpers import OPEN, PLACE, Patience, copies_in, planned, synced, write_cog
from tools.errors import BackendUnavailable, NoScenes
from tools.hub.archive import Archive
from tools.hub.copies import Copies
from tools.hub.http_ranges import RangeClient, RemoteRefused
from tools.hub.new_files import StorageError
from tools.hub.sync import run_sync


def test_a_damaged_copy_is_found_and_copied_again(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    synced(source, hub, bands=("red",))
    before = copies_in(hub)
    victim = hub / next(iter(before))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 255
    victim.write_bytes(bytes(content))
    report = synced(source, hub, bands=("red",))
    assert (report.copied, report.repaired) == (1, 1)
    assert copies_in(hub) == before


TROUBLE = {
    "busy": ["status:429:7", "status:503"],
    "broken": ["status:500", "status:502"],
    "cut": ["", "cut", "cut", "cut"],
    "short": ["short", "", "short"],
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_that_passes_is_waited_for(source: Source, tmp_path: Path, name: str) -> None:
    clean, hub, patience = tmp_path / "clean", tmp_path / "hub", Patience()
    synced(source, clean, bands=("red",))
    source.trouble = {f"{item['id']}_B04.tif": list(TROUBLE[name]) for item in source.items}
    report = synced(source, hub, bands=("red",), patience=patience)
    assert report.failures == ()
    assert copies_in(hub) == copies_in(clean)
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
    plan, client = planned(source, hub, bands=("red",))
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
    assert synced(source, hub, bands=("red",)).copied == 1


def test_a_file_that_changes_while_it_is_read_is_not_mixed(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    plan, client = planned(source, hub, bands=("red",))
    source.trouble = {f"{source.items[0]['id']}_B04.tif": ["", "changed", "changed"]}
    report = run_sync(Archive(hub), client, plan)
    assert "changed while it was read" in report.failures[0]
    assert report.copied == 2


def test_a_redirect_to_another_host_is_refused(source: Source, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    plan, client = planned(source, hub, bands=("red",))
    (tmp_path / "other").mkdir()
    with cog_server(tmp_path / "other") as other:
        write_cog(tmp_path / "other" / "x.tif", np.ones((1024, 1024), "uint16"), 10)
        source.elsewhere = other.url("x.tif")
        source.trouble = {f"{item['id']}_B04.tif": ["redirect"] * 9 for item in source.items}
        report = run_sync(Archive(hub), client, plan)
        assert other.ranges == []
    assert len(report.failures) == 3
    assert "no setting allows it" in report.failures[0]
    assert copies_in(hub) == {}


@pytest.mark.parametrize(
    "href",
    ["file:///etc/passwd", "/etc/passwd", "/vsicurl/http://127.0.0.1/x.tif", "http://127.0.0.1.example.org/x.tif"],
)
def test_addresses_that_no_setting_allows_are_not_opened(source: Source, tmp_path: Path, href: str) -> None:
    for item in source.items[:2]:
        item["assets"]["red"]["href"] = href
    plan, client = planned(source, tmp_path / "hub", bands=("red",))
    assert len(plan.items) == 1
    assert "2 scenes left out" in plan.notes[0]
    with pytest.raises(RemoteRefused, match="no setting allows"):
        client.read(href, 0, 10)


def test_files_that_need_keys_are_told(source: Source, tmp_path: Path) -> None:
    for item in source.items:
        red = item["assets"]["red"]
        red |= {"href": "s3://eodata/x.tif", "alternate": {"https": {"href": source.url("x"), "auth:refs": ["oidc"]}}}
    with pytest.raises(NoScenes, match="need S3 keys"):
        planned(source, tmp_path / "hub", bands=("red",))
    for item in source.items:
        item["assets"] = {"B04": item["assets"]["red"] | {"type": "image/jp2"}}
    with pytest.raises(NoScenes, match=r"image/jp2.*S3 keys"):
        planned(source, tmp_path / "hub")


def test_a_next_page_on_another_host_or_in_a_file_is_refused(source: Source, tmp_path: Path) -> None:
    for href in ("http://example.org/search", "/etc/passwd", "file:///etc/passwd"):
        source.next_link = {"rel": "next", "href": href, "method": "GET"}
        with pytest.raises(BackendUnavailable, match="not on its own host"):
            planned(source, tmp_path / "hub")


def test_a_search_that_leads_to_another_host_or_never_ends_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    with cog_server(tmp_path / "other") as other:
        source.stac_moved_to = f"{other.base_url}/stac/search"
        with pytest.raises(BackendUnavailable, match="not on its own host"):
            planned(source, tmp_path / "hub")
        assert other.searches == 0
    source.stac_moved_to = ""
    monkeypatch.setattr("tools.stac_wire.MAX_ANSWER_BYTES", 2000)
    with pytest.raises(BackendUnavailable, match="is larger than"):
        planned(source, tmp_path / "hub")


def test_an_item_that_says_little_or_nonsense_is_copied_as_its_file_is(source: Source, tmp_path: Path) -> None:
    odd = source.items[2]
    odd |= {"geometry": {"type": "Blob"}, "links": [None, {"rel": "license", "href": "javascript:alert(1)"}]}
    told = odd["properties"]
    told |= {"datetime": None, "start_datetime": "2025-03-21T00:00:00Z", "proj:epsg": 999999}
    odd["assets"]["red"] |= {"proj:shape": [1e300, "x"], "eo:bands": "no list", "title": None}
    source.items = [odd, *source.items[:2]]
    assert synced(source, tmp_path / "hub", bands=("red",)).failures == ()
    item = Archive(tmp_path / "hub").item("s2", odd["id"])
    assert item is not None
    assert item["assets"]["red"]["proj:epsg"] == 32622
    assert not any(str(link["href"]).startswith("javascript") for link in item["links"])


@pytest.mark.parametrize(
    ("trouble", "told"),
    [("slow:0.3", "too slow, 4 times"), ("drip:0.02", "100 bytes did not arrive within 1 s"),
     ("drip_head:0.02", "100 bytes did not arrive within 1 s")],
)  # fmt: skip
def test_a_server_that_is_silent_or_drips_is_not_waited_for_forever(source: Source, trouble: str, told: str) -> None:
    name = f"{source.items[0]['id']}_B04.tif"
    source.trouble[name] = [trouble] * 4
    client = RangeClient(frozenset({source.host}), timeout_s=0.1, sleep=lambda _: None)
    OPEN.append(client)
    with pytest.raises(BackendUnavailable, match=told):
        client.read(source.url(name), 0, 100)
    assert not source.statuses[0]  # it was left while it still sent


def test_a_file_that_names_bands_or_tiles_nobody_can_use_is_told(source: Source, tmp_path: Path) -> None:
    for item in source.items:
        path = source.folder / f"{item['id']}_B04.tif"
        path.unlink()
        write_cog(path, np.ones((64, 64), "uint16"), 10, count=3)
    with pytest.raises(RemoteRefused, match="red: The file holds 3 bands"):
        planned(source, tmp_path / "hub", bands=("red",))


@pytest.mark.parametrize("moment", [7, "yesterday"])
def test_an_odd_scene_is_told_and_the_others_are_copied(source: Source, tmp_path: Path, moment: Any) -> None:
    plan, client = planned(source, tmp_path / "hub", bands=("red",))
    odd = plan.items[1].item
    odd["properties"]["datetime"] = moment
    report = run_sync(Archive(tmp_path / "hub"), client, plan)
    assert report.copied == 2
    (failure,) = report.failures
    assert failure.startswith(odd["id"])
    assert len(Archive(tmp_path / "hub").items("s2")) == 2


def test_a_killed_sync_leaves_whole_files_and_goes_on(source: Source, tmp_path: Path) -> None:
    data = tmp_path / "killed"
    synced(source, tmp_path / "clean")
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
    clean, found = copies_in(tmp_path / "clean"), copies_in(hub)
    assert 4 <= len(found) < 9
    assert all(clean[name] == content for name, content in found.items())
    source.trouble.clear()
    source.ranges.clear()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "1 scene there already" in done.stdout
    assert not {name for name, *_ in source.ranges} & {f"{source.items[1]['id']}_B04.tif"}  # resumed per file
    assert copies_in(hub) == clean
    assert not list((hub / ".tmp").iterdir())


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


def test_a_full_disk_is_told(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(StorageError, match=r"disk has 0 kB left"):
        synced(source, tmp_path / "hub")
