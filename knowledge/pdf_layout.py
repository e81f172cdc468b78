"""What a reader of a PDF page sees, and in which order: no hidden letters, columns of prose one after the other."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Found = dict[str, Any]
"""A line, or a letter, as pdfplumber gives it."""

LEAST_SIZE_PT = 2.0
"""Smaller letters cannot be read."""
LEAST_CONTRAST = 0.1
"""Difference of brightness (0 to 1) between a letter and what it stands on, below which it cannot be seen."""
HIDDEN = "hidden"
_UNPAINTED = (3, 7)
"""Text rendering modes that draw nothing."""
COLUMN_GAP_EMS = 1.0
LEAST_LINES = 5
"""Lines on each side that make two columns of prose."""
LEAST_WORDS = 4
"""Median of the words of a line of prose in a column."""
LEAST_GOING_ON = 0.35
"""Share of the lines of a column that go on in the middle of a sentence: cells of a table begin anew."""
MIDDLE = (0.25, 0.75)
"""Where a page is parted, as shares of its width."""
EDGE = 0.07
"""Top and bottom of a page, as a share of its height, that belong to no column."""


def mark_unpainted() -> None:
    """Let pdfplumber tag letters that a PDF places but does not draw; it knows no text rendering mode of its own."""
    from pdfplumber import page as pages

    base = pages.PDFPageAggregatorWithMarkedContent
    if issubclass(base, _Marking):
        return
    pages.PDFPageAggregatorWithMarkedContent = type("Device", (_Marking, base), {})  # type: ignore[assignment, misc]


class _Marking:
    """Part of a device: notes how text is rendered while it is drawn."""

    _hidden = False

    def render_string(self, textstate: Any, *rest: Any) -> None:
        """Draw a string."""
        self._hidden = textstate.render in _UNPAINTED
        super().render_string(textstate, *rest)  # type: ignore[misc]
        self._hidden = False

    def tag_cur_item(self) -> None:
        """Tag what was drawn last."""
        super().tag_cur_item()  # type: ignore[misc]
        drawn = self.cur_item._objs  # type: ignore[attr-defined]
        if self._hidden and drawn:
            drawn[-1].tag = HIDDEN


def seen_on(page: Any) -> Callable[[Found], bool]:
    """Give what tells whether a letter of a page can be seen.

    Left out are letters that are not drawn (but over a picture they are what text recognition found in it), that are
    tiny, beside the page, or of the colour of what they stand on.
    """
    x0, top, x1, bottom = page.bbox
    fills = [(one, _brightness(one.get("non_stroking_color"))) for one in (*page.rects, *page.curves) if one["fill"]]
    pictures = page.images

    def seen(char: Found) -> bool:
        x, y = (char["x0"] + char["x1"]) / 2, (char["top"] + char["bottom"]) / 2
        if not (x0 <= x <= x1 and top <= y <= bottom) or char["size"] < LEAST_SIZE_PT:
            return False
        if any(_holds(one, x, y) for one in pictures):
            return True
        if char.get("tag") == HIDDEN:
            return False
        mine = _brightness(char.get("non_stroking_color"))
        ground = next((shade for one, shade in reversed(fills) if _holds(one, x, y)), 1.0)
        return mine is None or ground is None or abs(mine - ground) >= LEAST_CONTRAST

    return seen


def _holds(box: Found, x: float, y: float) -> bool:
    return bool(box["x0"] <= x <= box["x1"] and box["top"] <= y <= box["bottom"])


def _brightness(color: Any) -> float | None:
    """Give the brightness of a colour, 0 black to 1 white; None for a pattern or a space that is not known."""
    parts = color if isinstance(color, (tuple, list)) else (color,)
    if not parts or not all(isinstance(one, (int, float)) for one in parts):
        return 0.0 if color is None or parts == (None,) else None
    if len(parts) == 4:
        cyan, magenta, yellow, black = parts
        return float((1 - black) * (1 - (cyan + magenta + yellow) / 3))
    return float(statistics.mean(parts)) if len(parts) in (1, 3) else None


def in_reading_order(lines: Sequence[Found], width: float, height: float) -> Iterator[tuple[float, Found]]:
    """Part lines where two columns of prose stand side by side: the left one first, then the right one.

    Args:
        lines: Lines from top to bottom, with their letters.
        width: Of the page, points.
        height: Of the page, points.

    Yields:
        What to order the line by, and the line.
    """
    run: list[Found] = []
    free = _middle(width)
    for line in lines:
        inside = EDGE * height < line["top"] and line["bottom"] < (1 - EDGE) * height
        left = _without(free, _spans(line)) if inside else []
        if not left:
            yield from _closed(run, free)
            run, free = [], _middle(width)
            left = _without(free, _spans(line)) if inside else []
        if left:
            run.append(line)
            free = left
        else:
            yield line["top"], line
    yield from _closed(run, free)


def _middle(width: float) -> list[tuple[float, float]]:
    return [(MIDDLE[0] * width, MIDDLE[1] * width)]


def _without(free: list[tuple[float, float]], taken: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Take spans out of free ones; what is narrower than a space between columns is not free."""
    for begin, end in taken:
        parts = ((low, min(high, begin)) for low, high in free), ((max(low, end), high) for low, high in free)
        free = [(low, high) for part in parts for low, high in part if high - low >= 6]
    return free


def _spans(line: Found) -> list[tuple[float, float]]:
    """Give the left and right edges of the parts of a line between gaps wider than a space."""
    chars = [one for one in line["chars"] if not one["text"].isspace()]
    gap = COLUMN_GAP_EMS * statistics.median(one["size"] for one in chars) if chars else 0.0
    spans: list[tuple[float, float]] = []
    for char in chars:
        if spans and char["x0"] - spans[-1][1] <= gap:
            spans[-1] = (spans[-1][0], max(spans[-1][1], char["x1"]))
        else:
            spans.append((char["x0"], char["x1"]))
    return spans


def _closed(run: list[Found], free: list[tuple[float, float]]) -> Iterator[tuple[float, Found]]:
    """Give the lines of a run, parted where its two sides are prose."""
    cut = next((middle for low, high in free if _is_prose(run, middle := (low + high) / 2)), None)
    if cut is None:
        yield from ((line["top"], line) for line in run)
        return
    top = run[0]["top"]
    for is_right in (False, True):
        for line in run:
            if side := _side(line, cut, is_right=is_right):
                yield top, side


def _side(line: Found, cut: float, *, is_right: bool) -> Found | None:
    """Give the part of a line on one side."""
    chars = [one for one in line["chars"] if ((one["x0"] + one["x1"]) / 2 > cut) is is_right]
    solid = [one for one in chars if not one["text"].isspace()]
    if not solid:
        return None
    return {
        **line,
        "chars": chars,
        "text": "",
        "x0": min(one["x0"] for one in solid),
        "x1": max(one["x1"] for one in solid),
        "top": min(one["top"] for one in solid),
        "bottom": max(one["bottom"] for one in solid),
    }


def _is_prose(run: Sequence[Found], cut: float) -> bool:
    """Tell whether both sides of some lines are running text: long lines, many of which go on in mid-sentence."""
    for is_right in (False, True):
        sides = [side for line in run if (side := _side(line, cut, is_right=is_right))]
        texts = [plain_text(one["chars"]) for one in sides]
        if len(texts) < LEAST_LINES or statistics.median(len(text.split()) for text in texts) < LEAST_WORDS:
            return False
        if sum(text[:1].islower() for text in texts) < LEAST_GOING_ON * len(texts):
            return False
    return True


def plain_text(chars: Sequence[Found]) -> str:
    """Give the letters of a line with a space where there is a gap."""
    text, end = "", 0.0
    for char in chars:
        if text and (char["text"].isspace() or char["x0"] - end > 0.15 * char["size"]) and not text.endswith(" "):
            text += " "
        text += char["text"].strip()
        end = char["x1"]
    return text.strip()
