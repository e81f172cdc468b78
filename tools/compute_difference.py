"""Run a difference of two periods: two computations, their difference by code, a map and the files."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.backends import open_backend
from tools.compute import check_stored_values, find_advice, run_statistics
from tools.difference import (
    difference_data,
    difference_lines,
    difference_rows,
    difference_summary,
    in_order,
    time_cautions,
)
from tools.errors import NoScenes, NotCovered, TooLarge, ToolInputError
from tools.planning import Prepared, choose_period, choose_place, estimate_cost, prepare
from tools.recipes import build_difference, build_graphs
from tools.run_files import source_line
from tools.runs import Made, run_once
from tools.schema import Artifact, Bbox, Estimate, Output, Statistics, ToolResult
from tools.selection import Selection, select, selection_lines
from tools.telling import overall_outcome, quality, result_of

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

DIVERGING = "RdBu"
Sides = tuple[Prepared, Prepared]
"""The earlier and the later period."""
Graphs = tuple[list[dict[str, Any]], dict[str, Any]]
"""Those of each side, and that of the map of the difference."""


def compute_difference(
    services: "Services",
    context: "Context",
    *,
    recipe_id: str,
    place: str,
    periods: tuple[str, str],
    output: Output,
    units: str,
    selection: Selection,
) -> ToolResult:
    """Compute two periods and subtract the earlier from the later one.

    Raises:
        ToolInputError: The periods are the same, or curves were asked for.
        NoScenes: One of the periods has no scene; the message says which.
        TooLarge: Both together read more than is allowed.
    """
    if output == "series":
        raise ToolInputError(
            "A difference is of two medians, not of two curves.", "Ask for a map of it, or per polygon."
        )
    sides = _prepare(services, context, recipe_id, place, periods, output, units)
    earlier, later = sides
    box = _common(earlier.box, later.box)
    graphs = [build_graphs(side.plan, side.layers, side.units, box) for side in sides]
    change = build_difference((later.plan, later.layers), (earlier.plan, earlier.layers), box)
    merged = _merged(sides, box)

    def compute() -> Made:
        return _compute(services, context, merged, sides, (graphs, change))

    work, made = run_once(services, context, merged, [*graphs, change], compute)
    return _tell(services, context, work, sides, made, selection)


def _compute(services: "Services", context: "Context", work: Prepared, sides: Sides, graphs: Graphs) -> Made:
    """Compute both sides, subtract them and make the files."""
    backend = open_backend(services, context, work.estimate)
    backend.validate(graphs[1])
    check_stored_values(backend, sides[1])
    found = zip(graphs[0], sides, strict=True)
    before, after = (run_statistics(backend, graph, side, context) for graph, side in found)
    context.stop_if_asked()
    values = (before, after)
    numbers = _subtracted(work, values)
    data = difference_data(before.rows, after.rows, numbers.rows)
    artifacts = _files(services, context, work, sides, numbers, data, graphs, values)
    return Made(statistics=(numbers, before, after), artifacts=artifacts)


def _tell(
    services: "Services", context: "Context", work: Prepared, sides: Sides, made: Made, selection: Selection
) -> ToolResult:
    """Put the difference into words."""
    (earlier, later), (numbers, before, after) = sides, made.statistics
    advice = find_advice(services, context, later)
    data = difference_data(before.rows, after.rows, numbers.rows)
    picked = select(numbers.rows, selection)
    return result_of(
        work,
        numbers,
        made.artifacts,
        advice,
        headline=f"Difference of {_title(work)}: outcome {overall_outcome(numbers.rows)}.",
        lines=[*difference_lines(work.recipe.title, data, numbers.rows), *selection_lines(picked)],
        data={"difference": {"rows": data, **difference_summary(numbers.rows)}, **picked},
        warnings=(*time_cautions(earlier, later, before, after, today=context.today), *quality(numbers.rows)),
    )


def _merged(sides: Sides, box: Bbox) -> Prepared:
    """Make one piece of work of both sides."""
    earlier, later = sides
    return replace(
        later,
        plan=later.plan.model_copy(update={"against": earlier.plan.period}),
        box=box,
        scenes=(*earlier.scenes, *later.scenes),
        estimate=_together(earlier.estimate, later.estimate),
        synthetic=earlier.synthetic or later.synthetic,
        warnings=tuple(dict.fromkeys((*earlier.warnings, *later.warnings))),
    )


def _subtracted(work: Prepared, values: tuple[Statistics, Statistics]) -> Statistics:
    earlier, later = values
    method = f"Difference of {_title(work)}, mean minus mean. Each mean: {later.method}"
    return Statistics(rows=difference_rows(earlier.rows, later.rows), unit=later.unit, method=method)


def _title(work: Prepared) -> str:
    plan = work.plan
    return f"{work.recipe.title}, {plan.place.name}, {' minus '.join(map(_words, (plan.period, plan.against)))}"


def _prepare(
    services: "Services",
    context: "Context",
    recipe_id: str,
    place: str,
    periods: tuple[str, str],
    output: Output,
    units: str,
) -> Sides:
    """Prepare both periods on one collection, and check that both together are not too large."""
    where = choose_place(place, context.area, services.nuts)
    first, second = in_order(*(choose_period(words, where, context) for words in periods))
    shared: dict[str, Any] = {"recipe_id": recipe_id, "place": place, "output": output, "units": units}
    made: list[Prepared] = []
    for name, period in (("earlier", first), ("later", second)):
        context.on_progress(f"Looking up place and scenes of the {name} period")
        wanted = made[0].layers.collection_id if made else context.collection_id
        try:
            side = prepare(services, replace(context, collection_id=wanted), period=_words(period), **shared)
        except (NoScenes, NotCovered) as error:
            message = f"There is no difference, for the {name} period has nothing: {error.message}"
            raise type(error)(message, error.hint) from error
        made.append(replace(side, plan=side.plan.model_copy(update={"period": period})))
    earlier, later = made
    both = _together(earlier.estimate, later.estimate)
    if both.megabytes * 1e6 / 2 > services.max_pixels:
        half = estimate_cost(later.recipe, later.layers, later.scenes, later.box, max_pixels=services.max_pixels // 2)
        text = f"Both periods together would read {both.megabytes:.0f} MB, more than is allowed here."
        raise TooLarge(text, half.reason)
    return earlier, later


def _words(period: Any) -> str:
    """Give a period in words that mean the same on every day."""
    return str(period.start) if period.start == period.end else f"{period.start} to {period.end}"


def _together(one: Estimate, other: Estimate) -> Estimate:
    return one.model_copy(
        update={
            "scenes": one.scenes + other.scenes,
            "megabytes": one.megabytes + other.megabytes,
            "seconds": round(one.seconds + other.seconds, 1),
            "reason": f"Earlier period: {one.reason} Later period: {other.reason}",
        }
    )


def _common(one: Bbox, other: Bbox) -> Bbox:
    """Give the box that both sides have scenes for."""
    west, south, east, north = (*map(max, one[:2], other[:2]), *map(min, one[2:], other[2:]))
    if west >= east or south >= north:
        raise NotCovered("The scenes of the two periods have no area in common.", "Choose other periods.")
    return west, south, east, north


def _files(
    services: "Services",
    context: "Context",
    work: Prepared,
    sides: Sides,
    statistics: Statistics,
    data: list[dict[str, Any]],
    graphs: Graphs,
    values: tuple[Statistics, Statistics],
) -> tuple[Artifact, ...]:
    """Make map, table, polygons, the graph of the difference, and a script for each of the two sides."""
    from tools.export import plan_title, synthetic_note, write_graph, write_vector
    from tools.export_code import write_script
    from tools.provenance import write_provenance

    workspace, plan, fake = services.workspace, work.plan, work.synthetic or work.units.synthetic
    note = synthetic_note(scenes=work.synthetic, units=work.units.synthetic)
    title = f"openEO process graph of the difference (gives a GeoTIFF): {plan_title(plan)}"
    made = _pictures(services, context, work, graphs[1], statistics)
    context.stop_if_asked()
    context.on_progress("Writing the files")
    made.append(_table(services, work, data, statistics.unit, synthetic=fake))
    made.append(write_vector(workspace, statistics, plan, synthetic=fake))
    made.append(write_graph(workspace, graphs[1], plan, title=title, note=note))
    url = services.rerun_url or services.openeo_url
    for side, graph, found in zip(sides, graphs[0], values, strict=True):
        made.append(write_graph(workspace, graph["mean"], side.plan, note=note))
        made.append(write_script(workspace, graph, side.plan, openeo_url=url, expected=found, note=note))
    provenance = write_provenance(
        workspace, plan, scenes=work.scenes, product_id="", artifacts=made, openeo_url=url,
        stac_url=services.stac_url, synthetic=fake,
    )  # fmt: skip
    return (*made, provenance)


def _pictures(
    services: "Services", context: "Context", work: Prepared, graph: dict[str, Any], statistics: Statistics
) -> list[Artifact]:
    """Draw the map with zero in the middle of its colours, and bars where there are several polygons."""
    from tools.export import plan_title
    from tools.render import render_chart, render_map, symmetric_range

    if not any(row.value is not None for row in statistics.rows):
        return []
    workspace, plan, title = services.workspace, work.plan, plan_title(work.plan)
    context.on_progress("Drawing the map of the difference")
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", plan.fingerprint) as draft:
        open_backend(services, context, work.estimate).run_raster(graph, draft.path)
    raster = Path(draft.artifact.path)
    shown: dict[str, Any] = {"title": title, "synthetic": work.synthetic, "source_line": source_line(work)}
    picture = render_map(
        workspace, raster, plan, unit=work.recipe.unit, value_range=symmetric_range(raster), colormap=DIVERGING,
        statistics=statistics, **shown,
    )  # fmt: skip
    made = [picture, draft.artifact]
    return [*made, render_chart(workspace, statistics, plan, **shown)] if plan.output == "per_polygon" else made


def _table(services: "Services", work: Prepared, data: list[dict[str, Any]], unit: str, *, synthetic: bool) -> Artifact:
    """Write both values and the difference of each unit as CSV."""
    from tools.export import data_word, plan_title, safe_cell

    columns = (
        "label", "earlier", "later", "difference", "earlier_valid_pixels", "later_valid_pixels", "total_pixels",
        "outcome",
    )  # fmt: skip
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*columns, "earlier_period", "later_period", "unit", "data"))
    plan = work.plan
    periods = [_words(one) for one in (plan.against, plan.period)]
    for row in data:
        cells = ["" if row[name] is None else row[name] for name in columns[1:]]
        writer.writerow((safe_cell(row["label"]), *cells, *periods, unit, data_word(synthetic)))
    return services.workspace.save(
        buffer.getvalue(), "table", f"Table: {plan_title(plan)}", media_type="text/csv", suffix=".csv",
        fingerprint=plan.fingerprint,
    )  # fmt: skip
