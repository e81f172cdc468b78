"""Positions and boxes written as numbers; refused, with what may be meant, when they cannot be right."""

import math
import re

from tools.errors import PlaceAmbiguous, PlaceNotFound
from tools.gazetteer import near_land
from tools.schema import Bbox, Place

KM_PER_DEGREE = 111.32
HALF_WIDTH_KM = 2.5
"""A position is taken as a box this far around it."""
COVERED_BOXES: tuple[Bbox, ...] = (
    (-32.0, 27.0, 45.0, 72.0),
    (-55.0, 2.0, -51.0, 6.0),
    (-64.0, 14.0, -60.0, 19.0),
    (55.0, -22.0, 56.0, -20.0),
    (44.9, -13.1, 45.4, -12.5),
)
"""Europe and its outermost regions; only used to notice swapped coordinates."""
ORDER_HINT = "Write longitude first, then latitude, in degrees: '-1.67, 48.11'."
BOX_HINT = "Write west, south, east, north in degrees: '-1.7, 48.0, -1.6, 48.2'."

NUMBER = r"[-+]?\d+(?:\.\d+)?"
NAMED_PAIR = re.compile(rf"\s*lon(?:gitude)?\s*({NUMBER})\s*,?\s*lat(?:itude)?\s*({NUMBER})\s*", re.I)
PAIR = re.compile(rf"\s*\(?\s*({NUMBER})\s*[,; ]\s*({NUMBER})\s*\)?\s*")
BOX = re.compile(rf"\s*[\[(]?\s*({NUMBER})" + rf"\s*[,; ]\s*({NUMBER})" * 3 + r"\s*[\])]?\s*")
NOT_A_NUMBER = re.compile(r"[\s\d.,;()\[\]+-]*\b(?:nan|inf(?:inity)?|null|none)\b[\s\d.,;()\[\]a-z+-]*", re.I)


def read_coordinates(text: str) -> Place | None:
    """Read a position or a box; None when the text is a name."""
    box = BOX.fullmatch(text)
    if box:
        west, south, east, north = (float(value) for value in box.groups())
        return _box(text.strip(), (west, south, east, north))
    named = NAMED_PAIR.fullmatch(text)
    pair = named or PAIR.fullmatch(text)
    if pair:
        return _position(text.strip(), float(pair[1]), float(pair[2]), sure=named is not None)
    if NOT_A_NUMBER.fullmatch(text) and re.search(r"[\d,;]", text):
        raise PlaceNotFound(f"{text.strip()!r} holds something that is not a number.", hint=ORDER_HINT)
    return None


def is_covered(lon: float, lat: float) -> bool:
    """Tell whether a position lies in Europe or its outermost regions, roughly."""
    return any(west <= lon <= east and south <= lat <= north for west, south, east, north in COVERED_BOXES)


def square(lon: float, lat: float, half_km: float) -> Bbox:
    """Return a box of a given half width around a position."""
    tall = half_km / KM_PER_DEGREE
    wide = tall / max(math.cos(math.radians(lat)), 0.01)
    west, south, east, north = (round(value, 6) for value in (lon - wide, lat - tall, lon + wide, lat + tall))
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)


def box_area_km2(bbox: Bbox) -> float:
    """Return the area of a box on the map, by its middle latitude."""
    west, south, east, north = bbox
    width = (east - west) * KM_PER_DEGREE * math.cos(math.radians((south + north) / 2))
    return round(width * (north - south) * KM_PER_DEGREE, 2)


def _box(text: str, bbox: Bbox) -> Place:
    west, south, east, north = bbox
    if max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
        raise PlaceNotFound(f"{text!r} is not a box on the map: it is not in degrees.", hint=BOX_HINT)
    if west > east and south < north:
        raise PlaceNotFound(
            f"The box {text!r} runs from {west:g} east to {east:g}, across the 180° meridian.",
            hint="Ask for the two sides one after the other, or swap west and east if you mean the box between them.",
        )
    if not (west < east and south < north):
        raise PlaceNotFound(f"{text!r} is not a box on the map: it has no area.", hint=BOX_HINT)
    return Place(name=text, kind="box", bbox=bbox, area_km2=box_area_km2(bbox), source="Coordinates given by the user")


def _position(text: str, lon: float, lat: float, *, sure: bool) -> Place:
    """Check a position; `sure` when the user said which number is which."""
    swappable = not sure and abs(lon) <= 90 and is_covered(lat, lon) and near_land(lat, lon)
    swapped = f"lon {lat:g}, lat {lon:g}"
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        hint = f"Did you mean '{swapped}'?" if swappable else ORDER_HINT
        raise PlaceNotFound(f"{text!r} is not on the map.", hint=hint)
    if not near_land(lon, lat):
        hint = f"Longitude comes first: did you mean '{swapped}'?" if swappable else "Land products have no data there."
        raise PlaceNotFound(f"Longitude {lon:g}, latitude {lat:g} lies in the sea.", hint=hint)
    if swappable and not is_covered(lon, lat):
        options = (swapped, f"lon {lon:g}, lat {lat:g}")
        raise PlaceAmbiguous(f"{text!r} may be latitude and longitude, in this order.", options=options)
    bbox = square(lon, lat, HALF_WIDTH_KM)
    source = f"Coordinates given by the user (longitude, latitude); box of ±{HALF_WIDTH_KM:g} km"
    return Place(name=text, kind="position", bbox=bbox, area_km2=box_area_km2(bbox), source=source)
