"""What an OpenID Connect provider tells of itself: where it logs users in, and where its keys lie."""

import time
from threading import Lock
from typing import Any

from tools.errors import BackendUnavailable

KEPT_S = 3600.0
"""So long the provider's word holds: addresses seldom change, and logins come often."""
TIMEOUT_S = 10
NEEDED = frozenset({"authorization_endpoint", "token_endpoint", "jwks_uri"})


class Provider:
    """One provider, by its issuer; asked once an hour."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer.rstrip("/")
        self._lock = Lock()
        self._told: tuple[float, dict[str, Any]] | None = None

    def told(self) -> dict[str, Any]:
        """Give its addresses, as https://openid.net/specs/openid-connect-discovery-1_0.html names them.

        Raises:
            BackendUnavailable: It does not answer, or names another issuer or too little.
        """
        with self._lock:
            if self._told is None or time.monotonic() - self._told[0] > KEPT_S:
                told = ask_provider("GET", f"{self._issuer}/.well-known/openid-configuration")
                if str(told.get("issuer", "")).rstrip("/") != self._issuer or not told.keys() >= NEEDED:
                    raise BackendUnavailable(
                        "The login service does not tell where to log in.", "Check CLMS_OIDC_ISSUER."
                    )
                self._told = (time.monotonic(), told)
            return self._told[1]


def ask_provider(method: str, address: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    """Ask a provider for an object.

    Raises:
        BackendUnavailable: It does not answer with one.
    """
    import httpx

    try:
        reply = httpx.request(method, address, data=form, timeout=TIMEOUT_S)
        told = reply.raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise BackendUnavailable("The login service does not answer.", "Log in again in a minute.") from error
    return told if isinstance(told, dict) else {}
