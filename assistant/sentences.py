"""A sentence as it can be held against a table: its figures with their units, and words of comparison by position."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml

from assistant import lexicon
from assistant.claims import Claims, Number

Span = tuple[int, int]
_NEAR = re.compile(r"\s*(?:[^\W\d]+['’]?\s*){0,4}\(?\s*")
"""What may stand between a word of comparison and its number: "above an NDVI of 0.6"."""
ENTRIES = "entries"
"""Unit of what is counted in a table: polygons, dates."""
SMALL = 10
"""Up to this, "one in five" is a rough share, not a count."""


@dataclass
class Figure:
    """A number in a sentence."""

    start: int
    end: int
    words: str
    values: tuple[float, ...]
    """Its readings; percentages for shares."""
    slack: float
    """How far it may have been rounded."""
    share: bool = False
    decimal: bool = False
    unit: str = ""
    pair: bool = False
    """True for a share told as two numbers: 23 of 37."""
    side: str = ""
    """`above` or `below` where it is told as a bound: more than half."""

    def near(self, value: float, *, slack: float = 0.0) -> bool:
        """Tell whether it may stand for a value."""
        return any(abs(one - value) <= max(self.slack, slack) * (1 + 1e-9) + 1e-12 for one in self.values)


@dataclass
class Sentence:
    """One sentence, read once and held against each table."""

    claims: Claims
    text: str = field(init=False)
    figures: list[Figure] = field(init=False)

    def __post_init__(self) -> None:
        self.text = lexicon.fold(self.claims.text)
        self.figures = _with_pairs(sorted(self._figures(), key=lambda one: one.start), self.text)

    def spans(self, *slots: str) -> list[Span]:
        """Give where words of some slots stand."""
        return [match.span() for slot in slots for match in word_pattern(slot).finditer(self.text)]

    def has(self, slot: str, start: int = 0, end: int | None = None) -> bool:
        """Tell whether a word of a slot stands in a part of the sentence."""
        return bool(word_pattern(slot).search(self.text, start, len(self.text) if end is None else end))

    def figure_after(self, position: int) -> Figure | None:
        """Give the figure that a word of comparison is followed by."""
        found = next((one for one in self.figures if one.start >= position), None)
        near = found and _NEAR.fullmatch(self.text, position, found.start) and not self.has("is", position, found.start)
        return found if near else None

    def counts_things(self, figure: Figure) -> bool:
        """Tell whether a figure counts polygons or dates, or is a share of them."""
        return bool(_things().match(self.text, figure.end))

    def _figures(self) -> Iterator[Figure]:
        for number in self.claims.numbers:
            yield _figure(number, unit_after(self.text, number.end))
        for match in _every_nth().finditer(self.text):
            yield Figure(*match.span(), match[0], (100 / _ordinal(match),), 2.5, share=True)


@cache
def word_pattern(slot: str) -> "re.Pattern[str]":
    """Give the pattern of a slot's words in all languages, the longest first."""
    found = yaml.safe_load((files("assistant") / "relation_words.yaml").read_text(encoding="utf-8"))[slot]
    words = {lexicon.fold(word) for words in found.values() for word in words}
    longest = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(_expression(word) for word in longest)})")


@cache
def thing_words() -> str:
    """Give the words for polygons and dates as one alternation."""
    named = word_pattern("things").pattern.removeprefix(r"(?<!\w)")
    return rf"(?:{lexicon.alternatives('parcels', 'districts', 'communes')}|{named})"


def unit_after(text: str, position: int) -> str:
    """Give the unit that follows a number; empty for none that is known."""
    match = _units()[0].match(text, position)
    return _units()[1][re.sub(r"\s+", " ", match[1])] if match else ""


@cache
def measures() -> frozenset[str]:
    """Give the units that are sizes, not things."""
    return frozenset(_load_units()["measures"])


def _load_units() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(
        (files("assistant") / "units.yaml").read_text(encoding="utf-8")
    )
    return found


@cache
def _units() -> tuple["re.Pattern[str]", dict[str, str]]:
    kinds = _load_units()
    names = {lexicon.fold(word): unit for kind in kinds.values() for unit, words in kind.items() for word in words}
    longest = sorted(names, key=lambda word: -len(word))
    body = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest)
    return re.compile(rf"[\s-]?({body})(?!\w)"), names


@cache
def _things() -> "re.Pattern[str]":
    of = word_pattern("out_of").pattern
    return re.compile(rf"\s*(?:{of}\s*)?(?:[^\W\d]+['’]?\s*){{0,2}}{thing_words()}")


def ordinal_before(text: str, position: int) -> int:
    """Give the rank named right before a word: 2 for "the second highest"; 0 for none."""
    match = re.search(rf"(?<!\w)(?:{ordinals()})\s+$", text[:position])
    return _ordinal(match) if match else 0


def ordinal_at(text: str) -> int:
    """Give the rank that a text is: 2 for "second"; 0 for none."""
    match = re.fullmatch(ordinals(), text)
    return _ordinal(match) if match else 0


@cache
def _every_nth() -> "re.Pattern[str]":
    return re.compile(rf"(?<!\w)(?:every|jede[rs]?|cada|ogni|chaque)\s+(?:{ordinals()})")


@cache
def ordinals() -> str:
    """Give the ordinals from the second on as a pattern, each in a group of its own."""
    found = yaml.safe_load((files("assistant") / "relation_words.yaml").read_text(encoding="utf-8"))["nth"]
    same = zip(*found.values(), strict=True)
    return "|".join(f"({'|'.join(_expression(lexicon.fold(word)) for word in words)})" for words in same)


def _ordinal(match: "re.Match[str]") -> int:
    return next(number for number, group in enumerate(match.groups(), 2) if group)


def _expression(word: str) -> str:
    body = re.escape(word).replace(r"\*", r"\w*").replace(r"\ ", r"\s+").replace(r"_\s+", r"(?:\w+\s+){0,3}")
    if not re.search(r"\w", word):
        return rf"{body}(?=\s*[-+]?\.?\d)"
    return body if word.endswith("'") else rf"{body}(?!\w)"


def _figure(number: Number, unit: str) -> Figure:
    readings = [one[0] for one in number.readings if len(one) == 1]
    scale = 100 if number.share else 1
    slack = min((one.tolerance for one in readings), default=0.5) * scale
    share = number.share or number.percent
    values = tuple(one.value * scale for one in readings)
    unit = "" if unit == ENTRIES else unit
    return Figure(number.start, number.end, number.words, values, slack, share, not share and slack < 0.5, unit)


def _with_pairs(figures: list[Figure], text: str) -> list[Figure]:
    """Join "23 of the 37" and "one in five" to shares."""
    found: list[Figure] = []
    for figure in figures:
        joined = None
        if not figure.share and not figure.decimal and figure.values:
            joined = _pair(found[-1] if found else None, figure, text)
        if joined and found and found[-1].start >= joined.start:
            found.pop()
        found.append(joined or figure)
    return found


def _pair(before: Figure | None, figure: Figure, text: str) -> Figure | None:
    of = word_pattern("out_of").pattern
    one = re.search(rf"{word_pattern('one').pattern}\s+(?:[^\W\d]+\s+)?{of}\s+$", text[: figure.start])
    whole = figure.values[0]
    part = before and not before.share and not before.decimal and before.values and before.values[0] < whole
    if before and part and re.fullmatch(rf"\s+(?:[^\W\d]+\s+)?{of}\s*", text[before.end : figure.start]):
        return _share(before.values[0], whole, before.start, figure, text)
    return _share(1, whole, one.start(), figure, text) if one and 1 < whole <= SMALL else None


def _share(part: float, whole: float, start: int, figure: Figure, text: str) -> Figure:
    slack = 2.5 if whole <= SMALL else 0.05
    return Figure(start, figure.end, text[start : figure.end], (100 * part / whole,), slack, True, pair=whole > SMALL)
