"""Every route of the whole application answers every kind of error in the one shape."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from assistant.settings import Settings
from ui.api import create_app

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"}
UNKNOWN = ("/nonsense", "/api/nonsense", "/v1/nonsense", "/artifacts/a/b", "/api/sessions/a/b", "/.env")


# The page wants a running loop when it is built; one application serves all tests here.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("errors")
    return create_app(Settings(data_dir=folder, embedding_model="none", port=0, max_area_bytes=1000))


@pytest_asyncio.fixture(loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
        yield made


def _in_shape(reply: httpx.Response, status: int) -> bool:
    """Tell whether a reply is this error with the one body; a reply to HEAD has none."""
    if reply.status_code != status or reply.headers["content-type"] != "application/json":
        return False
    if reply.request.method == "HEAD":
        return reply.content == b""
    error = reply.json()["error"]
    kind = "invalid_request_error" if status < 500 else "server_error"
    return set(error) == {"message", "type", "param", "code"} and bool(error["message"]) and error["type"] == kind


def _operations(app: FastAPI) -> dict[str, dict[str, Any]]:
    return {path: operations for path, operations in app.openapi()["paths"].items() if not path.startswith("/hub")}


async def test_a_method_that_a_route_does_not_take(app: FastAPI, client: httpx.AsyncClient) -> None:
    asked = 0
    for path, operations in _operations(app).items():
        for method in METHODS - {one.upper() for one in operations}:
            reply = await client.request(method, path)
            assert _in_shape(reply, 405), (method, path, reply.status_code, reply.text)
            assert set(reply.headers["allow"].split(", ")) == {one.upper() for one in operations}
            asked += 1
    assert asked > 50


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", UNKNOWN)
async def test_a_path_that_leads_nowhere(client: httpx.AsyncClient, method: str, path: str) -> None:
    reply = await client.request(method, path)
    assert _in_shape(reply, 405 if reply.status_code == 405 else 404), (reply.status_code, reply.text)


async def test_an_id_that_names_nothing(app: FastAPI, client: httpx.AsyncClient) -> None:
    for path, operations in _operations(app).items():
        if "{" not in path or "/sessions/" in path or "/products/" in path:
            continue
        filled = "".join(part if part[-1:] != "}" else "unknown-0123456789" for part in _parts(path))
        for method, operation in operations.items():
            if "requestBody" not in operation:
                reply = await client.request(method, filled)
                assert _in_shape(reply, 404), (method, filled, reply.status_code, reply.text)


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b'{"question": 1, "messages": 1}', b"\xff", b"[" * 900])
async def test_a_body_that_cannot_be_read(app: FastAPI, client: httpx.AsyncClient, content: bytes) -> None:
    paths = [path for path, operations in _operations(app).items() if "requestBody" in operations.get("post", {})]
    assert paths
    for path in paths:
        reply = await client.post(_filled(path), content=content, headers={"Content-Type": "application/json"})
        assert _in_shape(reply, 400), (path, reply.status_code, reply.text)


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
async def test_a_body_that_is_too_large(app: FastAPI, client: httpx.AsyncClient, told: bool) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * 100_000

    content: Any = b" " * 1_200_000 if told else parts()
    reply = await client.post("/api/chat", content=content, headers={"Content-Type": "application/json"})
    assert _in_shape(reply, 413), reply.text


async def test_what_nobody_expected_is_a_reference(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.assistant, "sessions", None)
    reply = await client.get("/api/sessions/0123456789abcdef")
    assert _in_shape(reply, 500)
    assert "reference" in reply.text
    assert "NoneType" not in reply.text


async def test_a_page_elsewhere_may_not_ask_in_our_name(client: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        reply = await client.delete("/api/sessions/0123456789abcdef", headers={"Origin": origin})
        assert _in_shape(reply, 403), reply.text
    own = await client.delete("/api/sessions/0123456789abcdef", headers={"Origin": "http://127.0.0.1"})
    assert own.status_code == 204
    assert _in_shape(await client.get("/healthz", headers={"Host": "evil.example"}), 400)


def _parts(path: str) -> list[str]:
    return [part for piece in path.split("{") for part in piece.replace("}", "}\n").split("\n")]


def _filled(path: str) -> str:
    return "".join(part if part[-1:] != "}" else "unknown-0123456789" for part in _parts(path))
