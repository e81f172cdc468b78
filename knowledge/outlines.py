"""Outlines of what editions map, as boxes that editions share: joined, and held against a place."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from knowledge.schema import Bbox, Boxes, reaches

Kept = TypeVar("Kept")
Point = tuple[float, float]
"""Longitude and latitude, degrees."""


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
    return _share_held(_Same(boxes), bbox, _Same(points)) if boxes and bbox is not None else 1.0


@lru_cache(maxsize=1024)
def _joined(parts: "tuple[_Same[Boxes], ...]") -> Boxes:
    return tuple(dict.fromkeys(box for part in parts for box in part.kept)) if all(one.kept for one in parts) else ()


@lru_cache(maxsize=4096)
def _share_held(boxes: "_Same[Boxes]", bbox: Bbox, points: "_Same[tuple[Point, ...]]") -> float:
    if not reaches(boxes.kept, bbox):
        return 0.0
    inside = sum(any(w <= lon <= e and s <= lat <= n for w, s, e, n in boxes.kept) for lon, lat in points.kept)
    return inside / len(points.kept) if points.kept else 1.0
