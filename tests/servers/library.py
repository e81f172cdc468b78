"""A document server on loopback: pages with ETags, an llms.txt index, the portal's `@search`, and bad behaviour."""

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

PAGE_SIZE = 2


@dataclass
class Page:
    """What one path answers."""

    body: bytes = b""
    media_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    statuses: Sequence[int] = (200,)
    """One a request; the last repeats."""
    promised: int | None = None
    """Content-Length when it is a lie."""
    pause_s: float = 0.0
    repeat: int = 1
    """How often the body is sent."""
    drip_s: float = 0.0
    """Pause after each time."""
    endless_head: bool = False
    """Headers drip instead of a body, with `drip_s` between them."""
    sent: int = 0
    """How often it was sent so far."""
    etag: bool = True


@dataclass
class Library:
    """What the server holds and what it was asked."""

    base_url: str = ""
    host: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the portal."""
    broken_from: int | None = None
    """The portal fails from this entry on."""
    requests: list[tuple[str, int]] = field(default_factory=list)
    """Path and status of each answer."""
    agents: set[str] = field(default_factory=set)

    def put(self, path: str, body: bytes | str, media_type: str = "text/markdown; charset=utf-8", **more: Any) -> str:
        """Hold a page; gives its address."""
        data = body.encode() if isinstance(body, str) else body
        self.pages[path] = Page(data, media_type, **more)
        return self.base_url + path

    def asked(self, path: str) -> list[int]:
        """Give the statuses answered for a path."""
        return [status for one, status in self.requests if one == path]


@contextmanager
def library_server() -> Iterator[Library]:
    """Serve until the test ends."""
    library = Library()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.library = library
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    library.host = f"127.0.0.1:{server.server_port}"
    library.base_url = f"http://{library.host}"
    try:
        yield library
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    library: Library


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        library = self.server.library
        library.agents.add(self.headers.get("User-Agent", ""))
        path = urlsplit(self.path).path
        page = library.pages.get(path)
        if page is None and path == "/api/@search":
            self._search(library)
        elif page is None:
            self._send(path, 404, Page(b"not here"))
        else:
            answered = len(library.asked(path))
            self._send(path, page.statuses[min(answered, len(page.statuses) - 1)], page)

    def _search(self, library: Library) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        begin = int(asked.get("b_start", ["0"])[0])
        if library.broken_from is not None and begin >= library.broken_from:
            self._send("/api/@search", 500, Page(b"broken"))
            return
        batching = {}
        if begin + PAGE_SIZE < len(library.items):
            query = urlencode(asked | {"b_start": [str(begin + PAGE_SIZE)]}, doseq=True)
            batching["next"] = f"{library.base_url}/api/@search?{query}"
        answer = {
            "@id": library.base_url + self.path,
            "items": library.items[begin : begin + PAGE_SIZE],
            "items_total": len(library.items),
            "batching": batching,
        }
        self._send("/api/@search", 200, Page(json.dumps(answer).encode(), "application/json", etag=False))

    def _send(self, path: str, status: int, page: Page) -> None:
        etag = f'"{hashlib.sha256(page.body).hexdigest()[:16]}"'
        if status == 200 and page.etag and self.headers.get("If-None-Match") == etag:
            status = 304
        self.server.library.requests.append((path, status))
        time.sleep(page.pause_s)
        body = page.body if status == 200 else b""
        lie = page.promised if body else None
        self.send_response(status)
        self.send_header("Content-Type", page.media_type)
        self.send_header("Content-Length", str(len(body) * page.repeat if lie is None else lie))
        if page.etag:
            self.send_header("ETag", etag)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.flush_headers() if page.endless_head else self.end_headers()
        try:
            for number in range(page.repeat):
                self.wfile.write(b"X-%d: 1\r\n" % number if page.endless_head else body)
                page.sent += 1
                time.sleep(page.drip_s)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if lie is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep the test's output clean."""


def gzip_bomb(megabytes: int) -> bytes:
    """A small body that unpacks to many megabytes."""
    return gzip.compress(b"\0" * (megabytes * 1_000_000))
