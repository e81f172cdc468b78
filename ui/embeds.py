"""Maps and figures to embed elsewhere, by an address that stays: as a page for a frame, as a picture, as JSON."""

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse, HTMLResponse

from assistant.settings import Settings
from knowledge.lexicon import Language
from tools.errors import ArtifactNotFound
from tools.map_style import MapStyle, layer_bounds, read_style
from tools.schema import Artifact
from tools.workspace import Workspace
from ui.lessons import page_html
from ui.page_words import chosen_language, say
from ui.panels import table_html

_FRESH = {"Cache-Control": "private, max-age=3600"}


def add_embeds(router: APIRouter, settings: Settings, need_file: Callable[[str], None]) -> None:
    """Add the routes; `need_file` refuses who may not have a file."""
    workspace, origins = settings.workspace, _origins(settings.embed_origins or "")
    policy = (
        f"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'self'; frame-ancestors {origins}"
    )
    framed = {"Content-Security-Policy": policy, "X-Robots-Tag": "noindex", **_FRESH}
    shown = {"Cross-Origin-Resource-Policy": "cross-origin" if settings.embed_origins else "same-origin", **_FRESH}

    def find(file_id: str) -> tuple[Artifact, MapStyle]:
        found = _picture(workspace, file_id, need_file)
        style = read_style(Path(found.path))
        if style is None:
            raise ArtifactNotFound("This file tells too little of itself to be embedded.", "Ask the question again.")
        return found, style

    @router.get("/embed/{file_id}.png")
    def picture(file_id: str) -> FileResponse:
        """Give the picture."""
        return FileResponse(find(file_id)[0].path, media_type="image/png", headers=shown)

    @router.get("/embed/{file_id}.json")
    def data(file_id: str) -> Response:
        """Give what the picture shows, as data."""
        told = embed_data(workspace, *find(file_id))
        return Response(json.dumps(told, ensure_ascii=False), media_type="application/json", headers=shown)

    @router.get("/embed/{file_id}")
    def page(
        file_id: str,
        lang: Annotated[str, Query(max_length=5)] = "",
        accept_language: Annotated[str, Header()] = "",
    ) -> HTMLResponse:
        """Give a page for a frame; no script runs on it."""
        found, style = find(file_id)
        language = chosen_language(lang, accept_language)
        return HTMLResponse(embed_html(found.id, style, language), headers=framed)


def embed_data(workspace: Workspace, found: Artifact, style: MapStyle) -> dict[str, Any]:
    """Give a picture's title, dates, legend, place, numbers, source and licence, and where to get it in other forms."""
    told = style.model_dump(mode="json", exclude={"raster_id", "colormap", "low", "high", "classes"})
    links = {"page": f"embed/{found.id}", "picture": f"embed/{found.id}.png"}
    if not style.raster_id:
        return {"id": found.id, "kind": found.kind, **told, "links": links}
    ramp = {"ramp": style.ramp(), "low": style.low, "high": style.high} if style.colormap else {}
    classes = [one.model_dump() for one in style.classes]
    links |= {"layer": f"maps/{found.id}.png", "geotiff": f"artifacts/{style.raster_id}"}
    legend = {**ramp, **({"classes": classes} if classes else {})}
    bbox = list(layer_bounds(workspace, style))
    return {"id": found.id, "kind": found.kind, **told, "legend": legend, "bbox": bbox, "links": links}


def embed_html(file_id: str, style: MapStyle, language: Language) -> str:
    """Give the page: the picture, what is invented, legend, dates, numbers, source and licence."""
    warning = say(language, "map_synthetic")
    fake = f'<p class="note synthetic" role="note"><strong>{say(language, "not_real")}</strong> {warning}</p>'
    title = escape(style.title, quote=True)
    terms = {"source": style.source, "licence": style.licence}
    lines = "".join(f"<p>{say(language, key)}: {escape(words)}</p>" for key, words in terms.items() if words)
    numbers = table_html(style.statistics, language) if style.statistics else ""
    body = (
        f"{fake if style.synthetic else ''}<figure><img src='embed/{file_id}.png' alt=\"{title}\">"
        f"<figcaption><strong>{title}</strong>, {escape(style.dates)}</figcaption></figure>{_legend(style)}{numbers}"
        f'{lines}<p><a href="embed/{file_id}.json">{say(language, "embed_data")}</a></p>'
    )
    return page_html(style.title, body, language)


def _legend(style: MapStyle) -> str:
    unit = "" if style.unit in ("", "1") else f" {escape(style.unit)}"
    if style.colormap and style.raster_id:
        bar = f'<div class="map-ramp" style="background:linear-gradient(to right,{",".join(style.ramp())})"></div>'
        return f'<div class="map-legend"><span>{style.low:.3g}</span>{bar}<span>{style.high:.3g}{unit}</span></div>'
    items = "".join(
        f'<li><span class="map-patch" style="background:{escape(one.color, quote=True)}"></span>'
        f"<span>{escape(one.label)}</span></li>"
        for one in style.classes
    )
    return f'<div class="map-legend"><ul>{items}</ul></div>' if items else ""


def _picture(workspace: Workspace, file_id: str, need_file: Callable[[str], None]) -> Artifact:
    """Give a picture by its own id, or the first one of a result by the id of its STAC item."""
    need_file(file_id)
    found = workspace.get(file_id)
    if found.kind in ("map", "chart"):
        return found
    if found.media_type == "application/geo+json" and found.kind == "metadata":
        item = json.loads(Path(found.path).read_text(encoding="utf-8"))
        for asset in item["assets"].values():
            if "overview" in asset["roles"]:
                return _picture(workspace, Path(asset["href"]).stem, need_file)
    raise ArtifactNotFound("There is no map and no figure in this file.", "Embed the map or the chart of an answer.")


def _origins(setting: str) -> str:
    """Give the sites of the setting as a policy has them: nothing of it can end the directive."""
    named = [one for word in setting.split(",") if (one := word.strip()) and not set(one) & set("; \t\r\n")]
    return " ".join(named) if named else "'self'"
