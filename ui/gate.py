"""What every request passes first: its id, the host asked for, the size and time of its body, and who asks."""

import asyncio
import base64
import binascii
import json
import logging
import re
import secrets
from contextlib import nullcontext
from time import perf_counter
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.access import NotAuthenticated, User, acting_as
from assistant.settings import LOOPBACK, Settings
from assistant.telemetry import metrics, request_id
from knowledge.errors import ClmsError
from tools.errors import ToolInputError
from ui.errors import error_response, told

logger = logging.getLogger(__name__)

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths for which nobody need be known."""
PUBLIC = re.compile(r"/public/[A-Za-z0-9_-]{32}(\.png|\.json)?")
"""Addresses of single pictures that their owners gave away; nobody can guess them."""
LOGIN = frozenset({"/login", "/login/done", "/logout"})
"""Paths of a browser's login, where there is a provider."""
TOKEN_COOKIE = "clms_token"  # noqa: S105  # a name
"""Holds the provider's token in a browser."""
OTHER_SHAPES = ("/hub/", "/mcp", "/gradio_api/")
"""Below these, errors have the shape of their own protocols: STAC, openEO, MCP and the page's."""
MORE_BYTES = 1_000_000
"""Room in a body beside the largest area."""
HUB_TIMES = 10
"""The hub is sent outlines as text, which may have been packed in the file that came in."""
BODY_S = 60
"""A body that takes longer to come in is refused."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
GIVEN_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Gate:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        # Its own names always: no page elsewhere can ask by them, and the hub is asked by them.
        named = words(settings.allowed_hosts)
        self._hosts = (*named, *LOOPBACK, "[::1]") if named or settings.is_local else ()
        self._origins = words(settings.cors_origins)
        self._max_bytes = settings.max_area_bytes + MORE_BYTES
        self._known = _Known(settings) if settings.auth == "required" else None
        self._open = OPEN | LOGIN if settings.oidc_issuer else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":  # nothing here speaks WebSocket
                await self._app(scope, receive, send)
            return
        headers, started = Headers(scope=scope), perf_counter()
        given = headers.get("x-request-id", "")
        request_id.set(given if GIVEN_ID.fullmatch(given) else secrets.token_hex(8))
        reply = _Reply(send, scope)
        try:
            await self._pass(scope, headers, receive, reply.send)
        finally:
            seconds = perf_counter() - started
            route = getattr(scope.get("route"), "path", "") or "other"
            metrics()["requests"].labels(scope["method"], route, reply.status).inc()
            metrics()["request_seconds"].labels(route).observe(seconds)
            logger.info("%s %s %s %.3f s", scope["method"], scope["path"], reply.status, seconds)

    async def _pass(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        limited = _Body(receive, self._max_bytes * (HUB_TIMES if scope["path"].startswith("/hub/") else 1))
        try:
            self._check_host(scope, headers)
            limited.check_length(headers.get("content-length", ""))
            user = await self._user(scope, headers)
        except Refused as error:
            await error_response(error.status_code, str(error.detail))(scope, receive, send)
            return
        except ClmsError as error:
            reads = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
            if isinstance(error, NotAuthenticated) and self._open is not OPEN and reads:
                await RedirectResponse(f"{scope.get('root_path', '')}/login", 303)(scope, receive, send)
            else:
                await told(error)(scope, receive, send)
            return
        with acting_as(user) if self._known else nullcontext():
            try:
                await self._app(scope, limited.receive, send)
            except Refused as error:
                # Only a body that is still being read is refused here, so no answer has begun.
                await error_response(error.status_code, str(error.detail))(scope, receive, send)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        host = _bare_host(headers.get("host", ""))
        if self._hosts and not any(_fits(host, pattern) for pattern in self._hosts):
            raise Refused(400, "This server is not served under this host name; CLMS_ALLOWED_HOSTS lists its names.")
        # A browser sends a login along by itself: what changes something must come from our own page.
        origin = headers.get("origin", "")
        if scope["method"] in SAFE_METHODS or not origin or origin in self._origins:
            return
        if (urlsplit(origin).netloc or "null") != headers.get("host", ""):
            raise Refused(403, "A page of another site may not ask here; CLMS_CORS_ORIGINS lists those that may.")

    async def _user(self, scope: Scope, headers: Headers) -> User | None:
        # A browser asks without a login whether a page elsewhere may ask; the reply holds nothing.
        preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if self._known is None or scope["path"] in self._open or preflight or PUBLIC.fullmatch(scope["path"]):
            return None
        user = await asyncio.to_thread(self._known.find, credential(headers))
        scope["clms_user"] = user
        if scope["path"].startswith("/mcp"):
            from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
            from mcp.server.auth.provider import AccessToken

            # The protocol's sessions are bound to who opened them by this.
            scope["user"] = AuthenticatedUser(AccessToken(token="-", client_id=user.name, scopes=[], subject=user.name))  # noqa: S106
        return user


class Refused(HTTPException):
    """A request that goes no further; of the frameworks' own kind, so that they let it pass while they read a body."""


class _Body:
    """Counts the bytes of a body, and its time."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._count, self._complete = 0, False
        self._until = asyncio.get_running_loop().time() + BODY_S

    def check_length(self, told: str) -> None:
        """Refuse what says itself that it is too large."""
        if told.isdecimal() and int(told[:20]) > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        """Give the next message of a body."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, f"The body of the request did not come in within {BODY_S} s.") from None
        self._count += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._count > self._most:
            raise self._too_large()
        return message

    def _too_large(self) -> Refused:
        return Refused(413, f"The body of the request is larger than {self._most} bytes. Send less, in parts.")


class _Reply:
    """Adds headers to a reply, and gives an error that a framework words itself the one shape."""

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send, self._scope = send, scope
        self.status = 500
        self._error: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Pass a message on; hold back an error until all of it is known."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _add_headers(message)
            if self.status >= 400 and not self._scope["path"].startswith(OTHER_SHAPES):
                self._error = message
                return
        if self._error is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._send_error(self._error)

    async def _send_error(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        try:
            told = json.loads(self._body)
        except ValueError:
            told = {"detail": self._body.decode(errors="replace")}
        if not isinstance(told, dict) or ("error" not in told and "checks" not in told):
            words = told.get("detail") if isinstance(told, dict) else None
            response = error_response(
                self.status, words if isinstance(words, str) and words else "There is no more to tell."
            )
            self._body = bytes(response.body)
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(self._body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else self._body})


class _Known:
    """Those who may ask."""

    def __init__(self, settings: Settings) -> None:
        from assistant.users import ApiKeys, Tokens

        self._keys = ApiKeys(settings.database)
        self._tokens = Tokens(settings) if settings.oidc_issuer else None

    def find(self, given: str) -> User:
        from assistant.users import find_user

        if not given:
            raise NotAuthenticated("This needs an API key or a token.", "Send it as `Authorization: Bearer …`.")
        return find_user(given, self._keys, self._tokens)


def credential(headers: Headers) -> str:
    """Give the key or token of a request: a bearer's, the password of a browser's login, or its cookie."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    if scheme.lower() == "bearer":
        return value.strip()
    return headers.get("x-api-key", "") or cookie_parser(headers.get("cookie", "")).get(TOKEN_COOKIE, "")


def check_exposure(settings: Settings) -> None:
    """Refuse to serve where anybody could use what is not theirs.

    Raises:
        ToolInputError: The address is public and nobody need log in; or tokens are taken from whoever they are for.
    """
    if settings.oidc_issuer and not settings.oidc_audience:
        raise ToolInputError(
            "CLMS_OIDC_ISSUER is set without CLMS_OIDC_AUDIENCE: tokens made for other services would be taken.",
            "Set the audience that the provider puts into tokens for this service.",
        )
    if settings.is_local or settings.auth == "required" or settings.public_without_auth:
        return
    raise ToolInputError(
        f"The address {settings.host or '(all)'} can be reached by others, and nobody need log in.",
        "Set CLMS_AUTH=required and give keys with 'clms-assistant users add NAME', or CLMS_PUBLIC_WITHOUT_AUTH=true.",
    )


def guard(app: Starlette, settings: Settings) -> None:
    """Put the gate before an application; pages elsewhere may ask that the settings name: the openEO Web Editor."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=words(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Last-Event-ID", "X-Request-Id"],
            expose_headers=["X-Turn-Id", "X-Request-Id", "Location", "Link", "OpenEO-Identifier"],
            allow_private_network=True,  # a page on the web may ask a server of the user's own network
        )
    # Added last, so it is the first that a request meets.
    app.add_middleware(Gate, settings=settings)


def words(setting: str | None) -> tuple[str, ...]:
    """Give the parts of a setting that lists some, parted by commas."""
    return tuple(word.strip() for word in (setting or "").split(",") if word.strip())


def _bare_host(host: str) -> str:
    """Give a host without its port, in small letters."""
    return (host.rpartition(":")[0] if re.search(r":\d+$", host) and not host.endswith("]") else host).lower()


def _fits(host: str, pattern: str) -> bool:
    return host == pattern.lower() or (pattern.startswith("*.") and host.endswith(pattern[1:].lower()))


def _add_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = request_id.get()
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "SAMEORIGIN")
