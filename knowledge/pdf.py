"""Reads PDF page by page into blocks: running headers, footers, page and line numbers go, tables stay tables."""

import math
import re
import statistics
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from knowledge.blocks import Block, Reading, clean, table_text
from knowledge.errors import SourceInvalid
from knowledge.markup import iso_date
from knowledge.pdf_layout import in_reading_order, mark_unpainted, plain_text, seen_on

MAX_PAGES = 5000
WINDOW = 2
"""Pages before and after that a running header is looked for on: left and right pages may differ."""
MARGIN_LINES = 3
MARGIN_SHARE = 0.15
SAME_PLACE_PT = 3.0
SPACE_EMS = 0.15
"""Narrowest space between words, as a share of the letters' size."""
COLUMN_GAP_EMS = 1.6
HEADING_SCALE = 1.12
FOOT_SHARE = 0.7
"""A table that goes on ends in the lower part of its page."""
_PAGE_NUMBER = re.compile(
    r"(page|seite|pág\.?|pagina)?\s*[-–]?\s*(\d{1,4}|[ivxl]{1,6})\s*([-–]|(/|of|von|de|sur|di)\s*\d{1,4})?", re.I
)
_CONTENTS = re.compile(r"(?:\. ?){5,}\s*[\divxlc]{1,5}$")
"""A line of the table of contents: dots lead to a page number."""
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+(?=\D)\S")
_NO_LETTER = re.compile(r"\(cid:\d+\)")
"""What stands for a sign whose font does not say which letter it is, such as many bullets."""
_UNTITLED = re.compile(r"^(microsoft word|untitled|document\d*$|.*\.(docx?|indd|pdf)$)", re.I)


@dataclass(frozen=True)
class Line:
    """One line of a page, or a whole ruled table of it."""

    text: str
    x0: float
    top: float
    bottom: float
    size: float = 0.0
    bold: bool = False
    cells: tuple[tuple[float, str], ...] = ()
    """Pieces parted by wide gaps, each with its left edge."""
    rows: tuple[tuple[str, ...], ...] = ()
    """Rows, when this is a table."""


@dataclass(frozen=True)
class PdfPage:
    """The lines of one page from top to bottom."""

    number: int
    height: float
    lines: tuple[Line, ...]


def read_pdf(path: Path) -> Reading:
    """Open a PDF; its pages are read while the blocks are taken.

    Raises:
        SourceInvalid: broken, encrypted, too long, or without any text (a scan).
    """
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect

    mark_unpainted()
    try:
        pdf = pdfplumber.open(path)
        count = len(pdf.pages)
    except Exception as error:  # pdfminer lets faults of every type through
        cause = error.args[0] if error.args else error
        if isinstance(cause, PDFPasswordIncorrect):
            raise SourceInvalid("The PDF is encrypted.", "Save it without a password and read that file.") from error
        raise SourceInvalid("The PDF is broken.", "Download it again, or print it to a new PDF.") from error
    if count > MAX_PAGES:
        pdf.close()
        raise SourceInvalid(f"The PDF has {count} pages, more than {MAX_PAGES}.", "Split it.")
    facts = {name: clean(str(value)) for name, value in (pdf.metadata or {}).items()}
    title = facts.get("Title", "")
    return Reading(
        _blocks(_pages(pdf)),
        None if _UNTITLED.match(title) else title or None,
        None,
        iso_date(facts.get("ModDate") or facts.get("CreationDate")),
    )


def _pages(pdf: Any) -> Iterator[PdfPage]:
    with pdf:
        for page in pdf.pages:
            try:
                yield _page(page)
            except (ValueError, TypeError, KeyError, IndexError, AssertionError, RecursionError) as error:
                raise SourceInvalid(
                    f"Page {page.page_number} of the PDF is broken.", "Download it again, or print it to a new PDF."
                ) from error
            page.close()


def _page(whole: Any) -> PdfPage:
    seen = seen_on(whole)
    page = whole.filter(lambda item: item["object_type"] != "char" or seen(item))
    tables = [table for table in page.find_tables() if len(table.rows) > 1 and len(table.rows[0].cells) > 1]
    boxes = [table.bbox for table in tables]

    def outside(item: dict[str, Any]) -> bool:
        if item["object_type"] != "char" or not item["upright"] or _NO_LETTER.fullmatch(item["text"]):
            return False
        x, y = (item["x0"] + item["x1"]) / 2, (item["top"] + item["bottom"]) / 2
        return not any(x0 <= x <= x1 and top <= y <= bottom for x0, top, x1, bottom in boxes)

    found = page.filter(outside).extract_text_lines(strip=True, x_tolerance_ratio=SPACE_EMS)
    ordered = in_reading_order(found, float(page.width), float(page.height))
    lines = [(place, _line(one)) for place, one in ordered]
    for table in tables:
        rows = tuple(tuple(_NO_LETTER.sub("", cell or "") for cell in row) for row in table.extract())
        edges = tuple((column.bbox[0], "") for column in table.columns)
        lines.append((table.bbox[1], Line("", table.bbox[0], table.bbox[1], table.bbox[3], cells=edges, rows=rows)))
    lines.sort(key=lambda one: one[0])
    kept = (line for _, line in lines if (line.text and not _CONTENTS.search(line.text)) or line.rows)
    return PdfPage(whole.page_number, float(whole.height), tuple(kept))


def _line(found: dict[str, Any]) -> Line:
    chars = found["chars"]
    size = statistics.median(char["size"] for char in chars)
    bold = sum("bold" in char["fontname"].lower() for char in chars) > len(chars) / 2
    return Line(
        clean(found["text"] or plain_text(chars)),
        found["x0"],
        found["top"],
        found["bottom"],
        round(size, 1),
        bold,
        _cells(chars, size),
    )


def _cells(chars: list[dict[str, Any]], size: float) -> tuple[tuple[float, str], ...]:
    """Part a line where gaps are far wider than a space."""
    cells: list[tuple[float, str]] = []
    end: float | None = None
    before: dict[str, Any] | None = None
    for char in chars:
        if char["text"].isspace() or char is before:  # a ligature is listed once for each of its letters
            continue
        before = char
        gap = math.inf if end is None else char["x0"] - end
        if gap > COLUMN_GAP_EMS * size:
            cells.append((char["x0"], char["text"]))
        else:
            space = " " if gap > SPACE_EMS * size else ""
            cells[-1] = (cells[-1][0], cells[-1][1] + space + char["text"])
        end = char["x1"]
    return tuple((x, clean(text)) for x, text in cells)


def _blocks(pages: Iterable[PdfPage]) -> Iterator[Block]:
    """Turn pages into blocks, looking two pages back and ahead for what only runs along."""
    window: deque[PdfPage] = deque(maxlen=2 * WINDOW + 1)
    state = _State()
    waiting = 0
    for page in pages:
        window.append(page)
        state.count(page)
        waiting += 1
        if waiting > WINDOW:
            yield from state.blocks(window[-1 - WINDOW], window)
            waiting -= 1
    for back in range(waiting, 0, -1):
        yield from state.blocks(window[-back], window)
    if not state.seen:
        raise SourceInvalid("The PDF holds no text: its pages are pictures.", "Run text recognition (OCR) on it first.")


class _State:
    """What carries over from page to page: the size of body text, and a table that goes on."""

    def __init__(self) -> None:
        self.sizes: Counter[float] = Counter()
        self.table: Line | None = None
        self.seen = False

    def count(self, page: PdfPage) -> None:
        edges = {id(line) for edge in _margins(page) for line in edge}
        for line in page.lines:
            if id(line) not in edges and line.text:
                self.sizes[line.size] += len(line.text)

    def blocks(self, page: PdfPage, around: Iterable[PdfPage]) -> Iterator[Block]:
        body = self.sizes.most_common(1)[0][0] if self.sizes else 0.0
        lines = without_line_numbers(without_running(page, around))
        self.seen = self.seen or bool(lines)
        paragraph: list[Line] = []
        for first, line in enumerate(as_tables(lines)):
            level = _heading_level(line, body)
            if paragraph and (line.rows or level or _starts_anew(paragraph[-1], line)):
                yield Block("text", _joined(paragraph), page=page.number)
                paragraph = []
            if line.rows:
                rows = self._continued(line) if first == 0 else line.rows
                yield Block("table", table_text(rows), page=page.number)
                self.table = replace(line, rows=rows[:1], bottom=line.bottom / page.height)
                continue
            self.table = None
            if level:
                yield Block("heading", line.text, level, page.number)
            else:
                paragraph.append(line)
        if paragraph:
            yield Block("text", _joined(paragraph), page=page.number)

    def _continued(self, line: Line) -> tuple[tuple[str, ...], ...]:
        """Give a table that goes on from the foot of the page before its header again."""
        before = self.table
        if before is None or before.bottom < FOOT_SHARE or not _same_columns(before, line):
            return line.rows
        return line.rows if line.rows[0] == before.rows[0] else (*before.rows, *line.rows)


def without_running(page: PdfPage, around: Iterable[PdfPage]) -> tuple[Line, ...]:
    """Drop margin lines that a near page has in the same place, and bare page numbers."""
    others = [other for other in around if other is not page and abs(other.number - page.number) <= WINDOW]
    near = [(line, other.number) for other in others for edge in _margins(other) for line in edge]

    def runs(line: Line) -> bool:
        if _PAGE_NUMBER.fullmatch(line.text):
            return True
        return any(_runs_along(line, other, page.number - number) for other, number in near)

    # From the edge inwards: behind the first line that does not run along, the text of the page begins.
    running = {id(line) for edge in _margins(page) for line in takewhile(runs, edge)}
    return tuple(line for line in page.lines if id(line) not in running)


def _runs_along(line: Line, other: Line, pages: int) -> bool:
    """Tell whether two lines in one place say the same, but for a page number at an end that counts on."""
    if abs(line.top - other.top) > SAME_PLACE_PT:
        return False
    if line.text == other.text:
        return True
    one, two = re.split(r"(\d+)", line.text), re.split(r"(\d+)", other.text)
    if len(one) != len(two):
        return False
    differ = [at for at, (mine, its) in enumerate(zip(one, two, strict=True)) if mine != its]
    if len(differ) != 1 or not one[differ[0]].isdecimal() or not two[differ[0]].isdecimal():
        return False
    at_end = (differ[0] == 1 and not one[0].strip()) or not "".join(one[differ[0] + 1 :]).strip(" ofvnd/|-–0123456789")
    return at_end and int(one[differ[0]]) - int(two[differ[0]]) == pages


def _margins(page: PdfPage) -> tuple[list[Line], list[Line]]:
    """Lines near the upper and the lower edge, each from the edge inwards; a table ends them."""
    edge = page.height * MARGIN_SHARE
    top = list(takewhile(lambda line: line.text and line.top < edge, page.lines))
    bottom = list(takewhile(lambda line: line.text and line.bottom > page.height - edge, reversed(page.lines)))
    return top[:MARGIN_LINES], bottom[:MARGIN_LINES]


def without_line_numbers(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Drop the column of line numbers of a draft: left of all other text, on most lines, counting on."""
    marked = [line for line in lines if line.text and re.match(r"\d{1,4}(\s|$)", line.text)]
    texts = [line for line in lines if line.text]
    if len(marked) < 10 or len(marked) < 0.7 * len(texts):
        return lines
    numbers = [int(re.match(r"\d+", line.text)[0]) for line in marked]  # type: ignore[index]  # matched above
    steps = {after - before for before, after in pairwise(numbers)}
    left = statistics.median(line.x0 for line in marked)
    parted = [line for line in marked if len(line.cells) > 1]
    inside = [line for line in texts if line not in marked and line.x0 <= left + line.size]
    if len(steps) != 1 or steps.pop() not in (1, 5) or len(parted) < 0.6 * len(marked) or inside:
        return lines
    if statistics.mean(len(line.text.split()) for line in parted) < 6:  # a list of codes and names, not prose
        return lines
    kept = (_without_number(line) if line in marked else line for line in lines)
    return tuple(line for line in kept if line.text or line.rows)


def _without_number(line: Line) -> Line:
    text = re.sub(r"^\d{1,4}\s*", "", line.text)
    return replace(line, text=text, cells=line.cells[1:], x0=line.cells[1][0] if len(line.cells) > 1 else line.x0)


def as_tables(lines: tuple[Line, ...]) -> Iterator[Line]:
    """Join three or more lines whose pieces stand in the same columns into a table without rules."""
    run: list[Line] = []
    for line in lines:
        if run and not (not line.rows and len(line.cells) > 1 and _same_columns(run[0], line)):
            yield from _closed(run)
            run = []
        if len(line.cells) > 1 and not line.rows:
            run.append(line)
        else:
            yield line
    yield from _closed(run)


def _same_columns(first: Line, line: Line) -> bool:
    if len(first.cells) != len(line.cells):
        return False
    return all(abs(a[0] - b[0]) < max(first.size, 4.0) for a, b in zip(first.cells, line.cells, strict=True))


def _closed(run: list[Line]) -> Iterator[Line]:
    if len(run) < 3:
        yield from run
        return
    rows = tuple(tuple(text for _, text in line.cells) for line in run)
    yield Line("", run[0].x0, run[0].top, run[-1].bottom, run[0].size, cells=run[0].cells, rows=rows)


def _heading_level(line: Line, body: float) -> int:
    """Depth of a heading by its number or its size; 0 for body text."""
    numbered = _NUMBERED.match(line.text)
    large = body > 0 and line.size >= body * HEADING_SCALE
    if len(line.text) > 150 or not (large or (line.bold and numbered)) or not re.search(r"[^\W\d]", line.text):
        return 0
    if numbered:
        return numbered[1].count(".") + 1
    return 1 if line.size >= body * 1.5 else 2


def _starts_anew(before: Line, line: Line) -> bool:
    """Tell whether a gap or a bullet parts two lines."""
    height = max(before.bottom - before.top, 1.0)
    return line.top - before.bottom > 0.7 * height or bool(re.match(r"[•▪◦‣–\-*]\s|\(?[a-z0-9]{1,2}[.)]\s", line.text))


def _joined(lines: list[Line]) -> str:
    """Join lines to a paragraph; a word parted at a line's end is joined again."""
    text = ""
    for line in lines:
        with suppress(IndexError):
            if text.endswith("-") and text[-2].isalpha() and line.text[0].islower():
                text = text[:-1] + line.text
                continue
        text = f"{text} {line.text}" if text else line.text
    return text
