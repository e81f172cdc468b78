"""Log in with a browser at a provider, a real one on loopback: PKCE, state and nonce are checked on both sides."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.oidc import Provider as OneProvider
from assistant.settings import Settings
from tools.errors import BackendUnavailable
from ui.errors import add_error_handlers
from ui.gate import Gate
from ui.login_api import login_router

HTML = {"accept": "text/html"}


class Provider(ThreadingHTTPServer):
    """An OpenID Connect provider at which everybody is logged in already."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.begun: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {}
        self.asked: list[str] = []
        self.kid = "one"
        self.down = False
        self.broken: object = None
        """Told instead of its keys."""


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url, provider = urlsplit(self.path), self.server
        provider.asked.append(url.path)
        if provider.down:
            self.send_error(503)
        elif url.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            code = secrets.token_hex(8)
            provider.begun[code] = asked
            self.send_response(303)
            back = {"code": code, "state": asked["state"]}
            self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(back)}")
            self.end_headers()
        elif url.path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "its/keys"}
            self._tell({"issuer": provider.url, **{name: f"{provider.url}/{end}" for name, end in ends.items()}})
        elif url.path != "/its/keys":
            self.send_error(404)
        elif provider.broken is not None:
            self._tell(provider.broken)
        else:
            told = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(provider.key.public_key()))
            self._tell({"keys": [{**told, "kid": provider.kid, "use": "sig", "alg": "RS256"}]})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        asked = self.server.begun.pop(form["code"][0])
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"][0].encode()).digest()).decode()
        assert digest.rstrip("=") == asked["code_challenge"]
        assert form["redirect_uri"][0] == asked["redirect_uri"]
        claims = {"iss": self.server.url, "aud": asked["client_id"], "sub": "ana", "exp": int(time.time()) + 60}
        claims = {**claims, "nonce": asked["nonce"], **self.server.claims}
        self._tell({"id_token": jwt.encode(claims, self.server.key, "RS256", headers={"kid": "one"})})

    def _tell(self, told: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    server = Provider()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser(provider: Provider, tmp_path: Path) -> TestClient:
    """A client that keeps cookies; it asks the service in this process and the provider over loopback."""
    settings = Settings(data_dir=tmp_path, auth="required", oidc_issuer=provider.url, oidc_audience="clms")
    app = FastAPI()

    @app.get("/")
    def page() -> str:
        return "the page"

    app.include_router(login_router(settings))
    add_error_handlers(app, settings)
    app.add_middleware(Gate, settings=settings)
    provider.claims, provider.asked = {}, []
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def _sent_back(browser: TestClient) -> str:
    """Begin to log in, let the provider answer, and give where it sends the browser."""
    import httpx

    begun = browser.get("/login", headers=HTML)
    answer = httpx.get(begun.headers["location"], follow_redirects=False)
    return answer.headers["location"]


def test_a_browser_logs_in_at_the_provider_and_out_again(browser: TestClient, provider: Provider) -> None:
    assert browser.get("/").status_code == 401
    assert browser.get("/", headers=HTML).headers["location"] == "/login"
    done = browser.get(_sent_back(browser), headers=HTML)
    assert (done.status_code, done.headers["location"]) == (303, "http://127.0.0.1/")
    (token,) = (line for line in done.headers.get_list("set-cookie") if line.startswith("clms_token="))
    assert "HttpOnly" in token
    assert "samesite=lax" in token.lower()
    assert browser.get("/", headers=HTML).json() == "the page"
    browser.get("/logout")
    assert browser.get("/", headers=HTML).headers["location"] == "/login"
    asked = list(provider.asked)
    browser.get(_sent_back(browser))
    assert browser.get("/").json() == "the page"
    assert provider.asked == [*asked, "/authorize"]  # where it logs in and what it signs with is known


def test_a_new_key_of_the_provider_is_fetched_once_and_a_made_up_one_is_no_way_to_have_it_asked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = OneProvider(provider.url)
    provider.asked = []

    def signed_with(kid: str) -> str:
        return jwt.encode({"sub": "ana"}, provider.key, "RS256", headers={"kid": kid})

    keys.key(signed_with("one"))
    monkeypatch.setattr(provider, "kid", "two")
    for _ in range(3):
        with pytest.raises(jwt.PyJWTError):
            keys.key(signed_with("two"))
    assert provider.asked == ["/.well-known/openid-configuration", "/its/keys"]  # it was asked a moment ago
    monkeypatch.setattr("assistant.oidc.time.monotonic", lambda: time.perf_counter() + 1e6)
    keys.key(signed_with("two"))
    assert provider.asked.count("/its/keys") == 2


def test_while_the_provider_is_down_it_is_asked_once_and_its_last_word_holds(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, new = OneProvider(provider.url), OneProvider(provider.url)
    told = known.told()
    monkeypatch.setattr(provider, "down", True)
    provider.asked = []
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            new.told()
    assert len(provider.asked) == 1
    monkeypatch.setattr("assistant.oidc.time.monotonic", lambda: time.perf_counter() + 1e6)
    assert known.told() == told


@pytest.mark.parametrize("told", [{}, [], {"keys": 3}, {"keys": [{"kty": "RSA", "n": 5, "e": 5}]}])
def test_a_reply_without_keys_is_not_kept_for_an_hour(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, told: object
) -> None:
    known, new = OneProvider(provider.url), OneProvider(provider.url)
    token = jwt.encode({"sub": "ana"}, provider.key, "RS256", headers={"kid": "one"})
    known.key(token)
    with monkeypatch.context() as broken:
        broken.setattr(provider, "broken", told)
        raised = []
        for _ in range(2):
            with pytest.raises(BackendUnavailable) as caught:
                new.key(token)
            raised.append(caught.value)
        assert raised[0] is not raised[1]
        broken.setattr("assistant.oidc.time.monotonic", lambda: time.perf_counter() + 1e6)
        assert known.key(token)
    monkeypatch.setattr("assistant.oidc.time.monotonic", lambda: time.perf_counter() + 2e6)
    assert new.key(token)


def test_a_login_begun_elsewhere_is_refused(browser: TestClient) -> None:
    theirs = _sent_back(browser)
    browser.cookies.clear()
    refused = browser.get(theirs)
    assert "not begun here" in refused.text
    _sent_back(browser)
    assert "not begun here" in browser.get(theirs).text
    assert browser.get("/").status_code == 401


@pytest.mark.parametrize("claims", [{"nonce": "other"}, {"aud": "another service"}, {"exp": 1}, {"iss": "http://evil"}])
def test_a_token_that_is_not_for_this_login_is_refused(
    browser: TestClient, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert browser.get(_sent_back(browser)).status_code in (401, 422, 400)
    assert browser.get("/").status_code == 401


def test_a_page_elsewhere_cannot_use_the_login(browser: TestClient) -> None:
    browser.get(_sent_back(browser))
    assert browser.post("/", headers={"origin": "https://evil.example"}).status_code == 403
