"""Whole journeys: the real tools, the embedded hub and a small demo archive, through the loop, the HTTP door and the
command line."""

import ast
import asyncio
import csv
import hashlib
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio
import uvicorn
from affine import Affine
from click.testing import CliRunner
from fastapi import FastAPI
from lxml import etree
from openai import BadRequestError, OpenAI
from PIL import Image
from rasterio.warp import transform as reproject

from assistant.agent import Assistant
from assistant.schema import Answer
from assistant.settings import Settings
from knowledge.errors import ClmsError
from knowledge.ingest import build_index
from tests.servers.dead import dead_url
from tools.areas import parse_geojson
from tools.hub.demo import ensure_demo
from tools.schema import Artifact, Polygons
from ui.api import create_app
from ui.cli import main

TODAY = date(2025, 9, 10)
QUESTION = "How green are the parcels around Rennes this summer?"
KINDS = {"map", "raster", "chart", "table", "vector", "graph", "script", "notebook", "provenance", "metadata"}
CORNER = (500_000.0, 4_600_000.0)
"""Upper left corner of the user's raster in EPSG:32630: far from both demo areas."""


@dataclass(frozen=True)
class World:
    """Everything one process serves."""

    settings: Settings
    assistant: Assistant
    url: str

    async def ask(self, question: str, area: Polygons | None = None) -> Answer:
        return await self.assistant.ask(question, today=TODAY, area=area)

    @property
    def environment(self) -> dict[str, str]:
        """Settings for the command line that reach this hub; with a hub given, it makes no demo archive."""
        return {
            "CLMS_DATA_DIR": str(self.settings.data_dir),
            "CLMS_STAC_URL": f"{self.url}/hub/stac",
            "CLMS_OPENEO_URL": f"{self.url}/hub/openeo",
            "CLMS_EMBEDDING_MODEL": "none",
        }


async def made_app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("journeys"),
        embedding_model="none",
        port=port,
        stac_url=None,
        openeo_url=None,
        llm_base_url=None,
    )
    ensure_demo(settings.hub_dir, today=TODAY, size_px=64)
    build_index(settings.index_dir, embedding_model="none")
    # Inside a loop, for Gradio would otherwise make one and never close it.
    app = asyncio.run(made_app(settings))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield World(settings, app.state.assistant, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()


@pytest.fixture(scope="session")
def client(world: World) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{world.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="session")
def asked(client: OpenAI) -> tuple[str, dict]:
    """Text and extra fields of the answer to the question the project was begun with."""
    done = client.chat.completions.create(
        model="clms-assistant",
        messages=[{"role": "user", "content": QUESTION}],
        extra_body={"clms": {"today": TODAY.isoformat()}},
    )
    return done.choices[0].message.content or "", done.model_extra["clms"]


def square(lon: float, lat: float, size: float = 0.01) -> dict:
    ring = [[lon, lat], [lon + size, lat], [lon + size, lat + size], [lon, lat + size], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def assert_honest_failure(answer: Answer, outcome: str, what: str, next_step: str) -> None:
    """A failure says what and what next in its first sentence, and holds no value."""
    first = answer.text.splitlines()[0]
    assert answer.outcome == outcome
    assert what in first
    assert next_step in first
    assert answer.statistics == ()
    assert answer.artifacts == ()
    assert "mean NDVI" not in answer.text
    assert "Traceback" not in answer.model_dump_json()


def test_the_parcels_of_rennes_get_numbers_a_product_and_a_warning(asked: tuple[str, dict]) -> None:
    text, fields = asked
    assert fields["outcome"] == "ok"
    rows = fields["statistics"][0]["rows"]
    good = [row for row in rows if row["outcome"] == "ok"]
    assert len(good) >= 37
    assert all(-1 <= row["value"] <= 1 and 0 < row["valid_pixels"] <= row["total_pixels"] for row in good)
    assert all(row["value"] is None for row in rows if row["outcome"] != "ok")
    mean = sum(row["value"] for row in good) / len(good)
    assert f"{mean:.3f}" in text
    assert (fields["plan"]["period"]["start"], fields["plan"]["period"]["end"]) == ("2025-06-01", "2025-08-31")
    assert any("Synthetic" in warning for warning in fields["warnings"])
    assert "Synthetic demo data" in text
    assert fields["recommendation"]["title"] in text
    assert fields["recommendation"]["why"]
    assert fields["citations"]
    assert {call["name"] for call in fields["tool_calls"]} == {"search_products", "compute"}


def test_every_file_opens_as_what_it_claims_to_be(asked: tuple[str, dict]) -> None:
    _, fields = asked
    assert {artifact["kind"] for artifact in fields["artifacts"]} == KINDS
    for artifact in fields["artifacts"]:
        assert "path" not in artifact
        got = httpx.get(artifact["url"])
        assert got.status_code == 200
        assert got.headers["content-type"].split(";")[0] == artifact["media_type"]
        assert hashlib.sha256(got.content).hexdigest() == artifact["sha256"]
        open_as(artifact["kind"], got.content, fields)


def open_as(kind: str, content: bytes, fields: dict) -> None:
    rows = fields["statistics"][0]["rows"]
    if kind in ("map", "chart"):
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
            assert len(image.convert("RGB").resize((64, 64)).getcolors(4096) or []) > 5
    elif kind == "raster":
        with rasterio.MemoryFile(content) as memory, memory.open() as raster:
            assert raster.driver == "GTiff"
            assert raster.crs is not None
            values = raster.read(1, masked=True)
            assert np.nanmax(values) <= 1
            assert np.nanmin(values) >= -1
    elif kind == "table":
        table = list(csv.DictReader(line for line in content.decode().splitlines() if not line.startswith("#")))
        assert len(table) == len(rows)
    elif kind == "vector":
        assert len(json.loads(content)["features"]) == len(rows)
    elif kind == "script":
        ast.parse(content)
    elif kind == "notebook":
        assert any(cell["cell_type"] == "code" for cell in json.loads(content)["cells"])
    elif kind == "graph":
        assert b'"process_id": "load_collection"' in content
        json.loads(content)
    elif kind == "metadata" and content.startswith(b"<?xml"):
        assert etree.QName(etree.fromstring(content)).localname == "MD_Metadata"
    else:
        assert fields["plan"]["collection_id"] in content.decode()
        json.loads(content)


def test_health_readiness_and_models(world: World, client: OpenAI) -> None:
    assert httpx.get(f"{world.url}/healthz").json() == {"status": "ok"}
    ready = httpx.get(f"{world.url}/readyz").json()
    assert ready == {"status": "ready", "checks": dict.fromkeys(("index", "database", "scenes", "computing"), "ok")}
    assert [model.id for model in client.models.list()] == ["clms-assistant"]
    assert httpx.get(f"{world.url}/artifacts/../../etc/passwd").status_code == 404
    assert httpx.get(f"{world.url}/artifacts/{'0' * 32}").status_code == 404


async def test_a_place_that_does_not_exist(world: World) -> None:
    answer = await world.ask("How green are the parcels around Xyzzyx this summer?")
    assert_honest_failure(answer, "not_run", "'Xyzzyx'", "attach a polygon")


async def test_a_period_with_no_scenes(world: World) -> None:
    answer = await world.ask("How green are the parcels around Rennes in January 2020?")
    assert_honest_failure(answer, "no_data", "no scene", "nearest dates with scenes")


async def test_a_future_date(world: World) -> None:
    answer = await world.ask("How green are the parcels around Rennes in summer 2031?")
    assert_honest_failure(answer, "not_run", "in the future", "Ask for a period that has begun")


@pytest.mark.parametrize("today", ["2015-06-23", "2100-12-31"])
@pytest.mark.parametrize("period", ["the last 12 months", "next year", "last winter", "this week", "since 2016"])
async def test_the_first_and_the_last_day_are_days_like_others(world: World, today: str, period: str) -> None:
    answer = await world.assistant.ask(
        f"Mean NDVI of the parcels around Rennes {period}", today=date.fromisoformat(today)
    )
    assert answer.outcome != "failed", answer.text


@pytest.mark.parametrize("today", ["2015-06-22", "2101-01-01", "9999-12-31", "0001-01-01"])
async def test_a_day_outside_the_calendar_is_refused_at_each_door(world: World, client: OpenAI, today: str) -> None:
    with pytest.raises(ClmsError, match="not between 2015-06-23 and 2100-12-31"):
        await world.assistant.ask(QUESTION, today=date.fromisoformat(today))
    with pytest.raises(BadRequestError, match=r"clms\.today"):
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": QUESTION}], extra_body={"clms": {"today": today}}
        )
    result = CliRunner().invoke(main, ["ask", QUESTION, "--today", today], env=world.environment)
    assert result.exit_code == 2
    assert "not between 2015-06-23 and 2100-12-31" in result.stderr


async def test_a_polygon_outside_every_scene(world: World) -> None:
    answer = await world.ask("How green is this field this summer?", parse_geojson(square(20, 40), name="far"))
    assert_honest_failure(answer, "not_covered", "covers far", "Try another place")
    written = await world.ask(f"How green is this field this summer? {json.dumps(square(20, 40))}")
    assert_honest_failure(written, "not_covered", "covers drawn area", "Try another place")


@pytest.mark.parametrize("setting", ["stac_url", "openeo_url"])
async def test_a_dead_service(world: World, setting: str) -> None:
    settings = world.settings.model_copy(
        update={"stac_url": f"{world.url}/hub/stac", "openeo_url": f"{world.url}/hub/openeo", setting: dead_url()}
    )
    answer = await Assistant(settings).ask(QUESTION, today=TODAY)
    assert_honest_failure(answer, "failed", "cannot be reached", f"CLMS_{setting.upper()}")


def test_failures_at_the_http_door_are_answers_too(client: OpenAI) -> None:
    done = client.chat.completions.create(
        model="clms-assistant",
        messages=[{"role": "user", "content": "How green is this field this summer?"}],
        extra_body={"clms": {"today": TODAY.isoformat(), "area": square(20, 40)}},
    )
    assert (done.choices[0].message.content or "").startswith("Not covered:")
    assert done.model_extra["clms"]["statistics"] == []


@pytest.mark.parametrize(
    "area",
    [
        {"type": "Polygon", "coordinates": [[[0, 0], [1]]]},
        {"type": "Polygon"},
        {"type": "FeatureCollection", "features": []},
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None}]},
        {"type": "Polygon", "coordinates": [[["a", "b"], ["c", "d"], ["e", "f"], ["a", "b"]]]},
        {"hello": "world"},
    ],
)
def test_a_broken_geojson_in_a_request(client: OpenAI, area: dict) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(
            model="clms-assistant",
            messages=[{"role": "user", "content": QUESTION}],
            extra_body={"clms": {"area": area}},
        )
    assert isinstance(caught.value.body, dict)
    message = caught.value.body["message"]
    assert message.count(".") >= 2, message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "text", ['{"type": "Polygon", "coordinates": [[[0, 0],', "", "[]", '{"type": "Polygon"}', "\0\1"]
)
def test_a_broken_geojson_file(world: World, tmp_path: Path, text: str) -> None:
    file = tmp_path / "field.geojson"
    file.write_text(text)
    result = CliRunner().invoke(main, ["ask", QUESTION, "--area", str(file)], env=world.environment)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "field.geojson" in result.stderr
    assert "Traceback" not in result.stderr
    assert "unexpected" not in result.stderr


@pytest.mark.parametrize("command", [["ask", QUESTION], ["ingest"], ["hub", "demo"], ["hub", "list"], ["doctor"]])
def test_a_data_folder_that_cannot_be_written_is_a_sentence_at_each_command(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "data"
    result = CliRunner().invoke(main, command, env={"CLMS_DATA_DIR": str(folder), "CLMS_EMBEDDING_MODEL": "none"})
    assert "unexpected" not in result.output
    if command != ["doctor"]:
        assert result.exit_code == 1
        assert str(folder) in result.stderr
        assert "CLMS_DATA_DIR" in result.stderr


def test_a_file_whose_writer_was_killed_is_no_file(world: World) -> None:
    folder = world.settings.artifacts_dir
    before = set(folder.glob("*")) | set(folder.glob(".*"))
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tools.workspace import Workspace\n"
        "with Workspace(Path(sys.argv[1])).new('table', 't', 'text/csv', '.csv', 'f') as draft:\n"
        "    draft.path.write_text('half of')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(folder)], check=False).returncode == -signal.SIGKILL
    (left,) = (set(folder.glob("*")) | set(folder.glob(".*"))) - before
    artifact_id = left.name.lstrip(".").split(".")[0]
    assert httpx.get(f"{world.url}/artifacts/{artifact_id}").status_code == 404
    left.unlink()


def test_a_users_own_raster_gives_the_value_numpy_gives(world: World, tmp_path: Path) -> None:
    red, nir, classes = user_scene(tmp_path)
    names = [str(tmp_path / name) for name in ("mine_B04.tif", "mine_B08.tif", "mine_SCL.tif")]
    added = invoke(
        world, "hub", "add", *names, "--collection", "mine", "--datetime", "2019-05-02", "--scale", "0.0001",
        "--offset", "-0.1",
    )  # fmt: skip
    assert "B04, B08, SCL" in added
    field = tmp_path / "field.geojson"
    field.write_text(json.dumps(utm_box(8, 5, 24, 17)))

    out = invoke(
        world, "ask", "Mean NDVI of this field on 2 May 2019", "--area", str(field), "--collection", "mine",
        "--today", TODAY.isoformat(), "--json",
    )  # fmt: skip

    answer = Answer.model_validate_json(out)
    (row,) = answer.statistics[0].rows
    inside = np.s_[5:17, 8:24]
    r, n = red[inside] * 0.0001 - 0.1, nir[inside] * 0.0001 - 0.1
    clear = (red[inside] > 0) & (nir[inside] > 0) & ~np.isin(classes[inside], (0, 1, 3, 8, 9, 10, 11))
    expected = float(((n - r) / (n + r))[clear].mean())
    assert row.value == pytest.approx(expected, abs=1e-5)
    assert (row.valid_pixels, row.total_pixels) == (int(clear.sum()), 12 * 16)
    assert f"{expected:.3f}" in answer.text
    assert not any("ynthetic" in warning for warning in answer.warnings)
    assert answer.plan is not None
    assert answer.plan.collection_id == "mine"
    assert all(Path(artifact.path).stat().st_size == artifact.size_bytes for artifact in answer.artifacts)
    assert {artifact.kind for artifact in answer.artifacts} >= {"raster", "table", "script"}
    assert isinstance(answer.artifacts[0], Artifact)


def user_scene(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write a scene with noise, a cloud and a hole, as stored by Sentinel-2 since 2022."""
    noise = np.random.default_rng(7)
    red = noise.integers(1200, 2500, (32, 32), dtype=np.uint16)
    nir = noise.integers(2600, 5500, (32, 32), dtype=np.uint16)
    classes = np.full((32, 32), 4, dtype=np.uint8)
    classes[6:10, 10:14] = 9
    red[12, 12:15] = 0
    for name, values in (("B04", red), ("B08", nir), ("SCL", classes)):
        with rasterio.open(
            folder / f"mine_{name}.tif", "w", driver="GTiff", height=32, width=32, count=1, dtype=values.dtype,
            crs="EPSG:32630", transform=Affine(10, 0, CORNER[0], 0, -10, CORNER[1]), nodata=0,
        ) as file:  # fmt: skip
            file.write(values, 1)
    return red.astype(float), nir.astype(float), classes


def utm_box(left: int, top: int, right: int, bottom: int) -> dict:
    """Give a rectangle of pixel edges in degrees; its corners fall off the edges by far less than half a pixel."""
    columns, rows = (left, right, right, left, left), (top, top, bottom, bottom, top)
    xs, ys = [CORNER[0] + 10 * column for column in columns], [CORNER[1] - 10 * row for row in rows]
    lon, lat = reproject("EPSG:32630", "EPSG:4326", xs, ys)
    return {"type": "Polygon", "coordinates": [[list(pair) for pair in zip(lon, lat, strict=True)]]}


def invoke(world: World, *args: str) -> str:
    result = CliRunner().invoke(main, list(args), env=world.environment)
    assert result.exit_code == 0, result.stderr
    return result.stdout
