"""The hub's STAC API, asked by the ordinary pystac-client over loopback."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

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
        {"datetime": "2020-02-01/2020-01-01"},
        {"limit": "0"},
        {"token": "!!"},
        {"filter": "eo:cloud_cover <<< 3"},
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
