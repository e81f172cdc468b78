"""Put the deviation from other years into words: the values, which years, how sure, and the method."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from tools.anomaly import FAR, MIN_VALID_SHARE, MIN_YEARS, VERY_FAR
from tools.planning import Prepared
from tools.schema import Period
from tools.words import counted

UNITS_IN_TEXT = 12
MANY_YEARS = 10
"""From here on the standard deviation is sure to about a quarter."""
FEW_DATES = 3
"""A median of fewer dates is no more than a day or two."""


def year_name(period: Period) -> str:
    """Name the year of a window: 2024, or 2024/25 where it crosses the new year."""
    if period.start.year == period.end.year:
        return str(period.start.year)
    return f"{period.start.year}/{period.end.year % 100:02d}"


def anomaly_lines(found: Sequence[dict[str, Any]], work: Prepared) -> list[str]:
    """Tell the deviation of each unit, the furthest first, and what they have in common."""
    known = sorted((row for row in found if row["difference"] is not None), key=_distance, reverse=True)
    lines = [_common(found)] if len(found) > 1 else []
    lines += [_line(row, work) for row in known[:UNITS_IN_TEXT]]
    unknown = [row for row in found if row["difference"] is None]
    lines += [f"{row['label']}: no deviation, for {row['reason']}." for row in unknown[: UNITS_IN_TEXT // 2]]
    left = max(len(known) - UNITS_IN_TEXT, 0) + max(len(unknown) - UNITS_IN_TEXT // 2, 0)
    return [*lines, f"{left} more are in the table."] if left else lines


def summarise(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count the units above and below their mean, and those far from it."""
    known = [row for row in found if row["difference"] is not None]
    far = [row for row in known if row["standardised"] is not None and abs(row["standardised"]) >= VERY_FAR]
    return {
        "units": len(found),
        "units_with_deviation": len(known),
        "above_mean": sum(row["difference"] > 0 for row in known),
        "below_mean": sum(row["difference"] < 0 for row in known),
        "very_unusual": [row["label"] for row in far],
    }


def anomaly_method(each: str, years: Sequence[Prepared]) -> str:
    """Tell how the numbers are made; `each` says how that of one year is."""
    this, *others = (f"{year_name(one.plan.period)} ({_dates(one)})" for one in years)
    period = years[0].plan.period
    return (
        f"Each year: {each} The same days of each year, {period.start:%-d %B} to {period.end:%-d %B}: {this}, against "
        f"{', '.join(others)}. Mean and sample standard deviation over the other years, each year counted once, the "
        f"year itself left out; the standardised deviation is the difference divided by the standard deviation. A year "
        f"in which less than {MIN_VALID_SHARE:.0%} of a unit was seen is left out for it; at least {MIN_YEARS} years."
    )


def anomaly_warnings(years: Sequence[Prepared], found: Sequence[dict[str, Any]], *, today: date) -> tuple[str, ...]:
    """Tell what makes the comparison weak."""
    told = []
    numbers = [len(row["years"]) for row in found if row["difference"] is not None]
    if numbers and min(numbers) < MANY_YEARS:
        unsure = 1 / math.sqrt(2 * (min(numbers) - 1))
        told.append(
            f"A standard deviation of {min(numbers)} years is itself uncertain by about {unsure:.0%}, and so is the "
            "standardised deviation. These years are no climate normal."
        )
    few = [
        year_name(one.plan.period) for one in years if len({scene.datetime[:10] for scene in one.scenes}) < FEW_DATES
    ]
    if few:
        told.append(f"Fewer than {FEW_DATES} dates in {', '.join(few)}: such a median is no more than a day or two.")
    if years[0].plan.period.end >= today:
        told.append(f"The period is not over; the other years are cut to the same days, up to {today:%-d %B}.")
    left_out = sorted(
        {year_name(one.plan.period) for one in years[1:]} - {year for row in found for year in row["years"]}
    )
    if left_out:
        told.append(f"No unit was seen well enough in {', '.join(left_out)}.")
    return tuple(told)


def _dates(work: Prepared) -> str:
    return counted(len({scene.datetime[:10] for scene in work.scenes}), "date")


def _distance(row: dict[str, Any]) -> float:
    far = row["standardised"]
    return abs(float(row["difference"] if far is None else far))


def _common(found: Sequence[dict[str, Any]]) -> str:
    together = summarise(found)
    return (
        f"{together['units_with_deviation']} of {counted(together['units'], 'polygon')} can be compared with other "
        f"years: {together['above_mean']} above their mean, {together['below_mean']} below, "
        f"{len(together['very_unusual'])} by {VERY_FAR:g} standard deviations or more."
    )


def _line(row: dict[str, Any], work: Prepared) -> str:
    title, number = work.recipe.title, len(row["years"])
    place = {1: "the highest", number + 1: "the lowest"}.get(row["rank"], f"number {row['rank']} from above")
    far = row["standardised"]
    words = (
        "as in the other years"
        if far is None or abs(far) < FAR
        else "very unusual"
        if abs(far) >= VERY_FAR
        else "unusual"
    )
    told = "" if far is None else f", {far:+.1f} standard deviations ({words})"
    return (
        f"{row['label']}: {title} {row['value']:.3f}; mean of {counted(number, 'other year')} "
        f"({', '.join(row['years'])}) {row['mean']:.3f}, standard deviation {row['standard_deviation']:.3f}; "
        f"difference {row['difference']:+.3f}{told}; {place} of {number + 1} years."
    )
