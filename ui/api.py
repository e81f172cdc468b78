"""The HTTP door: health, files, the chat dialect, MCP, the embedded hub and the page on one port."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from assistant.agent import Assistant
from assistant.settings import Settings
from assistant.setup import needs_hub
from assistant.storage import DataFolderUnusable, storage_failure
from assistant.telemetry import log_failure
from knowledge.errors import ClmsError, IndexMissing, ProductNotFound
from tools.errors import ArtifactNotFound, BackendUnavailable, TooLarge, ToolInputError
from ui.chat_api import chat_router
from ui.mcp_api import create_mcp_server
from ui.openai_api import error_response, openai_router
from ui.turns import Turns

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
STATUS: dict[type[ClmsError], int] = {
    ArtifactNotFound: 404,
    ProductNotFound: 404,
    TooLarge: 413,
    ToolInputError: 400,
    IndexMissing: 503,
    BackendUnavailable: 503,
    DataFolderUnusable: 507,
}
"""HTTP status of an expected failure; the first class that fits, else 500."""


def create_app(settings: Settings) -> FastAPI:
    """Build the application: everything on one port."""
    hub_url = f"{_own_url(settings)}/hub" if needs_hub(settings) and settings.port else None
    assistant = Assistant(settings, hub_url=hub_url)

    mcp_server, turns = create_mcp_server(assistant), Turns(assistant)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # In the background: the port is open at once, and the first question finds everything loaded.
        threading.Thread(target=assistant.warm_up, daemon=True).start()
        async with mcp_server.session_manager.run():
            yield
        await turns.close()
        assistant.close()

    # The interactive API pages would load their scripts from a CDN, so they are off.
    app = FastAPI(title="CLMS Assistant", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.assistant = assistant
    if settings.host in LOOPBACK:
        # Another name in the request means that a web page elsewhere reaches for this machine.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    add_doors(app, assistant, settings, turns)
    app.router.routes.extend(mcp_server.streamable_http_app(host=settings.host).routes)
    if hub_url:
        from tools.hub.app import create_hub

        app.mount("/hub", create_hub(settings.hub_dir, settings.hub_limits))
    from ui.web import mount_page

    def forget(session_id: str) -> None:
        assistant.services().logins.forget(session_id)

    return mount_page(
        app, assistant, settings, on_end=forget, catalogue=lambda: assistant.services().retriever.catalogue
    )


def add_doors(app: FastAPI, assistant: Assistant, settings: Settings, turns: Turns | None = None) -> None:
    """Add health, files and both chat APIs to an application, with one shape for all errors."""
    _add_error_handlers(app, settings)
    _add_health(app, assistant)
    app.include_router(openai_router(assistant))
    app.include_router(chat_router(assistant, turns or Turns(assistant)))

    @app.get("/artifacts/{artifact_id}")
    def artifact(artifact_id: str) -> FileResponse:
        """Give one made file."""
        from tools.workspace import Workspace

        found = Workspace(settings.artifacts_dir).get(artifact_id)
        return FileResponse(found.path, media_type=found.media_type, filename=_file_name(found.kind, found.path))


def _own_url(settings: Settings) -> str:
    """Give the address at which this process reaches itself."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "localhost", "::", "") else settings.host  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _file_name(kind: str, path: str) -> str:
    return f"clms-{kind}{path[path.rfind('.') :]}" if "." in path else f"clms-{kind}"


def _add_health(app: FastAPI, assistant: Assistant) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Tell that the process lives."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> Response:
        """Tell whether questions can be answered: index and services open."""
        try:
            assistant.services()
        except ClmsError as error:
            return JSONResponse({"status": "not ready", "message": error.message, "hint": error.hint}, status_code=503)
        return JSONResponse({"status": "ready"})


def _add_error_handlers(app: FastAPI, settings: Settings) -> None:
    @app.exception_handler(ClmsError)
    def expected(_: Request, error: ClmsError) -> JSONResponse:
        status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
        return error_response(status, str(error), kind="invalid_request_error" if status < 500 else "server_error")

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return error_response(400, f"{where or 'body'}: {first['msg']}", param=where or None)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    def unexpected(_: Request, error: Exception) -> JSONResponse:
        if told := storage_failure(error, settings.data_dir):
            return error_response(STATUS[DataFolderUnusable], str(told), kind="server_error")
        try:
            raise error
        except Exception:  # noqa: BLE001  # a door shows a reference, never a traceback
            reference = log_failure(logger, "A request")
        return error_response(500, f"Something unexpected went wrong (reference {reference}).", kind="server_error")
