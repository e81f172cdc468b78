"""One plan on two back-ends, the hub and a stand-in for CDSE: other ids, other bands, the same numbers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.servers.openeo_cdse import Cdse, bounds, cdse_server, make_archive
from tools.areas import parse_geojson
from tools.backend_login import ClientCredentials, Logins
from tools.backend_mapping import load_mapping
from tools.hub.server import running_hub
from tools.schema import ToolResult
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
    from pydantic import SecretStr

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
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where((bands["B04"] >= 0) & (bands["B08"] >= 0), formula(bands["B04"], bands["B08"]), np.nan)
    with (
        pytest.warns(RuntimeWarning, match="All-NaN") if np.isnan(values).all(0).any() else pytest.MonkeyPatch.context()
    ):
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
