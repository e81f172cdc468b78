"""The list of scenes against a STAC service on loopback, in the shapes of CDSE and Earth Search."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from knowledge.retrieval import Retriever
from tests.servers.cog import Source, cog_server
from tools.errors import NoScenes, NotCovered
from tools.indices import find_band
from tools.layers import read_layers
from tools.scenes import list_scenes
from tools.schema import ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

Json = dict[str, Any]
PLACE = "-52.40,4.88,-52.36,4.92"
BOX = [-52.9, 4.4, -52.0, 5.4]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    with cog_server(tmp_path) as server:
        bands = {key: {"eo:bands": [{"name": key, "common_name": key}], "gsd": 10} for key in ("red", "nir")}
        scale = {"raster:bands": [{"scale": 0.0001, "offset": 0, "data_type": "uint16"}]}
        server.collections = [
            {
                "type": "Collection", "stac_version": "1.0.0", "id": "s2", "description": "Scenes.", "license": "other",
                "extent": {"spatial": {"bbox": [BOX]}, "temporal": {"interval": [[None, None]]}}, "links": [],
                "item_assets": {key: band | scale for key, band in bands.items()} | {"scl": {"gsd": 20}},
            }
        ]  # fmt: skip
        yield server


def scene(day: str, cloud: float, *, baseline: str = "05.11", tile: str = "22NCL", **asset: Any) -> Json:
    item_id = f"S2A_{tile}_{day}_{baseline}"
    red = {"href": "https://example.org/B04.tif", "type": "image/tiff", "roles": ["data"]} | asset
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": item_id, "collection": "s2", "bbox": BOX, "links": [],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "datetime": f"{day}T14:00:00Z", "eo:cloud_cover": cloud, "platform": "sentinel-2a",
            "grid:code": f"MGRS-{tile}", "processing:version": baseline, "auth:schemes": {"s3": {"type": "s3"}},
        },
        "assets": {"red": red, "thumbnail": {"href": "https://example.org/t.jpg", "type": "image/jpeg",
                                             "roles": ["thumbnail"]}},
    }  # fmt: skip


def services(source: Source, tmp_path: Path) -> Services:
    return Services(
        retriever=Retriever(tmp_path / "index", embedding_model="none"),
        stac_url=f"{source.base_url}/stac",
        openeo_url=f"{source.base_url}/openeo",
        workspace=Workspace(tmp_path / "artifacts"),
        timeout_s=5,
    )


def context() -> Context:
    return Context(today=date(2026, 9, 20), session_id="test", collection_id="s2")


def listed(source: Source, tmp_path: Path) -> ToolResult:
    return list_scenes(services(source, tmp_path), context(), place=PLACE, period="March 2025")


def test_the_scenes_are_counted_by_cloud_and_their_files_are_open(source: Source, tmp_path: Path) -> None:
    source.items = [scene("2025-03-01", 5.0), scene("2025-03-06", 35.0), scene("2025-03-11", 90.0)]
    found = listed(source, tmp_path)
    assert "3 scenes" in found.text
    assert "Cloud cover 5 to 90 %. At most 20 %: 1 scene. At most 40 %: 2 scenes. At most 60 %: 2 scenes." in found.text
    assert "no key is needed" in found.text
    assert found.data["files_need"] == ["nothing"]


def test_the_latest_clear_scene_is_told_or_the_clearest(source: Source, tmp_path: Path) -> None:
    source.items = [scene("2025-03-01", 5.0), scene("2025-03-06", 12.0), scene("2025-03-11", 90.0)]
    assert "The latest scene with at most 20 % cloud: 2025-03-06 (12 %)." in listed(source, tmp_path).text
    source.items = [scene("2025-03-01", 60.0), scene("2025-03-06", 45.0), scene("2025-03-11", 90.0)]
    assert "The clearest scene: 2025-03-06 (45 % cloud)." in listed(source, tmp_path).text


def test_one_scene_has_one_cloud_cover(source: Source, tmp_path: Path) -> None:
    source.items = [scene("2025-03-01", 5.0)]
    assert "1 scene of s2" in listed(source, tmp_path).text
    assert "Cloud cover 5 %." in listed(source, tmp_path).text


def test_a_scene_processed_twice_or_given_twice_is_one(source: Source, tmp_path: Path) -> None:
    source.items = [
        scene("2025-03-01", 5.0, baseline="05.10"),
        scene("2025-03-01", 6.0, baseline="05.11"),
        scene("2025-03-01", 7.0, tile="22NCM"),
        scene("2025-03-01", 7.0, tile="22NCM"),
    ]
    found = listed(source, tmp_path)
    assert found.data["count"] == 2
    assert {one["cloud_cover_percent"] for one in found.data["scenes"]} == {6.0, 7.0}
    assert "2 left out: older versions of a scene, or given twice." in found.text


def test_files_that_need_keys_are_told(source: Source, tmp_path: Path) -> None:
    on_s3: Json = {"href": "s3://eodata/B04.jp2", "type": "image/jp2", "auth:refs": ["s3"]}
    signed_in = {"https": {"href": "https://zipper.example.org/B04.jp2", "auth:refs": ["oidc"]}}
    source.items = [scene("2025-03-01", 5.0, **on_s3, alternate=signed_in)]
    assert "need S3 keys" in listed(source, tmp_path).text
    source.items = [
        scene("2025-03-01", 5.0, **(on_s3 | {"href": "https://example.org/B04.jp2", "auth:refs": ["oidc"]}))
    ]
    assert "need an account" in listed(source, tmp_path).text


def test_no_scene_tells_the_nearest_dates_with_their_cloud(source: Source, tmp_path: Path) -> None:
    source.items = [scene("2025-02-20", 12.0), scene("2025-04-02", 99.0)]
    with pytest.raises(NoScenes) as caught:
        listed(source, tmp_path)
    assert "2025-02-20 (12 % cloud) and 2025-04-02 (99 % cloud)" in caught.value.hint


def test_only_cloudy_scenes_tell_the_clearest_and_the_nearest_below_the_limit(source: Source, tmp_path: Path) -> None:
    source.items = [scene("2025-03-01", 97.0), scene("2025-03-11", 88.0), scene("2025-04-02", 99.0)]
    source.items += [scene("2025-04-12", 30.0)]
    with pytest.raises(NoScenes) as caught:
        Toolbox(services(source, tmp_path), context()).compute("ndvi", PLACE, "March 2025", "composite")
    assert "All 2 scenes" in caught.value.message
    assert "the clearest, of 2025-03-11, has 88 %" in caught.value.message
    assert "nearest dates below the limit: 2025-04-12 (30 % cloud)" in caught.value.hint


def test_one_of_hundreds_of_collections_is_found_with_few_requests(source: Source, tmp_path: Path) -> None:
    (first,) = source.collections
    source.collections = [first, *({**first, "id": f"mosaic-{number}"} for number in range(300))]
    source.items = [scene("2025-03-01", 5.0)]
    anything = Context(today=date(2026, 9, 20), session_id="test")
    assert (
        list_scenes(services(source, tmp_path), anything, place=PLACE, period="March 2025").data["collection"] == "s2"
    )
    assert source.searches <= 3
    source.items = []
    with pytest.raises(NotCovered) as caught:
        list_scenes(services(source, tmp_path), anything, place=PLACE, period="March 2025")
    assert "s2, mosaic-0, mosaic-1" in caught.value.hint
    assert "and 293 more" in caught.value.hint


def test_bands_are_known_where_only_the_summaries_or_wavelengths_tell_them() -> None:
    """The shapes of Landsat and Sentinel-2 in Earth Search."""
    raster = {"raster:bands": [{"scale": 2.75e-05, "offset": -0.2, "spatial_resolution": 30}]}
    bands = [{"name": "OLI_B4", "common_name": "red"}, {"name": "OLI_B5", "common_name": "nir08"}]
    assets: Json = {"red": raster, "nir08": raster, "qa_pixel": {}}
    landsat = read_layers({"id": "landsat", "summaries": {"eo:bands": bands}, "item_assets": assets})
    red, nir, quality = landsat.bands
    assert (red.common_name, red.scale, red.offset, red.gsd_m) == ("red", 2.75e-05, -0.2, 30)
    assert (nir.common_name, quality.common_name) == ("nir08", None)
    assert find_band(landsat, "N") == nir
    edges = {f"rededge{place}": {"eo:bands": [{"common_name": "rededge", "center_wavelength": wavelength}]}
             for place, wavelength in enumerate((0.704, 0.74, 0.783), 1)}  # fmt: skip
    sentinel = read_layers({"id": "s2", "item_assets": edges})
    assert [getattr(find_band(sentinel, symbol), "name", None) for symbol in ("RE1", "RE2", "RE3")] == list(edges)
