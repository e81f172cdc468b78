"""Runs the hub on loopback inside this process, for whoever has no hub of their own to talk to."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.errors import BackendUnavailable
from tools.hub.limits import Limits

_START_SECONDS = 30.0


@contextmanager
def running_hub(hub_dir: Path, *, port: int = 0, limits: Limits | None = None) -> Iterator[str]:
    """Serve the hub in a thread and give its base URL; stops it at the end."""
    import uvicorn

    from tools.hub.app import create_hub

    listener = _listen(port)
    try:
        server = uvicorn.Server(uvicorn.Config(create_hub(hub_dir, limits), log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="hub", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
    finally:
        listener.close()


def _listen(port: int) -> socket.socket:
    # Bound here, not by uvicorn, so that a free port is known before the server starts and nobody can take it.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise BackendUnavailable(
            f"The embedded hub cannot listen on port {port}.", hint="Choose another port, or 0 for a free one."
        ) from error
    return listener


def _wait_until_started(server: object, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not getattr(server, "started", False):
        if not thread.is_alive() or time.monotonic() > deadline:
            raise BackendUnavailable("The embedded hub did not start.", hint="Look at the log for the reason.")
        time.sleep(0.01)
