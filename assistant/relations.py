"""Hold sentences against tables: counts, shares, ranks, means, sums, comparisons, directions, and whose value is whose.

A number may be in a result and still be said of the wrong thing. A statement that no table bears out is untrue; one
that a table does bear out may have numbers that no tool wrote, because they were counted here.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from assistant.claims import Claims
from assistant.ranks import extremes
from assistant.readings import Bound, Reading, Statement
from assistant.sentences import Figure, Sentence
from assistant.tables import Entry, Table

ABOUT = 5.0
"""Percentage points that "about" allows."""


@dataclass(frozen=True)
class Judged:
    """What tables say of one sentence."""

    untrue: tuple[str, ...]
    """Parts of the sentence that no table bears out."""
    proven: frozenset[int]
    """Where numbers begin that were counted on the rows."""


def judge(claims: Claims, tables: Sequence[Table], shares: Iterable[float] = ()) -> Judged:
    """Hold a sentence against all tables: a statement is true where any of them bears it out.

    Args:
        claims: The sentence.
        tables: All tables of the conversation.
        shares: Percentages that the tools have told.
    """
    told = frozenset(shares)
    found: dict[str, list[Statement]] = {}
    sentence = Sentence(claims)
    for table in tables:
        if table.speaks_of_parts(sentence.text):
            continue
        reading = Reading(sentence, table)
        for check in CHECKS:
            for one in check(reading):
                found.setdefault(one.kind, []).append(one)
        for one in _shares_of_things(reading, told):
            found.setdefault(one.kind, []).append(one)
    untrue = [one.words for same in found.values() if not any(s.holds for s in same) for one in same]
    proven = {start for same in found.values() for one in same if one.holds for start in one.proven}
    return Judged(tuple(dict.fromkeys(untrue)), frozenset(proven))


def _bounds(reading: Reading) -> list[Statement]:
    """Check what is said to lie above or below a number, or between two."""
    bounds = reading.bounds
    if not bounds:
        return []
    ends = [0, *(bound.end for bound in bounds), len(reading.text)]
    starts = [*(bound.start for bound in bounds), len(reading.text)]
    before = [_bound(reading, bound, ends[at], bound.start, at) for at, bound in enumerate(bounds)]
    after = [_bound(reading, bound, bound.end, starts[at + 1], at) for at, bound in enumerate(bounds)]
    told = before if any(one is not None for one in before) and not _all_true(after) else after
    return [one for one in told if one is not None]


def _all_true(statements: Sequence[Statement | None]) -> bool:
    return all(one is not None and one.holds for one in statements)


def _bound(reading: Reading, bound: Bound, start: int, end: int, number: int) -> Statement | None:
    sentence, table = reading.sentence, reading.table
    pool = reading.pool(start, end)
    if pool is None:
        return None
    count, total = sum(bound.holds(entry.value) for entry in pool), len(pool)
    words = reading.original(min(start, bound.start), max(end, bound.end))
    quantities = reading.quantities(start, end)
    verdict: bool | None = None
    if quantities or reading.quantifier(start, end):
        left_out = reading.exceptions(start, end)
        verdict = _counts(reading, quantities, reading.quantifier(start, end), count, total - left_out)
    elif reading.named(start, end):
        verdict = count == total
    elif start >= bound.start:
        return None  # a subject stands before its bound
    elif sentence.has("mean", start, end) and (reading.means or total == 1):
        verdict = any(bound.holds(mean) for mean in reading.means or [pool[0].value])
    elif sentence.has("highest", start, end) or sentence.has("lowest", start, end):
        values = [entry.value for entry in pool]
        verdict = bound.holds(max(values) if sentence.has("highest", start, end) else min(values))
    elif reading.names_place(start, end) or reading.names_things(start, bound.start):
        spread = table.dated >= 0 or reading.names_things(start, bound.start) or not reading.means
        verdict = count == total if spread else any(bound.holds(mean) for mean in reading.means)
    if verdict is None:
        return None
    proven = (*bound.proven, *(one.start for one in quantities))
    return Statement(f"bound {number}", verdict, words, proven)


def _counts(reading: Reading, figures: Sequence[Figure], quantifier: str, count: int, total: int) -> bool:
    """Tell whether counts, shares and words such as "all" are those of `count` out of `total`."""
    known = {"all": count == total, "none": count == 0, "most": 2 * count > total, "": True}[quantifier]
    percent = 100 * count / max(1, total)
    rough = ABOUT if reading.sentence.has("about") else 0.0
    counts = [one for one in figures if not one.share]
    for figure in figures:
        value, slack = (percent, rough) if figure.share else (float(count), 0.0)
        if figure.side:
            known &= any((value > one) if figure.side == "above" else (value < one) for one in figure.values)
        elif figure.share:
            known &= figure.near(value, slack=slack)
    plain = [one for one in counts if not one.side]
    if plain and not quantifier:
        known &= any(count in one.values for one in plain)
    return known and all(count in one.values or total in one.values for one in plain)


def _orders(reading: Reading) -> list[Statement]:
    """Check "A is higher than B"."""
    found = []
    for slot, sign in (("greater", 1), ("lesser", -1)):
        for start, end in reading.free(slot):
            left, right = reading.named_beside(start, end)
            if left and right:
                holds = min(sign * one.value for one in left) > max(sign * one.value for one in right)
                found.append(Statement(f"order {start}", holds, reading.original(0, len(reading.text))))
    return found


def _means(reading: Reading) -> list[Statement]:
    """Check what is said to be a mean of all entries."""
    found = []
    extreme = reading.sentence.spans("highest", "lowest")
    for start, end in reading.free("mean"):
        if any(0 <= start - stop <= 2 for _, stop in extreme) or reading.named(0, len(reading.text)):
            continue
        if figure := reading.value_beside(start, end):
            single = [entry.value for entry in reading.table.entries] if len(reading.table.entries) == 1 else []
            holds = any(figure.near(value) for value in (*reading.means, *single))
            found.append(Statement(f"mean {start}", holds, figure.words))
    return found


def _pairs(reading: Reading) -> list[Statement]:
    """Check that each value belongs to what is named with it: before it, after it, or in the same order."""
    values = [one for one in reading.values if not reading.taken(one)]
    if not values or not reading.mentions:
        return []
    dimensions = range(len(reading.table.names))
    several = [one for one in dimensions if len(reading.mentions_of(one)) > 1]
    ways: list[Callable[[Figure, int], Sequence[Entry]]] = [
        (lambda figure, _, sides=sides: reading.entries_at(figure, sides))  # type: ignore[misc]  # bound in the default
        for sides in product((-1, 1), repeat=len(dimensions))
    ]
    for one in several:
        if len(reading.mentions_of(one)) == len(values):
            ways.append(lambda _, place, one=one: reading.entries_of(one, place))  # type: ignore[misc]
    if len(values) == 1 and len(several) == 1:
        everyone = [reading.entries_of(several[0], place) for place in range(len(reading.mentions_of(several[0])))]
        if all(_fits(reading, values[0], entries) for entries in everyone):
            return [Statement("pairs", True, "")]
    holds = any(all(_fits(reading, one, way(one, place)) for place, one in enumerate(values)) for way in ways)
    proven = tuple(one.start for one in values)
    return [Statement("pairs", holds, reading.original(0, len(reading.text)), proven)]


def _fits(reading: Reading, figure: Figure, entries: Sequence[Entry]) -> bool:
    own = any(figure.near(value) for entry in entries for value in (entry.value, *entry.others))
    return own or any(figure.near(mean) for mean in (*reading.means, *reading.table.whole))


def _trends(reading: Reading) -> list[Statement]:
    """Check whether values rise or fall as told: between two values, two dates, or from first to last."""
    table, found = reading.table, []
    for slot, sign in (("rise", 1), ("fall", -1)):
        for start, _ in reading.free(slot):
            if reading.sentence.has("not"):
                continue
            whole = reading.original(0, len(reading.text))
            if table.dated < 0 and not table.is_change:  # one period alone tells of no change
                if reading.sentence.has("since"):
                    found.append(Statement(f"trend {start}", False, whole))
                continue
            told = reading.values
            if table.is_change:
                pool = reading.pool(0, len(reading.text)) or []
                steps = [entry.value for entry in pool]
            elif len(told) == 2:
                steps = reading.steps_between(told[0], told[1])
            else:
                steps = reading.steps()
            if steps:
                holds = sign * sum(steps) > 0
                found.append(Statement(f"trend {start}", holds, whole))
    return found


def _sums(reading: Reading) -> list[Statement]:
    """Check what is said to be a sum; a tool may also have told it of all entries."""
    sentence, table, found = reading.sentence, reading.table, []
    if reading.bounds or sentence.spans("highest", "lowest", "mean", "range", "rise", "fall"):
        return []
    for start, end in reading.free("sum"):
        if figure := reading.value_beside(start, end):
            known = (math.fsum(table.values), *reading.means, *table.whole)
            found.append(Statement(f"sum {start}", any(map(figure.near, known)), figure.words))
    return found


def _ranges(reading: Reading) -> list[Statement]:
    """Check "they range from A to B": the lowest and the highest."""
    values = [one for one in reading.values if not reading.taken(one)]
    named = (reading.mentions and reading.table.dated >= 0) or reading.sentence.spans("rise", "fall")
    whole = (0, len(reading.text))
    about = reading.mentions or reading.names_things(*whole) or reading.names_place(*whole)
    if len(values) != 2 or named or not about or not reading.sentence.has("range"):
        return []
    low, high = sorted(values, key=lambda one: one.values[0])
    known = reading.table.values
    holds = low.near(min(known)) and high.near(max(known))
    return [Statement("range", holds, reading.original(low.start, high.end))]


def _bare(reading: Reading) -> list[Statement]:
    """Check a value that is told of the place or of the polygons as a whole."""
    whole = (0, len(reading.text))
    other = reading.sentence.spans("highest", "lowest", "mean", "range", "rise", "fall")
    if reading.mentions or other or reading.bounds:
        return []
    if not (reading.names_place(*whole) or reading.names_things(*whole)):
        return []
    table = reading.table
    known = [*reading.means, *table.whole, *(table.values if table.dated >= 0 or len(table.entries) == 1 else ())]
    return [
        Statement(f"value {one.start}", any(one.near(value) for value in known), one.words) for one in reading.values
    ]


def _shares_of_things(reading: Reading, told: frozenset[float]) -> list[Statement]:
    """Check shares of polygons or dates beside no bound: a tool must have told them."""
    if reading.bounds or reading.table.unit == "%":
        return []
    found = []
    for figure in reading.sentence.figures:
        if figure.share and not figure.side and reading.sentence.counts_things(figure):
            known = told if figure.pair else reading.table.whole
            found.append(Statement(f"share {figure.start}", any(map(figure.near, known)), figure.words))
    return found


CHECKS = (_bounds, _orders, _means, _sums, extremes, _pairs, _trends, _ranges, _bare)
