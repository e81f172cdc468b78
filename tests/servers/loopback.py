"""An application served over loopback, in a thread of the test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI


@contextmanager
def running(app: FastAPI, *, lifespan: Literal["on", "off"] = "on", http: Any = "auto") -> Iterator[str]:
    """Serve the application and give its address, without a slash at its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shown: Any = {"log_level": "error", "ws": "none", "timeout_graceful_shutdown": 1}
        told = uvicorn.Config(app, lifespan=lifespan, http=http, **shown)
        server = uvicorn.Server(told)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=10)
