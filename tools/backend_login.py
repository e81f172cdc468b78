"""Logins at openEO back-ends: each session has its own, in memory alone; nobody is logged in for all."""

import logging
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from pydantic import SecretStr

from knowledge.errors import ClmsError
from tools.backend_failures import check_root, failures_told
from tools.backend_mapping import BackendMapping, host_of
from tools.errors import BackendUnavailable, LoginNeeded
from tools.schema import Question

logger = logging.getLogger(__name__)

IDLE_S = 7200.0
"""A login that was not used for so long is forgotten."""
POLL_FOR_S = 300.0
"""So long the user has time to enter the code."""
CODE_WAIT_S = 30.0
MAX_WAITING = 50
"""Logins that may wait for their users at the same time: each polls."""
PRIVATE_ID_CHARS = 16
"""A session id shorter than this can be guessed or is shared: whoever has it would use another's login."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
USE_HUB = "Or use the embedded hub: leave CLMS_OPENEO_URL empty."
_CODE = re.compile(r"[\w-]{4,32}")


class ClientCredentials(NamedTuple):
    """What a machine logs in with."""

    client_id: str
    secret: SecretStr


@dataclass
class _Entry:
    """The login of one session at one back-end."""

    touched: float
    connection: Any = None
    """Logged in; None while the user has not finished."""
    question: Question | None = None
    failure: ClmsError | None = None
    dropped: bool = False
    changed: threading.Event = field(default_factory=threading.Event)
    """Set when there is a code, or when the login ended."""
    ended: threading.Event = field(default_factory=threading.Event)


class _MemoryTokens:
    """Keeps a refresh token where the client would write it into a file of the user's home."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}

    def get_refresh_token(self, issuer: str, client_id: str) -> str | None:
        """Return what was kept."""
        return self._tokens.get((issuer, client_id))

    def set_refresh_token(self, issuer: str, client_id: str, refresh_token: str) -> None:
        """Keep a token."""
        self._tokens[issuer, client_id] = refresh_token


class _NoConfig:
    """Stands for the client's configuration file: another program's account must not be taken."""

    def get_oidc_client_configs(self, backend: str, provider_id: str) -> tuple[None, None]:
        """Return no client."""
        return None, None

    def get_oidc_provider_configs(self, backend: str) -> dict[str, Any]:
        """Return no provider."""
        return {}


class Logins:
    """The logins of all sessions of this process."""

    def __init__(
        self,
        *,
        credentials: ClientCredentials | None = None,
        provider: str | None = None,
        idle_s: float = IDLE_S,
        poll_for_s: float = POLL_FOR_S,
    ) -> None:
        """Begin with none.

        Args:
            credentials: Log in with these instead of asking the user.
            provider: Id of the identity provider, where a back-end offers several.
            idle_s: Seconds without use after which a login is forgotten.
            poll_for_s: Seconds a user has to enter the code.
        """
        self._credentials = credentials
        self._provider = provider
        self._idle_s = idle_s
        self._poll_for_s = poll_for_s
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._lock = threading.Lock()

    def of_session(self, session_id: str, url: str, mapping: BackendMapping, *, again: str = "") -> "SessionAccess":
        """Give what logs a session in at a back-end; `again` is the question to ask once that is done."""
        return SessionAccess(self, session_id, url, mapping, again)

    def logged_in(self, session_id: str, url: str) -> bool:
        """Tell whether a session is logged in."""
        entry = self._find(session_id, url)
        return entry is not None and entry.connection is not None

    def wait(self, session_id: str, url: str, *, timeout_s: float = POLL_FOR_S) -> bool:
        """Wait until the user has logged in, or cannot any more; True when logged in."""
        entry = self._find(session_id, url)
        if entry is not None:
            entry.ended.wait(timeout_s)
        return self.logged_in(session_id, url)

    def forget(self, session_id: str) -> None:
        """Drop all logins of a session."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == session_id]:
                self._entries.pop(key).dropped = True

    def _find(self, session_id: str, url: str) -> _Entry | None:
        """Give the entry of a session, after those that nobody used for long are gone."""
        now = time.monotonic()
        with self._lock:
            for key in [key for key, one in self._entries.items() if now - one.touched > self._idle_s]:
                self._entries.pop(key).dropped = True
            entry = self._entries.get((session_id, url))
            if entry is not None:
                entry.touched = now
            return entry

    def _drop(self, session_id: str, url: str) -> None:
        with self._lock:
            if entry := self._entries.pop((session_id, url), None):
                entry.dropped = True

    def _begin(self, session_id: str, url: str, mapping: BackendMapping, again: str) -> _Entry:
        """Start a login that the user finishes elsewhere, or give the one that waits."""
        with self._lock:
            entry = self._entries.get((session_id, url))
            if entry is None or (entry.ended.is_set() and entry.connection is None):
                waiting = sum(not one.ended.is_set() for one in self._entries.values())
                if waiting >= MAX_WAITING:
                    raise BackendUnavailable("Too many people are logging in right now.", "Try again in a few minutes.")
                entry = self._entries[session_id, url] = _Entry(time.monotonic())
                job = (entry, url, mapping, again)
                threading.Thread(target=self._log_in, args=job, name="openeo-login", daemon=True).start()
        entry.changed.wait(CODE_WAIT_S)
        return entry

    def _log_in(self, entry: _Entry, url: str, mapping: BackendMapping, again: str) -> None:
        """Get a code, and poll until the user has entered it."""
        # At DEBUG the client logs the device code, which stands for the login while it waits.
        logging.getLogger("openeo.rest.auth.oidc").setLevel(logging.INFO)
        try:
            with failures_told(url):
                connection = _new_connection(url)
                allowed = _login_hosts(url, mapping)
                connection.authenticate_oidc_device(
                    provider_id=self._provider_of(connection, allowed),
                    store_refresh_token=True,
                    max_poll_time=self._poll_for_s,
                    requests_session=_wire(entry, mapping, allowed, again),
                    display=_show_nothing,
                )
            if not entry.dropped:
                entry.connection = connection
        except ClmsError as error:
            logger.info("A login at %s was not made: %s", url, error.message)
            entry.failure = error
        finally:
            entry.changed.set()
            entry.ended.set()

    def _provider_of(self, connection: Any, allowed: tuple[str, ...]) -> str:
        """Give the id of the identity provider, which must be one that this back-end may use."""
        offered = {
            str(one["id"]): str(one["issuer"]) for one in connection.get("/credentials/oidc").json()["providers"]
        }
        chosen = self._provider or next(iter(offered), "")
        if chosen not in offered:
            known = f"Offered: {', '.join(offered)}." if offered else USE_HUB
            raise BackendUnavailable("The openEO service does not offer the identity provider of the settings.", known)
        _check(offered[chosen], allowed)
        return chosen

    def _with_credentials(self, session_id: str, url: str, mapping: BackendMapping) -> Any:
        """Log in with the client credentials; None where there are none."""
        if self._credentials is None:
            return None
        with failures_told(url):
            connection = _new_connection(url)
            provider = self._provider_of(connection, _login_hosts(url, mapping))
            connection.authenticate_oidc_client_credentials(
                client_id=self._credentials.client_id,
                client_secret=self._credentials.secret.get_secret_value(),
                provider_id=provider,
            )
        entry = _Entry(time.monotonic(), connection)
        entry.ended.set()
        with self._lock:
            self._entries[session_id, url] = entry
        return connection


class SessionAccess:
    """Logs one session in at one back-end."""

    def __init__(self, logins: Logins, session_id: str, url: str, mapping: BackendMapping, again: str) -> None:
        self._logins = logins
        self._session_id = session_id
        self._url = url
        self._mapping = mapping
        self._again = again

    def connect(self, unknown: Any) -> Any:
        """Give a connection that is logged in, or the unknown one where no login is needed.

        Raises:
            LoginNeeded: Only the user can log in; the error says where, and with which code.
        """
        if self._mapping.login == "none":
            return unknown
        entry = self._logins._find(self._session_id, self._url)
        if entry is not None and entry.connection is not None:
            return entry.connection
        if entry is None and self._mapping.login == "when_asked":
            return unknown
        return self._with_credentials() or self._ask_user()

    def renew(self, unknown: Any) -> None:
        """Forget a login that is no longer accepted and begin another one.

        Raises:
            LoginNeeded: As for `connect`.
        """
        self._logins._drop(self._session_id, self._url)
        with failures_told(self._url):
            possible = unknown.capabilities().supports_endpoint("/credentials/oidc")
        if possible and self._with_credentials() is None:
            self._ask_user()

    def _with_credentials(self) -> Any:
        return self._logins._with_credentials(self._session_id, self._url, self._mapping)

    def _ask_user(self) -> NoReturn:
        """Begin a login, or go on with the one that waits, and hand it to the user."""
        if len(self._session_id) < PRIVATE_ID_CHARS:
            raise BackendUnavailable(
                f"{self._mapping.title} wants a login, and here nobody's conversation is kept apart from another's.",
                "Ask the whole question in a conversation of your own (a door that has a session), and log in there.",
            )
        entry = self._logins._begin(self._session_id, self._url, self._mapping, self._again)
        if entry.question is not None and entry.failure is None:
            raise LoginNeeded(entry.question.text, f"Then ask again. {USE_HUB}", entry.question)
        self._logins._drop(self._session_id, self._url)
        raise entry.failure or BackendUnavailable(f"The login service of {self._url} gives no code.", USE_HUB)


def _new_connection(url: str) -> Any:
    """Make a connection that reads and writes no token files."""
    from openeo.rest.connection import Connection

    from tools.backends import CONNECT_TIMEOUT_S, USER_AGENT

    nowhere: dict[str, Any] = {"auth_config": _NoConfig(), "refresh_token_store": _MemoryTokens()}
    connection = Connection(url, default_timeout=int(CONNECT_TIMEOUT_S), **nowhere)
    connection.default_headers["User-Agent"] = USER_AGENT
    check_root(url, connection.root_url)
    return connection


def _login_hosts(url: str, mapping: BackendMapping) -> tuple[str, ...]:
    """Give the hosts that may ask for the login; none named: any."""
    return (*mapping.login_hosts, host_of(url)) if mapping.login_hosts else ()


def _wire(entry: _Entry, mapping: BackendMapping, allowed: tuple[str, ...], again: str) -> Any:
    """Make the HTTP of the login: known hosts, short waits, an end with the session, and the code read on its way."""
    import requests
    from openeo.rest.auth.oidc import OidcException

    class Wire(requests.Session):
        """Talks to the identity provider."""

        def request(self, method: Any, address: Any, *args: Any, **how: Any) -> Any:  # type: ignore[override]
            """Send, and take the code out of the answer that holds it."""
            if entry.dropped:
                raise OidcException("The session has ended.")
            _check(str(address), allowed)
            how.setdefault("timeout", 20)
            how["allow_redirects"] = False
            answer = super().request(method, address, *args, **how)
            if entry.question is None and answer.ok and isinstance(told := answer.json(), dict) and "user_code" in told:
                entry.question = _question(told, mapping, allowed, again)
                entry.changed.set()
            return answer

    return Wire()


def _question(told: dict[str, Any], mapping: BackendMapping, allowed: tuple[str, ...], again: str) -> Question:
    link = str(told.get("verification_uri_complete") or told.get("verification_uri") or told.get("verification_url"))
    code = str(told["user_code"])
    _check(link, allowed)
    if not _CODE.fullmatch(code):
        raise BackendUnavailable("The login service gives a code that nobody could type.", USE_HUB)
    text = f"{mapping.title} wants your own login. Open <{link}>, enter the code {code} if asked, and allow it."
    return Question(text=text, options=(again,) if again else (), link=link, code=code)


def _check(link: str, allowed: tuple[str, ...]) -> None:
    """Refuse to send a user or a secret to a page that is not that of the login.

    Raises:
        BackendUnavailable: The address is not secure, or on a host that does not belong to this back-end.
    """
    parts = urlsplit(link)
    host = parts.hostname or ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    plain = re.fullmatch(r"[\x21-\x7e]+", link) and not re.search(r"[<>\"'`\\]", link)
    if not secure or not plain or (allowed and host not in allowed):
        raise BackendUnavailable(
            f"The openEO service sends logins to {host or 'nowhere'}, which is not known as its login page.",
            "Nothing was sent there. Check the address in the settings (CLMS_OPENEO_URL).",
        )


def _show_nothing(*_: Any, **__: Any) -> None:
    """Take what the client would print."""
