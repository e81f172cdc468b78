"""The menu against a real hub on loopback with the demo archive."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tools.areas import parse_geojson
from tools.errors import JobFailed, NoScenes, NotCovered, TooLarge, ToolInputError
from tools.hub.demo import ensure_demo
from tools.hub.server import running_hub
from tools.nuts import NutsSource
from tools.places import resolve_place
from tools.stac import StacService
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

TODAY = date(2026, 9, 20)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root: Path = tmp_path_factory.mktemp("toolbox")
    ensure_demo(root / "hub", today=TODAY)
    build_index(root / "index", embedding_model="none")
    with running_hub(root / "hub") as url:
        yield Services(
            retriever=Retriever(root / "index", embedding_model="none"),
            stac_url=f"{url}/stac",
            openeo_url=f"{url}/openeo",
            workspace=Workspace(root / "artifacts"),
        )


@pytest.fixture
def toolbox(services: Services) -> Toolbox:
    return Toolbox(services, Context(today=TODAY, session_id="test"))


def test_parcels_get_values_a_map_and_a_product(toolbox: Toolbox) -> None:
    found = toolbox.compute("ndvi", "Rennes", "this summer", "per_polygon")
    assert found.outcome == "ok"
    assert found.statistics is not None
    assert found.recommendation is not None
    assert "Synthetic demo data" in found.text
    assert f"{found.data['summary']['mean_of_means']:.3f}" in found.text
    assert {"map", "raster", "table", "vector", "graph", "script", "notebook", "provenance", "metadata"} <= {
        artifact.kind for artifact in found.artifacts
    }
    assert all(-1 <= row.value <= 1 for row in found.statistics.rows if row.value is not None)


@pytest.mark.parametrize("index", ["EVI", "EVI2", "SAVI", "MSAVI", "NDWI", "GNDVI", "OSAVI"])
def test_the_demo_archive_has_the_bands_of_other_indices(toolbox: Toolbox, index: str) -> None:
    found = toolbox.compute(index, "Rennes", "this summer", "composite")
    assert found.outcome == "ok"
    assert found.text.startswith(f"Synthetic demo data. {index} median map")


def test_a_cloud_limit_leaves_out_the_scenes_above_it(toolbox: Toolbox) -> None:
    place, period = resolve_place("Rennes"), ("2026-06-01", "2026-08-31")
    stac = StacService(toolbox.services.stac_url, timeout_s=10)
    days = [date.fromisoformat(one) for one in period]
    clouds = sorted(
        scene.cloud_cover_percent or 0.0 for scene in stac.scenes("synthetic-sentinel-2-l2a", place.bbox, *days)
    )
    found = toolbox.compute("ndvi", "Rennes", "2026-06-01 to 2026-08-31", "series", max_cloud=clouds[0])
    assert found.estimate is not None
    assert found.estimate.scenes == clouds.count(clouds[0]) < len(clouds)


def test_an_index_of_other_bands_is_refused_in_a_sentence(toolbox: Toolbox) -> None:
    with pytest.raises(ToolInputError, match=r"NDMI .* needs swir16, which the collection synthetic") as caught:
        toolbox.compute("NDMI", "Rennes", "this summer", "composite")
    assert "NDVI, EVI2, SAVI" in caught.value.hint


def test_a_single_day_works(toolbox: Toolbox) -> None:
    found = toolbox.compute("ndvi", "Rennes", "2026-06-15", "series")
    assert found.statistics is not None
    assert [row.date for row in found.statistics.rows] == ["2026-06-15"]
    assert list(found.data["curves"]) == [found.statistics.rows[0].label]


def test_no_scenes_tells_the_nearest_dates(toolbox: Toolbox) -> None:
    with pytest.raises(NoScenes) as caught:
        toolbox.compute("ndvi", "Rennes", "January 2026", "composite")
    assert "2026-03-15" in caught.value.hint


def test_a_place_outside_is_not_covered(toolbox: Toolbox) -> None:
    with pytest.raises(NotCovered, match="Berlin"):
        toolbox.compute("ndvi", "Berlin", "2026", "composite")


def test_a_number_for_a_corner_is_not_told_as_one_for_the_region(toolbox: Toolbox) -> None:
    with pytest.raises(NotCovered, match=r"reach only 0\.\d% of Brittany"):
        toolbox.compute("ndvi", "Brittany", "2026", "composite")


def test_a_partly_covered_area_is_named_by_its_share(services: Services) -> None:
    scene = StacService(services.stac_url, timeout_s=30).scenes(
        "synthetic-sentinel-2-l2a", (-1.7, 48.1, -1.6, 48.2), date(2026, 6, 1), date(2026, 6, 30)
    )[0]
    west, south, east, north = scene.bbox
    box = {
        "type": "Polygon",
        "coordinates": [
            [
                [west - (east - west), south],
                [east, south],
                [east, north],
                [west - (east - west), north],
                [west - (east - west), south],
            ]
        ],
    }
    area = parse_geojson(box, name="mine")
    found = Toolbox(services, Context(today=TODAY, session_id="test", area=area)).compute(
        "ndvi", "", "June 2026", "composite"
    )
    assert found.statistics is not None
    assert "the 50% of it that scenes cover" in found.statistics.rows[0].label
    assert found.statistics.rows[0].label in found.text


def test_too_large_is_refused_before_anything_runs(services: Services) -> None:
    small = Services(services.retriever, services.stac_url, services.openeo_url, services.workspace, max_pixels=1000)
    with pytest.raises(TooLarge, match="allowed"):
        Toolbox(small, Context(today=TODAY, session_id="test")).compute("ndvi", "Rennes", "2026", "composite")


def test_polygons_inside_and_outside_are_told_apart(services: Services) -> None:
    def square(west: float, south: float) -> dict[str, object]:
        ring = [
            [west, south],
            [west + 0.002, south],
            [west + 0.002, south + 0.002],
            [west, south + 0.002],
            [west, south],
        ]
        return {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}

    area = parse_geojson(
        {"type": "FeatureCollection", "features": [square(-1.675, 48.11), square(2.0, 46.0)]}, name="mine"
    )
    found = Toolbox(services, Context(today=TODAY, session_id="test", area=area)).compute(
        "ndvi", "", "last summer", "per_polygon"
    )
    assert found.statistics is not None
    assert [row.outcome for row in found.statistics.rows] == ["ok", "not_covered"]


def test_an_unknown_collection_and_a_stop_are_told(services: Services) -> None:
    with pytest.raises(ToolInputError, match="no collection"):
        Toolbox(services, Context(today=TODAY, session_id="t", collection_id="nope")).compute(
            "ndvi", "Rennes", "2026", "series"
        )
    with pytest.raises(JobFailed, match="stopped"):
        Toolbox(services, Context(today=TODAY, session_id="t", cancelled=lambda: True)).compute(
            "ndvi", "Rennes", "2026", "series"
        )


def test_looking_things_up(toolbox: Toolbox) -> None:
    products = toolbox.search_products("How green are the parcels?")
    assert products.recommendation is not None
    assert products.recommendation.product_id in products.text
    assert all(citation.verified for citation in products.citations)
    assert toolbox.explain_product(products.recommendation.product_id).citations
    assert toolbox.find_place("Rennes").data["place"]["name"].startswith("Rennes")
    assert toolbox.search_scenes("Rennes", "this summer").data["count"] == 3


def test_a_parcel_smaller_than_a_few_pixels_is_told(services: Services) -> None:
    west, south, east, north = resolve_place("Rennes").bbox
    west, south = (west + east) / 2, (south + north) / 2
    ring = [[west, south], [west + 1e-4, south], [west + 1e-4, south + 1e-4], [west, south + 1e-4], [west, south]]
    area = parse_geojson({"type": "Polygon", "coordinates": [ring]}, name="garden")
    found = Toolbox(services, Context(today=TODAY, session_id="test", area=area)).compute(
        "ndvi", "", "June 2026", "per_polygon"
    )
    assert any("smaller than 4 pixels of 10 m: garden" in warning for warning in found.warnings)


def test_a_nuts_file_of_the_users_own_is_used(services: Services, tmp_path: Path) -> None:
    ring = [[-2.0, 48.0], [-1.0, 48.0], [-1.0, 49.0], [-2.0, 49.0], [-2.0, 48.0]]
    feature = {"properties": {"NUTS_ID": "FRH0"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "mine.geojson").write_text(json.dumps({"features": [feature]}))
    own = replace(services, nuts=NutsSource(tmp_path))
    found = Toolbox(own, Context(today=TODAY, session_id="test")).find_place("FRH0")
    assert "-2.0000, 48.0000, -1.0000, 49.0000" in found.text
    assert "mine.geojson" in found.text
