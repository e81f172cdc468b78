"""Put the result of a run into words and data."""

from collections.abc import Sequence
from typing import Any

from tools.advice import Advice, recommendation_text
from tools.planning import Prepared, date_list
from tools.schema import Artifact, Outcome, Statistics, StatisticsRow, ToolResult
from tools.selection import Selection, select, selection_lines
from tools.words import counted
from tools.zonal import curve, summary

ROWS_IN_TEXT = 12
LOW_SHARE = 0.5


def tell(
    work: Prepared, statistics: Statistics, artifacts: tuple[Artifact, ...], advice: Advice, selection: Selection
) -> ToolResult:
    """Make the result of a run of one period from its numbers, files and advice."""
    data, picked = _data(work, statistics), select(statistics.rows, selection)
    return result_of(
        work,
        statistics,
        artifacts,
        advice,
        headline=_headline(work, overall_outcome(statistics.rows)),
        lines=[*selection_lines(picked), _numbers(work, statistics.rows, data)],
        data={**data, **picked},
        warnings=quality(statistics.rows),
    )


def result_of(
    work: Prepared,
    statistics: Statistics,
    artifacts: tuple[Artifact, ...],
    advice: Advice,
    *,
    headline: str,
    lines: Sequence[str],
    data: dict[str, Any],
    warnings: Sequence[str],
    outcome: Outcome | None = None,
) -> ToolResult:
    """Put the parts of a result together.

    Args:
        work: What was computed.
        statistics: The numbers.
        artifacts: The files.
        advice: The product for the question.
        headline: One sentence on what was computed and how it ended.
        lines: The numbers in words, told when there are any.
        data: Details beyond the shared ones.
        warnings: What the numbers themselves show to be weak.
        outcome: How it ended, where the rows alone do not say it; the lines then tell why.
    """
    told_why = outcome is not None
    outcome = outcome or overall_outcome(statistics.rows)
    told = tuple(dict.fromkeys((*work.warnings, *warnings, *advice.warnings)))
    mark = "Synthetic demo data. " if work.synthetic else ""
    source = (
        f"Collection {work.plan.collection_id}, {counted(len(work.scenes), 'scene')} ({date_list(work.scenes)}). "
        f"Read {work.estimate.megabytes:.1f} MB, estimated {work.estimate.seconds:g} s."
    )
    parts = [
        f"{mark}{headline} {source}",
        *(lines if outcome == "ok" or told_why else [_nothing(statistics.rows, outcome)]),
    ]
    parts.append(f"Method: {statistics.method}")
    parts += [work.recipe.reading] if outcome == "ok" else []
    parts += [f"Note: {warning}" for warning in told]
    parts += [recommendation_text(advice.recommendation)] if advice.recommendation else []
    return ToolResult(
        text="\n".join(part for part in parts if part),
        outcome=outcome,
        data={**_shared_data(work), **data},
        plan=work.plan,
        estimate=work.estimate,
        statistics=statistics,
        recommendation=advice.recommendation,
        artifacts=artifacts,
        citations=advice.citations,
        warnings=told,
    )


def overall_outcome(rows: Sequence[StatisticsRow]) -> Outcome:
    """Tell how a run ended: well when any row has a value."""
    outcomes = {row.outcome for row in rows}
    if "ok" in outcomes:
        return "ok"
    return "not_covered" if outcomes == {"not_covered"} else "no_data"


def _shared_data(work: Prepared) -> dict[str, Any]:
    return {
        "collection": work.plan.collection_id,
        "synthetic": work.synthetic,
        "scenes": len(work.scenes),
        "dates": sorted({scene.datetime[:10] for scene in work.scenes}),
        "bbox": work.box,
        "units_synthetic": work.units.synthetic,
    }


def _data(work: Prepared, statistics: Statistics) -> dict[str, Any]:
    plan, rows = work.plan, statistics.rows
    data: dict[str, Any] = {}
    if plan.output == "per_polygon":
        data["summary"] = summary(rows)
    elif plan.output == "series":
        labels = list(dict.fromkeys(row.label for row in rows))
        data["curves"] = {label: curve([row for row in rows if row.label == label]) for label in labels}
    return data


def _headline(work: Prepared, outcome: Outcome) -> str:
    plan = work.plan
    what = {"per_polygon": "per polygon", "series": "per date", "composite": "median map"}[plan.output]
    when = f"{plan.period.start} to {plan.period.end}" if plan.period.start != plan.period.end else plan.period.start
    return f"{work.recipe.title} {what}, {plan.place.name}, {when}: outcome {outcome}."


def _nothing(rows: Sequence[StatisticsRow], outcome: Outcome) -> str:
    if outcome == "not_covered":
        return "None of the polygons is covered by a scene, so there is no value. Try another place or collection."
    if not any(row.total_pixels for row in rows):
        return "No pixel centre lies inside, so there is no value. Use a larger polygon or a finer collection."
    return "Every pixel is masked or empty (cloud, shadow, snow, no data), so there is no value. Try a longer period."


def _numbers(work: Prepared, rows: Sequence[StatisticsRow], data: dict[str, Any]) -> str:
    if work.plan.output == "per_polygon":
        return _ranking_text(rows, data["summary"])
    if work.plan.output == "series":
        return "\n".join(_curve_text(label, found) for label, found in list(data["curves"].items())[:ROWS_IN_TEXT])
    return "\n".join(_row_text(row) for row in rows)


def _ranking_text(rows: Sequence[StatisticsRow], found: dict[str, Any]) -> str:
    lines = [
        f"{found['polygons_ok']} of {found['polygons']} polygons have a value; "
        f"{found['polygons_no_data']} no data, {found['polygons_not_covered']} not covered."
    ]
    if len(rows) <= ROWS_IN_TEXT:
        lines += [_row_text(row) for row in rows]
    if found["polygons_ok"] > 1:
        lines.append("Highest: " + "; ".join(_entry(one) for one in found["highest"]) + ".")
        lines.append("Lowest: " + "; ".join(_entry(one) for one in found["lowest"]) + ".")
        lines.append(
            f"Mean of the polygon means: {found['mean_of_means']:.3f} (each polygon counts once); weighted by valid "
            f"pixels: {found['mean_weighted_by_valid_pixels']:.3f}. "
            f"Valid pixels: {found['valid_pixels']} of {found['total_pixels']}."
        )
    return "\n".join(lines)


def _curve_text(label: str, found: dict[str, Any]) -> str:
    if not found["dates_ok"]:
        return f"{label}: no date of {found['dates']} has a valid pixel."
    told = [
        f"{name} {found[name]['value']:.3f} on {found[name]['date']}" for name in ("first", "peak", "lowest", "last")
    ]
    return f"{label}: {found['dates_ok']} of {found['dates']} dates have a value; {', '.join(told)}."


def _row_text(row: StatisticsRow) -> str:
    counts = f"{row.valid_pixels} of {row.total_pixels} pixels valid"
    value = f"{row.value:.3f}" if row.value is not None else row.outcome.replace("_", " ")
    return f"{row.label}: {value} ({counts}, {row.valid_share:.0%})"


def _entry(found: dict[str, Any]) -> str:
    return f"{found['label']} {found['value']:.3f} ({found['valid_pixels']} of {found['total_pixels']} pixels)"


def quality(rows: Sequence[StatisticsRow]) -> tuple[str, ...]:
    """Tell which values rest on little."""
    found = []
    thin = sum(row.outcome == "ok" and row.valid_share < LOW_SHARE for row in rows)
    if thin:
        found.append(f"{thin} of {len(rows)} values rest on less than {LOW_SHARE:.0%} of the pixels.")
    tiny = len({row.label for row in rows if row.total_pixels == 0 and row.outcome == "no_data"})
    if tiny:
        found.append(f"{counted(tiny, 'polygon')} with no pixel centre inside, so with no value.")
    return tuple(found)
