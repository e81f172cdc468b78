"""Files by id: whole or in ranges, as what they are, and never as a page that could act in our name."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from assistant.agent import Assistant
from tools.schema import Artifact

SHOWN = frozenset({"image/png", "image/jpeg", "application/json", "application/geo+json", "text/csv", "text/plain"})
"""Types that a browser may show by itself; all others are only ever saved."""
SAFE = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, as what it is.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The part that the header `Range` asks for."},
    416: {"description": "The file has no such part."},
}


def artifact_router(assistant: Assistant) -> APIRouter:
    """Build the routes of files."""
    router = APIRouter()
    workspace = assistant.settings.workspace

    @router.get("/artifacts/{artifact_id}", response_class=FileResponse, responses=FILE)
    def artifact(artifact_id: str) -> FileResponse:
        """Give one made file."""
        # A STAC item names the files beside it with their endings.
        artifact_id = artifact_id.partition(".")[0]
        found = workspace.get(artifact_id)
        assistant.access.need("artifact", artifact_id)
        return file_response(found)

    return router


def file_response(found: Artifact) -> FileResponse:
    """Give a file with its type, its hash and nothing that a browser could run."""
    how = "inline" if found.media_type in SHOWN else "attachment"
    headers = {**SAFE, "ETag": f'"{found.sha256}"'}
    name = file_name(found.kind, found.path)
    return FileResponse(
        found.path, media_type=found.media_type, filename=name, content_disposition_type=how, headers=headers
    )


def file_name(kind: str, path: str) -> str:
    """Give the name to save a file under."""
    return f"clms-{kind}{path[path.rfind('.') :]}" if "." in path else f"clms-{kind}"
