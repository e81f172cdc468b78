"""How much of a place the scenes reach: a number for a part is never told as one for the whole."""

from collections.abc import Sequence

from tools.errors import NotCovered
from tools.schema import Place, Scene

LEAST_SHARE = 0.05
"""Below this share of a place its number would say nothing about it."""
WHOLE_SHARE = 0.99


def covered_share(place: Place, scenes: Sequence[Scene]) -> float:
    """Give the share of a place's area, 0 to 1, that lies in the box of any scene."""
    from shapely.geometry import box, shape
    from shapely.ops import unary_union

    whole = shape(place.geometry) if place.geometry else box(*place.bbox)
    reached = whole.intersection(unary_union([box(*scene.bbox) for scene in scenes]))
    return float(reached.area / whole.area) if whole.area else 1.0


def name_what_is_covered(place: Place, scenes: Sequence[Scene]) -> Place:
    """Put the covered share into a place's name, so that map, table and answer say it.

    Raises:
        NotCovered: The scenes reach too little of the place.
    """
    share = covered_share(place, scenes)
    if share >= WHOLE_SHARE:
        return place
    if share < LEAST_SHARE:
        west, south = min(scene.bbox[0] for scene in scenes), min(scene.bbox[1] for scene in scenes)
        east, north = max(scene.bbox[2] for scene in scenes), max(scene.bbox[3] for scene in scenes)
        raise NotCovered(
            f"The scenes reach only {share:.1%} of {place.name}: a number from them would say nothing about it.",
            f"Ask for a place within {west:.2f}, {south:.2f}, {east:.2f}, {north:.2f} (west, south, east, north), "
            "or add data with `clms-assistant hub add`.",
        )
    return place.model_copy(update={"name": f"{place.name} (the {share:.0%} of it that scenes cover)"})
