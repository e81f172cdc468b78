"""A place and what lies around it: "within 3 km of Rennes", "im Umkreis von 5 km um Rennes"."""

import re
from typing import Any

from tools.errors import PlaceNotFound
from tools.schema import Place

POINTS = ("city", "position")
"""Kinds of places that have a middle rather than an outline."""
LONGEST_KM = 100.0
"""A circle wider than this is a region, and better named."""
KM = {"k": 1.0, "chilom": 1.0, "mi": 1.609344, "met": 0.001, "mèt": 0.001}
_CUES = """
within radius around round from away
moins rayon autour alentours ronde
umkreis um rund entfernt
menos radio alrededor torno redonda
entro raggio intorno attorno dintorni
"""
CUES = frozenset(_CUES.split())
_LINKS = "of the a à an in at de du des d la le les l von der des dem en el al los di da dal dalla del della to"
_NUMBER = r"(?P<number>[-−]?(?:\d{1,3}(?:[.,\s]\d{3})+|\d{1,6})(?:[.,]\d{1,3})?)"
_LENGTH = rf"{_NUMBER}[\s-]?(?P<unit>km|kilom[eèé]t\w+|chilom\w+|miles?|mi|m[eè]t\w+|m)\b"
_THOUSANDS = re.compile(r"(?<=\d)[.,\s](?=\d{3}(?!\d))")
_BEYOND = re.compile(r"(?:more than|beyond|outside|plus de|au-delà de|mehr als|außerhalb von|más de|più di|oltre)\s*$")
_WORDS = "|".join(sorted({*CUES, *_LINKS.split()}, key=len, reverse=True))
_SAID = re.compile(rf"(?P<lead>(?:\b(?:{_WORDS})\b\s*){{0,6}})(?<![\w.,]){_LENGTH}(?P<link>(?:[\s']+(?:{_WORDS})\b)*)")
_BEFORE = re.compile(rf"{_SAID.pattern}['\s]*$")
_AFTER = re.compile(rf"[\s,]*(?:(?:and|et|und|y|e|with|mit|con|avec)\s+)?{_SAID.pattern}")


def radius_around(before: str, after: str) -> str:
    """Give the radius that the words around a place name speak of, as "3 km"; empty where they speak of none.

    A length alone is a pixel size: only with a word such as "within" or "around" is it a radius.
    """
    found = (_BEFORE.search(before.lower()), _AFTER.match(after.lower()))
    return next((f"{round(_km(one), 3):g} km" for one in found if one and _has_cue(one)), "")


def without_radius(text: str) -> str:
    """Give a text with bars where it speaks of a radius: its number is no threshold."""
    return _SAID.sub(lambda one: "|" * len(one[0]) if _has_cue(one) else one[0], text.lower())


def _has_cue(found: "re.Match[str]") -> bool:
    """Tell whether a length is a radius: "within 500 m of Rennes" is one, "at 10 m around Rennes" is a pixel size."""
    if _BEYOND.search(found.string[: found.start("number")]):
        return False
    told = found["lead"] if found["unit"] == "m" else f"{found['lead']} {found['link']}"
    return not CUES.isdisjoint(re.findall(r"\w+", told))


def split_radius(text: str) -> tuple[str, float] | None:
    """Part "3 km around Rennes" into the name and the radius in km; None where there is no radius."""
    lead = _SAID.match(text.lower())
    if not lead or not lead["link"] or not _has_cue(lead):
        return None
    return text[lead.end() :].strip(" '"), _km(lead)


def with_surroundings(place: Place, radius_km: float) -> Place:
    """Grow a place: a circle around the middle of a town or a position, the outline and a margin of anything larger.

    Raises:
        PlaceNotFound: The radius is zero or longer than `LONGEST_KM`.
    """
    from pyproj import Geod
    from shapely.geometry import mapping

    if not 0 < radius_km <= LONGEST_KM:
        raise PlaceNotFound(
            f"A radius of {round(radius_km, 3):g} km is not usable here.",
            hint=f"Name a radius above 0 and up to {LONGEST_KM:.4g} km, or a region.",
        )
    grown = _grown(place, radius_km)
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(grown)
    what = "a circle around the middle" if place.kind in POINTS else "the place and a margin around it"
    return Place(
        name=f"{round(radius_km, 3):g} km around {place.name}",
        kind="surroundings",
        bbox=tuple(grown.bounds),
        geometry=dict(mapping(grown)),
        area_km2=round(abs(area) / 1e6, 2),
        source=f"{place.source.partition(';')[0]}; {what}, {round(radius_km, 3):g} km wide on each side",
    )


def _grown(place: Place, radius_km: float) -> Any:
    """Buffer in an equidistant projection about the middle of the place."""
    import numpy
    from pyproj import Transformer
    from shapely import transform
    from shapely.geometry import Point, box, shape

    outline = shape(place.geometry) if place.geometry else box(*place.bbox)
    middle = outline.centroid if place.kind not in POINTS else box(*place.bbox).centroid
    flat = f"+proj=aeqd +lat_0={middle.y} +lon_0={middle.x} +units=m"

    def moved(geometry: Any, source: str, target: str) -> Any:
        to = Transformer.from_crs(source, target, always_xy=True)
        return transform(geometry, lambda xy: numpy.column_stack(to.transform(xy[:, 0], xy[:, 1])))

    core = Point(0, 0) if place.kind in POINTS else moved(outline, "EPSG:4326", flat)
    return moved(core.buffer(radius_km * 1000, quad_segs=32), flat, "EPSG:4326")


def _km(found: "re.Match[str]") -> float:
    """Give the length in km; "1,500" and "1.500" are thousands, "0,500" and "2,5" are not."""
    number = found["number"].replace("−", "-")
    if not number.lstrip("-").startswith("0"):
        number = _THOUSANDS.sub("", number)
    factor = 0.001 if found["unit"] == "m" else next(km for name, km in KM.items() if found["unit"].startswith(name))
    return float(number.replace(",", ".")) * factor
