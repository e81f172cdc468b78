"""Exports: tables and polygons that say what they are, and code that runs again and prints the same numbers."""

import csv
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import openeo
import pytest
from nbclient import NotebookClient

from tools.export import synthetic_note, write_graph, write_table, write_vector
from tools.export_code import write_notebook, write_script
from tools.provenance import write_provenance
from tools.schema import Artifact, Output, Period, Place, Plan, Polygons, Scene, Statistics, StatisticsRow
from tools.workspace import Workspace, file_sha256
from tools.zonal import drop_empty_dates, rows_from_json

NAMES = ["Field '''one", 'Field "two"\\', "=2+3", "Pré été"]
MEAN = {
    "2026-06-15T00:00:00Z": [[0.5, 1.0], [0.25, 1.0], [None, None], [1 / 3, 1.0]],
    "2026-05-15T00:00:00Z": [[None, None], [None, None], [None, None], [None, None]],
    "2026-07-15T00:00:00Z": [[0.0, 1.0], [-0.125, 1.0], [0.7, 1.0], [float("nan"), None]],
}
COUNT = {
    "2026-06-15T00:00:00Z": [[9, 10], [5, 10], [0, 10], [3, 3]],
    "2026-05-15T00:00:00Z": [[0, 10], [0, 10], [0, 10], [0, 3]],
    "2026-07-15T00:00:00Z": [[10, 10], [10, 10], [1, 10], [0, 3]],
}


def graph(kind: str) -> dict[str, Any]:
    return {"add1": {"process_id": kind, "arguments": {"x": None, "y": True}, "result": True}}


GRAPHS = {kind: graph(kind) for kind in ("mean", "count")}


class OpenEO(BaseHTTPRequestHandler):
    """Just enough of an openEO service: it answers the graph of each name with a fixed table."""

    def do_GET(self) -> None:
        base = f"http://{self.headers['Host']}"
        if self.path == "/.well-known/openeo":
            self._send({"versions": [{"url": base, "api_version": "1.2.0", "production": True}]})
        else:
            methods = {"GET /": ["GET"], "/result": ["POST"]}
            endpoints = [{"path": path, "methods": way} for path, way in methods.items()]
            self._send({"api_version": "1.2.0", "id": "loop", "endpoints": endpoints, "links": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (node,) = body["process"]["process_graph"].values()
        self._send({"mean": MEAN, "count": COUNT}[node["process_id"]])

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""

    def _send(self, answer: object) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def openeo_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OpenEO)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "artifacts")


def make_plan(output: Output = "series", names: list[str] = NAMES) -> Plan:
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    features = [
        {"type": "Feature", "id": str(number), "geometry": square, "properties": {"name": name}}
        for number, name in enumerate(names)
    ]
    units = Polygons(name="u", source="u.geojson", collection={"type": "FeatureCollection", "features": features})
    place = Place(name='Ren"""nes\\', kind="city", bbox=(0.0, 0.0, 1.0, 1.0), area_km2=1.0, source="GeoNames")
    period = Period(start=date(2026, 5, 1), end=date(2026, 7, 31), label="May to July 2026")
    return Plan(recipe_id="ndvi", collection_id="c", output=output, place=place, polygons=units, period=period)


def statistics(*, keep_empty: bool = False) -> Statistics:
    rows = rows_from_json(MEAN, COUNT, NAMES)
    kept = rows if keep_empty else drop_empty_dates(rows)
    return Statistics(rows=kept, unit="NDVI", method="mean of pixel centres")


def run_script(artifact: Artifact, *arguments: str) -> list[str]:
    command = [sys.executable, "-I", artifact.path, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def expected_lines(numbers: Statistics) -> list[tuple[str, ...]]:
    return [
        (
            row.date or "-",
            "no data" if row.value is None else f"{row.value:.6f}",
            f"{row.valid_pixels}/{row.total_pixels}",
        )
        for row in numbers.rows
    ]


@pytest.mark.parametrize("keep_empty", [False, True])
def test_the_script_prints_the_numbers_of_the_run(workspace: Workspace, openeo_url: str, keep_empty: bool) -> None:
    numbers = statistics(keep_empty=keep_empty)
    script = write_script(workspace, GRAPHS, make_plan(), openeo_url="http://127.0.0.1:9", expected=numbers)
    lines = run_script(script, "--url", openeo_url)
    assert lines[0].startswith("NDVI (series)")
    body = lines[2:-1]
    for line, (day, value, pixels), row in zip(body, expected_lines(numbers), numbers.rows, strict=True):
        assert line.startswith(row.label)
        assert line.split()[-1] == pixels
        assert day in line
        assert value in line
    assert lines[-1] == f"Same as the first run: all {len(numbers.rows)} rows agree."


def test_the_script_says_when_the_numbers_have_changed(workspace: Workspace, openeo_url: str) -> None:
    numbers = statistics()
    changed = numbers.rows[0].model_copy(update={"value": 0.51})
    then = numbers.model_copy(update={"rows": (changed, *numbers.rows[1:])})
    script = write_script(workspace, GRAPHS, make_plan(), openeo_url=openeo_url, expected=then)
    assert run_script(script)[-1].startswith("Different from the first run in 1 of 8 rows")


def test_the_notebook_runs_and_prints_the_same(workspace: Workspace, openeo_url: str, tmp_path: Path) -> None:
    numbers = statistics()
    artifact = write_notebook(workspace, GRAPHS, make_plan(), openeo_url=openeo_url, expected=numbers)
    notebook = nbformat.read(artifact.path, as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output["text"] for cell in notebook.cells for output in cell.get("outputs", []))
    assert "Same as the first run: all 8 rows agree." in printed
    assert all(value in printed for _, value, _ in expected_lines(numbers))


def test_the_graph_file_runs_through_the_client(workspace: Workspace, openeo_url: str) -> None:
    artifact = write_graph(workspace, GRAPHS["count"], make_plan())
    assert openeo.connect(openeo_url).execute(artifact.path) == COUNT


def test_code_and_graph_say_when_scenes_or_polygons_are_invented(workspace: Workspace, openeo_url: str) -> None:
    plan, numbers = make_plan(), statistics()
    note = synthetic_note(scenes=False, units=True)
    assert "polygons are invented" in note
    assert synthetic_note(scenes=False, units=False) == ""
    script = write_script(workspace, GRAPHS, plan, openeo_url=openeo_url, expected=numbers, note=note)
    assert run_script(script)[1] == note
    assert note in Path(script.path).read_text(encoding="utf-8").split("import argparse")[0]
    notebook = write_notebook(workspace, GRAPHS, plan, openeo_url=openeo_url, expected=numbers, note=note)
    assert note in nbformat.read(notebook.path, as_version=4).cells[0]["source"]
    process = json.loads(Path(write_graph(workspace, GRAPHS["mean"], plan, note=note).path).read_text(encoding="utf-8"))
    assert process["description"] == note
    assert process["process_graph"] == GRAPHS["mean"]


def test_no_secret_of_the_address_is_passed_on(workspace: Workspace) -> None:
    url = "https://user:secret@example.org/openeo?token=secret"
    script = write_script(workspace, GRAPHS, make_plan(), openeo_url=url, expected=statistics())
    text = Path(script.path).read_text(encoding="utf-8")
    assert "https://example.org/openeo" in text
    assert "secret" not in text


def test_the_table_keeps_no_data_empty_and_zero_zero(workspace: Workspace) -> None:
    artifact = write_table(workspace, statistics(), make_plan(), synthetic=True)
    with Path(artifact.path).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    assert rows[2]["value"] == ""
    assert rows[2]["outcome"] == "no_data"
    assert rows[4]["value"] == "0.0"
    assert rows[0]["valid_share"] == "0.9"
    assert rows[2]["label"] == "'=2+3"
    assert {row["data"] for row in rows} == {"synthetic demo data"}


def test_the_polygons_carry_their_values(workspace: Workspace) -> None:
    same_names = ["Field", "Field"]
    rows = (
        StatisticsRow(label="Field", value=0.5, valid_pixels=9, total_pixels=10, outcome="ok"),
        StatisticsRow(label="Field", value=None, valid_pixels=0, total_pixels=10, outcome="no_data"),
    )
    numbers = Statistics(rows=rows, unit="NDVI", method="mean")
    artifact = write_vector(workspace, numbers, make_plan("per_polygon", same_names))
    features = json.loads(Path(artifact.path).read_text(encoding="utf-8"))["features"]
    assert [feature["properties"]["value"] for feature in features] == [0.5, None]
    assert features[0]["properties"]["name"] == "Field"
    assert features[0]["properties"]["valid_share"] == 0.9
    assert features[1]["properties"]["outcome"] == "no_data"


def test_a_series_becomes_rows_of_each_polygon(workspace: Workspace) -> None:
    artifact = write_vector(workspace, statistics(), make_plan())
    features = json.loads(Path(artifact.path).read_text(encoding="utf-8"))["features"]
    assert [len(feature["properties"]["rows"]) for feature in features] == [2, 2, 2, 2]
    assert features[0]["properties"]["rows"][1]["value"] == 0.0


def test_the_provenance_names_scenes_versions_and_checksums(workspace: Workspace) -> None:
    plan = make_plan()
    table = write_table(workspace, statistics(), plan)
    scene = Scene(id="S2_1", collection_id="c", datetime="2026-06-15T11:00:00Z", bbox=(0.0, 0.0, 1.0, 1.0))
    artifact = write_provenance(
        workspace,
        plan,
        scenes=[scene],
        product_id="high-resolution-vegetation",
        artifacts=[table],
        openeo_url="http://127.0.0.1:1/hub/openeo",
        stac_url="http://127.0.0.1:1/hub/stac",
        synthetic=True,
    )
    record = json.loads(Path(artifact.path).read_text(encoding="utf-8"))
    assert record["plan_fingerprint"] == plan.fingerprint
    assert record["dates"] == ["2026-06-15"]
    assert record["files"][0]["sha256"] == file_sha256(Path(table.path))
    assert record["versions"]["openeo"] == openeo.__version__
    assert "synthetic" in record["data"]
    assert Plan.model_validate(record["plan"]) == plan
