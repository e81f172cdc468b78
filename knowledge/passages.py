"""Cuts a document's blocks into passages that can be found and quoted; each knows its section and page."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from knowledge.blocks import Block

TARGET_CHARS = 900
"""About what the sentence encoders read; a longer passage would be encoded by its beginning only."""
MOST_CHARS = 4000
"""Longest table row kept whole, and longest passage at all."""
FEWEST_CHARS = 3
SECTION_CHARS = 200
CAPTION_CHARS = 200
_CAPTION = re.compile(r"(?:table|tableau|tabelle|tabla|tabella)\s+[\dA-Z]", re.I)


@dataclass(frozen=True)
class Piece:
    """One passage on its way into the store."""

    section: str
    """Path of headings, outermost first."""
    page: int | None
    text: str


def cut(blocks: Iterable[Block]) -> Iterator[Piece]:
    """Gather paragraphs up to a passage's length within one section and page; tables stand alone, rows whole.

    The caption before a table is the last part of its section: it holds the words by which its codes are found.
    """
    headings: list[Block] = []
    any_text = False
    for piece in _gathered(blocks, headings):
        any_text = True
        yield piece
    if not any_text:  # slides and the like: headings are all there is
        for block in headings:
            yield from _pieces([], block.page, block.text)


def _gathered(blocks: Iterable[Block], headings: list[Block]) -> Iterator[Piece]:
    path: list[tuple[int, str]] = []
    texts: list[str] = []
    page: int | None = None
    for block in blocks:
        full = sum(map(len, texts)) + len(block.text) > TARGET_CHARS
        caption = texts.pop() if block.kind == "table" and texts and _is_caption(texts[-1]) else ""
        if texts and (block.kind != "text" or full or block.page != page):
            yield from _pieces(path, page, "\n".join(texts))
            texts = []
        page = block.page
        if block.kind == "heading":
            headings.append(block)
            path = [*((level, title) for level, title in path if level < block.level), (block.level, block.text)]
        elif block.kind == "table":
            section = _section([*path, (0, caption)] if caption else path)
            yield from (Piece(section, page, part) for part in _table_parts(block.text))
        elif block.text:
            texts.append(block.text)
    yield from _pieces(path, page, "\n".join(texts))


def _is_caption(text: str) -> bool:
    return len(text) < CAPTION_CHARS and _CAPTION.match(text) is not None


def _section(path: list[tuple[int, str]]) -> str:
    return " > ".join(title for _, title in path)[:SECTION_CHARS]


def _pieces(path: list[tuple[int, str]], page: int | None, text: str) -> Iterator[Piece]:
    """Cut a text that is too long at the ends of sentences."""
    part = ""
    for sentence in re.findall(rf"[^\n]{{1,{TARGET_CHARS}}}?(?:(?<=[.!?;:]) |\n|$)|[^\n]{{1,{TARGET_CHARS}}}|\n", text):
        if part.strip() and len(part) + len(sentence) > TARGET_CHARS:
            yield Piece(_section(path), page, part.strip())
            part = ""
        part += sentence
    if len(part.strip()) >= FEWEST_CHARS:
        yield Piece(_section(path), page, part.strip())


def _table_parts(text: str) -> Iterator[str]:
    """Cut a long table between rows; each part begins with the header."""
    lines = [line[:MOST_CHARS] for line in text.split("\n")]
    head, rows = lines[:2], lines[2:]
    if not rows:
        yield from [text[:MOST_CHARS]] if text else []
        return
    part: list[str] = []
    for row in rows:
        if part and sum(map(len, [*head, *part, row])) > TARGET_CHARS:
            yield "\n".join([*head, *part])
            part = []
        part.append(row)
    yield "\n".join([*head, *part])
