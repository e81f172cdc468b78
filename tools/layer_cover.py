"""Which polygons the tiles of a layer reach: by their outlines, before any pixel is read."""

from collections.abc import Sequence
from typing import Any

from tools.coverage import WHOLE_SHARE
from tools.errors import NotCovered
from tools.layer_search import Release
from tools.schema import Polygons, StatisticsRow

NAMED = 8
"""Polygons named one by one; the rest is counted."""


def outside(units: Polygons, release: Release) -> set[int]:
    """Give the places of the polygons that no tile of a release touches; none where tiles do not say where they are."""
    from shapely.geometry import shape

    reach = _reach(release)
    if reach.is_empty:
        return set()
    features = units.collection["features"]
    return {place for place, feature in enumerate(features) if not shape(feature["geometry"]).intersects(reach)}


def mark_uncovered(
    rows: Sequence[StatisticsRow], units: Polygons, releases: Sequence[Release]
) -> tuple[StatisticsRow, ...]:
    """Say of the rows of polygons that some release does not reach that they are not covered, whatever was counted.

    Args:
        rows: The same number for each polygon, polygon by polygon.
        units: The polygons.
        releases: What was computed from.

    Raises:
        NotCovered: None of the polygons is reached.
    """
    beyond = {place for release in releases for place in outside(units, release)}
    features = units.collection["features"]
    if len(beyond) == len(features):
        raise NotCovered(
            f"{releases[-1].holding.layers.title or releases[-1].holding.layers.collection_id} does not reach any of "
            "these polygons.",
            "Choose another place or collection.",
        )
    each = len(rows) // len(features)
    return tuple(
        row.model_copy(update={"outcome": "not_covered", "value": None}) if place // each in beyond else row
        for place, row in enumerate(rows)
    )


def partly_covered(units: Polygons, release: Release) -> Sequence[str]:
    """Tell which polygons the tiles of a release reach only in part."""
    from shapely.geometry import shape

    reach = _reach(release)
    partly = []
    for feature in units.collection["features"]:
        outline: Any = shape(feature["geometry"])
        share = outline.intersection(reach).area / outline.area if outline.area and not reach.is_empty else 1.0
        if 0 < share < WHOLE_SHARE:
            partly.append(f"{feature['properties']['name']} ({share:.0%})")
    if not partly:
        return ()
    rest = f" and {len(partly) - NAMED} more" if len(partly) > NAMED else ""
    return (f"The layer covers only a part of: {', '.join(partly[:NAMED])}{rest}; the value is for that part.",)


def _reach(release: Release) -> Any:
    from shapely.geometry import shape
    from shapely.ops import unary_union

    return unary_union([shape(item["geometry"]) for item in release.items if item.get("geometry")])
