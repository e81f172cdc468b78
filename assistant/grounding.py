"""The check before anything is shown: each number of an answer must be in a tool result or in the conversation."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.schema import ToolResult
from tools.zonal import curve, summary

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"),
            ("july", "jul"), ("august", "aug"), ("september", "sept", "sep"), ("october", "oct"),
            ("november", "nov"), ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip
_MONTH = "|".join(_MONTHS)
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?:T[\d:.]+Z?)?")
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({_MONTH})\b\.?,?(?:\s+(\d{{4}}))?", re.I)
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?(?!\d)", re.I)
# A digit that follows a letter belongs to a name (B04, Sentinel-2, CLC2018), not to a claim about size.
_NUMBER = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)([-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+)(?![\d])(\s?%|\s?per\s?cent\b)?"
)
_LIST_MARK = re.compile(r"^\s*\d+[.)]\s+", re.M)
_URL = re.compile(r"https?://[^\s>)\]]+")
_HEX = re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*\"“])")
_NOT_EVIDENCE = {"geometry", "collection", "coordinates", "fingerprint", "sha256", "path", "size_bytes", "id"}


@dataclass
class Evidence:
    """All numbers and dates a conversation holds."""

    numbers: set[float] = field(default_factory=set)
    shares: set[float] = field(default_factory=set)
    """Numbers that may be written as a percentage: percentages, and shares between 0 and 1 times 100."""
    dates: set[tuple[int, int, int]] = field(default_factory=set)

    def add_text(self, text: str) -> None:
        """Take over the numbers and dates of a text that is itself true: a question, a tool's words."""
        rest = _clean(text)
        for day in _dates(rest):
            self._add_date(day)
        for token in _numbers(_without_dates(rest)):
            if token.percent:
                self.shares.add(token.value)
            else:
                self.add_number(token.value)

    def add_number(self, value: float) -> None:
        """Take over one number."""
        if math.isfinite(value):
            self.numbers.add(float(value))
            if 0 < value < 1:
                self.shares.add(value * 100)

    def add_result(self, result: ToolResult) -> None:
        """Take over a tool result, with what its rows say together."""
        self._add_tree(result.model_dump(mode="json"))
        if result.statistics:
            rows = result.statistics.rows
            for row in rows:
                self.shares.add(row.valid_share * 100)
            self._add_tree(summary(rows))
            for label in {row.label for row in rows}:
                self._add_tree(curve([row for row in rows if row.label == label]))
            self.add_number(len(rows))

    def _add_tree(self, node: Any, key: str = "") -> None:
        if key in _NOT_EVIDENCE:
            return
        if isinstance(node, dict):
            for name, value in node.items():
                self._add_tree(value, str(name))
        elif isinstance(node, list | tuple):
            for value in node:
                self._add_tree(value, key)
        elif isinstance(node, str):
            self.add_text(node)
        elif isinstance(node, int | float) and not isinstance(node, bool):
            if key.endswith("percent"):
                self.shares.add(float(node))
            else:
                self.add_number(node)

    def _add_date(self, day: "_Day") -> None:
        if day.year is not None:
            self.dates.add((day.year, day.month, day.day))
            self.numbers.add(float(day.year))


@dataclass(frozen=True)
class Check:
    """What the check of one text found."""

    text: str
    invented: tuple[str, ...]
    """Numbers and dates, as written, that nothing supports."""


@dataclass(frozen=True)
class _Number:
    words: str
    value: float
    decimals: int
    percent: bool


@dataclass(frozen=True)
class _Day:
    words: str
    year: int | None
    month: int
    day: int


def gather(results: Iterable[ToolResult], texts: Iterable[str]) -> Evidence:
    """Collect the evidence of a conversation: its tool results, its questions and its checked answers."""
    evidence = Evidence()
    for result in results:
        evidence.add_result(result)
    for text in texts:
        evidence.add_text(text)
    return evidence


def find_invented(text: str, evidence: Evidence) -> tuple[str, ...]:
    """Find the numbers, percentages, years and dates of a text that no evidence supports."""
    rest = _clean(text)
    found = [day.words for day in _dates(rest) if not _known_date(day, evidence)]
    found += [token.words for token in _numbers(_without_dates(rest)) if not _known_number(token, evidence)]
    return tuple(dict.fromkeys(found))


def strip_invented(text: str, evidence: Evidence) -> Check:
    """Take the sentences with unsupported numbers out of a text and say which numbers they were."""
    invented = find_invented(text, evidence)
    if not invented:
        return Check(text, ())
    lines = []
    for line in text.splitlines():
        kept = [sentence for sentence in _SENTENCE.split(line) if not find_invented(sentence, evidence)]
        if kept or not line.strip():
            lines.append(" ".join(kept))
    return Check(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), invented)


def _clean(text: str) -> str:
    return _HEX.sub(" ", _URL.sub(" ", _LIST_MARK.sub("", text))).replace("−", "-")


def _dates(text: str) -> Iterator[_Day]:
    for match in _ISO.finditer(text):
        yield _Day(match[0], int(match[1]), int(match[2]), int(match[3]))
    for match in _DAY_FIRST.finditer(text):
        yield _Day(match[0], int(match[3]) if match[3] else None, _MONTHS[match[2].lower()], int(match[1]))
    for match in _MONTH_FIRST.finditer(_DAY_FIRST.sub(" ", text)):
        yield _Day(match[0], int(match[3]) if match[3] else None, _MONTHS[match[1].lower()], int(match[2]))


def _without_dates(text: str) -> str:
    return _MONTH_FIRST.sub(" ", _DAY_FIRST.sub(" ", _ISO.sub(" ", text)))


def _numbers(text: str) -> Iterator[_Number]:
    for match in _NUMBER.finditer(text):
        plain = match[1].replace(",", "")
        mantissa = re.split("[eE]", plain)[0]
        decimals = len(mantissa.partition(".")[2])
        # In "1-3" or "2018-2020" the hyphen is a dash.
        before = text[match.start() - 1] if match.start() else " "
        value = abs(float(plain)) if before.isdigit() else float(plain)
        yield _Number(match[0].strip(), value, decimals, bool(match[2]))


def _known_number(token: _Number, evidence: Evidence) -> bool:
    tolerance = 0.5 * 10.0**-token.decimals * (1 + 1e-9)
    known = evidence.shares if token.percent else evidence.numbers
    return any(abs(token.value - value) <= _slack(value, tolerance, token) for value in known)


def _slack(value: float, tolerance: float, token: _Number) -> float:
    """Whole numbers are counts: they must be met exactly; only measured ones are rounded."""
    if float(value).is_integer():
        return 1e-9
    return tolerance if token.decimals or abs(value) >= 1 or token.percent else 1e-9


def _known_date(day: _Day, evidence: Evidence) -> bool:
    if day.year is not None:
        return (day.year, day.month, day.day) in evidence.dates
    return any((day.month, day.day) == known[1:] for known in evidence.dates)
