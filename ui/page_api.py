"""What the page loads beside itself: scripts, the map's background, map layers, and files as one zip."""

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse, HTMLResponse

from assistant.published import Readings
from assistant.settings import Settings
from tools.errors import ArtifactNotFound
from tools.schema import Artifact
from ui.embeds import add_embeds
from ui.lessons import handout_html, load_lessons
from ui.page_words import ASSETS, chosen_language

SHIPPED = {"leaflet.js": "text/javascript", "leaflet.css": "text/css", "background.json.gz": "application/json"}
"""Files that the page may load, all from the package: it needs no other host."""
MOST_FILES = 100
"""Files that one zip holds at most."""
_DAY = {"Cache-Control": "private, max-age=86400"}


def _anyone(file_id: str) -> None:
    """Let everybody have a file."""


def page_router(
    settings: Settings, need_file: Callable[[str], None] = _anyone, need_trainer: Callable[[], None] = lambda: None
) -> APIRouter:
    """Build the routes, none of them part of the documented interface.

    Args:
        settings: All settings.
        need_file: Refuses who may not have a file.
        need_trainer: Refuses who may not lead a lesson.
    """
    router, workspace = APIRouter(include_in_schema=False), settings.workspace

    @router.get("/page/{name}")
    def shipped(name: str) -> FileResponse:
        """Give one of the page's own files."""
        if name not in SHIPPED:
            raise ArtifactNotFound("The page has no such file.", "Load the page again.")
        packed = {"Content-Encoding": "gzip"} if name.endswith(".gz") else {}
        return FileResponse(ASSETS / "vendor" / name, media_type=SHIPPED[name], headers={**packed, **_DAY})

    @router.get("/maps/{map_id}.png")
    def layer(map_id: str) -> Response:
        """Give a map as a transparent layer in Web Mercator."""
        from tools.map_style import draw_layer

        need_file(map_id)
        return Response(draw_layer(workspace, map_id), media_type="image/png", headers=_DAY)

    @router.get("/files.zip")
    def files(id: Annotated[list[str], Query(max_length=MOST_FILES)]) -> Response:  # noqa: A002
        """Give several made files as one zip file."""
        for one in id:
            need_file(one)
        content = zip_files([workspace.get(one) for one in id])
        headers = {"Content-Disposition": 'attachment; filename="clms-answer.zip"'}
        return Response(content, media_type="application/zip", headers=headers)

    add_embeds(router, settings, need_file)
    _add_reading(router, Readings(settings.database), need_trainer)
    return router


def _add_reading(router: APIRouter, shared: Readings, need_trainer: Callable[[], None]) -> None:
    """Add the pages that are only read: handouts and shared conversations; no script runs on them."""
    policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'self'"
    reading = {"Content-Security-Policy": policy, "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}

    @router.get("/lessons/{lesson_id}.html")
    def handout(
        lesson_id: str,
        lang: Annotated[str, Query(max_length=5)] = "",
        accept_language: Annotated[str, Header()] = "",
    ) -> HTMLResponse:
        """Give the handout of a lesson."""
        need_trainer()
        if lesson_id not in load_lessons():
            raise ArtifactNotFound("There is no such lesson.", f"There are: {', '.join(load_lessons())}.")
        told = handout_html(load_lessons()[lesson_id], chosen_language(lang, accept_language))
        return HTMLResponse(told, headers=reading)

    @router.get("/shared/{token}")
    def conversation(token: str) -> HTMLResponse:
        """Give a shared conversation."""
        return HTMLResponse(shared.get(token), headers=reading)


def zip_files(artifacts: Sequence[Artifact]) -> bytes:
    """Put files into one zip, named by their kind and title."""
    buffer = io.BytesIO()
    names = {Path(one.path).name: _zip_name(number, one) for number, one in enumerate(artifacts, 1)}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for artifact in artifacts:
            path = Path(artifact.path)
            if artifact.kind == "metadata":
                archive.writestr(names[path.name], _renamed(path.read_text(encoding="utf-8"), names))
            else:
                archive.write(path, names[path.name])
    return buffer.getvalue()


def _zip_name(number: int, artifact: Artifact) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "-", artifact.title).strip("-")[:60].lower()
    return f"{number:02}-{words or artifact.kind}{''.join(Path(artifact.path).suffixes)}"


def _renamed(record: str, names: dict[str, str]) -> str:
    """Let a record name the files beside it as the zip does."""
    for old, new in names.items():
        record = record.replace(f'"./{old}"', f'"./{new}"')
    return record
