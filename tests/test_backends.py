"""One plan on two back-ends, the hub and a stand-in for CDSE: other ids, other bands, the same numbers."""

import json
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
from pydantic import SecretStr

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.servers.openeo_cdse import OPENEO_ID, STAC_ID, Cdse, bounds, cdse_server, make_archive
from tests.test_recipes import BOX, UNITS, plan
from tools.areas import parse_geojson
from tools.backend_layers import compile_layers, renamed
from tools.backend_login import ClientCredentials, Logins
from tools.backend_mapping import all_mappings, find_mapping, load_mapping
from tools.backends import OpenEOBackend, layers_of
from tools.errors import NotCovered, ToolInputError
from tools.hub.server import running_hub
from tools.layers import Layer, Layers
from tools.recipes import build_graphs
from tools.schema import ToolResult
from tools.stac import StacService
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

GOLDEN = Path(__file__).parent / "golden"
TODAY = date(2025, 7, 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backends")


@pytest.fixture(scope="module")
def reflectances(root: Path) -> dict[str, Any]:
    return make_archive(root / "hub")


@pytest.fixture(scope="module")
def hub(root: Path, reflectances: dict[str, Any]) -> Iterator[Services]:
    build_index(root / "index", embedding_model="none")
    with running_hub(root / "hub") as url:
        retriever = Retriever(root / "index", embedding_model="none")
        yield Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(root / "files"))


@pytest.fixture
def cdse(root: Path, reflectances: dict[str, Any]) -> Iterator[Cdse]:
    with cdse_server(root / "hub") as state:
        yield state


@pytest.fixture
def services(hub: Services, cdse: Cdse, tmp_path: Path) -> Services:
    credentials = ClientCredentials(cdse.client[0], SecretStr(cdse.client[1]))
    return replace(
        hub,
        stac_url=cdse.stac_url,
        openeo_url=cdse.url,
        workspace=Workspace(tmp_path / "files"),
        backend=load_mapping("cdse"),
        logins=Logins(credentials=credentials),
    )


def context() -> Context:
    west, south, east, north = bounds()
    pad = 0.0002
    ring = [[west - pad, south - pad], [east + pad, south - pad], [east + pad, north + pad], [west - pad, north + pad]]
    area = parse_geojson({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, name="all")
    return Context(today=TODAY, session_id="s" * 20, area=area, collection_id="sentinel-2-l2a")


def compute(services: Services, index: str) -> ToolResult:
    return Toolbox(services, context()).compute(index, "", "June 2025", "per_polygon")


def mean(found: ToolResult) -> tuple[float | None, int, int]:
    assert found.statistics is not None
    (row,) = found.statistics.rows
    return row.value, row.valid_pixels, row.total_pixels


def by_hand(bands: dict[str, Any], formula: Any) -> float:
    red, nir = bands["B04"], bands["B08"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        values = np.where((red >= 0) & (nir >= 0), formula(red, nir), np.nan)
        return float(np.nanmean(np.nanmedian(values, axis=0)))


@pytest.mark.parametrize(
    ("index", "formula"),
    [
        ("NDVI", lambda red, nir: (nir - red) / (nir + red)),
        ("EVI2", lambda red, nir: 2.5 * (nir - red) / (nir + 2.4 * red + 1)),
    ],
)
def test_the_same_plan_gives_the_same_numbers_through_both(
    hub: Services, services: Services, reflectances: dict[str, Any], index: str, formula: Any
) -> None:
    here, there = compute(hub, index), compute(services, index)
    assert here.outcome == there.outcome == "ok"
    assert here.plan == there.plan
    assert mean(here)[1:] == mean(there)[1:]
    assert mean(here)[0] == pytest.approx(mean(there)[0], abs=2e-6)
    assert mean(there)[0] == pytest.approx(by_hand(reflectances, formula), abs=2e-6)


def stac_layers() -> Layers:
    """The bands as CDSE's STAC collection has them: an asset for each pixel size, with an offset."""
    named = {"B04_10m": ("red", 10), "B04_20m": ("red", 20), "B08_10m": ("nir", 10)}
    bands = tuple(
        Layer(name=name, common_name=word, scale=0.0001, offset=-0.1, gsd_m=size)
        for name, (word, size) in named.items()
    )
    return Layers(collection_id=STAC_ID, bands=bands, scl="SCL_20m", has_cloud_cover=True)


def cube(**more: Any) -> dict[str, Any]:
    dimensions = {"bands": {"type": "bands", "values": ["B04", "B08", "SCL"]}, "t": {"type": "temporal"}}
    return {"id": OPENEO_ID, "cube:dimensions": dimensions, **more}


def test_the_graph_for_cdse_is_the_one_on_file() -> None:
    layers = compile_layers(stac_layers(), cube(), load_mapping("cdse").collection(STAC_ID))
    found = build_graphs(plan("per_polygon"), layers, UNITS, BOX)
    assert found == json.loads((GOLDEN / "ndvi_per_polygon_cdse.json").read_text(encoding="utf-8"))
    load = found["mean"]["loadcollection1"]["arguments"]
    assert (load["id"], load["bands"]) == (OPENEO_ID, ["B04", "B08", "SCL"])


def test_scale_and_offset_are_those_of_the_back_end_and_never_those_of_stac() -> None:
    known = load_mapping("cdse").collection(STAC_ID)
    told = {"summaries": {"raster:bands": [{"name": "B08", "scale": 0.5}, {"name": "B04", "offset": 7}]}}
    layers = compile_layers(stac_layers(), cube(**told), known)
    assert [(one.name, one.scale, one.offset) for one in layers.bands] == [("B04", None, 7), ("B08", 0.5, None)]
    assert layers.note == ""
    unknown = compile_layers(stac_layers(), cube(), None)
    assert [(one.scale, one.offset, one.gsd_m) for one in unknown.bands] == [(None, None, 10), (None, None, 10)]
    assert unknown.scl == "SCL"


def test_what_only_the_mapping_knows_is_told_with_its_source() -> None:
    layers = compile_layers(stac_layers(), cube(), load_mapping("cdse").collection(STAC_ID))
    assert layers.bands[0] == Layer(name="B04", common_name="red", scale=0.0001, offset=0.0, gsd_m=10)
    assert "https://github.com/Open-EO/openeo-geopyspark-driver" in layers.note


def test_bands_without_an_order_are_read_by_name_and_lists_without_names_by_place() -> None:
    summaries = {"eo:bands": [{"name": "B04"}, {"name": "B08"}], "raster:bands": [{"scale": 2}, {"scale": 3}]}
    layers = compile_layers(stac_layers(), cube(summaries=summaries), None)
    assert [one.scale for one in layers.bands] == [2, 3]


@pytest.mark.parametrize(
    ("stac_id", "openeo_id"),
    [
        (STAC_ID, OPENEO_ID),
        ("clms_ndvi_global_300m_10daily_v2_cog", "CLMS_NDVI_GLOBAL_300M_10DAILY_V2"),
        ("clms_vlcc_bare-soil-after_europe_10m_yearly_v1", "CLMS_VLCC_BARE_SOIL_AFTER_EUROPE_10M_YEARLY_V1"),
    ],
)
def test_cdse_ids_follow_from_stac_ids(stac_id: str, openeo_id: str) -> None:
    found = load_mapping("cdse").collection(stac_id)
    assert found is not None
    assert found.openeo == openeo_id


def test_a_back_end_is_known_by_its_host_and_a_hub_by_its_two_addresses() -> None:
    assert find_mapping("https://openeo.dataspace.copernicus.eu/openeo/1.2").id == "cdse"
    assert find_mapping("openeo.dataspace.copernicus.eu").id == "cdse"
    assert find_mapping("https://openeofed.dataspace.copernicus.eu").id == "federation"
    assert find_mapping("http://127.0.0.1:7860/hub/openeo", stac_url="http://127.0.0.1:7860/hub/stac").id == "hub"
    assert find_mapping("https://openeo.example.org", stac_url="https://stac.example.org").id == "generic"
    assert find_mapping("https://openeo.example.org", name="cdse").id == "cdse"
    assert {"hub", "cdse", "federation", "generic"} <= set(all_mappings())


def test_a_mapping_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("id: mine\ntitle: Mine\ncollections:\n  - {stac: a, openeo: A1}\n")
    found = load_mapping(str(own)).collection("a")
    assert found is not None
    assert found.openeo == "A1"
    own.write_text("id: mine\ncolour: red\n")
    with pytest.raises(ToolInputError, match=r"mine\.yaml cannot be read: title"):
        load_mapping(str(own))
    with pytest.raises(ToolInputError, match="no openEO mapping called 'nobody'"):
        load_mapping("nobody")


def test_an_unknown_service_is_searched_for_the_same_name(hub: Services, cdse: Cdse) -> None:
    services = replace(hub, openeo_url=cdse.url, backend=load_mapping("generic"))
    assert layers_of(services, stac_layers()).openeo_id == OPENEO_ID
    with pytest.raises(NotCovered, match="has no collection sentinel-1-grd"):
        layers_of(services, Layers(collection_id="sentinel-1-grd"))


def test_a_scale_that_the_service_tells_is_used(services: Services, cdse: Cdse) -> None:
    assert "are taken from" in " ".join(compute(services, "EVI2").warnings)
    cdse.tells_scale = True
    assert "are taken from" not in " ".join(compute(services, "EVI2").warnings)


def test_the_script_logs_in_by_itself_and_gives_the_same(
    services: Services, cdse: Cdse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    script = next(one for one in compute(services, "NDVI").artifacts if one.kind == "script")
    text = Path(script.path).read_text()
    assert not [one for one in cdse.secrets() if one in text]
    with subprocess.Popen([sys.executable, script.path], stdout=subprocess.PIPE, text=True) as running:
        while not cdse.codes and running.poll() is None:
            time.sleep(0.02)
        cdse.log_in(next(iter(cdse.codes)))
        told = running.communicate(timeout=60)[0]
    assert "Same as the first run: all 1 rows agree." in told


def test_the_scenes_are_found_behind_hundreds_of_collections(services: Services, cdse: Cdse) -> None:
    cdse.other_collections = 418
    found = StacService(services.stac_url, timeout_s=20).collections()
    assert (len(found), found[-1]["id"], cdse.pages) == (419, STAC_ID, 3)
    anything = replace(context(), collection_id=None)
    told = Toolbox(services, anything).compute("NDVI", "", "June 2025", "per_polygon")
    assert told.plan is not None
    assert told.plan.collection_id == STAC_ID
    assert told.outcome == "ok"


def test_metadata_need_no_login(cdse: Cdse) -> None:
    backend = OpenEOBackend(cdse.url, timeout_s=5)
    assert backend.collection_ids() == [OPENEO_ID]
    assert backend.collection("NONE") is None


def test_the_graph_of_a_product_layer_is_put_into_the_names_of_the_back_end() -> None:
    stac = Layers(collection_id="clms_tcd_cog", bands=(Layer(name="tcd"), Layer(name="quality")))
    metadata = {"id": "CLMS_TCD", "cube:dimensions": {"bands": {"type": "bands", "values": ["TCD", "QUALITY"]}}}
    there = compile_layers(stac, metadata, None)
    load = {
        "process_id": "load_collection",
        "arguments": {"id": "clms_tcd_cog", "bands": ["tcd"], "spatial_extent": {}},
    }
    graph = {"mean": {"load": load, "save": {"process_id": "save_result", "arguments": {"format": "JSON"}}}}
    found = renamed(graph, there)
    assert found["mean"]["load"]["arguments"] == {"id": "CLMS_TCD", "bands": ["TCD"], "spatial_extent": {}}
    assert graph["mean"]["load"]["arguments"]["bands"] == ["tcd"]
    assert renamed(graph, stac) == graph
    other = {"load": {"process_id": "load_collection", "arguments": {"id": "clms_tcd_cog", "bands": ["age"]}}}
    with pytest.raises(NotCovered, match="CLMS_TCD of the openEO service has no band age"):
        renamed(other, there)
