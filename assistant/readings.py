"""One sentence read against one table: which entries it names, which figures are values, which are bounds or counts."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from assistant.claims import month_number, months_in
from assistant.sentences import Figure, Sentence, measures, thing_words, word_pattern
from assistant.tables import Entry, Table

YEARS = (1900, 2100)
"""A whole number in here is a year where it counts nothing."""
_PAUSE = re.compile(r"[;:]")


@dataclass(frozen=True)
class Statement:
    """One statement of a sentence, held against one table."""

    kind: str
    holds: bool
    words: str
    proven: tuple[int, ...] = ()
    """Where the numbers begin that it rests on."""


@dataclass(frozen=True)
class Bound:
    """Above, below or between numbers."""

    start: int
    end: int
    low: float
    high: float
    proven: tuple[int, ...]

    def holds(self, value: float) -> bool:
        """Tell whether a value lies inside."""
        return self.low < value < self.high


@dataclass(frozen=True)
class Mention:
    """Where a sentence names entries of a table."""

    start: int
    end: int
    dimension: int
    keys: frozenset[str]


class Reading:
    """A sentence and a table."""

    def __init__(self, sentence: Sentence, table: Table) -> None:
        self.sentence, self.table, self.text = sentence, table, sentence.text
        self.means = sorted(table.means)
        self._used: set[int] = set()

    @cached_property
    def mentions(self) -> list[Mention]:
        """Give all mentions of entries, in order."""
        found = [
            Mention(*match.span(), dimension, frozenset([name]))
            for dimension, names in enumerate(self.table.names)
            if dimension != self.table.dated
            for name, pattern in names.items()
            if len(names) > 1
            for match in pattern.finditer(self.text)
        ]
        found += self._dates() if self.table.dated >= 0 else ()
        longest = sorted(found, key=lambda one: one.start - one.end)
        kept: list[Mention] = []
        for one in longest:
            if not any(one.start < other.end and other.start < one.end for other in kept):
                kept.append(one)
        return sorted(kept, key=lambda one: one.start)

    @cached_property
    def bounds(self) -> list[Bound]:
        """Give what is set as a bound of values; a bound of a count is kept with its figure."""
        found: list[Bound] = []
        sides = [(*span, side) for side in ("above", "below") for span in self.sentence.spans(side)]
        for start, end, side in sorted(sides):
            if any(start < one.end for one in found):
                continue
            figure = self.sentence.figure_after(end)
            if figure and (not self._can_be_bound(figure) or self.sentence.counts_things(figure)):
                figure.side = "" if figure.decimal else side
            elif figure and figure.values:
                found.append(self._bound(start, figure.end, side, figure.values[0], (figure.start,)))
            elif found and not figure and len(set(found)) == 1:  # "and 14 are below it"
                value = found[-1].low if found[-1].low > float("-inf") else found[-1].high
                found.append(self._bound(start, end, side, value, ()))
        return sorted((*found, *self._betweens()), key=lambda one: one.start)

    @cached_property
    def values(self) -> list[Figure]:
        """Give the figures that may be values of the table."""
        bounded = {start for bound in self.bounds for start in bound.proven}
        return [one for one in self.sentence.figures if one.start not in bounded and self._fits(one)]

    def original(self, start: int, end: int) -> str:
        """Give a part of the sentence as it was written."""
        return self.sentence.claims.text[start:end].strip(" .,;")

    def named(self, start: int, end: int) -> list[Mention]:
        """Give the mentions inside a part."""
        return [one for one in self.mentions if start <= one.start and one.end <= end]

    def mentions_of(self, dimension: int) -> list[Mention]:
        """Give the mentions of one dimension, each name once."""
        found: dict[frozenset[str], Mention] = {}
        for one in self.mentions:
            if one.dimension == dimension:
                found.setdefault(one.keys, one)
        return list(found.values())

    def pool(self, start: int, end: int) -> list[Entry] | None:
        """Give the entries that a part of the sentence is about; None where it does not say enough."""
        each = self.named(start, end) and not self.exceptions(start, end)  # "R07 and R20 both lie above"
        counting = self.quantities(start, end) or (self.quantifier(start, end) and not each)
        keys = []
        for dimension, names in enumerate(self.table.names):
            here = [one for one in self.named(start, end) if one.dimension == dimension]
            context = self.mentions_of(dimension)
            if here and not (counting and len(self.table.names) == 1):
                keys.append(frozenset[str]().union(*(one.keys for one in here)))
            elif len(context) == 1 and len(self.table.names) > 1 and dimension != self.table.dated:
                keys.append(context[0].keys)
            else:
                if len(self.table.names) > 1 and self.table.dated < 0 and len(names) > 1:
                    return None
                keys.append(frozenset())
        return self.table.where(keys) or None

    def quantities(self, start: int, end: int) -> list[Figure]:
        """Give the counts and shares of entries inside a part."""
        return [
            one
            for one in self.sentence.figures
            if start <= one.start and one.end <= end and not one.decimal and one.unit not in measures()
            if (one.share and self.table.unit != "%")
            or (not one.share and not one.unit and (self.sentence.counts_things(one) or not _is_year(one)))
        ]

    def quantifier(self, start: int, end: int) -> str:
        """Give `all`, `none` or `most` where a part says so; "of all parcels" says no such thing."""
        for slot in ("none", "most", "all"):
            for match in word_pattern(slot).finditer(self.text, start, end):
                before = self.text[: match.start()].rstrip()
                whole = slot == "all" and word_pattern("out_of").search(before[-8:] + " ") and _ends_in_of(before)
                bare_no = match[0] == "no" and not re.match(rf"\s+(?:\w+\s+)?{thing_words()}", self.text[match.end() :])
                if not whole and not bare_no:
                    return slot
        return ""

    def exceptions(self, start: int, end: int) -> int:
        """Count the entries that "all but" leaves out."""
        return len(self.named(start, end)) if self.sentence.has("but", start, end) else 0

    def names_place(self, start: int, end: int) -> bool:
        """Tell whether a part names the place of the table."""
        name = self.table.place.partition(",")[0].partition("(")[0].strip()
        return bool(name) and name in self.text[start:end]

    def names_things(self, start: int, end: int) -> bool:
        """Tell whether a part speaks of the polygons or dates, and says something of them: not "parcels above 0.6"."""
        return bool(re.search(rf"(?<!\w){thing_words()}(?!\w)\s+\S", self.text[start:end]))

    def taken(self, figure: Figure) -> bool:
        """Tell whether a figure is spoken for."""
        return figure.start in self._used

    def free(self, slot: str) -> list[tuple[int, int]]:
        """Give the words of a slot that belong to no other comparison."""
        other = [span for span in self.sentence.spans("above", "below") if slot not in ("above", "below")]
        if slot in ("greater", "lesser"):
            other = []
        elif slot in ("highest", "lowest"):
            other += self.sentence.spans("greater", "lesser")
        bounds = [(bound.start, bound.end) for bound in self.bounds]
        spans = self.sentence.spans(slot)
        if slot in ("rise", "fall"):  # "never falls below"
            spans = [one for one in spans if not any(0 <= start - one[1] <= 1 for start, _ in bounds)]
        return [one for one in spans if not any(one[0] < end and start < one[1] for start, end in (*other, *bounds))]

    def value_beside(self, start: int, end: int) -> Figure | None:
        """Give the value next to a word: the first after it, else the last before it."""
        others = [one for one, _ in self.sentence.spans("mean", "highest", "lowest") if one > end]
        stop = min((*others, *(pause.start() for pause in _PAUSE.finditer(self.text, end))), default=len(self.text))
        found = next((one for one in self.values if end <= one.start < stop), None)
        found = found or next((one for one in reversed(self.values) if one.end <= start), None)
        if found:
            self._used.add(found.start)
        return found

    def named_beside(self, start: int, end: int) -> tuple[list[Entry], list[Entry]]:
        """Give the entries on both sides of a comparison."""
        left = next((one for one in reversed(self.mentions) if one.end <= end), None)
        right = next((one for one in self.mentions if one.start >= end), None)
        if not left or not right or left.dimension != right.dimension or left.keys == right.keys:
            return [], []
        return self._of(left), self._of(right)

    def entries_at(self, figure: Figure, sides: Sequence[int]) -> list[Entry]:
        """Give the entries that a value belongs to, when names stand before (-1) or after (1) their values."""
        keys = []
        for dimension, side in enumerate(sides):
            named = [one for one in self.mentions if one.dimension == dimension]
            before = [one for one in named if one.end <= figure.start]
            after = [one for one in named if one.start >= figure.end]
            first = (before[-1:] or after[:1]) if side < 0 else (after[:1] or before[-1:])
            if first and not first[0].keys:  # a date that the table does not have
                return []
            keys.append(first[0].keys if first else frozenset())
        return self.table.where(keys)

    def entries_of(self, dimension: int, place: int) -> list[Entry]:
        """Give the entries that the name at a place in the order of names carries."""
        return self._of(self.mentions_of(dimension)[place])

    def steps(self) -> list[float]:
        """Give the changes between two dates named, else from first to last; empty where it is not clear of what."""
        others = [one for one in range(len(self.table.names)) if one != self.table.dated]
        if any(len(self.table.names[one]) > 1 and len(self.mentions_of(one)) != 1 for one in others):
            return []
        keys = [self.mentions_of(one)[0].keys if self.mentions_of(one) else frozenset[str]() for one in others]
        keys.insert(self.table.dated, frozenset())
        entries = sorted(self.table.where(keys), key=lambda one: one.keys[self.table.dated])
        dates = sorted(min(one.keys) for one in self.mentions_of(self.table.dated) if one.keys)
        if len(dates) == 2:
            entries = [one for one in entries if one.keys[self.table.dated] in dates]
        return [later.value - earlier.value for earlier, later in pairwise(entries)]

    def steps_between(self, first: Figure, second: Figure) -> list[float]:
        """Give the change from one value told to the next; against it where the first one is the later one."""
        dates = [
            [entry.keys[self.table.dated] for entry in self.table.entries if figure.near(entry.value)]
            for figure in (first, second)
        ]
        step = second.values[0] - first.values[0]
        return [-step if all(dates) and min(dates[0]) > max(dates[1]) else step]

    def _of(self, mention: Mention) -> list[Entry]:
        if not mention.keys:
            return []
        keys = []
        for dimension, names in enumerate(self.table.names):
            if dimension == mention.dimension:
                keys.append(mention.keys)
                continue
            context = self.mentions_of(dimension)
            if len(names) > 1 and len(context) != 1:
                return []
            keys.append(context[0].keys if context else frozenset())
        return self.table.where(keys)

    def _fits(self, figure: Figure) -> bool:
        """Tell whether a figure has the unit and the form of the table's values."""
        if self.table.unit == "%" or figure.share:
            return (
                self.table.unit == "%" and figure.share and not figure.pair and not self.sentence.counts_things(figure)
            )
        if figure.unit:
            return figure.unit == self.table.unit
        return figure.decimal or (all(value.is_integer() for value in self.table.values) and not _is_year(figure))

    def _can_be_bound(self, figure: Figure) -> bool:
        size = bool(figure.values) and (figure.decimal or abs(figure.values[0]) <= 1 or bool(self.table.unit))
        unit = figure.unit in ("", self.table.unit)
        return (self.table.unit == "%") if figure.share else size and unit

    def _bound(self, start: int, end: int, side: str, value: float, proven: tuple[int, ...]) -> Bound:
        before = self.text[max(0, start - 14) : start]
        if word_pattern("not").search(before) and not self.quantifier(0, start):
            side = "below" if side == "above" else "above"
        low, high = (value, float("inf")) if side == "above" else (float("-inf"), value)
        return Bound(start, end, low, high, proven)

    def _betweens(self) -> Iterator[Bound]:
        for start, end in self.sentence.spans("between"):
            first = self.sentence.figure_after(end)
            second = self.sentence.figure_after(first.end) if first else None
            if first and second and self._can_be_bound(first) and self._can_be_bound(second):
                low, high = sorted((first.values[0], second.values[0]))
                low, high = low - first.slack * 1.001, high + second.slack * 1.001
                yield Bound(start, second.end, low, high, (first.start, second.start))

    def _dates(self) -> list[Mention]:
        """Give the mentions of dates: whole ones, and months that hold dates of the table."""
        keys = list(self.table.names[self.table.dated])
        claims, dimension = self.sentence.claims, self.table.dated
        found = []
        for day in claims.days:
            own = {key for key in keys for year, month, number in day.readings if _is_day(key, year, month, number)}
            found.append(Mention(day.start, day.end, dimension, frozenset(own)))
        for match in months_in(claims.text):
            own = {key for key in keys if int(key[5:7]) == month_number(match[1]) and key[:4] in (match[2] or key)}
            found.append(Mention(*match.span(), dimension, frozenset(own)))
        return found


def _is_day(key: str, year: int | None, month: int, day: int) -> bool:
    return key[5:] == f"{month:02}-{day:02}" and (year is None or key[:4] == f"{year}")


def _is_year(figure: Figure) -> bool:
    return any(YEARS[0] <= one <= YEARS[1] for one in figure.values)


def _ends_in_of(before: str) -> bool:
    return any(match.end() == len(before) for match in word_pattern("out_of").finditer(before))
