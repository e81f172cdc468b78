"""Which polygons lie above or below a threshold, and which rank first: counted by code from the rows of a run."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from tools.errors import ToolInputError
from tools.schema import Frozen, Output, StatisticsRow
from tools.words import counted

Rank = Literal["", "highest", "lowest"]

CLOSE, CLOSE_PERCENT = 0.01, 1.0
"""Values nearer to each other, or to a threshold, than this are told: noise could turn them round."""
DECIMALS = 3
"""Values are told with so many decimals; equal in all of them is a tie."""
LISTED = 30


class Selection(Frozen):
    """What to pick from the polygons of a run."""

    above: float | None = None
    below: float | None = None
    rank: Rank = ""
    count: int = Field(default=5, ge=1, le=1000)

    @property
    def has_threshold(self) -> bool:
        """True when a threshold is set."""
        return self.above is not None or self.below is not None

    @property
    def threshold_words(self) -> str:
        """Say the threshold: above 0.3 and below 0.6."""
        parts = [
            f"{name} {value:g}" for name, value in (("above", self.above), ("below", self.below)) if value is not None
        ]
        return " and ".join(parts)

    def check(self, output: Output) -> None:
        """Refuse what cannot be picked.

        Raises:
            ToolInputError: There are no polygons to pick from, or no value can lie in between.
        """
        if (self.has_threshold or self.rank) and output != "per_polygon":
            raise ToolInputError("Thresholds and rankings are of polygons.", "Ask for one value per polygon.")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ToolInputError(
                f"No value is {self.threshold_words}.", "Name the lower number as the one to be above."
            )


def select(
    rows: Sequence[StatisticsRow], selection: Selection, *, close: float = CLOSE, unit: str = ""
) -> dict[str, Any]:
    """Pick from the rows that have a value; those without one are counted apart, never as low.

    Args:
        rows: One for each polygon.
        selection: What to pick.
        close: Difference of two values below which it is told that noise could turn them round.
        unit: Of the values, where they have one: `%`.
    """
    found: dict[str, Any] = {}
    known = sorted(((row, row.value) for row in rows if row.value is not None), key=lambda pair: -pair[1])
    if selection.has_threshold:
        found["threshold"] = _threshold(known, selection, without=len(rows) - len(known), close=close)
    if selection.rank:
        found["ranking"] = _ranking(known if selection.rank == "highest" else known[::-1], selection, close)
        found["ranking"]["unit"] = unit
    return found


def with_unit(value: float, unit: str) -> str:
    """Tell a value: 0.512 of an index, 22.51 % of a share."""
    return f"{value:.{DECIMALS}f}" if unit in {"", "1"} else f"{value:.2f} {unit}"


def selection_lines(found: dict[str, Any], *, rows_follow: bool = False) -> list[str]:
    """Put what was picked into sentences; those of a ranking are left out where its rows follow, one on a line."""
    lines = []
    if threshold := found.get("threshold"):
        lines += _threshold_lines(threshold)
    if ranking := found.get("ranking"):
        lines += _ranking_lines(ranking, rows_follow=rows_follow)
    return lines


def _threshold(
    known: Sequence[tuple[StatisticsRow, float]], selection: Selection, *, without: int, close: float
) -> dict[str, Any]:
    low = float("-inf") if selection.above is None else selection.above
    high = float("inf") if selection.below is None else selection.below
    inside = [row.label for row, value in known if low < value < high]
    limits = [limit for limit in (selection.above, selection.below) if limit is not None]
    return {
        "words": selection.threshold_words,
        "close": close,
        "above": selection.above,
        "below": selection.below,
        "count": len(inside),
        "polygons_with_value": len(known),
        "share_percent": round(100 * len(inside) / len(known), 1) if known else None,
        "units": inside,
        "close_units": [row.label for row, value in known if any(abs(value - limit) < close for limit in limits)],
        "without_value": without,
    }


def _ranking(ranked: Sequence[tuple[StatisticsRow, float]], selection: Selection, close: float) -> dict[str, Any]:
    taken, rest = ranked[: selection.count], ranked[selection.count :]
    last = round(taken[-1][1], DECIMALS) if taken else None
    pairs = zip(taken, [*taken[1:], *rest[:1]], strict=False)
    return {
        "order": selection.rank,
        "close": close,
        "polygons_with_value": len(ranked),
        "units": [
            {"label": row.label, "value": value, "valid_pixels": row.valid_pixels, "total_pixels": row.total_pixels}
            for row, value in taken
        ],
        "tied_with_last": [row.label for row, value in rest if round(value, DECIMALS) == last],
        "close_pairs": [[one.label, other.label] for (one, a), (other, b) in pairs if abs(a - b) < close],
    }


def _threshold_lines(found: dict[str, Any]) -> list[str]:
    if not found["polygons_with_value"]:
        return []
    text = (
        f"{found['words'].capitalize()}: {found['count']} of {counted(found['polygons_with_value'], 'polygon')} with a "
        f"value ({found['share_percent']:g} %)"
    )
    lines = [f"{text}: {listed(found['units'])}." if found["units"] else f"{text}."]
    if found["without_value"]:
        lines.append(f"{counted(found['without_value'], 'polygon')} without a value, counted on neither side.")
    if found["close_units"]:
        near = f"Within {found['close']:g} of the threshold, so easily on the other side"
        lines.append(f"{near}: {listed(found['close_units'])}.")
    return lines


def _ranking_lines(found: dict[str, Any], *, rows_follow: bool) -> list[str]:
    named = "; ".join(
        f"{place}. {one['label']} {with_unit(one['value'], found.get('unit', ''))}"
        for place, one in enumerate(found["units"], 1)
    )
    if not named:
        return []
    told = f"The {len(found['units'])} {found['order']} of {found['polygons_with_value']} with a value"
    lines = [f"{told}, listed below." if rows_follow else f"{told}: {named}."]
    if found["tied_with_last"]:
        lines.append(f"Tied with the last one and not listed: {listed(found['tied_with_last'])}.")
    if found["close_pairs"]:
        pairs = [f"{one} and {other}" for one, other in found["close_pairs"]]
        lines.append(f"Less than {found['close']:g} apart, so their order is not certain: {listed(pairs)}.")
    return lines


def listed(names: Sequence[str]) -> str:
    """List names, at most a few dozen of them."""
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest
