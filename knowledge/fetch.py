"""Gets documents over HTTP from allowed hosts only: conditional, limited in size and time, patient with the busy."""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from knowledge.errors import SourceGone, SourceInvalid, SourceUnavailable

DEFAULT_HOSTS = "library.land.copernicus.eu, land.copernicus.eu"
MAX_BYTES = 64_000_000
MAX_REDIRECTS = 5
ATTEMPTS = 3
LONGEST_WAIT_S = 60.0
"""A server that asks for a longer pause is told of instead, and left for a later run."""
BUSY = frozenset({429, 500, 502, 503, 504})
GONE = frozenset({404, 410})
ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
CHUNK = 65_536


@dataclass(frozen=True)
class Download:
    """A fetched body, in a file."""

    path: Path
    url: str
    """Where it came from after redirects."""
    media_type: str
    charset: str | None
    etag: str | None
    modified: str | None
    """Last-Modified as sent."""


class _Again(Exception):
    """One attempt failed in a way that a second may mend."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Fetcher:
    """Fetches one document after the other over one client.

    It runs a loop of its own: only there can a whole answer be given up, also one whose headers never end.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hosts: str = DEFAULT_HOSTS,
        timeout_s: float = 30.0,
        deadline_s: float = 300.0,
        max_bytes: int = MAX_BYTES,
        backoff_s: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the limits.

        Args:
            folder: Where bodies are written.
            hosts: Names that may be asked, parted by commas; with `:port` only that port.
            timeout_s: Seconds of silence allowed.
            deadline_s: Seconds allowed for one whole answer, headers and redirects included.
            max_bytes: Largest body, unpacked.
            backoff_s: First pause after a failed attempt; doubled each time.
            sleep: Waits; replaceable, so that patience can be tested quickly.
        """
        import httpx

        self._folder = folder
        self._hosts = frozenset(host.strip().lower() for host in hosts.split(",") if host.strip())
        self._deadline_s, self._max_bytes, self._backoff_s, self._sleep = deadline_s, max_bytes, backoff_s, sleep
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
            headers={"User-Agent": _user_agent(), "Accept-Encoding": "gzip"},
            follow_redirects=False,
        )
        self._count = 0

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    def check(self, url: str) -> str:
        """Give the address back when its host is allowed.

        Raises:
            SourceInvalid: another scheme or host.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise SourceInvalid("This is not a web address.", "Check it.") from error
        if parts.scheme not in ("http", "https") or not host:
            raise SourceInvalid(f"Only http and https addresses are read, not {parts.scheme or 'this'}:.", "Check it.")
        if not {host, f"{host}:{port}"} & self._hosts:
            raise SourceInvalid(
                f"The host {host} is not allowed.", "Add it to CLMS_INGEST_HOSTS if you trust what it publishes."
            )
        return url

    def get(
        self, url: str, *, etag: str | None = None, modified: str | None = None, accept: str = "*/*"
    ) -> Download | None:
        """Fetch an address; None when the server says that it has not changed.

        Raises:
            SourceGone: not there (any more).
            SourceInvalid: an address that is not allowed, or a body that is too large.
            SourceUnavailable: no usable answer after several attempts.
        """
        headers = {"Accept": accept}
        headers |= {"If-None-Match": etag} if etag else {}
        headers |= {"If-Modified-Since": modified} if modified else {}
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                return self._runner.run(self._attempt(url, headers))
            except _Again as again:
                reason = str(again)
                wait_s = again.wait_s if again.wait_s is not None else self._backoff_s * 2**attempt
                if wait_s > LONGEST_WAIT_S:
                    raise SourceUnavailable(
                        f"{reason}, and asks to wait {wait_s:.0f} s.", "Run again after that time."
                    ) from again
                if attempt + 1 < ATTEMPTS:
                    self._sleep(wait_s)
        raise SourceUnavailable(f"{reason}, {ATTEMPTS} times.", "Run again later.")

    async def _attempt(self, url: str, headers: dict[str, str]) -> Download | None:
        import httpx

        try:
            async with asyncio.timeout(self._deadline_s):
                for _ in range(MAX_REDIRECTS + 1):
                    async with self._client.stream("GET", self.check(url), headers=headers) as answer:
                        if answer.status_code == 304:
                            return None
                        if not answer.is_redirect:
                            return await self._received(answer, url)
                        url = urljoin(url, answer.headers["Location"])
        except TimeoutError as error:  # asked again, it would take as long
            raise SourceUnavailable(
                f"The document did not arrive within {self._deadline_s:g} s.",
                "Run again later, or read it from a file.",
            ) from error
        except httpx.TimeoutException as error:
            raise _Again("The server is too slow") from error
        except httpx.RemoteProtocolError as error:
            raise _Again("The answer broke off") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _Again("The server cannot be reached") from error
        raise SourceInvalid("The address leads round in circles.", "Check it in a browser.")

    async def _received(self, answer: Any, url: str) -> Download:
        status = int(answer.status_code)
        if status in GONE:
            raise SourceGone(f"There is nothing at this address any more (HTTP {status}).", "Look for its new address.")
        if status in BUSY:
            raise _Again(f"The server answers with HTTP {status}", retry_after(answer.headers.get("Retry-After")))
        if status != 200:
            raise SourceInvalid(f"The server refuses (HTTP {status}).", "Check in a browser whether it is public.")
        self._count += 1
        path = self._folder / f"body-{self._count}"
        await self._keep(answer, path)
        kind, _, parameters = answer.headers.get("Content-Type", "").partition(";")
        charset = parameters.partition("charset=")[2].split(";")[0].strip(" \"'") or None
        return Download(
            path, url, kind.strip().lower(), charset, answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        )

    async def _keep(self, answer: Any, path: Path) -> None:
        """Unpack piece by piece, so that neither a large body nor one that swells fills the memory."""
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise SourceInvalid(f"The answer is packed as {encoding!r}, which was not asked for.", "Tell the server.")
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if encoding not in ("", "identity") else None
        size = 0
        with path.open("wb") as file:
            async for raw in answer.aiter_raw():
                for data in _unpacked(unpack, raw):
                    size += len(data)
                    if size > self._max_bytes:
                        raise SourceInvalid(
                            f"The document is larger than {self._max_bytes / 1e6:.0f} MB.",
                            "Read it from a file, in parts.",
                        )
                    file.write(data)
        if unpack is not None and not unpack.eof:
            raise _Again("The answer broke off")


def _unpacked(unpack: Any, raw: bytes) -> Iterator[bytes]:
    if unpack is None:
        yield raw
        return
    try:
        while raw:
            yield unpack.decompress(raw, CHUNK)
            raw = unpack.unconsumed_tail
    except zlib.error as error:
        raise _Again("The answer is damaged") from error


def retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait, from a number or a date."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _user_agent() -> str:
    try:
        return f"clms-assistant/{version('clms-assistant')} (document index; honours Retry-After)"
    except PackageNotFoundError:
        return "clms-assistant (document index; honours Retry-After)"
