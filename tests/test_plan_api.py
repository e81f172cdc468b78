"""Plans over HTTP: estimated, run, cancelled; jobs; feedback; files in parts. On the demo archive."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from assistant.agent import Assistant
from assistant.settings import Settings
from knowledge.ingest import build_index
from tools.hub.demo import ensure_demo
from ui.api import add_doors

pytestmark = pytest.mark.asyncio(loop_scope="module")
BOX = "-1.686, 48.111, -1.673, 48.118"
TODAY = date(2025, 9, 10)
PLAN = {
    "tool": "compute",
    "args": {"index": "ndvi", "place": BOX, "period": "summer 2025", "output": "composite"},
    "today": TODAY.isoformat(),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("plans"), embedding_model="none", port=0)
    assistant, app = Assistant(settings), FastAPI()
    await asyncio.to_thread(ensure_demo, settings.hub_dir, today=TODAY, size_px=128)
    build_index(settings.index_dir, embedding_model="none")
    add_doors(app, assistant, settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60) as made:
        yield made
    assistant.close()


async def _ended(door: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    while True:
        job: dict[str, Any] = (await door.get(f"/api/jobs/{job_id}")).json()
        if job["state"] != "running":
            return job
        await asyncio.sleep(0.05)


async def test_a_plan_is_estimated_run_once_and_its_file_comes_in_parts(door: httpx.AsyncClient) -> None:
    made = (await door.post("/api/plans", json=PLAN)).json()
    assert made["outcome"] == "not_run"
    assert made["estimate"]["pixels"] > 0
    assert made["plan"]["recipe_id"] == "ndvi"
    assert made["statistics"] is None
    waiting = (await door.get(f"/api/plans/{made['plan_id']}")).json()
    assert waiting["args"] == PLAN["args"]
    started = await door.post(f"/api/plans/{made['plan_id']}/run")
    assert started.status_code == 202
    job = await _ended(door, started.json()["job_id"])
    assert (job["state"], job["answer"]["outcome"]) == ("done", "ok")
    assert job["answer"]["session_id"] == made["plan_id"]
    assert job["job_id"] in [one["job_id"] for one in (await door.get("/api/jobs")).json()]
    assert (await door.post(f"/api/plans/{made['plan_id']}/run")).status_code == 404
    again = (await door.post("/api/plans", json=PLAN)).json()
    assert (again["outcome"], again["plan_id"]) == ("ok", "")
    assert again["statistics"]["rows"][0]["value"] == job["answer"]["statistics"][0]["rows"][0]["value"]

    file = next(one for one in job["answer"]["artifacts"] if one["kind"] == "raster")
    whole = await door.get(file["url"])
    part = await door.get(file["url"], headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert whole.headers["content-disposition"].startswith("attachment")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    for wrong, status in (("bytes=99999999999-", 416), ("nonsense", 400)):
        refused = await door.get(file["url"], headers={"Range": wrong})
        assert (refused.status_code, set(refused.json()["error"])) == (status, {"message", "type", "param", "code"})


async def test_a_cancelled_plan_cannot_be_run(door: httpx.AsyncClient) -> None:
    plan = {**PLAN, "args": {**PLAN["args"], "period": "summer 2024"}}
    made = (await door.post("/api/plans", json=plan)).json()
    assert (await door.delete(f"/api/plans/{made['plan_id']}")).status_code == 204
    assert (await door.post(f"/api/plans/{made['plan_id']}/run")).status_code == 404


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"index": "nonsense"}, "index"),
        ({"output": "hologram"}, "output"),
        ({"colour": "red"}, "compute has no argument 'colour'. It takes index, place"),
        ({"place": "Atlantisburgh"}, "Atlantisburgh"),
    ],
)
async def test_what_cannot_be_planned_says_why(door: httpx.AsyncClient, changed: dict[str, str], words: str) -> None:
    reply = await door.post("/api/plans", json={**PLAN, "args": {**PLAN["args"], **changed}})
    made = reply.json()
    assert (reply.status_code, made["plan_id"], made["estimate"], made["statistics"]) == (200, "", None, None)
    assert words in made["text"]


async def test_feedback_goes_with_its_answer(door: httpx.AsyncClient) -> None:
    asked = {"messages": [{"role": "user", "content": "Which product shows tree cover in Rennes?"}]}
    session = (await door.post("/v1/chat/completions", json=asked)).json()["clms"]["session_id"]
    said = {"session_id": session, "rating": "down", "reasons": ["wording"], "comment": "Too long."}
    given = await door.post("/api/feedback", json=said)
    assert (given.status_code, given.json()["turn"]) == (201, 1)
    assert given.json()["product_id"]
    assert (await door.post("/api/feedback", json={**said, "reasons": ["weather"]})).status_code == 400
