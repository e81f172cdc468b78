"""Outlines of what editions map, as boxes that editions share: joined, and held against a place."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from knowledge.schema import Bbox, Boxes

MOST_KEPT = 4096
"""So many shares of places are kept: the editions of all products share few outlines."""
Kept = TypeVar("Kept")
Point = tuple[float, float]
"""Longitude and latitude, degrees."""
_shares: dict[tuple[int, Bbox, int], tuple[float, Boxes, tuple[Point, ...]]] = {}


@dataclass(frozen=True, eq=False)
class _Same(Generic[Kept]):
    """Is equal only where it keeps the very same thing: to hash hundreds of numbers takes longer than to count them."""

    kept: Kept

    def __hash__(self) -> int:
        return id(self.kept)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.kept is other.kept


def joined(parts: Iterable[Boxes]) -> Boxes:
    """Join the boxes of several; nothing may be ruled out when one of them is unknown."""
    return _joined(tuple(_Same(one) for one in parts))


def share_held(boxes: Boxes, bbox: Bbox | None, points: tuple[Point, ...]) -> float:
    """Give the share of a place that boxes hold, by its box and the points in it; what is unknown counts as held."""
    if not boxes or bbox is None:
        return 1.0
    key = (id(boxes), bbox, id(points))
    known = _shares.get(key)
    if known is None:
        if len(_shares) >= MOST_KEPT:
            _shares.clear()
        # Kept with what they name: the id of a thing that is gone may become another's.
        known = _shares[key] = (_share(boxes, bbox, points), boxes, points)
    return known[0]


def without(boxes: Boxes, others: Boxes) -> Boxes:
    """Leave boxes out; the very same boxes where there is nothing to leave out."""
    return _without(_Same(boxes), _Same(others)) if others else boxes


@lru_cache(maxsize=1024)
def one_of(boxes: Boxes) -> Boxes:
    """Give one and the same thing for equal boxes, so that what is kept of them is found again."""
    return boxes


@lru_cache(maxsize=1024)
def _joined(parts: "tuple[_Same[Boxes], ...]") -> Boxes:
    return one_of(
        tuple(dict.fromkeys(box for part in parts for box in part.kept)) if all(one.kept for one in parts) else ()
    )


@lru_cache(maxsize=1024)
def _without(boxes: "_Same[Boxes]", others: "_Same[Boxes]") -> Boxes:
    return one_of(tuple(box for box in boxes.kept if box not in others.kept))


def _share(boxes: Boxes, bbox: Bbox, points: tuple[Point, ...]) -> float:
    west, south, east, north = bbox
    near = [box for box in boxes if box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south]
    inside = sum(any(w <= lon <= e and s <= lat <= n for w, s, e, n in near) for lon, lat in points)
    return (inside / len(points) if points else 1.0) if near else 0.0
