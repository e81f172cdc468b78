"""The common form of every document read: what it is, and its headings, paragraphs and tables in order."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

MAX_CELL_CHARS = 4000
# Zero-width and direction marks hide text from a reader's eye; control characters break terminals.
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad]")


@dataclass(frozen=True)
class Block:
    """One heading, paragraph (or list) or table of a document."""

    kind: Literal["heading", "text", "table"]
    text: str
    """Plain text; for a table, one Markdown row a line, the header first."""
    level: int = 0
    """Depth of a heading, from 1."""
    page: int | None = None
    """Page of a paged document, from 1."""


@dataclass(frozen=True)
class Reading:
    """A document that is being read."""

    blocks: Iterator[Block]
    """In order, made while they are taken: a large document is never held whole."""
    title: str | None = None
    version: str | None = None
    date: str | None = None
    """ISO date, as far as the document gives one."""
    notes: tuple[str, ...] = field(default=())


def inert(text: str) -> str:
    """Give the words of a document so that Markdown shows them as they are: no picture, link or tag of its own."""
    # Backslashes of the document before a tag are doubled: one of them would undo the escape.
    return re.sub(r"(?<=\])(?=[(\[:])|(?<!\\)\\*(?=<[a-z/!?])", lambda found: found[0] * 2 + "\\", text, flags=re.I)


def clean(text: str) -> str:
    """Give one line of visible text: white space joined, control and invisible characters gone."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())


def table_text(rows: Iterable[Sequence[str | None]]) -> str:
    """Write rows as a Markdown table; empty rows and columns go, the first row is the header."""
    cells = [[clean(cell or "")[:MAX_CELL_CHARS].replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    cells = [row + [""] * (width - len(row)) for row in cells]
    kept = [i for i in range(width) if any(row[i] for row in cells)]
    lines = ["| " + " | ".join(row[i] for i in kept) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(kept), *lines[1:]])
