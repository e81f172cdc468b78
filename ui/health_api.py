"""Whether the process lives, whether questions can be answered, and how it fares."""

import logging
import time
from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from assistant.agent import Assistant
from assistant.telemetry import log_failure
from knowledge.errors import ClmsError
from tools.errors import BackendUnavailable
from tools.toolbox import Services

logger = logging.getLogger(__name__)

KEPT_S = 5.0
"""So long the outcome of a check holds: probes come often, and from several sides."""
WAIT_S = 5.0


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """What was looked at, and what is wrong with it."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
    """`index`, `database`, `scenes` and `computing`, each `ok` or a sentence."""


def health_router(assistant: Assistant) -> APIRouter:
    """Build the routes for whoever watches over the server."""
    router = APIRouter()
    kept: dict[str, tuple[float, Ready]] = {}

    @router.get("/healthz")
    async def healthz() -> Health:
        """Tell that the process lives."""
        return Health()

    @router.get("/readyz", responses={503: {"model": Ready, "description": "Something is not ready."}})
    def readyz() -> JSONResponse:
        """Tell whether questions can be answered: index, database and services are looked at."""
        made, ready = kept.get("ready", (0.0, None))
        if ready is None or time.monotonic() - made > KEPT_S:
            checks = {name: _told(look) for name, look in _looks(assistant).items()}
            ready = Ready(status="ready" if set(checks.values()) == {"ok"} else "not ready", checks=checks)
            kept["ready"] = (time.monotonic(), ready)
        return JSONResponse(ready.model_dump(), status_code=200 if ready.status == "ready" else 503)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Give counts and times in the form of Prometheus; where users are known, to admins."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        assistant.access.need_role("admin")
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _looks(assistant: Assistant) -> dict[str, Callable[[], object]]:
    def opened() -> Services:
        if assistant.is_opening:  # a probe does not wait so long
            raise BackendUnavailable("It is still being opened.")
        return assistant.services()

    def index() -> None:
        if retriever := opened().retriever:
            retriever.passages("forest", limit=1)

    def database() -> None:
        with assistant.sessions.database.begin() as db:
            db.exec_driver_sql("SELECT 1")

    def service(url: str) -> None:
        import httpx

        try:
            httpx.get(url, timeout=WAIT_S, follow_redirects=True).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise BackendUnavailable("The service does not answer as it should.") from error

    return {
        "index": index,
        "database": database,
        "scenes": lambda: service(opened().stac_url),
        "computing": lambda: service(opened().openeo_url),
    }


def _told(look: Callable[[], object]) -> str:
    """Look, and say in words what is wrong; details are for the log alone, for anybody may ask."""
    try:
        look()
    except ClmsError as error:
        return error.message
    except Exception:  # noqa: BLE001  # a door shows a reference, never a traceback
        return f"It does not answer (reference {log_failure(logger, 'A check')})."
    return "ok"
