"""The page, served over loopback and opened in Chromium with the network shut; one server and browser for all tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI, Response
from playwright.sync_api import Browser, Page, sync_playwright

from assistant.access import find_user_also
from assistant.sessions import Sessions
from assistant.settings import Settings
from tests.servers.loopback import running
from tests.test_map_view import drawn
from tests.web.script import ScriptedAssistant, png
from tools.workspace import Workspace
from ui.api import make_access
from ui.errors import add_error_handlers
from ui.gate import Gate
from ui.page_user import Rights, page_user
from ui.turns import Turns
from ui.web import mount_page

_CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def served(assistant: ScriptedAssistant, settings: Settings) -> Iterator[str]:
    app = FastAPI()

    @app.get("/artifacts/{artifact_id}")
    def artifact(artifact_id: str) -> Response:
        return Response(png(), media_type="image/png")

    access = make_access(settings)
    rights = Rights(
        need_trainer=lambda: access.need_role("trainer", "admin"), owns=lambda one: access.owns("session", one)
    )
    find_user_also(page_user)
    add_error_handlers(app, settings)
    app.add_middleware(Gate, settings=settings)
    mount_page(app, Turns(assistant), settings, rights=rights)
    with running(app) as url:
        yield f"{url}/"


@pytest.fixture(scope="package")
def assistant() -> ScriptedAssistant:
    return ScriptedAssistant()


@pytest.fixture(scope="package")
def address(assistant: ScriptedAssistant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    before = dict(os.environ)
    settings = Settings(data_dir=tmp_path_factory.mktemp("page"))
    assistant.kept = Sessions(settings.database)
    workspace = Workspace(settings.artifacts_dir)
    assistant.maps = [drawn(workspace, "NDVI before")[0], drawn(workspace, "NDVI after")[0]]
    with served(assistant, settings) as url:
        yield url
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not _CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {_CHROMIUM}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh visit; at its end nothing may have gone to another host or to the error console."""
    context = browser.new_context(viewport={"width": 360, "height": 800}, locale="en-GB")
    opened = context.new_page()
    opened.set_default_timeout(45_000)  # a busy machine: the first visit waits for everything to load
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda request: complaints.append(request.url) if _is_elsewhere(request.url, address) else None
    )
    opened.goto(address)
    yield opened
    context.close()
    assert complaints == []


def _is_elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))
