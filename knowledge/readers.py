"""Tells what a file is by its first bytes and reads it; a file that is not what it claims to be is refused."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from knowledge.blocks import Block, Reading
from knowledge.errors import SourceInvalid
from knowledge.markup import read_docx, read_html, read_markdown
from knowledge.pdf_worker import read_pdf_apart

SUFFIXES = {
    ".pdf": "pdf", ".html": "html", ".htm": "html", ".md": "markdown", ".qmd": "markdown", ".markdown": "markdown",
    ".txt": "markdown", ".docx": "docx",
}  # fmt: skip
MEDIA_TYPES = {
    "application/pdf": "pdf", "text/html": "html", "application/xhtml+xml": "html", "text/markdown": "markdown",
    "text/x-markdown": "markdown", "text/plain": "markdown",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
}  # fmt: skip
NAMES = {"pdf": "a PDF", "html": "a web page", "markdown": "Markdown text", "docx": "a Word document"}
MAX_TEXT_BYTES = 20_000_000
FRONT_CHARS = 60
"""Longest line of a title page that tells the version: "Issue 3.2, 4 May 2025"."""
_FRONT_VERSION = re.compile(r"\W*(?:version|issue|revision|v)[ .:_]*\d", re.I)
_VERSION = re.compile(
    r"(?:\b(?:version|issue|revision)|(?<![a-z])v)[ ._]?(\d{1,3}(?:\.\d{1,3}){0,3})(?![\d.]*\d)", re.I
)


def kind_of(path: Path, *, name: str, media_type: str = "") -> str:
    """Tell the kind of a file: pdf, docx, html or markdown.

    Raises:
        SourceInvalid: none of these, or its content is not what its name promises.
    """
    with path.open("rb") as file:
        head = file.read(2048)
    claimed = SUFFIXES.get(Path(name.partition("?")[0]).suffix.lower()) or MEDIA_TYPES.get(media_type)
    if b"%PDF-" in head[:1024]:
        found = "pdf"
    elif head.startswith(b"PK\x03\x04"):
        found = "docx"
    elif re.match(
        rb"\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b", head.removeprefix(b"\xef\xbb\xbf"), re.I | re.S
    ):
        found = "html"
    elif b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceInvalid("The file is neither text nor PDF nor Word.", "Give one of these.")
    else:
        found = claimed if claimed in ("html", "markdown") else "markdown" if media_type.startswith("text/") else ""
    if claimed and found != claimed:
        raise SourceInvalid(
            f"It should be {NAMES[claimed]} but is {NAMES.get(found, 'not')}.", "Check it in a browser."
        )
    if not found:
        raise SourceInvalid(f"The type {media_type or 'of the file'} is not read.", "Give PDF, HTML, Markdown or DOCX.")
    return found


def read_document(path: Path, kind: str, *, name: str, charset: str | None = None) -> Reading:
    """Read a file of a known kind; title and version are filled in from headings and names where it gives none.

    Raises:
        SourceInvalid: the file is broken, empty or too large.
    """
    if kind != "pdf" and path.stat().st_size > MAX_TEXT_BYTES:
        raise SourceInvalid(f"The text is larger than {MAX_TEXT_BYTES / 1e6:.0f} MB.", "Split it.")
    if kind == "pdf":
        found = read_pdf_apart(path)
    elif kind == "docx":
        found = read_docx(path)
    else:
        read = read_html if kind == "html" else read_markdown
        found = read(path.read_bytes(), declared=charset)
    return _filled(found, name)


def _filled(found: Reading, name: str) -> Reading:
    first: list[Block] = []
    blocks = _guarded(found.blocks)
    for block in blocks:
        first.append(block)
        if block.kind == "heading" or len(first) > 5:
            break
    if not first:
        raise SourceInvalid("The document holds no text.", "Check it in its own program.")
    stem = Path(name.partition("?")[0]).name.removesuffix(".md").removesuffix(".llms")
    stem = stem.rpartition(".")[0] if Path(stem).suffix.lower() in SUFFIXES else stem
    heading = next((block.text for block in first if block.kind == "heading" and block.level == 1), None)
    title = found.title or heading or re.sub(r"[_ ]+", " ", stem)
    told = (block.text for block in first if len(block.text) < FRONT_CHARS and _FRONT_VERSION.match(block.text))
    version = found.version or version_in(stem) or version_in(title) or version_in(next(told, ""))
    return replace(found, blocks=chain(first, blocks), title=title, version=version)


def _guarded(blocks: Iterator[Block]) -> Iterator[Block]:
    try:
        yield from blocks
    except RecursionError as error:
        raise SourceInvalid("The document is nested too deeply to be read.", "Save it as plain text.") from error


def version_in(text: str) -> str | None:
    """Find a version in a title or file name: `PUM_v1.2`, `Issue 4.0`, `version 2`."""
    found = _VERSION.search(text)
    return found[1] if found else None
