"""Reads ranges of bytes over HTTP: from allowed hosts only, patient with the busy, within a given bandwidth."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from knowledge.errors import ClmsError
from knowledge.fetch import BUSY, LONGEST_WAIT_S, retry_after
from tools.errors import BackendUnavailable
from tools.stac import USER_AGENT

ATTEMPTS = 4
"""Attempts in a row that bring nothing; one that brings some bytes is gone on from where it broke off."""
MAX_ATTEMPTS = 50
MAX_REDIRECTS = 3
PATIENCE = 10
"""Times of allowed silence that one whole answer may take, not counting pauses for the bandwidth."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class RemoteRefused(ClmsError):
    """A file that may not be read from where it lies, or is not what it is said to be."""


@dataclass(frozen=True)
class Part:
    """Bytes of a file."""

    data: bytes
    size: int
    """Bytes of the whole file."""
    version: str
    """ETag or date of the file, empty when the server tells neither."""


@dataclass
class _Wanted:
    """One range, filled attempt by attempt."""

    start: int
    length: int
    data: bytearray
    size: int = 0
    version: str | None = None


class _Again(Exception):
    """One attempt failed in a way that a second may mend."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def host_allowed(url: str, hosts: frozenset[str]) -> bool:
    """Tell whether an address is http(s) on an allowed host; a host with a port allows this port only."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool({host, f"{host}:{port}"} & hosts) and parts.username is None


def parse_hosts(text: str) -> frozenset[str]:
    """Read the hosts of a setting, parted by commas."""
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


class RangeClient:
    """Reads ranges over one set of connections."""

    def __init__(
        self,
        hosts: frozenset[str],
        *,
        timeout_s: float = 30.0,
        max_kb_per_s: float | None = None,
        backoff_s: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the limits.

        Args:
            hosts: Names that may be asked, in lower case; with `:port` only that port.
            timeout_s: Seconds of silence allowed.
            max_kb_per_s: Bandwidth, in thousand bytes a second; none: as fast as it goes.
            backoff_s: First pause after a failed attempt; doubled each time.
            sleep: Waits; replaceable, so that patience can be tested quickly.
            clock: Seconds; see `sleep`.
        """
        import httpx

        self._hosts, self._timeout_s, self._backoff_s = hosts, timeout_s, backoff_s
        self._rate = None if max_kb_per_s is None else max_kb_per_s * 1000
        self._sleep, self._clock = sleep, clock
        self._free_at = clock()
        self.received = 0
        """Bytes of all answers."""
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    def check(self, url: str) -> None:
        """Refuse an address whose host no setting names.

        Raises:
            RemoteRefused: another scheme or host.
        """
        if not host_allowed(url, self._hosts):
            where = repr(url.partition("?")[0][:120])
            raise RemoteRefused(
                f"Files are not read from {where}: no setting allows it.",
                hint="Add the host to CLMS_HUB_SYNC_HOSTS if you trust what it publishes.",
            )

    def read(self, url: str, start: int, length: int) -> Part:
        """Give the bytes from `start` on, fewer than `length` only at the end of the file.

        Raises:
            RemoteRefused: an address that is not allowed, no such file, no ranges, or no access.
            BackendUnavailable: no usable answer after several attempts.
        """
        wanted = _Wanted(start, length, bytearray())
        idle, reason = 0, ""
        for _ in range(MAX_ATTEMPTS):
            before = len(wanted.data)
            try:
                self._runner.run(self._attempt(url, wanted))
                return Part(bytes(wanted.data), wanted.size, wanted.version or "")
            except _Again as again:
                reason = str(again)
                idle = 0 if len(wanted.data) > before else idle + 1
                wait_s = self._backoff_s * 2**idle if again.wait_s is None else again.wait_s
                if wait_s > LONGEST_WAIT_S:
                    message = f"{reason}, and asks to wait {wait_s:.0f} s."
                    raise BackendUnavailable(message, "Run the same command again after that time.") from again
                if idle >= ATTEMPTS:
                    break
                self._sleep(wait_s)
        raise BackendUnavailable(f"{reason}, {ATTEMPTS} times.", "Run the same command again later.")

    async def _attempt(self, url: str, wanted: _Wanted) -> None:
        import httpx

        first = wanted.start + len(wanted.data)
        headers = {"Range": f"bytes={first}-{wanted.start + wanted.length - 1}"}
        try:
            async with asyncio.timeout(PATIENCE * self._timeout_s) as patience:
                for _ in range(MAX_REDIRECTS + 1):
                    self.check(url)
                    async with self._client.stream("GET", url, headers=headers) as answer:
                        if not answer.has_redirect_location:  # 300 and 304 lead nowhere
                            await self._receive(answer, wanted, first, patience)
                            return
                        url = _joined(url, answer.headers["Location"])
        except TimeoutError as error:  # asked again, it would take as long
            waited_s = PATIENCE * self._timeout_s
            message = f"The server is too slow: {wanted.length} bytes did not arrive within {waited_s:g} s."
            raise BackendUnavailable(message, "Run the same command again later.") from error
        except httpx.TimeoutException as error:
            raise _Again("The server is too slow") from error
        except httpx.RemoteProtocolError as error:
            raise _Again("The answer broke off") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _Again("The server cannot be reached") from error
        raise RemoteRefused("The address leads round in circles.", "Tell whoever publishes it.")

    async def _receive(self, answer: Any, wanted: _Wanted, first: int, patience: asyncio.Timeout) -> None:
        """Take the bytes of one answer; more than was asked for are not taken."""
        _judge(answer, wanted, first)
        async for chunk in answer.aiter_raw():
            room = min(wanted.length, wanted.size - wanted.start) - len(wanted.data)
            wanted.data += chunk[:room]
            self.received += len(chunk)
            if len(chunk) > room:
                raise RemoteRefused("The server sends more than it was asked for.", "Tell whoever publishes it.")
            patience.reschedule((patience.when() or 0.0) + self._pace(len(chunk)))
        if len(wanted.data) < min(wanted.length, wanted.size - wanted.start):
            raise _Again("The answer broke off")

    def _pace(self, count: int) -> float:
        """Wait as long as these bytes may take; gives the seconds waited."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        self._free_at = max(self._free_at, now) + count / self._rate
        wait_s = self._free_at - now
        self._sleep(wait_s)
        return wait_s


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:  # such as half an IPv6 address
        raise RemoteRefused("The server leads to an address that is none.", "Tell whoever publishes it.") from error


def _judge(answer: Any, wanted: _Wanted, first: int) -> None:
    """Check by its head that an answer holds the bytes that were asked for, of the file they were asked of."""
    status = int(answer.status_code)
    if status in BUSY:
        raise _Again(f"The server answers with HTTP {status}", retry_after(answer.headers.get("Retry-After")))
    if status in (401, 403):
        raise RemoteRefused(f"The server wants a key or an account (HTTP {status}).", "Only open files are copied.")
    if status != 206:
        reason = "does not serve parts of files" if status == 200 else f"has no such file or part (HTTP {status})"
        raise RemoteRefused(f"The server {reason}.", "Only files that a server gives in parts are copied.")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise RemoteRefused("The answer is packed, which was not asked for.", "Tell whoever publishes it.")
    told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != first or int(told[3]) <= first:
        raise RemoteRefused("The server gives other bytes than it was asked for.", "Tell whoever publishes it.")
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    if wanted.version not in (None, version) or wanted.size not in (0, int(told[3])):
        raise BackendUnavailable("The file changed while it was read.", "Run the same command again.")
    wanted.version, wanted.size = version, int(told[3])
