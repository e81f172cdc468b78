"""Communes of a place from a server shaped like GISCO's: fetched once, kept, read by region and country."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from tools.errors import BackendUnavailable, NotCovered, ToolInputError
from tools.lau import LAU_FILE, fetch_communes, find_communes, keep_countries
from tools.nuts import NutsSource
from tools.places import resolve_place
from ui.cli import main

COMMUNES = {
    "FR_56260": ("FR", "Vannes", (-2.80, 47.62, -2.70, 47.70)),
    "FR_56069": ("FR", "Groix", (-3.51, 47.62, -3.42, 47.66)),  # an island that the region's outline leaves out
    "FR_29232": ("FR", "Quimper", (-4.15, 47.95, -4.05, 48.02)),
    "FR_29083": ("FR", "Île-de-Sein", (-4.87, 48.03, -4.84, 48.05)),
    "FR_67482": ("FR", "Strasbourg", (7.69, 48.53, 7.79, 48.64)),
    "DE_08317057": ("DE", "Kehl", (7.80, 48.52, 7.90, 48.62)),
    "MT_MT01101": ("MT", "Il-Belt Valletta", (14.50, 35.89, 14.52, 35.91)),
    "EL_01": ("EL", "Δήμος", (23.70, 37.95, 23.80, 38.02)),
}


def _write(path: Path, column: str = "GISCO_ID") -> Path:
    import numpy as np
    import pyogrio.raw
    import shapely

    codes = np.array(list(COMMUNES), dtype=object)
    countries, names, boxes = (np.array(one, dtype=object) for one in zip(*COMMUNES.values(), strict=True))
    shapes = shapely.to_wkb(shapely.box(*np.array([*boxes], dtype=float).T))
    pyogrio.raw.write(
        path, shapes, [codes, countries, names], [column, "CNTR_CODE", "LAU_NAME"], driver="GPKG",
        geometry_type="Polygon", crs="EPSG:4326",
    )  # fmt: skip
    return path


@dataclass
class Gisco:
    """What the server does, and what it was asked."""

    url: str
    body: bytes
    says: str = "file"
    agents: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _write(tmp_path_factory.mktemp("lau") / "whole.gpkg").read_bytes()


@pytest.fixture
def gisco(content: bytes) -> Iterator[Gisco]:
    served = Gisco("", content)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            served.agents.append(self.headers["User-Agent"])
            status = 404 if served.says == "missing" or not self.path.endswith(LAU_FILE) else 200
            status = 304 if status == 200 and self.headers["If-None-Match"] == '"v1"' else status
            served.statuses.append(status)
            self.send_response(status)
            self.send_header("ETag", '"v1"')
            body = served.body if status == 200 else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = served.says == "cut" or (served.says == "cut once" and len(served.statuses) == 1)
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def _source(folder: Path, gisco: Gisco | None = None, max_bytes: int = 10_000_000) -> NutsSource:
    url = gisco.url if gisco else ""
    return NutsSource(folder, lau_url=url, hosts=frozenset({"127.0.0.1"}), max_bytes=max_bytes, backoff_s=0.0)


def test_communes_are_fetched_once_and_are_those_of_the_region_with_its_islands(gisco: Gisco, tmp_path: Path) -> None:
    source = _source(tmp_path, gisco)
    found = find_communes(resolve_place("Morbihan"), source)
    assert {one["id"]: one["properties"]["name"] for one in found.collection["features"]} == {
        "FR_56260": "Vannes",
        "FR_56069": "Groix",
    }
    assert "GISCO" in found.source
    gisco.says = "missing"
    assert set(find_communes(resolve_place("Finistère"), source).names) == {"Quimper", "Île-de-Sein"}
    assert find_communes(resolve_place("Greece"), source).names == ["Δήμος"]
    assert len(find_communes(resolve_place("France"), source).names) == 5
    assert len(gisco.statuses) == 1
    assert gisco.agents[0].startswith("clms-assistant")
    with pytest.raises(NotCovered, match="none in"):
        find_communes(resolve_place("Norway"), source)


def test_a_second_fetch_asks_whether_the_file_is_still_the_latest(gisco: Gisco, tmp_path: Path) -> None:
    source = _source(tmp_path, gisco)
    first = fetch_communes(source)
    assert fetch_communes(source) == first
    assert gisco.statuses == [200, 304]


def test_the_communes_of_a_country_are_kept_alone(gisco: Gisco, tmp_path: Path) -> None:
    (path,) = keep_countries(_source(tmp_path, gisco), ["mt"])
    assert [one.name for one in path.parent.glob("*.gpkg")] == ["LAU_2024_MT.gpkg"]
    assert find_communes(resolve_place("Malta"), _source(tmp_path)).names == ["Il-Belt Valletta"]
    with pytest.raises(NotCovered):
        find_communes(resolve_place("Morbihan"), _source(tmp_path))
    assert find_communes(resolve_place("Finistère"), _source(tmp_path, gisco)).names  # fetched, as it may be
    with pytest.raises(ToolInputError, match="no communes of XX"):
        keep_countries(_source(tmp_path, gisco), ["XX"])
    with pytest.raises(ToolInputError, match="no communes of"):
        keep_countries(_source(tmp_path, gisco), ["' OR 1=1"])


def test_a_place_on_a_border_has_the_communes_of_all_kept_files_and_tells_which_country_lacks(
    gisco: Gisco, tmp_path: Path
) -> None:
    place, offline = resolve_place("20 km around Strasbourg"), _source(tmp_path)
    keep_countries(_source(tmp_path, gisco), ["FR"])
    (offline.lau_folder / "LAU_2024_AA.gpkg").write_bytes(b"broken")
    _write(offline.lau_folder / "mine.gpkg", "SOMETHING")
    french = find_communes(place, offline)
    assert (french.names, "in DE are not here" in french.warnings[-1]) == (["Strasbourg"], True)
    keep_countries(_source(tmp_path, gisco), ["DE"])
    both = find_communes(place, offline)
    assert (set(both.names), len(both.warnings)) == ({"Strasbourg", "Kehl"}, 1)
    with pytest.raises(NotCovered, match=r"gpkg cannot be read"):
        find_communes(resolve_place("Malta"), offline)
    fetch_communes(_source(tmp_path, gisco))
    keep_countries(_source(tmp_path, gisco), ["FR"])
    assert find_communes(resolve_place("Malta"), offline).names  # of the file of all Europe, which stays


@pytest.mark.parametrize(
    ("says", "max_bytes", "told"),
    [
        ("missing", 10_000_000, "nothing at this address"),
        ("cut", 10_000_000, "broke off"),
        ("file", 1_000, "larger than"),
        ("other", 10_000_000, "holds no communes"),
        ("page", 10_000_000, "holds no communes"),
        ("view", 10_000_000, "views or computed columns"),
    ],
)
def test_what_is_no_file_of_communes_is_told_and_not_kept(
    gisco: Gisco, tmp_path: Path, says: str, max_bytes: int, told: str
) -> None:
    gisco.says = says
    if says == "other":
        gisco.body = _write(tmp_path / "other.gpkg", "SOMETHING").read_bytes()
    if says == "view":
        with closing(sqlite3.connect(_write(tmp_path / "view.gpkg"))) as db:
            db.execute("CREATE VIEW v AS SELECT 1 AS fid")
        gisco.body = (tmp_path / "view.gpkg").read_bytes()
    if says == "page":
        gisco.body = b"<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>"
    source = _source(tmp_path / "data", gisco, max_bytes)
    with pytest.raises(BackendUnavailable, match=told):
        find_communes(resolve_place("Malta"), source)
    assert not list(source.lau_folder.iterdir())


def test_a_connection_cut_once_is_tried_again(gisco: Gisco, tmp_path: Path) -> None:
    gisco.says = "cut once"
    assert fetch_communes(_source(tmp_path, gisco)).stat().st_size == len(gisco.body)


def test_without_network_it_is_said_how_communes_are_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (None, _source(tmp_path)):
        with pytest.raises(NotCovered, match="not here") as raised:
            find_communes(resolve_place("Malta"), source)
        assert "places fetch" in raised.value.hint
    monkeypatch.setenv("CLMS_DATA_DIR", str(tmp_path))
    _write(tmp_path / "LAU_2024_MT.gpkg")
    (tmp_path / "nuts" / "lau").mkdir(parents=True)
    (tmp_path / "LAU_2024_MT.gpkg").rename(tmp_path / "nuts" / "lau" / "LAU_2024_MT.gpkg")
    assert "communes: LAU_2024_MT.gpkg" in CliRunner().invoke(main, ["places", "list"]).output
