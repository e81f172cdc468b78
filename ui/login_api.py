"""Log in with a browser at an OpenID Connect provider: the code flow with PKCE; the token is kept in a cookie."""

import base64
import hashlib
import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Cookie, Query, Request
from fastapi.responses import RedirectResponse

from assistant.oidc import ask_provider
from assistant.settings import Settings
from assistant.users import Tokens
from tools.errors import BackendUnavailable, ToolInputError
from ui.gate import TOKEN_COOKIE

STATE_COOKIE = "clms_login"
"""Remembers a login that has begun, for those ten minutes."""
_BEGUN_S = 600
_MOST_IN_COOKIE = 3900
"""Characters of a token; browsers drop a cookie of more than about 4,096 bytes without a word."""


def login_router(settings: Settings) -> APIRouter:
    """Build the routes; the provider knows this service by `CLMS_OIDC_AUDIENCE` as a public client."""
    router, tokens, client = APIRouter(include_in_schema=False), Tokens(settings), settings.oidc_audience or ""

    @router.get("/login")
    def begin(request: Request) -> RedirectResponse:
        """Send the browser to the provider."""
        state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": _back(request),
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = f"{tokens.provider.told()['authorization_endpoint']}?{urlencode(asked)}"
        reply = RedirectResponse(address, 303)
        _keep(reply, request, STATE_COOKIE, f"{state}.{verifier}.{nonce}", _BEGUN_S)
        return reply

    @router.get("/login/done")
    def finish(
        request: Request,
        code: Annotated[str, Query(max_length=4096)] = "",
        state: Annotated[str, Query(max_length=200)] = "",
        begun: Annotated[str, Cookie(alias=STATE_COOKIE)] = "",
    ) -> RedirectResponse:
        """Take the token that the provider gives for the code, and open the page."""
        kept, _, rest = begun.partition(".")
        verifier, _, nonce = rest.partition(".")
        if not code or not kept or not secrets.compare_digest(kept.encode(), state.encode()):
            raise ToolInputError("This login was not begun here, or took too long.", "Open the page and log in again.")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": _back(request),
            "client_id": client,
            "code_verifier": verifier,
        }
        token = str(ask_provider("POST", tokens.provider.told()["token_endpoint"], form).get("id_token", ""))
        tokens.find(token)  # refuses what the provider did not sign for us
        lasts_s = _checked_s(token, nonce)
        if len(token) > _MOST_IN_COOKIE:
            raise BackendUnavailable(
                "The token of the login service is too long for a browser to keep.",
                "Have the service leave groups and roles out of it.",
            )
        reply = RedirectResponse(str(request.base_url), 303)
        _keep(reply, request, TOKEN_COOKIE, token, lasts_s)
        reply.delete_cookie(STATE_COOKIE)
        return reply

    @router.get("/logout")
    def leave(request: Request) -> RedirectResponse:
        """Forget the login in this browser."""
        reply = RedirectResponse(str(request.base_url), 303)
        reply.delete_cookie(TOKEN_COOKIE)
        return reply

    return router


def _checked_s(token: str, nonce: str) -> int:
    """Give how long a token of a known signature lasts, in seconds, when it was made for this login."""
    import time

    import jwt

    claims = jwt.decode(token, options={"verify_signature": False})
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise ToolInputError("The login service answered another login.", "Open the page and log in again.")
    return max(1, int(claims["exp"] - time.time()))


def _back(request: Request) -> str:
    return f"{request.base_url}login/done"


def _keep(reply: RedirectResponse, request: Request, name: str, value: str, lasts_s: int) -> None:
    """Set a cookie that no script reads and no other site's form sends along."""
    secure = request.url.scheme == "https"
    reply.set_cookie(name, value, max_age=lasts_s, httponly=True, secure=secure, samesite="lax")
