"""What was computed, put into sentences: a value, a ranking, a curve, a difference."""

from collections.abc import Sequence

from assistant import abilities
from tools.difference import difference_lines
from tools.export import synthetic_note
from tools.schema import Outcome, Plan, Statistics, StatisticsRow, ToolResult
from tools.selection import Rank, listed, selection_lines
from tools.words import counted
from tools.zonal import curve, summary

OUTCOME_WORDS: dict[Outcome, str] = {
    "ok": "",
    "no_data": "No data",
    "not_covered": "Not covered",
    "not_run": "Not run",
    "failed": "Failed",
}


def computed_text(result: ToolResult) -> str:
    """Tell what one computation found, and whether its data are invented."""
    if not (result.statistics and result.plan):
        return result.text
    invented = {
        name: bool(result.data.get(key)) for name, key in (("scenes", "synthetic"), ("units", "units_synthetic"))
    }
    note = synthetic_note(**invented)
    picked = "\n".join(selection_lines(result.data))
    return "\n\n".join(part for part in (note, picked, _finding(result.plan, result.statistics, result)) if part)


def picked_text(order: Rank, rank: int, results: Sequence[ToolResult]) -> str:
    """Tell the row of a layer's or classes' table that is meant: the lowest, the second one; empty where none is."""
    found = next((one for one in results if one.outcome == "ok" and one.statistics and "ranking" not in one.data), None)
    if not order or found is None:
        return ""
    rows, unit, rank = _rows_to_pick(found), found.statistics.unit if found.statistics else "", max(rank, 1)
    rows = sorted(rows, key=lambda row: row[1], reverse=order == "highest")
    if rank > len(rows):
        return f"There is no number {rank}: {counted(len(rows), 'row')} with a value."
    label, value = rows[rank - 1]
    equal = [name for name, other in rows if name != label and round(other, 2) == round(value, 2)]
    told = (
        f"Number {rank} of {len(rows)}, the {order} first: **{label}** {value:.2f}{'' if unit == '1' else f' {unit}'}."
    )
    return f"{told} Equal to it: {listed(equal)}." if equal else told


def _rows_to_pick(result: ToolResult) -> list[tuple[str, float]]:
    """Give the rows of a table that can be ranked: polygons by what was asked for, else classes that occur."""
    units = result.data.get("classes", ())
    wanted = [(str(one["label"]), float(one["wanted_ha"])) for one in units if "wanted_ha" in one]
    if len(wanted) > 1:
        return wanted
    hectares = result.statistics is not None and result.statistics.unit == "ha"
    rows = result.statistics.rows if result.statistics else ()
    return [(row.label, row.value) for row in rows if row.value is not None and not (hectares and row.value == 0)]


def _finding(plan: Plan, statistics: Statistics, result: ToolResult) -> str:
    if plan.against:
        return _difference_finding(plan, result)
    if plan.output == "series":
        return _series_finding(plan, statistics)
    if plan.output == "per_polygon":
        return _polygon_finding(plan, statistics)
    return "\n".join(_row_finding(plan, row) for row in statistics.rows)


def _difference_finding(plan: Plan, result: ToolResult) -> str:
    """Tell a difference, the later period minus the earlier one, unit by unit."""
    rows = result.statistics.rows if result.statistics else ()
    told = difference_lines(measured(plan), result.data.get("difference", {}).get("rows", ()), rows)
    against = plan.model_copy(update={"period": plan.against})
    return "\n".join([f"{measured(plan)} of {plan.place.name}: {when_text(plan)}, minus {when_text(against)}.", *told])


def _row_finding(plan: Plan, row: StatisticsRow) -> str:
    name = row.label or plan.place.name
    if row.value is None:
        return f"{OUTCOME_WORDS[row.outcome]} for {name}, {when_text(plan)}: {_pixels(row)}."
    return f"The mean {measured(plan)} of {name}, {when_text(plan)}, is **{row.value:.3f}** ({_pixels(row)})."


def _polygon_finding(plan: Plan, statistics: Statistics) -> str:
    rows = statistics.rows
    good = [row for row in rows if row.value is not None]
    if len(good) < 2:
        return "\n".join(_row_finding(plan, row) for row in rows[:5])
    found = summary(rows)
    text = (
        f"The mean {measured(plan)} of the {found['polygons_ok']} polygons with data ({plan.place.name}, "
        f"{when_text(plan)}) is **{found['mean_of_means']:.3f}**, each polygon counted once."
    )
    shown = min(3, len(good) // 2)
    text += f"\nHighest: {_ranked(found['highest'][:shown])}.\nLowest: {_ranked(found['lowest'][:shown])}."
    for key, words in (("polygons_no_data", "No data"), ("polygons_not_covered", "Not covered")):
        if found[key]:
            text += f"\n{words}: {found[key]} of {counted(found['polygons'], 'polygon')}."
    return text


def _ranked(rows: Sequence[dict[str, object]]) -> str:
    return ", ".join(f"{row['label']} {row['value']:.3f}" for row in rows)


def _series_finding(plan: Plan, statistics: Statistics) -> str:
    labels = list(dict.fromkeys(row.label for row in statistics.rows))
    lines = []
    for label in labels[:5]:
        rows = [row for row in statistics.rows if row.label == label]
        found = curve(rows)
        if not found["dates_ok"]:
            lines.append(f"No data for {label}, {when_text(plan)}: no date has a valid pixel.")
            continue
        if found["dates_ok"] == 1:
            only, others = found["peak"], f" of {found['dates']}" if found["dates"] > 1 else ""
            lines.append(
                f"{measured(plan)} of {label}, {when_text(plan)}, is **{only['value']:.3f}** on {only['date']}, "
                f"the only date{others} with data: that makes no curve."
            )
            continue
        first, peak, low, last = (found[key] for key in ("first", "peak", "lowest", "last"))
        lines.append(
            f"{measured(plan)} of {label}, {when_text(plan)}, "
            f"{found['dates_ok']} of {counted(found['dates'], 'date')} with data: "
            f"it starts at {first['value']:.3f} on {first['date']}, "
            f"peaks at **{peak['value']:.3f}** on {peak['date']}, "
            f"is lowest at {low['value']:.3f} on {low['date']} and ends at {last['value']:.3f} on {last['date']}."
        )
    return "\n".join(lines)


def _pixels(row: StatisticsRow) -> str:
    return f"{row.valid_pixels} of {counted(row.total_pixels, 'pixel')} valid"


def when_text(plan: Plan) -> str:
    """Give the dates of a plan."""
    start, end = plan.period.start.isoformat(), plan.period.end.isoformat()
    return f"on {start}" if start == end else f"{start} to {end}"


def period_in_words(plan: Plan) -> str:
    """Give the period so that it can be asked again."""
    start, end = plan.period.start.isoformat(), plan.period.end.isoformat()
    return f"on {start}" if start == end else f"from {start} to {end}"


def measured(plan: Plan) -> str:
    """Give what a plan measures: the title of its layer or its index."""
    return plan.layer.title if plan.layer else abilities.index_title(plan.recipe_id)
