"""Statistics of a product layer per polygon: the mean of a density, a median date, or the areas of classes."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tools.backend_layers import renamed
from tools.backends import Backend, open_backend
from tools.errors import ToolInputError
from tools.layer_classes import (
    area_rows,
    by_unit,
    class_lines,
    draw_classes,
    share_rows,
    wanted_codes,
    write_classes,
)
from tools.layer_compare import compare_editions
from tools.layer_cover import mark_uncovered
from tools.layer_graphs import build_class_graphs, build_date_graphs, build_density_graphs
from tools.layer_plan import PERCENT, LayerWork, Subject, coarser, look_up, prepare_layer, read_reference
from tools.layer_report import date_lines, density_lines, how, marked, not_held, reference_sentence
from tools.layer_threshold import INSIDE, ThresholdRules, read_bounds, threshold_lines
from tools.run_files import make_files
from tools.runs import Made, run_once
from tools.schema import Artifact, Statistics, StatisticsRow, ToolResult
from tools.selection import CLOSE_PERCENT, Selection, select, selection_lines
from tools.telling import overall_outcome, quality, result_of
from tools.zonal import summary, table_rows

if TYPE_CHECKING:
    from tools.toolbox import Context, Services


def layer_statistics(
    services: "Services",
    context: "Context",
    *,
    layer: str,
    place: str,
    period: str,
    units: str,
    against: str,
    selection: Selection,
    ground: str = "",
) -> ToolResult:
    """Look up a layer, compute its statistics, and tell them; with `against`, the difference of two editions.

    With `ground`, such as "> 30", the hectares of the ground with such values.
    """
    bounds = read_bounds(ground)
    if bounds and against.strip():
        raise ToolInputError("Ground above or below a number is of one year.", "Ask for each of the years.")
    context.on_progress("Looking up place, product and layers")
    subject = look_up(services, context, layer=layer, place=place, units=units, years=(period, against))
    selection.check("per_polygon" if subject.polygons else "composite")
    subject = replace(subject, selection=selection, bounds=bounds)
    reference = read_reference(period, context)
    if against.strip():
        other = read_reference(against, context)
        return compare_editions(services, context, subject, (reference, other), compute=compute_layer)
    if not subject.releases:
        return not_held(subject)
    return compute_layer(services, context, subject, prepare_layer(services, subject, reference))


def compute_layer(services: "Services", context: "Context", subject: Subject, work: LayerWork) -> ToolResult:
    """Compute the statistics of one release and tell them."""
    graphs = build_graphs(work)

    def compute() -> Made:
        statistics, artifacts = run_layer(services, context, subject, work)
        return Made(statistics=(statistics,), artifacts=artifacts)

    told, made = run_once(services, context, work.prepared, graphs, compute, smaller=coarser(subject, work))
    return tell_layer(subject, replace(work, prepared=told), made.statistics[0], made.artifacts)


def run_layer(
    services: "Services", context: "Context", subject: Subject, work: LayerWork
) -> tuple[Statistics, tuple[Artifact, ...]]:
    """Run the graphs of one release and make its files."""
    context.stop_if_asked()
    prepared = work.prepared
    graphs = build_graphs(work)
    backend = open_backend(services, context, prepared.estimate)
    backend.validate(graphs["mean"])
    context.on_progress(f"Computing {prepared.recipe.title} {work.release.label} ({prepared.estimate.reason})")
    rows = _rows(backend, graphs, work)
    context.stop_if_asked()
    statistics = Statistics(rows=rows, unit=prepared.recipe.unit, method=how(work))
    pictures: list[Artifact] | None = None
    if work.rules.classes:
        pictures = [write_classes(services.workspace, work, rows)]
        if overall_outcome(rows) == "ok":
            pictures += draw_classes(services, backend, graphs["raster"], work)
    made = make_files(services, context, backend, graphs, prepared, statistics, subject.advice, pictures=pictures)
    return statistics, made


def build_graphs(work: LayerWork) -> dict[str, dict[str, Any]]:
    """Build the graphs of a release: means of values, medians of dates, or hectares of classes."""
    prepared = work.prepared
    what: Any = (prepared.plan, work.rules, prepared.units, prepared.box)
    if work.rules.date:
        graphs = build_date_graphs(*what)
    elif not work.rules.classes:
        graphs = build_density_graphs(*what)
    else:
        graphs = build_class_graphs(*what, pixel_m=work.pixel_m, warp_to_epsg=work.warp_to_epsg)
    found: dict[str, dict[str, Any]] = renamed(graphs, prepared.layers)
    return found


def tell_layer(
    subject: Subject, work: LayerWork, statistics: Statistics, artifacts: tuple[Artifact, ...]
) -> ToolResult:
    """Put the statistics of one release into words and data."""
    rows, prepared = statistics.rows, work.prepared
    data: dict[str, Any] = {"layer": prepared.plan.layer.model_dump() if prepared.plan.layer else None}
    rows_follow, unit = False, PERCENT
    if isinstance(work.rules, ThresholdRules):
        data["classes"] = by_unit(rows, work, (INSIDE,))
        lines, values = threshold_lines(data["classes"], prepared.recipe.title), share_rows(data["classes"])
    elif work.rules.classes:
        data["classes"] = by_unit(rows, work, wanted_codes(work.rules, subject.words))
        lines, values = class_lines(data["classes"], work), share_rows(data["classes"])
    else:
        data["summary"], values = summary(rows), rows
        rows_follow, unit = not work.rules.date, "" if work.rules.date else statistics.unit
        lines = date_lines(rows, work) if work.rules.date else density_lines(rows, work, subject.selection)
    picked = select(values, subject.selection, close=CLOSE_PERCENT, unit=unit)
    data |= picked
    lines = [*selection_lines(picked, rows_follow=rows_follow), *lines, reference_sentence(subject, work)]
    outcome = overall_outcome(rows)
    data["finding"] = marked(lines, prepared) if outcome == "ok" else ""
    what = "per polygon" if prepared.plan.polygons else "of the place as a whole"
    where = f"{prepared.plan.place.name}, {work.release.label}"
    return result_of(
        prepared,
        statistics,
        artifacts,
        subject.advice,
        headline=f"{prepared.recipe.title} {what}, {where}: outcome {outcome}.",
        lines=lines,
        data=data,
        warnings=quality(rows),
    )


def _rows(backend: Backend, graphs: dict[str, Any], work: LayerWork) -> tuple[StatisticsRow, ...]:
    """Run the two tables; a unit that the tiles do not reach is not covered, whatever was counted."""
    names = work.prepared.units.names
    mean, count = backend.run_table(graphs["mean"]), backend.run_table(graphs["count"])
    rows = area_rows(mean, count, names, work) if work.rules.classes else table_rows(mean, count, names)
    return mark_uncovered(rows, work.prepared.units, (work.release,))
