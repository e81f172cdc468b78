"""The nouns of knowledge: product, edition, passage, citation."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Bbox = tuple[float, float, float, float]
Status = Literal["current", "archive", "superseded", "announced", "discontinued"]


class Frozen(BaseModel):
    """Base of all nouns: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Citation(Frozen):
    """Where a claim comes from."""

    passage_id: str
    title: str
    url: str | None = None
    quote: str
    verified: bool
    """True when code found the quote in the passage."""


class Passage(Frozen):
    """A piece of text that can be found and quoted."""

    id: str
    source_id: str
    """Product id or document id."""
    title: str
    url: str | None = None
    section: str = ""
    text: str
    score: float = 0.0
