"""The difference of two periods, later minus earlier, from the one table that holds both.

The exported script and notebook carry the text of this file, so it imports the standard library alone.
"""

from collections.abc import Sequence
from typing import Any


def differences(rows: Sequence[dict[str, Any]], *, units: Sequence[str]) -> list[dict[str, Any]]:
    """Subtract the earlier mean of each unit from the later one; None unless both have a value.

    Args:
        rows: Two for each unit, the later period first, with `value` (None: no data).
        units: Names of the units.
    """
    found = []
    for unit, after, before in zip(units, rows[::2], rows[1::2], strict=True):
        pair = {"earlier": before["value"], "later": after["value"]}
        difference = None if None in pair.values() else after["value"] - before["value"]
        found.append({"label": unit, **pair, "difference": difference})
    return found


def format_differences(rows: Sequence[dict[str, Any]]) -> str:
    """Give differences as lines of text."""
    return "\n".join(
        f"{row['label']}: no difference, for a period has no data"
        if row["difference"] is None
        else f"{row['label']}: {row['difference']:+.6f} (from {row['earlier']:.6f} to {row['later']:.6f})"
        for row in rows
    )


def compare_differences(rows: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> str:
    """Say in one sentence whether differences are those of the first run."""
    same = len(rows) == len(expected) and all(
        now["label"] == then["label"] and _near(now["difference"], then["difference"])
        for now, then in zip(rows, expected, strict=True)
    )
    return f"Differences: {'same as in' if same else 'different from'} the first run."


def _near(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= 1e-6
