"""Maps and figures to embed elsewhere, by an address that stays: as a page for a frame, as a picture, as JSON."""

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.datastructures import Headers

from assistant.phrases import translate
from assistant.published import Pictures
from assistant.settings import Settings
from knowledge.lexicon import Language
from tools.errors import ArtifactNotFound
from tools.map_style import MapStyle, layer_bounds, read_style
from tools.schema import Artifact
from tools.workspace import Workspace
from ui.lessons import page_html
from ui.page_words import browser_language, chosen_language, say
from ui.panels import table_html

_FRESH = {"Cache-Control": "private, max-age=3600"}
_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'self'; form-action 'self'"

Find = Callable[[str], tuple[Artifact, MapStyle]]


def add_embeds(router: APIRouter, settings: Settings, need_file: Callable[[str], None]) -> None:
    """Add the routes; `need_file` refuses who may not have a file."""
    sites, workspace = _sites(settings.embed_origins or ""), settings.workspace
    public = Pictures(settings.database)
    offered = bool(sites) and settings.auth == "required"

    def own(file_id: str) -> tuple[Artifact, MapStyle]:
        need_file(file_id)
        found, style = _picture(workspace, file_id)
        need_file(found.id)
        return found, style

    def given(token: str) -> tuple[Artifact, MapStyle]:
        return _picture(workspace, public.find(token))

    _add_pictures(router, "embed", own, workspace, sites, _public_form if offered else None)
    _add_pictures(router, "public", given, workspace, sites, None)
    if offered:
        _add_publishing(router, own, public)


def _add_pictures(
    router: APIRouter,
    where: str,
    find: Find,
    workspace: Workspace,
    sites: Sequence[str],
    form: Callable[[str, Language], str] | None,
) -> None:
    """Add a picture's three forms below an address; `form` adds to the page."""
    ancestors = " ".join(sites) or "'self'"
    framed = {"Content-Security-Policy": f"{_POLICY}; frame-ancestors {ancestors}", "X-Robots-Tag": "noindex", **_FRESH}

    def shown(asking: Headers) -> dict[str, str]:
        policy = "cross-origin" if _is_named(asking, sites) else "same-origin"
        return {"Cross-Origin-Resource-Policy": policy, "Vary": "Origin, Referer", **_FRESH}

    @router.get(f"/{where}/{{name}}.png")
    def picture(name: str, request: Request) -> FileResponse:
        """Give the picture."""
        return FileResponse(find(name)[0].path, media_type="image/png", headers=shown(request.headers))

    @router.get(f"/{where}/{{name}}.json")
    def data(name: str, request: Request) -> Response:
        """Give what the picture shows, as data."""
        told = embed_data(workspace, *find(name), public="" if where == "embed" else f"{where}/{name}")
        text = json.dumps(told, ensure_ascii=False)
        return Response(text, media_type="application/json", headers=shown(request.headers))

    @router.get(f"/{where}/{{name}}")
    def page(
        name: str, lang: Annotated[str, Query(max_length=5)] = "", accept_language: Annotated[str, Header()] = ""
    ) -> HTMLResponse:
        """Give a page for a frame; no script runs on it."""
        found, style = find(name)
        language = chosen_language(lang, accept_language)
        address = f"embed/{found.id}" if where == "embed" else f"{where}/{name}"
        more = form(found.id, language) if form else ""
        return HTMLResponse(embed_html(address, style, language, more), headers=framed)


def _add_publishing(router: APIRouter, find: Find, public: Pictures) -> None:
    """Add what makes and ends public addresses of one's own pictures."""

    @router.post("/embed/{file_id}/public")
    def publish(file_id: str, request: Request, accept_language: Annotated[str, Header()] = "") -> HTMLResponse:
        """Make an address by which anybody sees one picture, and nothing else."""
        found, _ = find(file_id)
        address, language = f"{request.base_url}public/{public.add(found.id)}", browser_language(accept_language)
        link = f'<p><a href="{escape(address, quote=True)}">{escape(address)}</a></p>'
        body = f"<p>{say(language, 'embed_public_told')}</p>{link}{_public_form(found.id, language)}"
        told = page_html(say(language, "embed_public"), body, language, base="../../")
        return HTMLResponse(told, 201, {"Location": address, "Content-Security-Policy": _POLICY})

    @router.post("/embed/{file_id}/private")
    def withdraw(file_id: str) -> Response:
        """End all public addresses of a picture."""
        found, _ = find(file_id)
        public.end(found.id)
        return Response(status_code=303, headers={"Location": f"../{found.id}"})


def embed_data(workspace: Workspace, found: Artifact, style: MapStyle, public: str = "") -> dict[str, Any]:
    """Give a picture's title, dates, legend, place, numbers, source and licence, and where to get it in other forms."""
    told = style.model_dump(mode="json", exclude={"raster_id", "colormap", "low", "high", "classes"})
    address = public or f"embed/{found.id}"
    links = {"page": address, "picture": f"{address}.png"}
    if not style.raster_id:
        return {"id": found.id, "kind": found.kind, **told, "links": links}
    ramp = {"ramp": style.ramp(), "low": style.low, "high": style.high} if style.colormap else {}
    classes = [one.model_dump() for one in style.classes]
    # A public address leads to the picture alone, not to the other files of its owner.
    links |= {} if public else {"layer": f"maps/{found.id}.png", "geotiff": f"artifacts/{style.raster_id}"}
    legend = {**ramp, **({"classes": classes} if classes else {})}
    bbox = list(layer_bounds(workspace, style))
    return {"id": found.id, "kind": found.kind, **told, "legend": legend, "bbox": bbox, "links": links}


def embed_html(address: str, style: MapStyle, language: Language, more: str = "") -> str:
    """Give the page: the picture, what is invented, legend, dates, numbers, source and licence, then `more`."""

    def said(words: str) -> str:
        return escape(translate(words, language), quote=True)

    warning = say(language, "map_synthetic")
    fake = f'<p class="note synthetic" role="note"><strong>{say(language, "not_real")}</strong> {warning}</p>'
    title, terms = said(style.title), {"source": style.source, "licence": style.licence}
    lines = "".join(f"<p>{say(language, key)}: {said(words)}</p>" for key, words in terms.items() if words)
    numbers = table_html(style.statistics, language) if style.statistics else ""
    body = (
        f"{fake if style.synthetic else ''}<figure><img src='{address}.png' alt=\"{title}\">"
        f"<figcaption><strong>{title}</strong>, {said(style.dates)}</figcaption></figure>"
        f"{_legend(style, language)}{numbers}{lines}"
        f'<p><a href="{address}.json">{say(language, "embed_data")}</a></p>{more}'
    )
    return page_html(style.title, body, language)


def _public_form(file_id: str, language: Language) -> str:
    forms = (("public", "embed_public"), ("private", "embed_public_end"))
    return "".join(
        f'<form method="post" action="embed/{file_id}/{todo}"><button>{say(language, words)}</button></form>'
        for todo, words in forms
    )


def _legend(style: MapStyle, language: Language) -> str:
    unit = "" if style.unit in ("", "1") else f" {escape(style.unit)}"
    if style.colormap and style.raster_id:
        bar = f'<div class="map-ramp" style="background:linear-gradient(to right,{",".join(style.ramp())})"></div>'
        return f'<div class="map-legend"><span>{style.low:.3g}</span>{bar}<span>{style.high:.3g}{unit}</span></div>'
    items = "".join(
        f'<li><span class="map-patch" style="background:{escape(one.color, quote=True)}"></span>'
        f"<span>{escape(translate(one.label, language))}</span></li>"
        for one in style.classes
    )
    return f'<div class="map-legend"><ul>{items}</ul></div>' if items else ""


def _picture(workspace: Workspace, file_id: str) -> tuple[Artifact, MapStyle]:
    """Give a picture by its own id, or the first one of a result by the id of its STAC item, and what it shows."""
    found = workspace.get(file_id)
    if found.kind in ("map", "chart"):
        if style := read_style(Path(found.path)):
            return found, style
        raise ArtifactNotFound("This file tells too little of itself to be embedded.", "Ask the question again.")
    if found.media_type == "application/geo+json" and found.kind == "metadata":
        item = json.loads(Path(found.path).read_text(encoding="utf-8"))
        for asset in item["assets"].values():
            if "overview" in asset["roles"]:
                return _picture(workspace, Path(asset["href"]).stem)
    raise ArtifactNotFound("There is no map and no figure in this file.", "Embed the map or the chart of an answer.")


def _sites(setting: str) -> tuple[str, ...]:
    """Give the sites of the setting as a policy has them: nothing of it can end the directive."""
    return tuple(one for word in setting.split(",") if (one := word.strip()) and not set(one) & set("; \t\r\n"))


def _is_named(asking: Headers, sites: Sequence[str]) -> bool:
    """Tell whether the page that asks is of one of the sites; a browser names it unless that page forbids it."""
    try:
        asked = urlsplit(asking.get("origin") or asking.get("referer", ""))
    except ValueError:
        return False
    for site in sites:
        scheme, _, host = site.rpartition("://")
        alike = asked.netloc.endswith(host[1:]) if host.startswith("*.") else host == asked.netloc
        if site == "*" or (alike and scheme in ("", asked.scheme)):
            return True
    return False
