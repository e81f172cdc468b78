"""The nouns of a search: a product found for a question, and what it lacks for it."""

from typing import Literal

from knowledge.schema import Frozen, Product


class Shortfall(Frozen):
    """One thing a question asks for that a product's facts do not give."""

    kind: Literal[
        "refused",
        "status",
        "place",
        "period",
        "pixel",
        "units",
        "extent",
        "cadence",
        "change",
        "compare",
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
    why: tuple[str, ...]
    """Reasons taken from the product's own facts and texts."""
    lacks: str
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
