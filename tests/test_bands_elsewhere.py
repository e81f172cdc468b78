"""Classes and stacks from a back-end that behaves like CDSE, with other ids, bands and a login, equal the hub's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pydantic import SecretStr

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.servers.openeo_cdse import STAC_ID, bounds, cdse_server, make_archive
from tools.areas import parse_geojson
from tools.backend_login import ClientCredentials, Logins
from tools.backend_mapping import load_mapping
from tools.hub.server import running_hub
from tools.schema import ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Toolbox, Toolbox]]:
    """Give a toolbox on the hub and one on the service like CDSE, over the same pixels."""
    root = tmp_path_factory.mktemp("elsewhere")
    make_archive(root / "hub")
    build_index(root / "index", embedding_model="none")
    west, south, east, north = bounds()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    area = parse_geojson({"type": "Polygon", "coordinates": [ring]}, name="all")
    context = Context(today=date(2025, 7, 1), session_id="s" * 20, area=area, collection_id=STAC_ID)
    with running_hub(root / "hub") as url, cdse_server(root / "hub") as cdse:
        retriever = Retriever(root / "index", embedding_model="none")
        here = Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(root / "here"))
        login = Logins(credentials=ClientCredentials(cdse.client[0], SecretStr(cdse.client[1])))
        there = replace(
            here, stac_url=cdse.stac_url, openeo_url=cdse.url, workspace=Workspace(root / "there"),
            backend=load_mapping("cdse"), logins=login,
        )  # fmt: skip
        yield Toolbox(here, context), Toolbox(there, context)


def pixels(found: ToolResult) -> list[tuple[int, float]]:
    return [(row["pixels"], round(row["area_ha"], 6)) for row in found.data["classification"]["classes"]]


def test_the_same_classes_come_from_both(both: tuple[Toolbox, Toolbox]) -> None:
    here, there = (one.classify("kmeans", "", "June 2025", 3) for one in both)
    assert pixels(here) == pixels(there)
    assert there.data["classification"]["bands"] == ["B02", "B03", "B04", "B08"]
    assert here.data["classification"]["bands"] != there.data["classification"]["bands"]


def test_the_same_stack_comes_from_both(both: tuple[Toolbox, Toolbox]) -> None:
    here, there = (one.feature_stack("", "June 2025", "red, NDVI") for one in both)
    paths = [Path(next(one.path for one in found.artifacts if one.kind == "raster")) for found in (here, there)]
    with xr.open_dataset(paths[0], engine="h5netcdf") as ours, xr.open_dataset(paths[1], engine="h5netcdf") as theirs:
        for name, other in zip(here.data["variables"], there.data["variables"], strict=True):
            assert theirs[other].values == pytest.approx(ours[name].values, abs=1e-6, nan_ok=True)
        assert np.isfinite(theirs["NDVI"].values).any()
