"""Charts as PNG files: a time series as lines, one value for each unit as bars."""

from datetime import date
from typing import Any

from tools.errors import JobFailed
from tools.figures import (
    LINE_COLOURS,
    add_footer,
    add_watermark,
    axis_label,
    heading,
    new_figure,
    save_figure,
    shortened,
)
from tools.map_style import chart_style
from tools.schema import Artifact, Plan, Statistics, StatisticsRow
from tools.spoken import spoken
from tools.workspace import Workspace

MAX_LINES = 8
_MAX_BARS = 40
LOW_SHARE = 0.5


def render_chart(
    workspace: Workspace, statistics: Statistics, plan: Plan, *, title: str, synthetic: bool, source_line: str
) -> Artifact:
    """Draw a time series as lines, or one value for each unit as bars.

    Raises:
        JobFailed: No row holds a value, so there is nothing to draw.
    """
    rows = [row for row in statistics.rows if row.value is not None]
    if not rows:
        raise JobFailed("There is no value to draw.", "Choose a longer period or another place.")
    if plan.output == "series":
        figure, axes = new_figure(8.0, 4.8)
        note = _draw_lines(axes, rows)
    else:
        figure, axes = new_figure(8.0, 2.2 + 0.22 * min(len(statistics.rows), _MAX_BARS))
        note = _draw_bars(axes, list(statistics.rows))
    (axes.set_ylabel if plan.output == "series" else axes.set_xlabel)(axis_label(plan, statistics.unit))
    axes.spines[["top", "right"]].set_visible(False)
    if synthetic:
        add_watermark(axes, faint=True)
    axes.set_title(heading(title, plan), fontsize=11, loc="left")
    add_footer(figure, " ".join(part for part in (source_line, note) if part))
    style = chart_style(plan, statistics, title=title, source=source_line, synthetic=synthetic)
    return save_figure(workspace, figure, "chart", title, plan, style)


def _draw_lines(axes: Any, rows: list[StatisticsRow]) -> str:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    labels = list(dict.fromkeys(row.label for row in rows))
    for colour, label in zip(LINE_COLOURS, labels[:MAX_LINES], strict=False):
        points = sorted((row for row in rows if row.label == label and row.date), key=lambda row: str(row.date))
        days, values = [date.fromisoformat(str(row.date)[:10]) for row in points], [row.value for row in points]
        axes.plot(days, values, color=colour, linewidth=1.6, label=shortened(label, 30))
        # A hollow dot says that less than half of the pixels were seen on that day.
        faces = [colour if row.valid_share >= LOW_SHARE else "white" for row in points]
        axes.scatter(days, values, s=26, c=faces, edgecolors=colour, zorder=3)
    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(axis="y", color="#e5e5e5")
    if len(labels) > 1:
        axes.legend(fontsize=8, frameon=False, ncols=2)
    note = (
        "Hollow dots: fewer than half of the pixels were valid." if any(r.valid_share < LOW_SHARE for r in rows) else ""
    )
    left_out = f"Shown: the first {MAX_LINES} of {len(labels)} units." if len(labels) > MAX_LINES else ""
    return f"{note} {left_out}".strip()


def _draw_bars(axes: Any, rows: list[StatisticsRow]) -> str:
    known = sorted((row for row in rows if row.value is not None), key=lambda row: row.value or 0.0, reverse=True)
    shown = (known + [row for row in rows if row.value is None])[:_MAX_BARS]
    places = range(len(shown))
    faces = [LINE_COLOURS[0] if row.valid_share >= LOW_SHARE else "white" for row in shown]
    axes.barh(places, [row.value or 0.0 for row in shown], color=faces, edgecolor=LINE_COLOURS[0], height=0.7)
    for place, row in zip(places, shown, strict=True):
        axes.text(max(row.value or 0.0, 0.0), place, f"  {_bar_words(row)}", va="center", fontsize=7, color="#333333")
    axes.set_yticks(list(places), [shortened(row.label, 44) for row in shown], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.18, y=0.01)
    if all((row.value or 0.0) >= 0 for row in shown):
        axes.set_xlim(left=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    notes = []
    if any(row.valid_pixels < row.total_pixels for row in known):
        notes.append("Percentages: share of valid pixels, where not all are.")
    if any(row.valid_share < LOW_SHARE for row in known):
        notes.append("Hollow bars: fewer than half of the pixels were valid.")
    if len(rows) > _MAX_BARS:
        notes.append(f"Shown: {_MAX_BARS} of {len(rows)} units.")
    return " ".join(notes)


def _bar_words(row: StatisticsRow) -> str:
    if row.value is None:
        return spoken("not covered" if row.outcome == "not_covered" else "no data")
    return f"{row.value:.2f}" + (f"  ({row.valid_share:.0%})" if row.valid_pixels < row.total_pixels else "")
