"""The Fields and Query extensions of the hub's STAC API, and the moments it takes."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from pystac_client import Client

from tools.hub.demo import SCENES, ensure_demo
from tools.hub.server import running_hub

SHORT = {"type", "stac_version", "id", "collection"}


@pytest.fixture(scope="module")
def stac(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hub")
    ensure_demo(folder, today=date(2026, 9, 20), size_px=32, dates=3)
    with running_hub(folder) as url:
        yield f"{url}/stac"


def post(stac: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{stac}/search", json={"collections": [SCENES]} | body)


def first(stac: str, fields: Any) -> dict[str, Any]:
    reply = httpx.get(f"{stac}/search", params={"fields": fields, "collections": SCENES}) if isinstance(
        fields, str
    ) else post(stac, fields=fields)  # fmt: skip
    return dict(reply.raise_for_status().json()["features"][0])


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ("id", SHORT),
        ("+geometry", SHORT | {"geometry"}),
        ({"include": ["properties.eo:cloud_cover"]}, SHORT | {"properties"}),
        ({"include": ["geometry"], "exclude": ["geometry"]}, SHORT | {"geometry"}),
        ({"include": [], "exclude": ["geometry", "assets"]}, SHORT | {"bbox", "links", "properties"}),
        ({"include": ["no.such.thing", "bbox.deeper"]}, SHORT),
        ({}, SHORT | {"geometry", "bbox", "links", "assets", "properties"}),
        ("", SHORT | {"geometry", "bbox", "links", "assets", "properties"}),
    ],
)
def test_an_item_has_the_fields_asked_for(stac: str, fields: Any, keys: set[str]) -> None:
    assert set(first(stac, fields)) == keys


def test_the_longer_path_counts(stac: str) -> None:
    whole = first(stac, {"exclude": ["geometry"]})
    assert "geometry" not in whole
    assert set(whole["properties"]) > {"datetime", "eo:cloud_cover"}
    assert set(first(stac, "-properties,properties.eo:cloud_cover")["properties"]) == {"eo:cloud_cover"}
    less = first(stac, {"include": ["properties"], "exclude": ["properties.datetime", "id"]})
    assert "datetime" not in less["properties"]
    assert less["id"]


def test_pystac_client_asks_for_fields_and_pages_keep_them(stac: str) -> None:
    found = Client.open(stac).search(collections=[SCENES], fields=["id", "-links"], limit=2)
    items = list(found.items_as_dicts())
    assert len(items) == 6
    assert all(set(item) == SHORT for item in items)


@pytest.mark.parametrize("fields", [None, 7, {"include": "id"}, {"exclude": [1]}])
def test_fields_that_are_no_names_are_refused(stac: str, fields: Any) -> None:
    reply = post(stac, fields=fields)
    assert reply.status_code == 400
    assert reply.json()["description"].startswith("fields")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"title": {"startsWith": "Synthetic demo"}}, 6),
        ({"title": {"startsWith": "demo"}}, 0),
        ({"title": {"endsWith": "2026-08-15"}}, 2),
        ({"title": {"contains": "at Rennes"}}, 3),
        ({"title": {"contains": "%"}}, 0),
        ({"title": {"contains": "R_nnes"}}, 0),
        ({"gsd": {"eq": "10"}}, 6),
        ({"gsd": {"in": ["10", "20"]}}, 6),
        ({"gsd": {"gt": "10"}}, 0),
    ],
)
def test_query_compares_texts_and_written_numbers(stac: str, query: Any, count: int) -> None:
    assert len(post(stac, query=query).raise_for_status().json()["features"]) == count


def test_query_names_the_operators_it_has(stac: str) -> None:
    reply = post(stac, query={"title": {"contains": 5}})
    assert reply.status_code == 400
    assert "startsWith" in reply.json()["description"]


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2026-01-01t00:00:00z/..", 200),
        ("2026-01-01T00:00:00+01:00/2026-12-01T00:00:00.123456789Z", 200),
        ("2026-01-01", 400),
        ("2026-01-01T00:00:00", 400),
        ("2026-01-01T00:00:00,5Z", 400),
        ("2026-01-01T00:00:00+0100", 400),
        ("2026-13-01T00:00:00Z", 400),
    ],
)
def test_moments_are_those_of_the_standard(stac: str, moment: str, status: int) -> None:
    assert post(stac, datetime=moment).status_code == status


def test_the_api_describes_itself_with_its_media_type(stac: str) -> None:
    links = {link["rel"]: link for link in httpx.get(stac).json()["links"]}
    reply = httpx.get(links["service-desc"]["href"])
    assert reply.headers["content-type"] == links["service-desc"]["type"]
    assert "/stac/search" in reply.json()["paths"]
    page = httpx.get(f"{stac}/collections/{SCENES}/items", params={"limit": 1}).json()
    assert page["links"][0]["href"].endswith("/items?limit=1")


def test_several_geometries_at_once_are_one_place(stac: str) -> None:
    west, south, east, north = first(stac, "bbox")["bbox"]
    point = {"type": "Point", "coordinates": [(west + east) / 2, (south + north) / 2]}
    line = [[101.0, 0.0], [102.0, 1.0]]
    collection = {"type": "GeometryCollection", "geometries": [point, {"type": "LineString", "coordinates": line}]}
    assert len(post(stac, intersects=collection).raise_for_status().json()["features"]) == 3
