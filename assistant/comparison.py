"""Put results of one kind for different periods or places next to each other, in the tools' own numbers."""

from collections.abc import Sequence

from assistant.abilities import index_title
from tools.schema import Plan, StatisticsRow, ToolResult
from tools.words import counted
from tools.zonal import curve, summary

NO_DIFFERENCE = (
    "The difference itself was not computed: that is done for two periods of one place. "
    "Each value rests on the valid pixels of its own period and place."
)
NOTHING_TO_COMPARE = "Not all sides of the comparison have a result, so nothing is compared."
MAX_CURVES = 3
"""Curves told of one result."""


def side_by_side(results: Sequence[ToolResult], asked: int) -> str:
    """Give one line a result for each output computed more than once; `asked` is how many results were wanted."""
    computed = [
        (result.plan, result.statistics.rows)
        for result in results
        if result.plan and result.statistics and not result.plan.layer
    ]
    lines = []
    for output in dict.fromkeys(plan.output for plan, _ in computed):
        same = [(plan, rows) for plan, rows in computed if plan.output == output]
        lines += [f"- {_what(plan)}: {_value(plan, rows)}" for plan, rows in same if len(same) > 1]
    if not lines:
        return NOTHING_TO_COMPARE if len(computed) < asked else ""
    return "\n".join(["**Side by side**", *lines, "", NO_DIFFERENCE])


def _what(plan: Plan) -> str:
    start, end = plan.period.start, plan.period.end
    return f"{plan.place.name}, {start}" if start == end else f"{plan.place.name}, {start} to {end}"


def _value(plan: Plan, rows: Sequence[StatisticsRow]) -> str:
    if not any(row.value is not None for row in rows):
        return rows[0].outcome.replace("_", " ") if rows else "no data"
    name = index_title(plan.recipe_id)
    if plan.output == "series":
        labels = list(dict.fromkeys(row.label for row in rows))[:MAX_CURVES]
        return "; ".join(_curve(name, label, [row for row in rows if row.label == label]) for label in labels)
    if len(rows) == 1:
        row = rows[0]
        return f"mean {name} {row.value:.3f} ({row.valid_pixels} of {counted(row.total_pixels, 'pixel')} valid)"
    found = summary(rows)
    polygons = f"{found['polygons_ok']} of {counted(found['polygons'], 'polygon')} with data, each counted once"
    return f"mean {name} {found['mean_of_means']:.3f} ({polygons})"


def _curve(name: str, label: str, rows: Sequence[StatisticsRow]) -> str:
    found = curve(rows)
    if not found["dates_ok"]:
        return f"{label} has no data"
    peak, low = found["peak"], found["lowest"]
    if found["dates_ok"] == 1:
        return f"{name} of {label} is {peak['value']:.3f} on {peak['date']}, the only date with data"
    return (
        f"{name} of {label} peaks at {peak['value']:.3f} on {peak['date']}, "
        f"is lowest at {low['value']:.3f} on {low['date']}"
    )
