"""Users told apart: who may ask, what is theirs at every door, and how much they may use in a day."""

import base64
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.exceptions import MCPError

from assistant.access import Access, QuotaExceeded, Quotas, Role, User, acting_as
from assistant.agent import Assistant
from assistant.database import tables
from assistant.schema import Pending
from assistant.settings import Settings
from assistant.users import ApiKeys
from tests.servers.loopback import running
from tests.servers.menu import SmallToolbox, small_assistant
from tools.errors import ToolInputError
from ui.api import create_app, make_access
from ui.gate import check_exposure

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMES = ("alice", "bob", "dora", "root")
ROLES: dict[str, Role] = {"alice": "user", "dora": "trainer", "root": "admin"}
FOR_ROLES = {("GET", "/metrics"): ("admin",), ("GET", "/lessons/{lesson_id}.html"): ("trainer", "admin")}
"""Routes that are not for everybody who is known."""
QUESTION = "How green are the parcels around Rennes this summer?"
OUTSIDE = ("/", "/mcp", "/hub/stac", "/gradio_api/info", "/config", "/public/x", "/nonsense")
FOR_ANYONE = ("/healthz", "/readyz", "/login", "/login/done", "/logout")


class Cold(Assistant):
    """Has nothing to warm up."""

    def warm_up(self) -> None:
        pass


@pytest.fixture(scope="module")
def issuer() -> Iterator[tuple[str, rsa.RSAPrivateKey]]:
    """An OpenID Connect provider on loopback, and the key it signs with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    told = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    said: dict[str, Any] = {"keys": [{**told, "kid": "one", "use": "sig", "alg": "RS256"}]}

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    said |= {"issuer": url, "jwks_uri": f"{url}/keys", "authorization_endpoint": url, "token_endpoint": url}
    yield url, key
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(folder: Path, issuer: tuple[str, Any]) -> FastAPI:
    settings = Settings(
        data_dir=folder,
        embedding_model="none",
        port=0,
        auth="required",
        oidc_issuer=issuer[0],
        oidc_audience="clms",
        quota_questions=3,
        embed_origins="https://clms.example",
    )
    services = small_assistant(settings).services()
    return create_app(settings, Cold(settings, services=services, toolbox=SmallToolbox, access=make_access(settings)))


@pytest.fixture
def served(app: FastAPI) -> Iterator[str]:
    with running(app) as url:
        yield f"{url}/mcp"


@pytest.fixture
def keys(app: FastAPI, folder: Path) -> Iterator[dict[str, str]]:
    made = ApiKeys(Settings(data_dir=folder).database)
    yield {name: made.add(name, ROLES.get(name, "user")) for name in NAMES}
    for name in NAMES:
        made.revoke(name)


@pytest_asyncio.fixture(loop_scope="module")
async def door(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60) as made:
        yield made


def _as(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _routes(app: FastAPI) -> list[tuple[str, str]]:
    """Give method and path of every route but what is mounted, the page's own too."""
    return sorted((method, str(one.path)) for one in iter_route_contexts(app.routes) for method in one.methods or ())


def _filled(path: str) -> str:
    return re.sub(r"{[^}]*}", "x" * 20, path)


async def _ask(door: httpx.AsyncClient, key: str, **more: str) -> tuple[httpx.Response, dict[str, Any]]:
    reply = await door.post("/api/chat", headers=_as(key), json={"question": QUESTION, **more})
    lines = [line for line in reply.text.splitlines() if line.startswith("data: ")]
    return reply, json.loads(lines[-1].removeprefix("data: ")) if lines else {}


async def test_who_is_not_known_reaches_nothing(app: FastAPI, door: httpx.AsyncClient) -> None:
    asked = [(method, _filled(path)) for method, path in _routes(app) if path not in FOR_ANYONE]
    asked += [("GET", path) for path in OUTSIDE]
    assert len(asked) > 40
    for method, path in asked:
        for headers in ({}, _as("clms_0123456789ab_" + "x" * 43), _as("nonsense"), {"Authorization": "Basic !"}):
            reply = await door.request(method, path, headers=headers)
            assert reply.status_code == 401, (method, path)
            assert method == "HEAD" or set(reply.json()["error"]) == {"message", "type", "param", "code"}
            assert reply.headers["www-authenticate"].startswith("Basic")


async def test_a_key_is_kept_as_a_hash_and_ends_when_revoked(
    door: httpx.AsyncClient, keys: dict[str, str], folder: Path
) -> None:
    as_browser = base64.b64encode(f"alice:{keys['alice']}".encode()).decode()
    for headers in (_as(keys["alice"]), {"X-API-Key": keys["alice"]}, {"Authorization": f"Basic {as_browser}"}):
        assert (await door.get("/v1/models", headers=headers)).status_code == 200
    assert keys["alice"][-43:].encode() not in (folder / "sessions.sqlite").read_bytes()
    made = ApiKeys(Settings(data_dir=folder).database)
    with pytest.raises(ToolInputError):
        made.add("alice")
    with pytest.raises(ToolInputError):
        made.add("oidc:someone")
    made.revoke("alice")
    assert (await door.get("/v1/models", headers=_as(keys["alice"]))).status_code == 401
    made.add("alice")


async def test_another_user_sees_nothing_of_mine_at_any_door(door: httpx.AsyncClient, keys: dict[str, str]) -> None:
    reply, answer = await _ask(door, keys["alice"])
    turn, session, file = reply.headers["x-turn-id"], answer["session_id"], answer["artifacts"][0]["id"]
    mine = [
        ("GET", f"/api/sessions/{session}"),
        ("GET", f"/api/chat/{turn}"),
        ("GET", f"/artifacts/{file}"),
        ("GET", f"/files.zip?id={file}"),
    ]
    others = [
        *mine,
        ("GET", f"/maps/{file}.png"),
        ("DELETE", f"/api/sessions/{session}"),
        ("DELETE", f"/api/chat/{turn}"),
    ]
    for name in ("bob", "root"):
        for method, path in others:
            assert (await door.request(method, path, headers=_as(keys[name]))).status_code == 404, (name, method, path)
        refused, _ = await _ask(door, keys[name], session_id=session)
        assert refused.status_code == 404
        body = {"messages": [{"role": "user", "content": "run it"}], "clms": {"session_id": session}}
        assert (await door.post("/v1/chat/completions", headers=_as(keys[name]), json=body)).status_code == 404
    for method, path in mine:
        assert (await door.request(method, path, headers=_as(keys["alice"]))).status_code == 200, path


async def test_plans_jobs_feedback_and_lists_are_of_one_user(
    app: FastAPI, door: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    reply, answer = await _ask(door, keys["dora"])
    job, session, plan = reply.headers["x-turn-id"], answer["session_id"], "0123456789abcdef-plan"
    assistant = app.state.assistant
    with acting_as(User(name="dora")):
        assistant.access.open_session(plan)
    run = Pending(fingerprint="f" * 16, tool="compute", args={}, changes={}, question="q", today=date(2026, 8, 20))
    assistant.sessions.wait(plan, run)
    said = {"session_id": session, "rating": "down"}

    async def statuses(name: str) -> list[int]:
        asked = [
            await door.get(f"/api/plans/{plan}", headers=_as(keys[name])),
            await door.get(f"/api/jobs/{job}", headers=_as(keys[name])),
            await door.post("/api/feedback", headers=_as(keys[name]), json=said),
        ]
        return [one.status_code for one in asked]

    async def listed(name: str) -> tuple[list[str], list[str]]:
        jobs = (await door.get("/api/jobs", headers=_as(keys[name]))).json()
        sessions = (await door.get("/api/sessions", headers=_as(keys[name]))).json()
        return [one["job_id"] for one in jobs], [one["session_id"] for one in sessions]

    for name in ("bob", "root"):
        assert await statuses(name) == [404, 404, 404]
        for method, path in (("POST", f"/api/plans/{plan}/run"), ("DELETE", f"/api/plans/{plan}")):
            assert (await door.request(method, path, headers=_as(keys[name]))).status_code == 404
        assert (await door.delete(f"/api/jobs/{job}", headers=_as(keys[name]))).status_code == 404
        jobs, sessions = await listed(name)
        assert (job in jobs, session in sessions) == (False, False)
    assert await statuses("dora") == [200, 200, 201]
    jobs, sessions = await listed("dora")
    assert (job in jobs, session in sessions) == (True, True)


async def test_a_conversation_that_is_gone_is_nobodys(
    app: FastAPI, door: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    _, answer = await _ask(door, keys["dora"])
    session, database = answer["session_id"], app.state.assistant.sessions.database
    owned = tables().tables["owned"]
    of_it = owned.select().where(owned.c.kind == "session", owned.c.key == session)
    turn = tables().tables["turn"]
    with database.begin() as db:
        assert db.execute(of_it).all()
        db.execute(turn.update().where(turn.c.session_id == session).values(asked_at=datetime(2020, 1, 1)))
    assert app.state.assistant.sessions.expire(30) == 1
    with database.begin() as db:
        assert not db.execute(of_it).all()
    assert (await door.get(f"/api/sessions/{session}", headers=_as(keys["dora"]))).status_code == 404


async def test_another_user_sees_nothing_of_mine_over_mcp(served: str, keys: dict[str, str]) -> None:
    async with AsyncExitStack() as stack:

        async def client(name: str) -> Client:
            http = await stack.enter_async_context(create_mcp_http_client(headers=_as(keys[name])))
            return await stack.enter_async_context(Client(streamable_http_client(served, http_client=http)))

        alice, bob = await client("alice"), await client("bob")
        told = (await alice.call_tool("ask", {"question": QUESTION})).structured_content
        assert told is not None
        assert (told["outcome"], len(told["files"])) == ("ok", 1)
        uri = told["files"][0]["uri"]
        assert (await alice.read_resource(uri)).contents
        with pytest.raises(MCPError, match="no file with this id"):
            await bob.read_resource(uri)
        refused = await bob.call_tool("ask", {"question": "And 2024?", "session_id": told["session_id"]})
        assert refused.is_error
        assert "no conversation with this id" in str(refused.content)


async def test_the_questions_of_a_day_are_counted(door: httpx.AsyncClient, keys: dict[str, str]) -> None:
    for _ in range(3):
        reply, answer = await _ask(door, keys["bob"])
        assert (reply.status_code, answer["type"]) == (200, "answer")
    reply, _ = await _ask(door, keys["bob"])
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    for refused in (reply, await door.post("/v1/chat/completions", headers=_as(keys["bob"]), json=body)):
        assert refused.status_code == 429
        error = refused.json()["error"]
        assert error["message"] == "Your questions for today are used: 3 of 3. The quota is new at 00:00 UTC."
        assert error["code"] == "quota_exceeded"
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert (await door.get("/v1/models", headers=_as(keys["bob"]))).status_code == 200


async def test_pixels_are_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    access = Access(Settings(data_dir=tmp_path).database, required=True, quotas=Quotas(pixels=1000))
    with acting_as(User(name="alice")):
        access.count("pixels", 600)
        with pytest.raises(QuotaExceeded, match="600 of 1,000; this one needs 500"):
            access.count("pixels", 500)
        access.count("pixels", 400)
    with acting_as(User(name="bob")):
        access.count("pixels", 1000)


async def test_each_route_is_for_the_roles_that_it_is_for(app: FastAPI, keys: dict[str, str], folder: Path) -> None:
    drawn = folder / "page" / "background-2.json.gz"  # drawing takes seconds
    drawn.parent.mkdir(exist_ok=True)
    drawn.touch()
    routes = _routes(app)
    assert FOR_ROLES.keys() <= set(routes)
    # The small assistant has no catalogue, so asking for products fails: past the roles.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as door:
        for (method, path), (name, role) in itertools.product(routes, ROLES.items()):
            reply = await door.request(method, _filled(path), headers=_as(keys[name]))
            refused = role not in FOR_ROLES.get((method, path), (role,))
            assert (reply.status_code == 403) == refused, (method, path, role)
            if refused:
                assert f"yours is {role}" in reply.json()["error"]["message"]


async def test_tokens_of_the_provider_are_taken_and_no_others(
    door: httpx.AsyncClient, issuer: tuple[str, rsa.RSAPrivateKey]
) -> None:
    url, key = issuer
    good = {"iss": url, "aud": "clms", "sub": "carol", "exp": int(time.time()) + 60, "roles": ["admin", "x"]}
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    async def status(claims: dict[str, Any], signer: Any = key, algorithm: str = "RS256", kid: str = "one") -> int:
        token = jwt.encode(claims, signer, algorithm=algorithm, headers={"kid": kid})
        return (await door.get("/metrics", headers=_as(token))).status_code

    assert await status(good) == 200
    assert await status({**good, "roles": ["user"]}) == 403
    assert await status({**good, "roles": {"admin": 1}}) == 403
    for wrong in ({"iss": "http://else"}, {"aud": "other"}, {"exp": int(time.time()) - 60}):
        assert await status({**good, **wrong}) == 401, wrong
    for missing in good.keys() - {"roles"}:
        assert await status({name: value for name, value in good.items() if name != missing}) == 401, missing
    assert await status(good, other) == 401
    assert await status(good, "a secret that is long enough, 32 bytes", "HS256") == 401
    assert await status(good, None, "none") == 401
    assert await status(good, kid="two") == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "clms.example.eu"])
async def test_a_public_address_needs_a_login_or_a_word(host: str) -> None:
    with pytest.raises(ToolInputError, match="nobody need log in"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, auth="required"))
    check_exposure(Settings(host=host, public_without_auth=True))
    with pytest.raises(ToolInputError, match="made for other services"):
        check_exposure(Settings(host=host, auth="required", oidc_issuer="https://login.example.eu"))
