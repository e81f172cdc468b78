"""A bucket on loopback: as much of S3 as whole files need, for holders of one access key."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY, SECRET = "AKPLANTED12345", "planted-bucket-secret"


@contextmanager
def running_bucket() -> Iterator[tuple[dict[str, str], dict[str, bytes]]]:
    """Give the environment that leads to it, and what it holds by path."""
    held: dict[str, bytes] = {}

    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
                self._send(403)
                return
            held[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(200, etag=True)

        def do_GET(self) -> None:
            self._send(200 if self.path in held else 404, held.get(self.path, b""), etag=True)

        def _send(self, status: int, body: bytes = b"", *, etag: bool = False) -> None:
            self.send_response(status)
            if etag:
                self.send_header("ETag", '"one"')
                self.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    Thread(target=server.serve_forever, daemon=True).start()
    yield (
        {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
        },
        held,
    )
    server.shutdown()
    server.server_close()
