"""What an OpenID Connect provider tells of itself: where it logs users in, and where its keys lie."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tools.errors import BackendUnavailable

if TYPE_CHECKING:
    from jwt import PyJWKSet

logger = logging.getLogger(__name__)

KEPT_S = 3600.0
"""So long the provider's word holds: addresses and keys seldom change, and logins come often."""
AGAIN_S = 30.0
"""So long after it was asked it is not asked again: neither while it is down, nor for keys that somebody made up."""
TIMEOUT_S = 10
NEEDED = frozenset({"authorization_endpoint", "token_endpoint", "jwks_uri"})

Told = dict[str, Any]
Word = TypeVar("Word")


def down() -> BackendUnavailable:
    """Make the error anew: one raised twice would keep the frames of both, and the secrets in them."""
    return BackendUnavailable("The login service does not answer.", "Log in again in a minute.")


class Kept(Generic[Word]):
    """What a provider told; where it does not answer, its last word holds on."""

    def __init__(self, ask: Callable[[], Word]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._told: Word | None = None
        self._until = self._quiet_until = 0.0

    def get(self, *, anew: bool = False) -> Word:
        """Give it; asks at most every half a minute, also where what is known is not enough (`anew`).

        Raises:
            BackendUnavailable: The provider never answered.
        """
        if anew or time.monotonic() > self._until:
            # Who comes while it is asked waits for that answer, and does not ask once more.
            with self._lock:
                if time.monotonic() > self._quiet_until:
                    self._renew()
        if self._told is None:
            raise down()
        return self._told

    def _renew(self) -> None:
        try:
            self._told = self._ask()
            self._until = time.monotonic() + KEPT_S
        except BackendUnavailable:
            if self._told is None:
                raise
            logger.warning("The login service does not answer; what it told before holds on.")
        finally:
            self._quiet_until = time.monotonic() + AGAIN_S


class Provider:
    """One provider, by its issuer."""

    def __init__(self, issuer: str, jwks_url: str | None = None) -> None:
        self._issuer, self._jwks_url = issuer.rstrip("/"), jwks_url
        self._addresses, self._keys = Kept(self._ask_addresses), Kept(self._ask_keys)

    def told(self) -> Told:
        """Give its addresses, as https://openid.net/specs/openid-connect-discovery-1_0.html names them.

        Raises:
            BackendUnavailable: It does not answer, or names another issuer or too little.
        """
        return self._addresses.get()

    def key(self, token: str) -> Any:
        """Give the public key that a token names; for one that is not known the provider is asked again.

        Raises:
            PyJWTError: The token is none, or names no key of the provider.
            BackendUnavailable: The provider does not tell its keys.
        """
        import jwt

        named = jwt.get_unverified_header(token).get("kid")
        for anew in (False, True):
            for key in self._keys.get(anew=anew).keys:
                if key.key_id == named and key.public_key_use in ("sig", None):
                    return key.key
        raise jwt.InvalidKeyError("The provider has no such key.")

    def _ask_addresses(self) -> Told:
        told = ask_provider("GET", f"{self._issuer}/.well-known/openid-configuration")
        if str(told.get("issuer", "")).rstrip("/") != self._issuer or not told.keys() >= NEEDED:
            raise BackendUnavailable("The login service does not tell where to log in.", "Check CLMS_OIDC_ISSUER.")
        return told

    def _ask_keys(self) -> "PyJWKSet":
        from jwt import PyJWKSet, PyJWTError

        told = ask_provider("GET", self._jwks_url or self.told()["jwks_uri"])
        try:
            return PyJWKSet.from_dict(told)
        except (PyJWTError, TypeError, ValueError, AttributeError) as error:
            raise down() from error


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
        raise down() from error
    return told if isinstance(told, dict) else {}
