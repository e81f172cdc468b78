"""The MCP door with the real client: over HTTP beside the other doors, and over standard input and output."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from assistant.agent import Assistant
from assistant.settings import Settings
from knowledge.ingest import build_index
from tests.servers.dead import dead_url
from tests.servers.loopback import running
from tests.servers.menu import SmallToolbox, small_assistant
from tools.toolbox import Toolbox
from ui.mcp_api import create_mcp_server

QUESTION = "How green are the parcels around Rennes this summer?"


def _served(assistant: Assistant, menu: type[Toolbox]) -> Iterator[str]:
    server = create_mcp_server(assistant, menu)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    app = FastAPI(lifespan=lifespan)
    app.router.routes.extend(server.streamable_http_app().routes)
    with running(app) as url:
        yield f"{url}/mcp"


@pytest.fixture
def small_url(settings: Settings) -> Iterator[str]:
    yield from _served(small_assistant(settings), SmallToolbox)


@pytest.fixture
def real_settings(settings: Settings) -> Settings:
    build_index(settings.index_dir, embedding_model="none")
    return settings


@pytest.fixture
def real_url(real_settings: Settings) -> Iterator[str]:
    assistant = Assistant(real_settings, hub_url=dead_url())
    yield from _served(assistant, Toolbox)
    assistant.close()


async def test_a_client_sees_the_menu_and_asks_a_whole_question(small_url: str) -> None:
    heard: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with Client(small_url) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"ask", *SmallToolbox.TOOLS}
        assert tools["search_products"].output_schema
        asked = {"question": QUESTION, "today": "2026-08-20"}
        done = await client.call_tool("ask", asked, progress_callback=progress)
        assert not done.is_error
        told: dict[str, Any] = done.structured_content or {}
        assert "0.500" in done.content[0].text
        assert told["outcome"] == "ok"
        assert [row["value"] for row in told["statistics"][0]["rows"]] == [0.6, 0.4]
        assert told["recommendation"]["product_id"] == "hr-vpp"
        assert "computing" in heard
        link = next(one for one in done.content if one.type == "resource_link")
        (held,) = (await client.read_resource(link.uri)).contents

        assert base64.b64decode(held.blob) == b"parcel,ndvi\n"
        assert "/" not in told["files"][0]["uri"].removeprefix("clms://files/")

        again = {"question": "and in 2019?", "session_id": told["session_id"], "today": "2026-08-20"}
        assert ((await client.call_tool("ask", again)).structured_content or {})["outcome"] == "ok"


@pytest.mark.parametrize(
    ("place", "outcome", "words"),
    [
        ("Atlantisburgh", "not_run", "No place called"),
        ("Deadhub", "failed", "The hub does not answer. Start it."),
        ("Crash", "failed", "reference"),
    ],
)
async def test_a_failing_tool_is_a_sentence_without_a_number(
    small_url: str, place: str, outcome: str, words: str
) -> None:
    async with Client(small_url) as client:
        asked = {"index": "ndvi", "place": place, "period": "2025", "output": "composite"}
        done = await client.call_tool("compute", asked)
    told = done.structured_content or {}
    assert (told["outcome"], told["statistics"]) == (outcome, [])
    assert words in done.content[0].text
    assert "secret" not in str(done)
    assert done.is_error == (outcome == "failed")


async def test_wrong_arguments_unknown_tools_and_unknown_files_are_refused(small_url: str) -> None:
    async with Client(small_url) as client:
        assert (await client.call_tool("ask", {})).is_error
        assert (await client.call_tool("ask", {"question": "Hi", "area": {"type": "Nonsense"}})).structured_content
        with pytest.raises(MCPError):
            await client.read_resource("clms://files/../../etc/passwd")
        with pytest.raises(MCPError, match="no file with this id"):
            await client.read_resource("clms://files/0123456789abcdef")


def test_another_site_cannot_reach_the_door_through_a_browser(small_url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream"}
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert httpx.post(small_url, json=body, headers=accept | headers).status_code in (403, 421)


async def test_the_real_tools_answer_and_the_catalogue_is_a_resource(real_url: str) -> None:
    async with Client(real_url) as client:
        place = await client.call_tool("find_place", {"name": "Rennes"})
        assert "Rennes, France (city)" in place.content[0].text
        product = await client.call_tool("explain_product", {"product_id": "CORINE Land Cover"})
        assert (product.structured_content or {})["citations"]
        dead = await client.call_tool(
            "compute", {"index": "ndvi", "place": "Rennes", "period": "May 2025", "output": "composite"}
        )
        assert (dead.structured_content or {})["outcome"] == "failed"
        (listed,) = (await client.read_resource("clms://products")).contents
        assert '"id": "corine-land-cover"' in listed.text
        (one,) = (await client.read_resource("clms://products/corine-land-cover")).contents
        assert "legend" in one.text
        with pytest.raises(MCPError):
            await client.read_resource("clms://products/no-such-product")


async def test_the_command_speaks_mcp_over_its_standard_streams(real_settings: Settings, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLMS_")}
    environment |= {
        "CLMS_DATA_DIR": str(real_settings.data_dir),
        "CLMS_EMBEDDING_MODEL": "none",
        "CLMS_STAC_URL": dead_url(),
        "CLMS_OPENEO_URL": dead_url(),
    }
    command = StdioServerParameters(
        command=sys.executable, args=["-c", "from ui.cli import main; main()", "mcp"], env=environment, cwd=Path.cwd()
    )
    with (tmp_path / "errors.txt").open("w") as errors:
        async with Client(stdio_client(command, errlog=errors)) as client:
            done = await client.call_tool("ask", {"question": "What is CORINE Land Cover?"})
    assert "CORINE" in done.content[0].text


def test_the_example_of_the_page_runs(real_url: str) -> None:
    page = (Path(__file__).parent.parent / "docs" / "mcp.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    code = code.replace("http://127.0.0.1:7860/mcp", real_url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Imperviousness" in done.stdout
