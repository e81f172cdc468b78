"""Run the two statistics graphs of a result and print its table.

The exported script and notebook carry the text of this file, so it imports the standard library alone.
"""

import math
from typing import Any


def run_again(connection: Any, graphs: dict[str, Any], labels: list[str], *, keep_empty: bool) -> list[dict[str, Any]]:
    """Run the graphs `mean` and `count` on an openEO connection and give one row for each date and unit.

    A large table comes in parts: `mean`, `mean 2` and so on, with one count for all of them.
    Dates without one valid pixel are left out unless `keep_empty` is set or nothing would remain.
    """
    means = by_date(joined([connection.execute(graph) for name, graph in graphs.items() if name.startswith("mean")]))
    counts = by_date(connection.execute(graphs["count"]))
    rows = []
    for moment in sorted(counts):
        found = means.get(moment, [None] * len(labels))
        counted = for_each_value(counts[moment], found)
        for label, mean, count in zip(labels, found, counted, strict=True):
            valid, total = (int(number(count, band) or 0) for band in (0, 1))
            value = number(mean, 0) if valid else None
            day = moment[:10] or None
            rows.append({"label": label, "date": day, "value": value, "valid_pixels": valid, "total_pixels": total})
    filled = {row["date"] for row in rows if row["value"] is not None}
    return rows if keep_empty or not filled else [row for row in rows if row["date"] in filled]


def joined(parts: list[Any]) -> Any:
    """Put the parts of a table without dates side by side: the values of each unit one after the other."""
    if len(parts) == 1:
        return parts[0]
    units = zip(*(next(iter(part.values())) if isinstance(part, dict) else part for part in parts), strict=True)
    return [[*(one for values in unit for one in (values or ())[:-1]), (unit[-1] or [None])[-1]] for unit in units]


def for_each_value(counts: list[Any], values: list[Any]) -> list[Any]:
    """Repeat the one count of a unit for each of its values, where a table has several."""
    return [count for count in counts for _ in range(len(values) // len(counts))]


def by_date(result: Any) -> dict[str, list[Any]]:
    """Give an aggregate as {date: [value, count] of each unit}; without dates the one key is empty.

    Where a unit has several values before its count, such as one for each class, each makes a row of its own.
    """
    dates = result if isinstance(result, dict) else {"": result}
    return {
        moment: [[values[band], values[-1]] if values else values
                 for values in units for band in range(max(len(values or ()) - 1, 1))]
        for moment, units in dates.items()
    }  # fmt: skip


def number(values: list[Any] | None, band: int) -> float | None:
    """Give the value of one band; missing and not-a-number both mean no data."""
    value = values[band] if values and band < len(values) else None
    return None if value is None or math.isnan(value) else float(value)


def format_table(rows: list[dict[str, Any]]) -> str:
    """Give the rows as lines of text: label, date, value, valid pixels / total pixels."""
    width = max((len(row["label"]) for row in rows), default=5)
    lines = [f"{'label':<{width}}  {'date':<10}  {'value':>10}  valid/total"]
    for row in rows:
        value = "no data" if row["value"] is None else f"{row['value']:.6f}"
        pixels = f"{row['valid_pixels']}/{row['total_pixels']}"
        lines.append(f"{row['label']:<{width}}  {row['date'] or '-':<10}  {value:>10}  {pixels}")
    return "\n".join(lines)


def compare(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str:
    """Say in one sentence whether `rows` are the numbers of the first run."""
    if len(rows) != len(expected):
        return f"Different from the first run: {len(rows)} rows now, {len(expected)} rows then."
    far = 0
    for now, then in zip(rows, expected, strict=True):
        same_pixels = (now["valid_pixels"], now["total_pixels"]) == (then["valid_pixels"], then["total_pixels"])
        if now["value"] is None or then["value"] is None:
            same_value = now["value"] is then["value"]
        else:
            same_value = abs(now["value"] - then["value"]) <= 1e-6
        same_row = now["label"] == then["label"] and then["date"] in (None, now["date"])
        far += not (same_row and same_pixels and same_value)
    if far:
        return f"Different from the first run in {far} of {len(rows)} rows; the archive may have changed since."
    return f"Same as the first run: all {len(rows)} rows agree."
