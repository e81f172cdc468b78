"""The HTTP door: health, files, both chat APIs, MCP, the embedded hub and the page on one port."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from fastapi import FastAPI
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from assistant.access import Access, Quotas, find_user_also
from assistant.agent import Assistant
from assistant.settings import Settings
from assistant.setup import needs_hub
from tools.hub.app import create_hub
from ui.artifact_api import artifact_router
from ui.chat_api import chat_router
from ui.errors import FAILED, add_error_handlers, close_paths
from ui.gate import check_exposure, guard
from ui.health_api import health_router
from ui.mcp_api import create_mcp_server
from ui.openai_api import openai_router
from ui.plan_api import plan_router
from ui.turns import Turns

PACKED_BYTES = 10_000
"""Replies above this size are sent packed to who can unpack them: a page on a slow network."""
UNPACKED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/tiff", "application/octet-stream", "application/geopackage+sqlite3")
"""Media types that are sent as they are: packed already, or streams."""


def create_app(settings: Settings, assistant: Assistant | None = None) -> FastAPI:
    """Build the application: everything on one port.

    Args:
        settings: All settings.
        assistant: Answers the questions; made from the settings by default.

    Raises:
        ToolInputError: The settings would leave open to others what is not theirs.
    """
    check_exposure(settings)
    # Where users are told apart the hub is for the assistant alone: it knows no users.
    shown = needs_hub(settings) and settings.port and settings.auth == "none"
    hub_url = f"{_own_url(settings)}/hub" if shown else None
    assistant = assistant or Assistant(settings, hub_url=hub_url, access=make_access(settings))

    mcp_server, turns = create_mcp_server(assistant), Turns(assistant)
    hub = create_hub(settings.hub_dir, settings.hub_limits) if hub_url else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # In the background: the port is open at once, and the first question finds everything loaded.
        threading.Thread(target=assistant.warm_up, daemon=True).start()
        async with mcp_server.session_manager.run(), hub.router.lifespan_context(hub) if hub else nullcontext():
            yield
        await turns.close(settings.shutdown_s)
        assistant.close()

    # The interactive API pages would load their scripts from a CDN, so they are off.
    app = FastAPI(title="CLMS Assistant", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.assistant = assistant
    add_doors(app, assistant, settings, turns)
    app.router.routes.extend(mcp_server.streamable_http_app(host=settings.host).routes)
    if hub:
        app.mount("/hub", hub)
    from ui.page_user import Rights, page_user
    from ui.web import mount_page

    find_user_also(page_user)

    return mount_page(
        app,
        turns,
        settings,
        on_end=assistant.log_out,
        catalogue=lambda: assistant.services().retriever.catalogue,
        sessions=assistant.sessions,
        rights=Rights(
            need_file=lambda file_id: assistant.access.need("artifact", file_id),
            need_trainer=lambda: assistant.access.need_role("trainer", "admin"),
            owns=lambda session_id: assistant.access.owns("session", session_id),
        ),
    )


def make_access(settings: Settings) -> Access:
    """Give what keeps the users apart."""
    quotas = Quotas(settings.quota_questions, settings.quota_pixels, settings.quota_credits)
    return Access(settings.database, required=settings.auth == "required", quotas=quotas)


def add_doors(app: FastAPI, assistant: Assistant, settings: Settings, turns: Turns | None = None) -> None:
    """Add health, files and both chat APIs to an application, with one shape for all errors."""
    add_error_handlers(app, settings)
    turns = turns or Turns(assistant)
    routers = (
        health_router(assistant),
        openai_router(assistant),
        chat_router(assistant, turns),
        plan_router(assistant, turns),
        artifact_router(assistant),
    )
    for router in routers:
        app.include_router(router, responses=FAILED)
    if settings.oidc_issuer and settings.auth == "required":
        from ui.login_api import login_router

        app.include_router(login_router(settings))
    close_paths(app, ("/api", "/v1", "/artifacts"))
    guard(app, settings)
    # What the gate answers is packed, too; files and streams are not.
    app.add_middleware(GZipMiddleware, minimum_size=PACKED_BYTES, exclude_content_types=UNPACKED)


def _own_url(settings: Settings) -> str:
    """Give the address at which this process reaches itself."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "localhost", "::", "") else settings.host  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
