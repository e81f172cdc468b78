"""How far the value of a period lies from those of the same days of other years.

The exported script and notebook carry the text of this file, so it imports the standard library alone.
"""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

MIN_YEARS = 3
"""A standard deviation from two values says nothing of a third."""
MIN_VALID_SHARE = 0.5
"""A year in which less of the unit was seen is left out: its value is of another part."""
FAR, VERY_FAR = 1.0, 2.0
"""Standard deviations from which a value is told as unusual, and as very unusual."""


def anomalies(
    rows: Sequence[dict[str, Any]], *, units: Sequence[str], years: Sequence[str], this: str
) -> list[dict[str, Any]]:
    """Compare one year of each unit with the others.

    Args:
        rows: One for each unit and year, unit by unit, with `value` (None: no data), `valid_pixels`, `total_pixels`.
        units: Names of the units.
        years: Names of the years, in the order of the rows.
        this: The year that is compared with the others.

    Returns:
        One row for each unit; without enough years it has no mean, and `reason` says why.
    """
    size = len(years)
    return [
        {"label": unit, **_compared(rows[place * size : (place + 1) * size], years, this)}
        for place, unit in enumerate(units)
    ]


def _compared(rows: Sequence[dict[str, Any]], years: Sequence[str], this: str) -> dict[str, Any]:
    """Compare one unit's year with its other years."""
    seen = {year: row["value"] for year, row in zip(years, rows, strict=True) if _is_seen(row)}
    value = seen.pop(this, None)
    known = list(seen.values())
    reason = ""
    if value is None:
        reason = f"less than {MIN_VALID_SHARE:.0%} of it was seen in {this}"
    elif len(known) < MIN_YEARS:
        others = f"{len(known)} other years ({', '.join(seen)})" if known else "no other year"
        reason = f"it was seen in {others}, and a mean with its spread needs {MIN_YEARS}"
    found: dict[str, Any] = {"value": value, "years": list(seen), "reason": reason}
    if reason:
        return found | dict.fromkeys(("mean", "standard_deviation", "difference", "standardised", "rank"))
    mean, spread = fmean(known), stdev(known)
    return found | {
        "mean": mean,
        "standard_deviation": spread,
        "difference": value - mean,
        "standardised": (value - mean) / spread if spread > 0 else None,
        "rank": 1 + sum(other > value for other in known),
    }


def _is_seen(row: dict[str, Any]) -> bool:
    return row["value"] is not None and row["valid_pixels"] >= MIN_VALID_SHARE * row["total_pixels"]


def format_anomalies(rows: Sequence[dict[str, Any]]) -> str:
    """Give anomaly rows as lines of text."""
    lines = []
    for row in rows:
        if row["reason"]:
            lines.append(f"{row['label']}: {row['reason']}")
            continue
        far = "" if row["standardised"] is None else f", {row['standardised']:+.2f} standard deviations"
        lines.append(
            f"{row['label']}: {row['value']:.6f}, mean {row['mean']:.6f} of {len(row['years'])} years, "
            f"difference {row['difference']:+.6f}{far}"
        )
    return "\n".join(lines)


def compare_anomalies(rows: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> str:
    """Say in one sentence whether anomaly rows have the numbers of the first run."""
    same = len(rows) == len(expected) and all(
        now["label"] == then["label"] and now["years"] == then["years"] and _near(now["difference"], then["difference"])
        for now, then in zip(rows, expected, strict=True)
    )
    return f"Deviations: {'same as in' if same else 'different from'} the first run."


def _near(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= 1e-6
