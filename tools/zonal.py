"""Zonal statistics: from the JSON of two `aggregate_spatial` runs to rows, and what the rows say together."""

import math
from collections.abc import Sequence
from typing import Any

from tools.errors import JobFailed
from tools.rerun import by_date, for_each_value
from tools.schema import Outcome, StatisticsRow

ZonalJson = dict[str, Any] | list[Any]
"""`{iso date: [[band values] per polygon]}`, or only the inner list when the cube has no time."""


def rows_from_json(mean: ZonalJson, count: ZonalJson, labels: Sequence[str]) -> tuple[StatisticsRow, ...]:
    """Pair the means with the counts of a cube with the bands value and VALID.

    The count of the value band is the number of valid pixels; VALID is never empty, so its count is all pixels.
    Rows are in date order, then in the order of `labels`.
    """
    means, counts = _by_date(mean), _by_date(count)
    if set(means) != set(counts):
        raise JobFailed("The back-end gave means and counts for different dates.", "Try again.")
    rows = []
    for when in sorted(means, key=lambda key: key or ""):
        if len(means[when]) != len(labels) or len(counts[when]) != len(labels):
            raise JobFailed(f"The back-end gave values for {len(means[when])} of {len(labels)} polygons.", "Try again.")
        for label, values, numbers in zip(labels, means[when], counts[when], strict=True):
            rows.append(_row(label, when, values, numbers))
    return tuple(rows)


def table_rows(mean: ZonalJson, count: ZonalJson, labels: Sequence[str]) -> tuple[StatisticsRow, ...]:
    """Make one row for each polygon and band, polygon by polygon; a date, where there is one, is dropped."""
    values, counts = (next(iter(by_date(table).values()), []) for table in (mean, count))
    return rows_from_json(values, for_each_value(counts, values), labels)


def band_means(table: ZonalJson, bands: int) -> list[float]:
    """Give the largest mean over all polygons for each of the first bands of a table; 0 where there is none."""
    rows = [values for of_date in _by_date(table).values() for values in of_date]
    return [max((_number(values, band) or 0.0 for values in rows), default=0.0) for band in range(bands)]


def drop_empty_dates(rows: Sequence[StatisticsRow]) -> tuple[StatisticsRow, ...]:
    """Leave out dates on which no polygon has a single valid pixel, unless nothing would be left."""
    alive = {row.date for row in rows if row.outcome == "ok"}
    return tuple(row for row in rows if row.date in alive) if alive else tuple(rows)


def summary(rows: Sequence[StatisticsRow]) -> dict[str, Any]:
    """Tell what per-polygon rows say together: highest, lowest, and the mean of means, each polygon counted once."""
    good = [(row, row.value) for row in rows if row.value is not None]
    found: dict[str, Any] = {
        "polygons": len(rows),
        "polygons_ok": len(good),
        "polygons_no_data": sum(row.outcome == "no_data" for row in rows),
        "polygons_not_covered": sum(row.outcome == "not_covered" for row in rows),
    }
    if not good:
        return found
    ranked = sorted(good, key=lambda pair: -pair[1])
    pixels = sum(row.valid_pixels for row, _ in good)
    found["highest"] = [_named(row, value) for row, value in ranked[:3]]
    found["lowest"] = [_named(row, value) for row, value in ranked[::-1][:3]]
    found["mean_of_means"] = math.fsum(value for _, value in good) / len(good)
    found["mean_weighted_by_valid_pixels"] = math.fsum(value * row.valid_pixels for row, value in good) / pixels
    found["valid_pixels"] = sum(row.valid_pixels for row in rows)
    found["total_pixels"] = sum(row.total_pixels for row in rows)
    return found


def curve(rows: Sequence[StatisticsRow]) -> dict[str, Any]:
    """Tell what one polygon's dates say together: first, peak, trough and last, and how many dates hold a value."""
    good = [(row, row.value) for row in sorted(rows, key=lambda row: row.date or "") if row.value is not None]
    found: dict[str, Any] = {"dates": len({row.date for row in rows}), "dates_ok": len({row.date for row, _ in good})}
    if not good:
        return found
    peak = max(good, key=lambda pair: pair[1])
    low = min(good, key=lambda pair: pair[1])
    for name, (row, value) in (("first", good[0]), ("peak", peak), ("lowest", low), ("last", good[-1])):
        found[name] = {"date": row.date, **_named(row, value)}
    return found


def _named(row: StatisticsRow, value: float) -> dict[str, Any]:
    return {
        "label": row.label,
        "value": value,
        "valid_pixels": row.valid_pixels,
        "total_pixels": row.total_pixels,
    }


def _row(label: str, when: str | None, values: Any, numbers: Any) -> StatisticsRow:
    value = _number(values, 0)
    valid, total = _count(numbers, 0), _count(numbers, 1)
    if valid > total:
        raise JobFailed(f"The back-end counted {valid} valid of {total} pixels for {label}.", "Try again.")
    if valid and value is None:
        raise JobFailed(f"The back-end counted {valid} pixels for {label} but gave no mean.", "Try again.")
    outcome: Outcome = "ok" if valid else "no_data"
    return StatisticsRow(
        label=label,
        date=when,
        value=value if valid else None,
        valid_pixels=valid,
        total_pixels=total,
        outcome=outcome,
    )


def _by_date(result: ZonalJson) -> dict[str | None, list[Any]]:
    if isinstance(result, list):
        return {None: result}
    if not isinstance(result, dict) or not all(isinstance(value, list) for value in result.values()):
        raise JobFailed("The back-end's table has a shape nobody asked for.", "Try again or use another back-end.")
    return {(key[:10] or None): value for key, value in result.items()}


def _number(values: Any, band: int) -> float | None:
    """Read one value; None, a missing band and NaN (some services write it into JSON) all mean no data."""
    if not isinstance(values, list):
        raise JobFailed("The back-end's table has a shape nobody asked for.", "Try again or use another back-end.")
    value = values[band] if band < len(values) else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JobFailed(f"The back-end gave {str(value)[:40]!r} where a number belongs.", "Try again.")
    return float(value) if math.isfinite(value) else None


def _count(values: Any, band: int) -> int:
    number = _number(values, band)
    if number is not None and (number < 0 or number != int(number)):
        raise JobFailed("The back-end gave a pixel count that is no whole number.", "Try again.")
    return int(number or 0)
