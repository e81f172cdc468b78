"""An area written into a text: polygons as WKT, or an object of GeoJSON."""

import json
import re
from typing import Any

from knowledge.lexicon import Language, language_of
from tools.schema import Polygons

WKT = re.compile(r"(?:SRID=4326;\s*)?\b((?:MULTI)?POLYGON\s*(?:Z\s*)?\([-+\d\s.,()eE]*\))", re.I)
GEOJSON_TYPES = frozenset({"Polygon", "MultiPolygon", "Feature", "FeatureCollection", "GeometryCollection"})
NAME = "drawn area"
STANDS_FOR: dict[Language, str] = {
    "en": "this area",
    "fr": "cette zone",
    "de": "diesem Gebiet",
    "es": "esta zona",
    "it": "questa zona",
}
"""What is read where the coordinates stood."""


def take_area(text: str) -> tuple[Polygons | None, str]:
    """Part an area in longitude and latitude from the words around it.

    Returns:
        The area, checked and repaired as that of a file, and the text with words for it in its place; None and the
        text where none is written.

    Raises:
        AreaInvalid: what is written is no usable polygon.
    """
    from tools.areas import parse_geojson

    found = [_wkt(match[1]) for match in WKT.finditer(text)]
    written, parts = (_features(found), WKT.split(text)[::2]) if found else _geojson(text)
    if not written:
        return None, text
    named = STANDS_FOR[language_of(" ".join(parts))]
    return parse_geojson(written, name=NAME), " ".join(" ".join([parts[0], named, *parts[1:]]).split())


def _features(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in shapes]
    return {"type": "FeatureCollection", "features": features}


def _wkt(words: str) -> dict[str, Any]:
    import shapely

    from tools.errors import AreaInvalid

    try:
        shape = shapely.from_wkt(words)
    except shapely.errors.ShapelyError as error:
        hint = "Close each ring, longitude before latitude: POLYGON((-1.7 48.0, -1.6 48.0, -1.6 48.1, -1.7 48.0))."
        raise AreaInvalid("The polygon in the question cannot be read.", hint=hint) from error
    return dict(shapely.geometry.mapping(shape))


def _geojson(text: str) -> tuple[dict[str, Any], list[str]]:
    start = text.find("{")
    try:
        found, length = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else ({}, 0)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        return {}, []
    if not isinstance(found, dict) or str(found.get("type")) not in GEOJSON_TYPES:
        return {}, []
    return found, [text[:start], text[start + length :]]
