"""Where a product must have data: the box of a named place, of a part of its name, or of a large region."""

from typing import TYPE_CHECKING

from tools.errors import PlaceAmbiguous, ToolInputError
from tools.place_words import FEATURES, strip_lead
from tools.schema import Bbox, Frozen, Place, Polygons

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shapely.geometry.base import BaseGeometry

    from tools.nuts import NutsSource

LEAST_LETTERS = 4
LARGE_TOWN_KM2 = 30.0
"""A part of a name counts when it is a country, a region or a town whose box is at least this large."""


GRID = 8
"""So many columns and rows of points are laid over a place."""
BETWEEN = "; "
"""Stands between several places that are asked for together."""


class Reach(Frozen):
    """What is known of the place that a question names."""

    bbox: Bbox | None = None
    points: tuple[tuple[float, float], ...] = ()
    """Points within it, longitude and latitude in degrees; none where only a box is known."""
    across_m: float | None = None
    """Side of the place (square root of its area), metres; None for attached areas, whose polygons tell their size."""
    spoken: str = ""
    """The words that were understood as a place."""
    warnings: tuple[str, ...] = ()

    @property
    def one(self) -> str:
        """Give the words of the place; nothing where there are several."""
        return "" if BETWEEN in self.spoken else self.spoken


def find_reach(place: str, area: Polygons | None, nuts: "NutsSource | None") -> Reach:
    """Give the box that a product must cover; a place that is not known hinders no advice, but is told.

    `place` may name several, parted by semicolons: all of them must be covered.
    """
    if area is None and not place.strip():
        return Reach()
    parts = [_reach(one, area, nuts) for one in (place.split(BETWEEN) if area is None else [place])]
    return parts[0] if len(parts) == 1 else _together(parts)


def _reach(place: str, area: Polygons | None, nuts: "NutsSource | None") -> Reach:
    from knowledge.regions import find_region, named_region
    from tools.planning import choose_place

    if area is None and (box := named_region(strip_lead(place.strip()))):
        return _large_region(box, place)  # the Andes, not the town of the name
    try:
        found = choose_place(place, area, nuts)
        across_m = None if area else 1000 * found.area_km2**0.5
        told = area.warnings if area else _far(found)
        return Reach(bbox=found.bbox, points=_points(found), across_m=across_m, spoken=place, warnings=told)
    except PlaceAmbiguous:
        return Reach(bbox=_around_all(place), spoken=place)
    except ToolInputError:
        if region := find_region(place):
            return _large_region(region[1], place)
    return _by_part(place)


def _together(parts: list[Reach]) -> Reach:
    """Join places; one of which only a box is known counts by points laid over that."""
    from shapely.geometry import box

    warnings = tuple(told for one in parts for told in one.warnings)
    known = [one for one in parts if one.bbox]
    if not known:
        return Reach(warnings=warnings)
    points = tuple(point for one in known for point in one.points or (one.bbox and _spread(box(*one.bbox))) or ())
    told = f"Coverage was checked for {' and '.join(one.spoken for one in known)} together."
    spoken = BETWEEN.join(one.spoken for one in known)
    return Reach(
        bbox=_around(one.bbox for one in known if one.bbox), points=points, spoken=spoken, warnings=(told, *warnings)
    )


def _large_region(box: Bbox, name: str) -> Reach:
    """Give the middle half of the box around a large region: what merely touches its edge does not cover it."""
    west, south, east, north = box
    lon, lat = (east - west) / 4, (north - south) / 4
    told = f"Coverage was checked for the middle of a box drawn around {name}, not for an outline."
    return Reach(bbox=(west + lon, south + lat, east - lon, north - lat), spoken=name, warnings=(told,))


def _far(place: Place) -> tuple[str, ...]:
    """Tell a place outside Europe by its whole name: it may be a namesake of the one that was meant."""
    from tools.coordinates import is_covered

    west, south, east, north = place.bbox
    near = is_covered((west + east) / 2, (south + north) / 2)
    return () if near else (f"The place was read as {place.name}.",)


def _points(place: Place) -> tuple[tuple[float, float], ...]:
    """Give points spread over the inside of a place's outline, so that a neighbour in its box does not count."""
    from shapely.geometry import box, shape

    # The edges of a box that is no outline lie in other countries.
    inner = place.geometry is None and place.kind == "country"
    return _spread(shape(place.geometry) if place.geometry else box(*place.bbox), inner=inner)


def _spread(outline: "BaseGeometry", *, inner: bool = False) -> tuple[tuple[float, float], ...]:
    """Lay a grid of points over an outline, or over the middle of its box, and keep those inside."""
    import numpy
    from shapely import contains_xy

    west, south, east, north = outline.bounds
    steps = (numpy.arange(GRID) + 0.5) / GRID
    steps = 0.25 + steps / 2 if inner else steps
    lon, lat = (one.ravel() for one in numpy.meshgrid(west + (east - west) * steps, south + (north - south) * steps))
    inside = contains_xy(outline, lon, lat)
    middle = outline.representative_point()
    return (*zip(lon[inside].tolist(), lat[inside].tolist(), strict=True), (middle.x, middle.y))


def _around_all(place: str) -> Bbox | None:
    """Give the box around all places of a name: what reaches none of them covers none."""
    from tools.places import find_places

    return _around(one.bbox for one in find_places(place))


def _around(boxes: "Iterable[Bbox]") -> Bbox:
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _by_part(place: str) -> Reach:
    """Take the first part of a name that is a large enough place, and say so."""
    from tools.places import find_places

    words = place.replace("-", " ").split()
    for word in () if FEATURES.intersection(place.lower().split()) else words:
        found = find_places(word, limit=1) if word[:1].isupper() and len(word) >= LEAST_LETTERS else []
        if found and (found[0].kind != "city" or found[0].area_km2 >= LARGE_TOWN_KM2):
            told = f"No place called {place!r} is known: coverage was checked for {found[0].name}."
            return Reach(bbox=_around_all(word), spoken=word, warnings=(told,))
    return Reach(warnings=(f"Coverage was not checked: no single place is called {place!r}.",))
