"""The files of a deviation from other years: the years as a chart, the deviations as bars, a map, and tables."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.anomaly_report import year_name
from tools.backends import Backend
from tools.export import data_word, plan_title, safe_cell
from tools.figures import LINE_COLOURS, add_footer, add_watermark, heading, new_figure, save_figure, shortened
from tools.map_style import chart_style
from tools.planning import Prepared
from tools.render import render_map, symmetric_range
from tools.run_files import source_line
from tools.schema import Artifact, Statistics
from tools.spoken import spoken
from tools.workspace import Workspace

MAX_BARS = 40
DIVERGING = "RdBu"
COLUMNS = ("label", "value", "mean", "standard_deviation", "difference", "standardised", "rank")


def draw_years(
    workspace: Workspace, work: Prepared, statistics: Statistics, found: Sequence[dict[str, Any]]
) -> Artifact:
    """Draw the years of one unit with their mean and spread, or the deviations of several units as bars."""
    plan = work.plan
    known = [row for row in found if row["difference"] is not None]
    figure, axes = new_figure(8.0, 4.4 if len(found) == 1 else 2.2 + 0.22 * min(len(known), MAX_BARS))
    note = _draw_unit(axes, work, statistics, known[0]) if len(found) == 1 else _draw_units(axes, work, known)
    axes.spines[["top", "right"]].set_visible(False)
    if work.synthetic:
        add_watermark(axes, faint=True)
    title = f"{work.recipe.title} against other years, {plan.place.name}, {plan.period.label}"
    axes.set_title(heading(title, plan), fontsize=11, loc="left")
    add_footer(figure, f"{source_line(work)} {note}")
    style = chart_style(plan, statistics, title=title, source=source_line(work), synthetic=work.synthetic)
    return save_figure(workspace, figure, "chart", title, plan, style)


def draw_map(workspace: Workspace, backend: Backend, work: Prepared, graphs: dict[str, Any]) -> list[Artifact]:
    """Run the map of the deviation, and draw it with zero in the middle of its colours."""
    plan = work.plan
    title = f"{work.recipe.title} minus the mean of other years, {plan.place.name}, {plan.period.label}"
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", plan.fingerprint) as draft:
        backend.run_raster(graphs["raster"], draft.path)
    raster = Path(draft.artifact.path)
    picture = render_map(
        workspace, raster, plan, unit=work.recipe.unit, value_range=symmetric_range(raster), colormap=DIVERGING,
        title=title, synthetic=work.synthetic, source_line=source_line(work),
    )  # fmt: skip
    return [picture, draft.artifact]


def write_anomaly_table(workspace: Workspace, work: Prepared, found: Sequence[dict[str, Any]]) -> Artifact:
    """Write one line for each unit as CSV, with why a deviation is missing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*COLUMNS, "other_years", "reason", "period", "data"))
    fake = data_word(work.synthetic or work.units.synthetic)
    period = f"{work.plan.period.start} to {work.plan.period.end}"
    for row in found:
        cells = ["" if row[name] is None else row[name] for name in COLUMNS[1:]]
        writer.writerow((safe_cell(row["label"]), *cells, " ".join(row["years"]), row["reason"], period, fake))
    return workspace.save(
        buffer.getvalue(), "table", f"Table of deviations: {plan_title(work.plan)}", media_type="text/csv",
        suffix=".csv", fingerprint=work.plan.fingerprint,
    )  # fmt: skip


def _draw_unit(axes: Any, work: Prepared, statistics: Statistics, row: dict[str, Any]) -> str:
    """Draw the years in order of time, and a band of one standard deviation around the mean of the others."""
    this, *others = (year_name(one) for one in (work.plan.period, *work.plan.reference))
    values = dict(zip((this, *others), (one.value for one in statistics.rows), strict=True))
    shown = sorted((this, *row["years"]))
    mean, spread = row["mean"], row["standard_deviation"]
    axes.axhspan(mean - spread, mean + spread, color="#e5e5e5", zorder=0)
    axes.axhline(mean, color="#666666", linewidth=1)
    axes.plot(shown, [values[year] for year in shown], color=LINE_COLOURS[0], linewidth=1, marker="o")
    axes.scatter([this], [values[this]], s=90, c=LINE_COLOURS[1], edgecolors="black", zorder=4)
    axes.set_ylabel(work.recipe.title)
    axes.tick_params(axis="x", labelsize=8, rotation=45 if len(shown) > 8 else 0)
    return f"Line and grey band: mean of the other years and one standard deviation. Orange: {this}."


def _draw_units(axes: Any, work: Prepared, known: Sequence[dict[str, Any]]) -> str:
    """Draw the difference of each unit from the mean of its other years, the highest first."""
    shown = sorted(known, key=lambda row: -row["difference"])[:MAX_BARS]
    places = range(len(shown))
    colours = [LINE_COLOURS[0] if row["difference"] >= 0 else LINE_COLOURS[1] for row in shown]
    axes.barh(places, [row["difference"] for row in shown], color=colours, height=0.7)
    axes.errorbar(
        [0.0] * len(shown), places, xerr=[row["standard_deviation"] for row in shown], fmt="none", ecolor="#666666"
    )
    axes.set_yticks(list(places), [shortened(row["label"], 30) for row in shown], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(spoken(f"{work.recipe.title} minus the mean of other years"))
    left_out = f" Shown: {MAX_BARS} of {len(known)} units." if len(known) > MAX_BARS else ""
    return f"Lines: one standard deviation of the other years on either side of their mean.{left_out}"
