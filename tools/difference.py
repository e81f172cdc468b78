"""The difference of two periods, later minus earlier: rows, what makes it hard to compare, and the words."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from tools.errors import ToolInputError
from tools.planning import Prepared, date_list
from tools.schema import Outcome, Period, Statistics, StatisticsRow
from tools.words import counted
from tools.zonal import summary

ROWS_IN_TEXT = 12
FEW_DATES = 3
"""A median of fewer dates is no more than a day or two."""
LENGTH_RATIO = 1.5
"""Periods are told as of different length from this ratio on."""
SHARE_GAP = 0.2
"""Difference in the share of valid pixels from which a polygon is told."""


def in_order(one: Period, other: Period) -> tuple[Period, Period]:
    """Return the earlier and the later period.

    Raises:
        ToolInputError: They are the same.
    """
    if (one.start, one.end) == (other.start, other.end):
        raise ToolInputError(
            f"Both periods are {one.start} to {one.end}, so there is no difference to compute.",
            "Name two different periods.",
        )
    first, second = sorted((one, other), key=lambda period: (period.start, period.end))
    return first, second


def difference_rows(earlier: Sequence[StatisticsRow], later: Sequence[StatisticsRow]) -> tuple[StatisticsRow, ...]:
    """Subtract the earlier value from the later one, unit by unit; no value unless both sides have one."""
    return tuple(_subtract(before, after) for before, after in zip(earlier, later, strict=True))


def _subtract(before: StatisticsRow, after: StatisticsRow) -> StatisticsRow:
    value = after.value - before.value if before.value is not None and after.value is not None else None
    outcomes = {before.outcome, after.outcome}
    missing: Outcome = "not_covered" if "not_covered" in outcomes else "no_data"
    return StatisticsRow(
        label=after.label,
        value=value,
        valid_pixels=min(before.valid_pixels, after.valid_pixels),
        total_pixels=after.total_pixels,
        outcome="ok" if value is not None else missing,
    )


def difference_data(
    earlier: Sequence[StatisticsRow], later: Sequence[StatisticsRow], rows: Sequence[StatisticsRow]
) -> list[dict[str, Any]]:
    """Give both values and their difference for each unit, and which side has none."""
    return [
        {
            "label": row.label,
            "earlier": before.value,
            "later": after.value,
            "difference": row.value,
            "earlier_valid_pixels": before.valid_pixels,
            "later_valid_pixels": after.valid_pixels,
            "total_pixels": row.total_pixels,
            "outcome": row.outcome,
            "without_value": [
                side for side, one in (("earlier", before), ("later", after)) if one.value is None
            ],
        }
        for before, after, row in zip(earlier, later, rows, strict=True)
    ]  # fmt: skip


def time_cautions(
    earlier: Prepared, later: Prepared, before: Statistics, after: Statistics, *, today: date
) -> tuple[str, ...]:
    """Tell what in the two periods, other than the land, can make a difference."""
    one, other = earlier.plan.period, later.plan.period
    found = []
    if one.end >= other.start:
        found.append("The two periods overlap, so they share scenes and the difference is too small.")
    if (one.start.month, one.end.month) != (other.start.month, other.end.month):
        found.append("The periods are not the same part of the year: part of the difference is the season.")
    lengths = sorted((one.end - one.start).days + 1 for one in (one, other))
    if lengths[1] >= LENGTH_RATIO * lengths[0]:
        found.append(f"The periods differ in length: {lengths[0]} and {lengths[1]} days.")
    if other.end >= today:
        found.append(f"The later period is not over: it ends with {other.end}.")
    for work in (earlier, later):
        dates = {scene.datetime[:10] for scene in work.scenes}
        if len(dates) < FEW_DATES:
            when = f"{work.plan.period.start} to {work.plan.period.end}"
            found.append(f"The side {when} rests on {counted(len(dates), 'date')}: {date_list(work.scenes)}.")
    pairs = list(zip(before.rows, after.rows, strict=True))
    uneven = sum(abs(a.valid_share - b.valid_share) >= SHARE_GAP for a, b in pairs)
    if uneven:
        found.append(
            f"In {uneven} of {counted(len(pairs), 'unit')} the share of valid pixels differs by {SHARE_GAP:.0%} or "
            "more between the periods: the two values are of different parts."
        )
    return tuple(found)


def difference_lines(title: str, data: Sequence[dict[str, Any]], rows: Sequence[StatisticsRow]) -> list[str]:
    """Put a difference into sentences."""
    lines = []
    if len(rows) > 1:
        together = difference_summary(rows)
        lines.append(
            f"{together['both']} of {len(rows)} polygons have a value in both periods: {title} rose in "
            f"{together['rose']} and fell in {together['fell']}."
        )
        if together["both"]:
            lines.append(f"Mean of the differences, each polygon counted once: {together['mean']:+.3f}.")
    if len(data) <= ROWS_IN_TEXT:
        return lines + [_line(one) for one in data]
    largest = sorted((one for one in data if one["difference"] is not None), key=lambda one: -abs(one["difference"]))
    lines.append(f"The {ROWS_IN_TEXT} largest changes; all are in the table:")
    return lines + [_line(one) for one in largest[:ROWS_IN_TEXT]]


def difference_summary(rows: Sequence[StatisticsRow]) -> dict[str, Any]:
    """Count rises and falls and average the differences."""
    values = [row.value for row in rows if row.value is not None]
    together = summary(rows)
    return {
        "both": len(values),
        "rose": sum(value > 0 for value in values),
        "fell": sum(value < 0 for value in values),
        "mean": together.get("mean_of_means"),
        "most_risen": together.get("highest", []),
        "most_fallen": together.get("lowest", []),
    }


def _line(one: dict[str, Any]) -> str:
    if one["difference"] is None:
        sides = " and ".join(f"the {side} period" for side in one["without_value"])
        return f"{one['label']}: no difference, for {sides} has no value ({one['outcome'].replace('_', ' ')})."
    return f"{one['label']}: {one['difference']:+.3f} (from {one['earlier']:.3f} to {one['later']:.3f})."
