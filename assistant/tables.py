"""The tables of a conversation as statements can be checked on them: entries by name, their values, one unit."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from assistant.lexicon import fold
from tools.schema import Statistics, ToolResult

DECIMALS = 3
"""Values that are told alike in so many decimals are a tie."""
_SIZELESS = "1"


@dataclass(frozen=True)
class Entry:
    """One value and what it belongs to."""

    keys: tuple[str, ...]
    """What names it: a polygon, a date, a class; in the order of the table's dimensions."""
    value: float
    others: frozenset[float] = frozenset()
    """Further numbers told of the same entry: pixels, the value before."""


@dataclass(frozen=True)
class Table:
    """Values of one kind and unit."""

    entries: tuple[Entry, ...]
    unit: str
    """Such as `ha` or `%`; empty where the values have none."""
    place: str = ""
    means: frozenset[float] = frozenset()
    """Means over the entries, as the tools give them."""
    whole: frozenset[float] = frozenset()
    """Other numbers that the result gives of all entries together."""
    dated: int = -1
    """Which dimension holds dates; -1: none."""
    is_change: bool = False
    """True where the values are differences."""
    parts: tuple[str, ...] = ()
    """Names of what the values are sums of: a sentence that names one speaks of another table."""

    @cached_property
    def names(self) -> tuple[dict[str, "re.Pattern[str]"], ...]:
        """Give for each dimension the names in it, each with the pattern it is found by."""
        return tuple(
            name_patterns(list(dict.fromkeys(one))) for one in zip(*(e.keys for e in self.entries), strict=True)
        )

    @property
    def values(self) -> list[float]:
        """Give the values of all entries."""
        return [entry.value for entry in self.entries]

    def speaks_of_parts(self, text: str) -> bool:
        """Tell whether a text names what the values are sums of."""
        return any(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) for part in self.parts)

    def where(self, named: Sequence[frozenset[str]]) -> list[Entry]:
        """Give the entries that carry one of the given names in each dimension; no names of one: any."""
        return [
            entry
            for entry in self.entries
            if all(not names or key in names for key, names in zip(entry.keys, named, strict=True))
        ]


def tables_of(results: Iterable[ToolResult]) -> tuple[Table, ...]:
    """Give the tables in tool results."""
    return tuple(table for result in results for table in _tables(result) if table.entries)


def kept_tables(statistics: Iterable[Statistics]) -> tuple[Table, ...]:
    """Give the tables of earlier answers."""
    return tuple(table for one in statistics if (table := _of_rows(one, {}, "", is_change=False)).entries)


def _tables(result: ToolResult) -> Iterator[Table]:
    if not result.statistics:
        return
    place = result.plan.place.name if result.plan else ""
    if units := result.data.get("classes"):
        yield from _of_classes(units, place)
        return
    changed = bool(result.plan and result.plan.against)
    yield _of_rows(result.statistics, result.data, place, is_change=changed)


def _of_rows(statistics: Statistics, data: dict[str, Any], place: str, *, is_change: bool) -> Table:
    rows = [(row, row.value) for row in statistics.rows if row.value is not None]
    dates = len({row.date for row, _ in rows}) > 1
    more: dict[str, set[float]] = {}
    _gather(data, more)
    entries = [
        Entry(
            (fold(row.label), row.date[:10]) if dates and row.date else (fold(row.label),),
            value,
            frozenset({row.valid_pixels, row.total_pixels} | (set() if dates else more.get(fold(row.label), set()))),
        )
        for row, value in rows
    ]
    values = [value for _, value in rows]
    means = {number for key, number in _numbers(data) if "mean" in key or "median" in key}
    if not dates:
        weights = sum(row.valid_pixels for row, _ in rows)
        means |= {math.fsum(values) / len(values)} if values else set()
        means |= {math.fsum(value * row.valid_pixels for row, value in rows) / weights} if weights else set()
    whole = frozenset(number for key, number in _numbers(data) if key not in ("value", "date"))
    unit = "" if statistics.unit == _SIZELESS else statistics.unit
    return Table(tuple(entries), unit, fold(place), frozenset(means), whole, 1 if dates else -1, is_change)


def _of_classes(units: Sequence[dict[str, Any]], place: str) -> Iterator[Table]:
    """Give hectares and shares: per polygon and class, and per polygon for the classes asked for together."""
    for key, total, unit in (("area_ha", "wanted_ha", "ha"), ("share_percent", "wanted_percent", "%")):
        parts = [
            Entry((fold(str(one["label"])), fold(str(part["label"]))), float(part[key]))
            for one in units
            for part in one.get("classes", ())
        ]
        yield Table(tuple(parts), unit, fold(place))
        classes = tuple(dict.fromkeys(entry.keys[1] for entry in parts))
        sums = [Entry((fold(str(one["label"])),), float(one[total])) for one in units if total in one]
        yield Table(tuple(sums), unit, fold(place), parts=classes)


def _gather(node: Any, into: dict[str, set[float]]) -> None:
    """Collect the numbers that data tell of each label."""
    if isinstance(node, dict):
        if isinstance(label := node.get("label"), str):
            into.setdefault(fold(label), set()).update(number for _, number in _numbers(node))
        for value in node.values():
            _gather(value, into)
    elif isinstance(node, list | tuple):
        for value in node:
            _gather(value, into)


def _numbers(node: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Give all numbers in data with their names, without those that belong to single labels below the top."""
    if isinstance(node, dict):
        for name, value in node.items():
            if not (isinstance(value, dict) and "label" in value) and name != "bbox":
                yield from _numbers(value, str(name))
    elif isinstance(node, list | tuple):
        for value in node:
            if not (isinstance(value, dict) and "label" in value):
                yield from _numbers(value, key)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield key, float(node)


def name_patterns(names: Sequence[str]) -> dict[str, "re.Pattern[str]"]:
    """Give what finds each name in a folded text: all of it, or its rest after what all names begin with."""
    common = len(_shared([name.split() for name in names])) if len(names) > 1 else 0
    found = {}
    for name in names:
        rest = " ".join(name.split()[common:])
        telling = len(rest) > 3 or (re.search(r"\d", rest) and re.search(r"[^\W\d]", rest))
        ways = [re.escape(name), *([re.escape(rest)] if common and rest and telling else [])]
        found[name] = re.compile(rf"(?<!\w)(?:{'|'.join(ways)})(?!\w)")
    return found


def _shared(words: Sequence[Sequence[str]]) -> list[str]:
    """Give the words that all lists begin with."""
    shared = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return shared
