"""The hub's STAC API, asked by the ordinary pystac-client over loopback."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pystac_client import Client

from tools.hub.app import create_hub
from tools.hub.archive import Archive
from tools.hub.demo import PARCELS, SCENES, ensure_demo
from tools.hub.server import running_hub

RENNES = (-1.70, 48.10, -1.66, 48.13)


@pytest.fixture(scope="module")
def hub_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    ensure_demo(folder, today=date(2026, 9, 20), size_px=32, dates=3)
    return folder


@pytest.fixture(scope="module")
def hub(hub_dir: Path) -> Iterator[str]:
    with running_hub(hub_dir) as url:
        yield url


@pytest.fixture(scope="module")
def client(hub: str) -> Client:
    return Client.open(f"{hub}/stac")


def found(client: Client, **parameters: object) -> list[str]:
    return [item.id for item in client.search(**{"collections": [SCENES], **parameters}).items()]


def test_collections_and_items_are_listed(client: Client) -> None:
    assert len(list(client.get_collections())) == 5
    collection = client.get_collection(SCENES)
    assert len(list(collection.get_items())) == 6
    item = next(collection.get_items())
    again = collection.get_item(item.id)
    assert again is not None
    assert again.properties["clms:synthetic"] is True


def test_box_and_period_narrow_a_search(client: Client) -> None:
    inside = found(client, bbox=RENNES)
    assert len(inside) == 3
    assert all("RENNES" in name for name in inside)
    assert found(client, bbox=RENNES, datetime="2026-08-01/2026-08-31") == ["SYNTHETIC_S2_L2A_RENNES_20260815"]
    assert found(client, bbox=RENNES, datetime="2020") == []
    assert found(client, bbox=(10, 50, 11, 51)) == []


def test_intersects_uses_the_shape_not_its_box(client: Client) -> None:
    around = {"type": "LineString", "coordinates": [[-2, 48.0], [-2, 48.3], [-1.4, 48.3]]}
    assert found(client, intersects=around) == []
    assert len(found(client, intersects={"type": "Point", "coordinates": [-1.6794, 48.1147]})) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_paging_gives_each_item_once(client: Client, method: str) -> None:
    names = found(client, limit=2, method=method, sortby="-properties.eo:cloud_cover")
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sorting_and_filters_on_cloud_cover(client: Client, method: str) -> None:
    search = client.search(collections=[SCENES], sortby="+properties.eo:cloud_cover", method=method)
    covers = [item.properties["eo:cloud_cover"] for item in search.items()]
    assert covers == sorted(covers)
    limit = covers[2]
    text = f'"eo:cloud_cover" < {limit}'
    below = sum(cover < limit for cover in covers)
    assert len(found(client, filter=text, filter_lang="cql2-text", method="GET")) == below
    tree = {"op": "<", "args": [{"property": "eo:cloud_cover"}, limit]}
    assert len(found(client, filter=tree, filter_lang="cql2-json", method=method)) == below
    assert len(found(client, query={"eo:cloud_cover": {"lt": limit}}, method=method)) == below


def test_assets_are_served_in_parts_and_nothing_else_is(client: Client, hub: str, hub_dir: Path) -> None:
    item = next(client.search(collections=[SCENES], max_items=1).items())
    href = item.assets["B04_10m"].href
    assert href.startswith(f"{hub}/stac/")
    path = Archive(hub_dir).asset_path(
        item.to_dict() | {"assets": Archive(hub_dir).items(SCENES)[-1]["assets"]}, "B04_10m"
    )
    assert path.is_relative_to(hub_dir.resolve())
    part = httpx.get(href, headers={"Range": "bytes=0-3"})
    assert part.status_code == 206
    assert part.content[:2] in (b"II", b"MM")
    for key in ("archive.sqlite", "..%2F..%2Farchive.sqlite", "%2Fetc%2Fpasswd"):
        assert httpx.get(href.replace("B04_10m", key)).status_code == 404


def test_an_item_that_points_outside_the_hub_gives_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    archive = Archive(tmp_path / "hub")
    point = {"type": "Point", "coordinates": [0, 0]}
    item = {"type": "Feature", "id": "i", "collection": "c", "geometry": point, "bbox": [0, 0, 0, 0]}
    rest = {"properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {"a": {"href": "../secret.txt"}}}
    archive.put([{"id": "c"}], [{**item, **rest}])
    with TestClient(create_hub(tmp_path / "hub")) as door:
        assert door.get("/stac/collections/c/items/i/assets/a").status_code == 404


def test_links_follow_the_mount_point(hub_dir: Path) -> None:
    outer = FastAPI()
    outer.mount("/hub", create_hub(hub_dir))
    with TestClient(outer) as door:
        page = door.get(f"/hub/stac/collections/{PARCELS}/items").json()
        href = page["features"][0]["assets"]["data"]["href"]
        assert href.startswith("http://testserver/hub/stac/")
        assert door.get(href).json()["type"] == "FeatureCollection"
        for link in door.get("/hub/stac").json()["links"]:
            if link.get("method") != "POST":
                assert door.get(link["href"]).status_code == 200, link


@pytest.mark.parametrize(
    "parameters",
    [
        {"bbox": "1,2,3"},
        {"bbox": "a,b,c,d"},
        {"datetime": "soon"},
        {"datetime": "2020-02-01T00:00:00Z/2020-01-01T00:00:00Z"},
        {"limit": "0"},
        {"token": "!!"},
        {"filter": "eo:cloud_cover <<< 3"},
        {"filter": "(" * 2500 + "1 = 1" + ")" * 2500},
        {"filter": "-" * 4990 + "id = 1"},
        {"filter": "NOT " * 1200 + "id = 'a'"},
        {"filter": "a=" * 4900 + "1"},
        {"filter": "1<" * 2400 + "1"},
        {"filter": "[1]", "filter-lang": "cql2-json"},
        {"filter": '{"op": "between", "args": [{"property": "id"}, [1, 2]]}', "filter-lang": "cql2-json"},
        {"intersects": '{"type": "Blob"}'},
        {"sortby": "a;drop table items"},
    ],
)
def test_a_wrong_parameter_is_a_400_that_says_why(hub: str, parameters: dict[str, str]) -> None:
    reply = httpx.get(f"{hub}/stac/search", params=parameters)
    assert reply.status_code == 400
    assert set(reply.json()) == {"code", "description"}


def test_unknown_ids_are_404_with_the_same_body(hub: str) -> None:
    for path in ("collections/none", "collections/none/items", f"collections/{SCENES}/items/none"):
        reply = httpx.get(f"{hub}/stac/{path}")
        assert reply.status_code == 404
        assert set(reply.json()) == {"code", "description"}
    assert httpx.post(f"{hub}/stac/search", content=b"[1").status_code == 400
    assert httpx.post(f"{hub}/stac/search", json={"sortby": "datetime"}).status_code == 400
    assert httpx.get(f"{hub}/stac/collections", params={"q": "\0"}).json()["collections"] == []
    for text, found in (("true", 1), ("id = collection", 0)):
        told = httpx.get(f"{hub}/stac/search", params={"filter": text, "limit": 1}).json()
        assert len(told["features"]) == found


def test_collections_are_found_by_words_place_and_time(client: Client) -> None:
    def ids(**wanted: Any) -> set[str]:
        return {collection.id for collection in client.collection_search(**wanted).collections()}

    everything = ids()
    trees = ids(q="tree cover")
    assert trees
    assert trees < everything
    assert ids(q="TREE") >= trees
    assert ids(q="tree cover,parcels") == trees | ids(q="parcels")
    assert ids(q="tree zeppelin") == ids(q="zeppelin") == set()
    assert ids(q='tr"ee') == ids(q="NEAR(") == ids(q="") == set()
    assert SCENES in ids(bbox=RENNES, datetime="2026-08-01/2026-08-31")
    assert ids(bbox=(10, 50, 11, 51)) == set()
    assert SCENES not in ids(datetime="1999")


PLACES = {"a": (1, 10.0), "b": (2, 20.0), "c": (3, None), "d": (4, 40.0)}


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Four items with cloud cover 10, 20, unknown, 40, and other properties."""
    hub_dir = tmp_path_factory.mktemp("filtered")
    items = []
    for name, (day, cloud) in PLACES.items():
        properties = {"datetime": f"2024-05-0{day}T10:00:00Z", "title": f"Scene {name.upper()}", "day": day}
        known = {} if cloud is None else {"eo:cloud_cover": cloud, "odd": "text" if day == 1 else day}
        items.append({
            "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "c", "bbox": [day, 0, day + 0.5, 1],
            "geometry": {"type": "Point", "coordinates": [day, 0.5]}, "links": [], "assets": {},
            "properties": {**properties, **known, "wet": day % 2 == 0},
        })  # fmt: skip
    collection = {"type": "Collection", "stac_version": "1.0.0", "id": "c", "description": "C", "license": "CC0-1.0",
                  "links": [], "extent": {"spatial": {"bbox": [[1, 0, 5, 1]]},
                                          "temporal": {"interval": [["2024-05-01T00:00:00Z", None]]}}}  # fmt: skip
    Archive(hub_dir).put([collection], items)
    with running_hub(hub_dir) as url:
        yield Client.open(f"{url}/stac")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"eo:cloud_cover" < 20', "a"),
        ('20 >= "eo:cloud_cover"', "ab"),
        ('"eo:cloud_cover" > 5', "abd"),
        ('"eo:cloud_cover" >= 20 AND "eo:cloud_cover" < 40', "b"),
        ('NOT "eo:cloud_cover" < 20', "bd"),
        ('"eo:cloud_cover" IS NULL', "c"),
        ('"eo:cloud_cover" BETWEEN 10 AND 20', "ab"),
        ('"eo:cloud_cover" < 20 OR day = 3', "ac"),
        ("day IN (2, 4)", "bd"),
        ("day > 1.5 AND day <= 3", "bc"),
        ("odd > 1", "bd"),
        ("odd = 'text'", "a"),
        ("title LIKE 'Scene%'", "abcd"),
        ("title LIKE 'scene%'", ""),
        ("title LIKE '%_B'", "b"),
        ("title LIKE '%*%'", ""),
        ("wet = TRUE", "bd"),
        ("id = 'b' OR id = 'c'", "bc"),
        ("collection = 'x'", ""),
        ("datetime > TIMESTAMP('2024-05-02T10:00:00Z')", "cd"),
        ("datetime <= TIMESTAMP('2024-05-02T12:00:00+02:00')", "ab"),
        ("datetime < DATE('2024-05-03')", "ab"),
        ("nothing = 1", ""),
        ("S_INTERSECTS(geometry, POLYGON((1.5 0, 3.5 0, 3.5 1, 1.5 1, 1.5 0)))", "bc"),
        ("S_INTERSECTS(geometry, POLYGON((1.5 0, 3.5 0, 3.5 1, 1.5 1, 1.5 0))) AND day < 3", "b"),
        ("CASEI(title) = CASEI('SCENE A')", "a"),
        ("day + 1 = 3", "b"),
    ],
)
def test_filters_find_what_they_say(filtered: Client, text: str, names: str) -> None:
    search = filtered.search(filter=text, filter_lang="cql2-text", method="GET", sortby="id", limit=2)
    assert "".join(item.id for item in search.items()) == names


def test_unknown_values_sort_after_known_ones_and_pages_join(filtered: Client) -> None:
    for sortby, names in (("eo:cloud_cover", "abdc"), ("-day", "dcba"), ("-datetime", "dcba"), ("title", "abcd")):
        search = filtered.search(sortby=sortby, limit=1)
        assert "".join(item.id for item in search.items()) == names


def test_an_archive_of_the_first_layout_is_rewritten_when_opened(tmp_path: Path) -> None:
    item = {"type": "Feature", "id": "i", "collection": "c", "geometry": {"type": "Point", "coordinates": [1, 1]},
            "bbox": [1, 1, 1, 1], "properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {}}  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "archive.sqlite")) as database, database:
        database.executescript("""
            CREATE TABLE collections (id TEXT PRIMARY KEY, body TEXT NOT NULL);
            CREATE TABLE items (row INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL,
                t0 TEXT NOT NULL, t1 TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (collection, id));
            CREATE INDEX items_time ON items (collection, t0, id);
            CREATE VIRTUAL TABLE boxes USING rtree (row, west, east, south, north);""")
        database.execute('INSERT INTO collections VALUES (\'c\', \'{"id": "c", "title": "Old words"}\')')
        database.execute("INSERT INTO items VALUES (1, 'c', 'i', '', '', ?)", (json.dumps(item),))
    for _ in range(2):
        archive = Archive(tmp_path)
        assert archive.items("c", bbox=(0, 0, 2, 2)) == [item]
        assert [found["id"] for found in archive.collections_about(["old"])] == ["c"]
