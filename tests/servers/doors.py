"""The HTTP doors over an assistant of a test's own, served on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from assistant.agent import Assistant
from tests.servers.loopback import running
from ui.api import add_doors


@contextmanager
def served(assistant: Assistant) -> Iterator[str]:
    """Serve the doors and give their address."""
    app = FastAPI()
    add_doors(app, assistant, assistant.settings)
    with running(app, lifespan="off") as url:
        yield url
