"""Describes copies in STAC: the source's own facts, cut to the window, with a link to where they came from."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from tools.hub.copies import Copy
from tools.hub.files import Band, collection_json, item_json, json_number, raster_asset
from tools.hub.remote_cog import part_of
from tools.hub.source_items import SourceAsset, source_asset
from tools.layers import is_synthetic
from tools.scene_items import Json, clean, entries, mapping

COPIED_FROM = "clms:copied_from"
"""Field of a collection that holds copies: the STAC API and the collection there."""
FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
MAX_PROPERTIES_BYTES = 100_000
_OWN = ("proj:", "clms:", "auth:", "storage:", "file:")
"""Properties that tell of the whole file, of access there, or that only the hub may set."""
_ALWAYS = ("datetime", "start_datetime", "end_datetime", "eo:cloud_cover", "platform", "constellation", "license")
_KEPT_LINKS = ("license", "derived_from", "cite-as")
Meaning = tuple[float | None, float | None]
"""Scale and offset of a band; None where nobody tells."""


def hub_item(source: Json, name: str, copies: Mapping[str, Copy], meanings: Mapping[str, Meaning], url: str) -> Json:
    """Describe the copies of one item as an item of the hub's collection `name`."""
    assets: Json = {}
    for key, copy in copies.items():
        asset, meaning = source_asset(source, key), meanings[key]
        band = _band(asset, copy, meaning)
        body = raster_asset(
            copy.path, band, part_of(copy.source, copy.window), data_type=copy.data_type, title=asset.title
        )
        _forget_unknown(body["raster:bands"][0], meaning)
        assets[key] = body | {"file:size": copy.size, "file:checksum": copy.checksum}
    finest = min(copies.values(), key=lambda copy: copy.source.transform[0])
    grid = part_of(finest.source, finest.window)
    properties = _properties(source) | {"proj:epsg": grid.epsg}
    item = item_json(
        str(source["id"]), name, geometry=_seen(grid.footprint, source), properties=properties, assets=assets
    )
    return item | {
        "stac_extensions": [*item["stac_extensions"], FILE_EXTENSION],
        "links": [_via(_self(source, url), "application/geo+json"), *_links(source)],
    }


def hub_collection(existing: Json | None, source: Json, item: Json, meanings: Mapping[str, Meaning], url: str) -> Json:
    """Describe the hub's collection with one more item: its bands and its extent grow."""
    bands = {band["name"]: band for band in (existing or {}).get("summaries", {}).get("bands", [])}
    for key, asset in item["assets"].items():
        bands.setdefault(key, _summary(key, asset, meanings[key]))
    where = f"{url.rstrip('/')}/collections/{quote(str(source['id']))}"
    title = clean(str(source.get("title") or source["id"]))
    head = {
        "id": item["collection"],
        "title": f"{title} (copied windows)",
        "description": f"Windows copied from {url}. {clean(str(source.get('description') or ''), 2000)}".strip(),
        "license": clean(str(source.get("license") or "other")),
        "clms:synthetic": is_synthetic(source) or (existing or {}).get("clms:synthetic") is True or is_synthetic(item),
        COPIED_FROM: {"stac": url, "collection": str(source["id"])},
        "links": [_via(where, "application/json"), *_links(source)],
    }
    body = collection_json(head, items=[item], bands=[Band(name, None) for name in bands])
    body["summaries"] = {"bands": list(bands.values())}
    return body if existing is None else _wider(body, existing)


def known_meanings(collection: Json) -> dict[str, Meaning]:
    """Give scale and offset of each band that a collection of the hub describes."""
    bands = collection.get("summaries", {}).get("bands", [])
    return {band["name"]: (band.get("scale"), band.get("offset")) for band in bands}


def _band(asset: SourceAsset, copy: Copy, meaning: Meaning) -> Band:
    from rasterio.crs import CRS

    scale, offset = meaning
    nodata = copy.nodata if copy.nodata is not None else asset.nodata
    in_degrees = CRS.from_user_input(copy.source.crs).is_geographic
    gsd = asset.gsd or (None if in_degrees else copy.source.transform[0])
    role = "scl" if asset.is_classification else None
    return Band(
        asset.key, gsd, asset.common_name, 1.0 if scale is None else scale, offset or 0.0, nodata, asset.unit, role
    )


def _summary(key: str, asset: Json, meaning: Meaning) -> Json:
    raster, eo = asset["raster:bands"][0], asset["eo:bands"][0]
    nodata = raster["nodata"]
    band = Band(
        key,
        raster.get("spatial_resolution"),
        eo.get("common_name"),
        raster.get("scale", 1.0),
        raster.get("offset", 0.0),
        float(nodata) if nodata is not None else None,
        raster["unit"],
        "scl" if key.upper().startswith("SCL") else None,
    )
    summary = band.summary() | {"data_type": raster["data_type"], "nodata": json_number(band.nodata)}
    _forget_unknown(summary, meaning)
    return summary


def _forget_unknown(described: Json, meaning: Meaning) -> None:
    """Leave out a scale and an offset that nobody tells: 1 and 0 would be a claim."""
    for field, value in zip(("scale", "offset"), meaning, strict=True):
        if value is None:
            described.pop(field, None)


def _properties(source: Json) -> Json:
    told: Json = source["properties"]
    kept = {name: value for name, value in told.items() if not name.startswith(_OWN)}
    if len(json.dumps(kept)) > MAX_PROPERTIES_BYTES:
        kept = {name: told[name] for name in _ALWAYS if name in told}
    kept = {clean(name): clean(value, 1000) if isinstance(value, str) else value for name, value in kept.items()}
    if not kept.get("datetime"):
        kept |= {"datetime": None, "end_datetime": kept.get("end_datetime") or kept["start_datetime"]}
    return kept | {"clms:synthetic": is_synthetic(source)}


def _seen(footprint: Json, source: Json) -> Json:
    """Cut the window's outline to what the satellite saw, where the source tells it."""
    import shapely
    from shapely.errors import ShapelyError

    try:
        seen = shapely.make_valid(shapely.geometry.shape(source.get("geometry") or footprint))
        both = shapely.geometry.shape(footprint).intersection(seen)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError):
        return footprint
    return dict(shapely.geometry.mapping(both)) if both.area > 0 else footprint


def _via(href: str, media_type: str) -> Json:
    return {"rel": "via", "href": href, "type": media_type}


def _self(source: Json, url: str) -> str:
    links = map(mapping, entries(source.get("links")))
    told = (link.get("href") for link in links if link.get("rel") == "self")
    collection, item = quote(str(source.get("collection", ""))), quote(str(source["id"]))
    return next(
        (str(href) for href in told if _is_web(href)), f"{url.rstrip('/')}/collections/{collection}/items/{item}"
    )


def _links(source: Json) -> list[Json]:
    return [
        {"rel": link["rel"], "href": link["href"]}
        for link in map(mapping, entries(source.get("links")))
        if link.get("rel") in _KEPT_LINKS and _is_web(link.get("href"))
    ][:10]


def _is_web(href: Any) -> bool:
    return isinstance(href, str) and len(href) < 2000 and urlsplit(href).scheme in ("http", "https")


def _wider(body: Json, existing: Json) -> Json:
    """Join the extent with that of the items before."""
    boxes = [one["extent"]["spatial"]["bbox"][0] for one in (body, existing)]
    times = [one["extent"]["temporal"]["interval"][0] for one in (body, existing)]
    low, high = (list(map(pick, *boxes)) for pick in (min, max))
    box = [low[0], low[1], high[2], high[3]]
    interval = [min(start for start, _ in times), max(end for _, end in times)]
    dimensions = body["cube:dimensions"]
    dimensions["x"]["extent"], dimensions["y"]["extent"] = [box[0], box[2]], [box[1], box[3]]
    dimensions["t"]["extent"] = interval
    return body | {"extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [interval]}}}
