"""User-defined processes of the hub, saved, used and removed by the ordinary openEO client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openeo
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from openeo.api.process import Parameter
from openeo.processes import process
from openeo.rest import OpenEoApiError
from starlette.testclient import TestClient

from assistant.settings import Settings
from tools.hub.add import add_files
from tools.hub.app import create_hub
from tools.hub.server import running_hub
from ui.cli import main
from ui.gate import guard

RED, NIR = 2.0, 6.0


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openeo.Connection]:
    folder = tmp_path_factory.mktemp("user")
    for name, value in (("B04", RED), ("B08", NIR)):
        with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", height=8, width=8, count=1, dtype="float32",
                           crs="EPSG:32630", transform=Affine(10, 0, 6e5, 0, -10, 5.33e6)) as raster:  # fmt: skip
            raster.write(np.full((8, 8), value, np.float32), 1)
    files = [folder / "B04.tif", folder / "B08.tif"]
    add_files(folder / "hub", files, collection_id="s2", datetime="2024-05-15")
    with running_hub(folder / "hub") as url:
        yield openeo.connect(f"{url}/openeo")


def node(process_id: str, **arguments: Any) -> dict[str, Any]:
    return {"process_id": process_id, "arguments": arguments, "result": True}


def child(process_id: str, **arguments: Any) -> dict[str, Any]:
    """A graph of one node, as a callback."""
    return {"process_graph": {"n": node(process_id, **arguments)}}


def one_value(cube: openeo.DataCube) -> float:
    """Give the largest pixel of a cube with one band and date; the cube may lack the client's metadata."""
    largest = child("max", data={"from_parameter": "data"})
    spatial = cube.process("reduce_spatial", data=cube, reducer=largest)
    last = spatial.process("reduce_dimension", data=spatial, dimension="t", reducer=largest)
    graph = last.save_result(format="JSON").flat_graph()
    data = np.ravel(cube.connection.execute({"process_graph": graph})["data"])
    assert len(data) == 1
    return float(data[0])


def save_scaled_index(connection: openeo.Connection, factor: float) -> None:
    """Save (nir - red) / (nir + red) times a factor, which has a default."""
    data = Parameter.raster_cube(name="data", description="Red and near infrared.")
    by = Parameter.number("by", description="Factor.", default=factor)
    cube = connection.datacube_from_process("ndvi", data=data, nir="B08", red="B04")
    scaled = cube.process(
        "apply", data=cube, process=child("multiply", x={"from_parameter": "x"}, y={"from_parameter": "by"})
    )
    connection.save_user_defined_process("scaled_index", scaled, parameters=[data, by], summary="An index, scaled.")


def test_a_saved_process_is_listed_described_used_and_removed(connection: openeo.Connection) -> None:
    save_scaled_index(connection, 10)
    listed = connection.list_user_defined_processes()
    assert [(one["id"], one["summary"]) for one in listed] == [("scaled_index", "An index, scaled.")]
    assert "process_graph" not in listed[0]
    described = connection.user_defined_process("scaled_index").describe()
    assert [parameter["name"] for parameter in described["parameters"]] == ["data", "by"]
    cube = connection.load_collection("s2", bands=["B04", "B08"])
    index = (NIR - RED) / (NIR + RED)
    assert one_value(cube.process("scaled_index", data=cube)) == pytest.approx(10 * index)
    used = connection.datacube_from_process("scaled_index", namespace="user", data=cube, by=100)
    assert one_value(used) == pytest.approx(100 * index)
    assert connection.validate_process_graph(used.flat_graph()) == []
    save_scaled_index(connection, 20)  # the result kept for the old definition must not come back
    assert one_value(cube.process("scaled_index", data=cube)) == pytest.approx(20 * index)
    connection.user_defined_process("scaled_index").delete()
    assert list(connection.list_user_defined_processes()) == []
    with pytest.raises(OpenEoApiError, match="ProcessGraphNotFound"):
        connection.user_defined_process("scaled_index").describe()
    with pytest.raises(OpenEoApiError, match="ProcessUnsupported"):
        one_value(cube.process("scaled_index", data=cube))


def test_a_process_works_as_a_callback_and_sees_only_its_own_parameters(connection: openeo.Connection) -> None:
    twice = {"m": {"process_id": "multiply", "arguments": {"x": {"from_parameter": "v"}, "y": 2}, "result": True}}
    connection.save_user_defined_process("twice", twice, parameters=[Parameter.number("v", description="A value.")])
    cube = connection.load_collection("s2", bands=["B08"])
    assert one_value(cube.apply(lambda x: process("twice", v=x))) == 2 * NIR
    peeking = {"m": {"process_id": "multiply", "arguments": {"x": {"from_parameter": "x"}, "y": 2}, "result": True}}
    connection.save_user_defined_process("peeking", peeking, parameters=[Parameter.number("v", description="A value.")])
    with pytest.raises(OpenEoApiError, match="ProcessParameterMissing"):
        one_value(cube.apply(lambda x: process("peeking", v=x)))
    with pytest.raises(OpenEoApiError, match="ProcessParameterRequired"):
        one_value(cube.apply(lambda x: process("twice")))
    with pytest.raises(OpenEoApiError, match="ProcessParameterUnsupported"):
        one_value(cube.apply(lambda x: process("twice", v=x, w=1)))


def calling(name: str) -> dict[str, Any]:
    return {"n": {"process_id": name, "arguments": {}, "result": True}}


def test_recursion_is_refused_also_through_others(connection: openeo.Connection) -> None:
    with pytest.raises(OpenEoApiError, match="would call itself"):
        connection.put("/process_graphs/alpha", json={"process_graph": calling("alpha")})
    connection.put("/process_graphs/alpha", json={"process_graph": calling("pi")})
    connection.put("/process_graphs/beta", json={"process_graph": calling("alpha")})
    with pytest.raises(OpenEoApiError, match="would call itself"):
        connection.put("/process_graphs/alpha", json={"process_graph": calling("beta")})
    assert connection.execute({"process_graph": calling("beta")}) == pytest.approx(np.pi)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("mean", {"process_graph": calling("pi")}, "PredefinedProcessExists"),
        ("no-dash", {"process_graph": calling("pi")}, "ProcessGraphIdInvalid"),
        ("empty", {}, "ProcessGraphMissing"),
        ("odd", {"process_graph": calling("no_such_process")}, "ProcessUnsupported"),
        ("odd", {"process_graph": {"n": {"process_id": "pi", "arguments": {}}}}, "ProcessGraphInvalid"),
        ("odd", {"process_graph": calling("pi"), "parameters": [{"name": "a"}, {"name": "a"}]}, "ProcessParameterInv"),
        ("odd", {"process_graph": calling("pi"), "parameters": "a"}, "ProcessParameterInvalid"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_its_code(
    connection: openeo.Connection, name: str, body: dict[str, Any], code: str
) -> None:
    reply = connection.put(f"/process_graphs/{name}", json=body, check_error=False)
    assert reply.status_code == 400
    assert reply.json()["code"].startswith(code)


def test_pages_elsewhere_may_ask_only_where_the_settings_name_them(tmp_path: Path) -> None:
    editor = "https://editor.openeo.org"
    for origins, allowed in ((editor, editor), (None, None)):
        app = create_hub(tmp_path / "hub")
        guard(app, Settings(data_dir=tmp_path, cors_origins=origins))
        asked = {"Origin": editor, "Access-Control-Request-Method": "PATCH"}
        with TestClient(app, base_url="http://127.0.0.1") as client:
            before = client.options("/openeo/jobs/j-1", headers=asked)
            capabilities = client.get("/openeo/", headers={"Origin": editor})
            started = client.post("/openeo/jobs/j-1/results", headers={"Origin": editor})
            renamed = client.get("/stac", headers={"Host": "rebound.example"})
        assert before.headers.get("access-control-allow-origin") == allowed
        assert ("Location" in capabilities.headers.get("access-control-expose-headers", "")) == bool(allowed)
        assert started.status_code == (404 if allowed else 403)  # there is no such job
        assert renamed.status_code == 400


def test_a_hub_that_others_reach_needs_a_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLMS_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["hub", "serve", "--host", "0.0.0.0", "--port", "0"])
    assert result.exit_code == 1
    assert "CLMS_AUTH=required" in result.output
