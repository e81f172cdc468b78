"""The HTTP doors over an assistant of a test's own, served on loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from assistant.agent import Assistant
from ui.api import add_doors


@contextmanager
def served(assistant: Assistant) -> Iterator[str]:
    """Serve the doors and give their address."""
    app = FastAPI()
    add_doors(app, assistant, assistant.settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=5)
