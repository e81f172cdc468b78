"""One shape for every error of the HTTP door, and the status of each expected failure."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from assistant.access import NotAuthenticated, NotPermitted, QuotaExceeded
from assistant.database import DatabaseUnavailable
from assistant.settings import Settings
from assistant.storage import DataFolderUnusable, storage_failure
from assistant.telemetry import log_failure
from knowledge.errors import ClmsError, IndexMissing, ProductNotFound
from tools.errors import ArtifactNotFound, BackendUnavailable, TooLarge, ToolInputError

logger = logging.getLogger(__name__)

STATUS: dict[type[ClmsError], int] = {
    ArtifactNotFound: 404,
    ProductNotFound: 404,
    TooLarge: 413,
    NotAuthenticated: 401,
    NotPermitted: 403,
    QuotaExceeded: 429,
    ToolInputError: 400,
    IndexMissing: 503,
    BackendUnavailable: 503,
    DatabaseUnavailable: 503,
    DataFolderUnusable: 507,
}
"""HTTP status of an expected failure; the first class that fits, else 500."""


class ErrorDetail(BaseModel):
    """What went wrong, in the shape that every OpenAI client reads."""

    message: str
    """A sentence, and what to do next."""
    type: str
    """`invalid_request_error` or `server_error`."""
    param: str | None
    """The field of the request that is wrong."""
    code: str | None


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetail


FAILED: dict[int | str, dict[str, Any]] = {"default": {"model": ErrorBody, "description": "It failed, and why."}}
"""What every route may answer, for the description of the interface."""


def error_response(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build an error in the one shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    detail = ErrorDetail(message=message, type=kind, param=param, code=code)
    return JSONResponse(ErrorBody(error=detail).model_dump(), status, headers=headers)


def told(error: ClmsError) -> JSONResponse:
    """Build the response to an expected failure."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    headers = {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Basic realm="CLMS Assistant", charset="UTF-8"'
    if isinstance(error, QuotaExceeded):
        headers["Retry-After"] = str(error.retry_after_s)
    return error_response(status, str(error), code=getattr(error, "code", None), headers=headers)


def add_error_handlers(app: FastAPI, settings: Settings) -> None:
    """Answer every failure of an application in the one shape."""

    @app.exception_handler(ClmsError)
    def expected(_: Request, error: ClmsError) -> JSONResponse:
        return told(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return error_response(400, f"{where or 'body'}: {first['msg']}", param=where or None)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    def unexpected(_: Request, error: Exception) -> JSONResponse:
        if failure := storage_failure(error, settings.data_dir):
            return told(failure)
        try:
            raise error
        except Exception:  # noqa: BLE001  # a door shows a reference, never a traceback
            reference = log_failure(logger, "A request")
        return error_response(500, f"Something unexpected went wrong (reference {reference}).")


def close_paths(app: FastAPI, prefixes: tuple[str, ...]) -> None:
    """Answer other methods of our paths with 405 and unknown paths below `prefixes` with 404, in the one shape.

    The page is mounted at `/` and would take what no route takes; its own answers have another shape.
    """
    for path, operations in app.openapi()["paths"].items():
        told = ", ".join(sorted(method.upper() for method in operations))
        app.router.routes.append(Route(path, _Refusal(405, told), include_in_schema=False))
    for prefix in prefixes:
        app.router.routes.append(Route(f"{prefix}/{{rest:path}}", _Refusal(404), include_in_schema=False))


class _Refusal:
    """Answers every method, which a function as a route would not."""

    def __init__(self, status: int, allowed: str = "") -> None:
        self._status, self._allowed = status, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._status == 405:
            message = f"This path does not take {scope['method']}. It takes {self._allowed}."
            response = error_response(405, message, headers={"Allow": self._allowed})
        else:
            response = error_response(404, "There is nothing at this path. GET /openapi.json lists what there is.")
        await response(scope, receive, send)
