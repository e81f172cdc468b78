"""The files of season dates: the series with its seasons as a chart, the dates as a table and on the polygons."""

import csv
import io
from datetime import date
from typing import Any

from tools.charts import MAX_LINES
from tools.export import data_word, plan_title, safe_cell
from tools.figures import LINE_COLOURS, add_footer, add_watermark, heading, new_figure, save_figure, shortened
from tools.map_style import chart_style
from tools.phenology import Phenology, season_rows
from tools.planning import Prepared
from tools.run_files import source_line
from tools.schema import Artifact, Statistics
from tools.workspace import Workspace

MARKS = {"start": "^", "peak": "D", "end": "v"}
COLUMNS = (
    "label", "season", "start", "start_day_of_year", "peak", "peak_day_of_year", "end", "end_day_of_year",
    "length_days", "peak_value", "amplitude", "dates", "scatter", "outcome",
)  # fmt: skip


def draw_seasons(workspace: Workspace, work: Prepared, statistics: Statistics, found: dict[str, Phenology]) -> Artifact:
    """Draw dates as dots, the smoothed curve as a line, and start, peak and end of each season as marks."""
    plan = work.plan
    figure, axes = new_figure(8.0, 4.8)
    axes.axvspan(plan.period.start, plan.period.end, color="#f2f2f2", zorder=0)
    shown = list(found.items())[:MAX_LINES]
    for colour, (label, one) in zip(LINE_COLOURS, shown, strict=False):
        _draw_unit(axes, label, one, statistics, colour)
    for name, mark in MARKS.items():
        axes.scatter([], [], marker=mark, c="white", edgecolors="black", s=60, label=name)
    _dress(axes, work.recipe.title)
    if work.synthetic:
        add_watermark(axes, faint=True)
    title = f"Season dates from {work.recipe.title}, {plan.place.name}, {plan.period.label}"
    axes.set_title(heading(title, plan), fontsize=11, loc="left")
    notes = [source_line(work), "Line: smoothed; dots: dates; grey: the period, in which the peak lies."]
    notes += [f"Shown: the first {MAX_LINES} of {len(found)} units."] if len(found) > MAX_LINES else []
    add_footer(figure, " ".join(notes))
    style = chart_style(plan, statistics, title=title, source=source_line(work), synthetic=work.synthetic)
    return save_figure(workspace, figure, "chart", title, plan, style)


def write_season_table(workspace: Workspace, work: Prepared, found: dict[str, Phenology]) -> Artifact:
    """Write one line for each season of each unit as CSV, with why a date is missing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*COLUMNS, "reason", "data"))
    fake = data_word(work.synthetic or work.units.synthetic)
    for row in season_rows(found):
        cells = ["" if row[name] is None else row[name] for name in COLUMNS[1:]]
        reasons = [row["reason"], *(f"{name}: {row[f'{name}_reason']}" for name in MARKS if row[f"{name}_reason"])]
        writer.writerow((safe_cell(row["label"]), *cells, " ".join(filter(None, reasons)), fake))
    return workspace.save(
        buffer.getvalue(), "table", f"Table of seasons: {plan_title(work.plan)}", media_type="text/csv", suffix=".csv",
        fingerprint=work.plan.fingerprint,
    )  # fmt: skip


def _draw_unit(axes: Any, label: str, found: Phenology, statistics: Statistics, colour: str) -> None:
    rows = [row for row in statistics.rows if row.label == label and row.value is not None and row.date]
    days = [date.fromisoformat(str(row.date)) for row in rows]
    axes.scatter(days, [row.value for row in rows], s=14, c=colour, alpha=0.6, linewidths=0)
    parts: list[list[tuple[date, float]]] = [[]]
    for day, value in found.curve:
        if parts[-1] and (day - parts[-1][-1][0]).days > 1:
            parts.append([])  # A long gap: the line stops and begins again after it.
        parts[-1].append((day, value))
    for place, part in enumerate(parts):
        name = shortened(label, 30) if place == 0 else None
        axes.plot([day for day, _ in part], [value for _, value in part], color=colour, linewidth=1.6, label=name)
    values = dict(found.curve)
    for season in found.seasons:
        for name, mark in MARKS.items():
            if day := getattr(season, name).day:
                axes.scatter([day], [values[day]], marker=mark, s=60, c=colour, edgecolors="black", zorder=4)


def _dress(axes: Any, index: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(axis="y", color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylabel(index)
    axes.legend(fontsize=8, frameon=False, ncols=2)
