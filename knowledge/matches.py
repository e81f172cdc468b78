"""The nouns of a search: what a question needs, a product found for it, and what that lacks."""

from datetime import date
from typing import Literal

from knowledge.outlines import Point
from knowledge.refusals import Refused
from knowledge.schema import Bbox, Frozen, Product


class Need(Frozen):
    """What a question asks of a product besides its subject; what is None is not asked."""

    bbox: Bbox | None = None
    points: tuple[Point, ...] = ()
    """Points within the place, degrees: they tell a place from what merely lies in its box."""
    start: date | None = None
    end: date | None = None
    unit_m: float | None = None
    """Side of the smallest unit that must be told apart (square root of its area), metres."""
    pixel_m: float | None = None
    """Largest pixel the question allows, metres."""
    pixel_below: bool = False
    """True when the pixels must be smaller than `pixel_m`, not just as small."""
    pixel_just: bool = False
    """True when pixels of just that size are asked for: finer ones do, but another product may have them."""
    place_m: float | None = None
    """Side of the place itself (square root of its area), metres."""
    change: bool = False
    """True when it is asked what changed."""
    cadences: frozenset[str] = frozenset()
    """Rhythms that the question speaks of, such as `daily`."""
    refused: Refused = Refused()
    """What it does not want."""


class Shortfall(Frozen):
    """One thing a question asks for that a product's facts do not give."""

    kind: Literal[
        "refused",
        "status",
        "place",
        "period",
        "pixel",
        "size",
        "units",
        "extent",
        "cadence",
        "change",
        "compare",
        "still",
        "one year",
        "unverified",
    ]
    text: str
    blocks: bool
    """True when the product cannot answer the question because of it."""


class ProductMatch(Frozen):
    """A product found for a question."""

    product: Product
    relevance: float
    """How near it is to the subject, 0 to about 1.75, whatever its facts."""
    score: float
    """Relevance, lowered for what the facts lack."""
    why: tuple[str, ...] = ()
    """Reasons taken from the product's own facts and texts."""
    lacks: str = ""
    """What it lacks for the question; empty when nothing is known to be missing."""
    shortfalls: tuple[Shortfall, ...] = ()
    """Facts behind `lacks`."""
    pixel_m: float | None = None
    """Finest pixel of the editions for the place and the period asked for, metres."""
    not_for: str = ""
    """The sentence of `lacks` that the product itself says, as it stands in its passage."""

    @property
    def fits(self) -> bool:
        """Tell whether nothing is known that keeps the product from answering."""
        return not any(one.blocks for one in self.shortfalls)

    @property
    def verified(self) -> bool:
        """Tell whether it is known to have the place and the period, as far as they are asked."""
        return not any(one.kind == "unverified" for one in self.shortfalls)
