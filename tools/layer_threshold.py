"""Ground of a layer of values above or below a number: its pixels are two classes, measured in hectares as such."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from knowledge.decoding import Rules
from knowledge.schema import LegendClass
from tools.errors import ToolInputError
from tools.schema import Frozen

INSIDE, OUTSIDE = 1, 0
"""Codes of the two classes."""
COLOURS = {INSIDE: "#1b6ca8", OUTSIDE: "#d9d9d9"}
UNITS_IN_TEXT = 12
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_ONE = re.compile(rf"\s*(>=|<=|≥|≤|>|<)\s*{_NUMBER}\s*%?\s*")
_BOTH = re.compile(rf"\s*(>=?)\s*{_NUMBER}\s*%?\s+and\s+(<=?)\s*{_NUMBER}\s*%?\s*")
_TWO = re.compile(rf"\s*{_NUMBER}\s*%?\s*(?:to|-|–)\s*{_NUMBER}\s*%?\s*")


class Bounds(Frozen):
    """Values that count: from `low` to `high`, which belong to them where it says so."""

    low: float | None = None
    high: float | None = None
    with_low: bool = False
    with_high: bool = False

    @property
    def words(self) -> str:
        """Say it: above 30, at least 30, from 30 to 60, above 30 and at most 60."""
        if self.with_low and self.with_high:
            return f"from {self.low:g} to {self.high:g}"
        low = "" if self.low is None else f"{'at least' if self.with_low else 'above'} {self.low:g}"
        high = "" if self.high is None else f"{'at most' if self.with_high else 'below'} {self.high:g}"
        return " and ".join(filter(None, (low, high)))

    def said(self, unit: str | None) -> str:
        """Say it with the unit of the values: above 30 %."""
        return f"{self.words} {unit}" if unit else self.words


@dataclass(frozen=True)
class ThresholdRules(Rules):
    """How a layer of values is read as two classes."""

    bounds: Bounds = field(default_factory=Bounds)


def read_bounds(text: str) -> Bounds | None:
    """Read "> 30", ">= 30", "< 10", "30 to 60" (both ends belong to it) or "> 30 and <= 60"; None for an empty text.

    Raises:
        ToolInputError: It is none of these, or no value can lie in between.
    """
    if not text.strip():
        return None
    text = text.replace("≥", ">=").replace("≤", "<=")
    if (both := _BOTH.fullmatch(text)) and float(both[2]) < float(both[4]):
        ends = {"with_low": both[1] == ">=", "with_high": both[3] == "<="}
        return Bounds(low=float(both[2]), high=float(both[4]), **ends)
    if one := _ONE.fullmatch(text):
        number, included = float(one[2]), one[1].endswith("=")
        low = one[1].startswith(">")
        return Bounds(low=number, with_low=included) if low else Bounds(high=number, with_high=included)
    two = _TWO.fullmatch(text)
    if two is None or float(two[1]) > float(two[2]):
        raise ToolInputError(
            f"{text.strip()[:40]!r} is no threshold.", "Write it as '> 30', '<= 10', '30 to 60' or '> 30 and <= 60'."
        )
    return Bounds(low=float(two[1]), high=float(two[2]), with_low=True, with_high=True)


def with_bounds(rules: Rules, bounds: Bounds) -> ThresholdRules:
    """Give the rules by which a layer of values is read as two classes: what lies within bounds, and the rest.

    Raises:
        ToolInputError: The layer holds classes or dates, or none of its values can lie within.
    """
    if rules.classes or rules.date:
        what = "classes" if rules.classes else "dates"
        raise ToolInputError(f"The layer holds {what}: none is {bounds.words}.", "Ask without the threshold.")
    least, most = (None if end is None else end * rules.scale + rules.offset for end in rules.valid)
    if least is not None and most is not None and not _meets(bounds, min(least, most), max(least, most)):
        raise ToolInputError(
            f"No value of the layer is {bounds.said(rules.unit)}.",
            f"Its values go from {min(least, most):g} to {max(least, most):g}.",
        )
    labels = {INSIDE: bounds.said(rules.unit), OUTSIDE: f"not {bounds.said(rules.unit)}"}
    classes = tuple(LegendClass(code=code, label=label, color=COLOURS[code]) for code, label in labels.items())
    return ThresholdRules(**{**vars(rules), "classes": classes, "legend": None}, bounds=bounds)


def _meets(bounds: Bounds, least: float, most: float) -> bool:
    above = bounds.low is None or bounds.low < most or (bounds.with_low and bounds.low == most)
    return above and (bounds.high is None or bounds.high > least or (bounds.with_high and bounds.high == least))


def into_classes(rules: ThresholdRules, physical: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give the reducer that turns a stored number into one of the two classes, and into nothing where it is no value.

    Args:
        rules: Bounds of the values that count.
        physical: The reducer that turns a stored number into a value.
    """
    from openeo.processes import and_, gt, gte, if_, is_valid, lt, lte

    bounds = rules.bounds

    def reducer(data: Any) -> Any:
        value = physical(data)
        tests = [(gte if bounds.with_low else gt)(value, bounds.low)] if bounds.low is not None else []
        tests += [(lte if bounds.with_high else lt)(value, bounds.high)] if bounds.high is not None else []
        # Of what is not there, a comparison is not false but nothing, and `if` would take it for false.
        return if_(value=is_valid(value), accept=if_(value=reduce(and_, tests), accept=INSIDE, reject=OUTSIDE))

    return reducer


def threshold_lines(units: Sequence[dict[str, Any]], title: str) -> list[str]:
    """Tell the hectares within bounds of each polygon, the largest first; equal ones share a place."""
    known = sorted((unit for unit in units if unit["outcome"] == "ok"), key=lambda unit: -unit["wanted_ha"])
    areas = [round(unit["wanted_ha"], 2) for unit in known]
    told = [
        f"{unit['label']}: {area:.2f} ha, {unit['wanted_percent']:.2f} % of the {unit['area_with_class_ha']:.2f} ha "
        f"with a value ({unit['valid_pixels']} of {unit['total_pixels']} pixels valid)"
        for unit, area in zip(known, areas, strict=True)
    ]
    lines = [f"{title}, {one}." for one in told[:1]] if len(units) == 1 else []
    if len(units) > 1:
        lines.append(f"{title}: {len(known)} of {len(units)} with a value.")
        places = (areas.index(area) + 1 for area in areas)
        lines += [
            f"{place}. {one}{' (tie)' if areas.count(area) > 1 else ''}"
            for place, one, area in zip(places, told, areas, strict=True)
        ][:UNITS_IN_TEXT]
        lines += [f"({len(told) - UNITS_IN_TEXT} more in the table)"] if len(told) > UNITS_IN_TEXT else []
    lines += [f"{unit['label']}: {unit['outcome'].replace('_', ' ')}." for unit in units if unit["outcome"] != "ok"][:8]
    return lines
