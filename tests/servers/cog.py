"""A STAC API with cloud-optimised GeoTIFFs on loopback: pages, byte ranges, and every kind of bad behaviour."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
]


@dataclass
class Source:
    """What the server holds, how it behaves, and what it was asked."""

    folder: Path
    base_url: str = ""
    host: str = ""
    collections: list[Json] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    page_size: int = 2
    next_link: Json | None = None
    """Replaces the link to the next page."""
    stac_moved_to: str = ""
    """Where searches are redirected."""
    trouble: dict[str, list[str]] = field(default_factory=dict)
    """By file name: what happens to its next requests, one word each; see `_Handler.trouble`."""
    elsewhere: str = ""
    """Where the trouble `redirect` leads."""
    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    """File, first and last byte of each range sent."""
    statuses: Counter[int] = field(default_factory=Counter)
    searches: int = 0

    def url(self, name: str) -> str:
        """Give the address of a file."""
        return f"{self.base_url}/files/{name}"

    def sent_bytes(self) -> int:
        """Give the bytes of all ranges sent."""
        return sum(last - first + 1 for _, first, last in self.ranges)


@contextmanager
def cog_server(folder: Path) -> Iterator[Source]:
    """Serve the files of a folder until the test ends."""
    source = Source(folder)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.source = source
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    source.host = f"127.0.0.1:{server.server_port}"
    source.base_url = f"http://{source.host}"
    try:
        yield source
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    source: Source

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        """Answer."""
        path = urlsplit(self.path).path
        if path.startswith("/files/"):
            self._file(path.removeprefix("/files/"))
        else:
            self._stac(path, {})

    def do_POST(self) -> None:
        """Answer a search."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._stac(urlsplit(self.path).path, body)

    def _stac(self, path: str, body: Json) -> None:
        source = self.server.source
        root = f"{source.base_url}/stac"
        if path in ("/stac", "/stac/"):
            links = [{"rel": "data", "href": f"{root}/collections"}]
            links += [{"rel": "search", "href": f"{root}/search", "method": "POST", "type": "application/geo+json"}]
            links += [{"rel": rel, "href": root} for rel in ("self", "root")]
            about = {"type": "Catalog", "stac_version": "1.0.0", "id": "source", "description": "For tests."}
            self._json(about | {"conformsTo": CONFORMS, "links": links})
        elif path == "/stac/collections":
            self._json({"collections": source.collections, "links": []})
        elif path == "/stac/search" and source.stac_moved_to:
            self._send(307, b"", {"Location": source.stac_moved_to})
        elif path == "/stac/search":
            self._search(body, root)
        else:
            self._json({"code": "NotFound"}, 404)

    def _search(self, body: Json, root: str) -> None:
        """Give one page; the token of the next one is its number."""
        source = self.server.source
        source.searches += 1
        first, last = body.get("datetime", "/").split("/")
        found = [
            item
            for item in source.items
            if item["collection"] in body["collections"]
            and (not first or first <= _time(item) <= last)
            and _touch(item["bbox"], body["bbox"])
        ]
        start = int(body.get("token", 0))
        links: list[Json] = []
        if start + source.page_size < len(found):
            token = {"token": str(start + source.page_size)}
            next_link = {"rel": "next", "href": f"{root}/search", "method": "POST", "merge": False}
            links = [source.next_link or next_link | {"body": {**body, **token}}]
        page = found[start : start + source.page_size]
        self._json({"type": "FeatureCollection", "features": page, "links": links})

    def _file(self, name: str) -> None:
        source = self.server.source
        file = source.folder / name
        if not file.is_file():
            self._json({"code": "NotFound"}, 404)
            return
        data = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), min(int(asked[2]), len(data) - 1)) if asked else (0, len(data) - 1)
        queue = source.trouble.get(name, [])
        trouble = queue.pop(0) if queue else ""
        if not self._in_trouble(trouble, data, first, last):
            source.ranges.append((name, first, last))
            self._send(206, data[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def _in_trouble(self, trouble: str, data: bytes, first: int, last: int) -> bool:
        """Misbehave as told; tells whether that was the answer."""
        part, size = data[first : last + 1], len(data)
        told = {"Content-Range": f"bytes {first}-{last}/{size}"}
        word, _, number = trouble.partition(":")
        if word == "status":
            code, _, wait = number.partition(":")
            self._send(int(code), b"busy", {"Retry-After": wait} if wait else {})
        elif word in ("cut", "short"):  # half of the bytes, then the line is dead; or it says that this is all
            self._send(206, part[: len(part) // 2], told, promised=len(part) if word == "cut" else None)
            self.close_connection = word == "cut"
        elif word == "long":  # more than was asked for
            self._send(206, part + b"x" * 100_000, told)
        elif word == "shifted":
            self._send(206, part, {"Content-Range": f"bytes {first + 1}-{last + 1}/{size}"})
        elif word == "digits":
            self._send(206, part, {"Content-Range": f"bytes {first}-{last}/{'9' * 5000}"})
        elif word == "whole":
            self._send(200, data, {})
        elif word == "page":
            page = b"<html>Please log in</html>".ljust(len(part))
            self._send(206, page, told | {"Content-Type": "text/html"})
        elif word == "changed":
            self._send(206, part, told | {"ETag": '"another"'})
        elif word == "redirect":
            self._send(302, b"", {"Location": self.server.source.elsewhere})
        elif word == "slow":
            time.sleep(float(number))
            self._send(206, part, told)
        elif word in ("drip", "drip_head"):  # never silent, never done
            self._drip(part if word == "drip" else b"", told, float(number))
        else:
            return False
        return True

    def _drip(self, part: bytes, told: dict[str, str], pause_s: float) -> None:
        """Send a body, or without one headers, byte by byte until the client hangs up."""
        self.send_response(206)
        for name, value in (told | {"Content-Length": str(len(part))}).items() if part else ():
            self.send_header(name, value)
        if part:
            self.end_headers()
        else:
            self.flush_headers()
        with suppress(ConnectionError):
            for number in range(100):
                self.wfile.write(part[number : number + 1] or b"X-%d: 1\r\n" % number)
                time.sleep(pause_s)
            self.server.source.statuses[0] += 1
        self.close_connection = True

    def _json(self, body: Json, status: int = 200) -> None:
        self._send(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str], promised: int | None = None) -> None:
        self.server.source.statuses[status] += 1
        self.send_response(status)
        for name, value in ({"ETag": '"one"'} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)


def _touch(one: list[float], other: list[float]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _time(item: Json) -> str:
    told = item["properties"]
    return str(told["datetime"] or told["start_datetime"])
