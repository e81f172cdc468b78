"""Run a difference of two periods: two computations, their difference by code, a map and the files."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import subtraction
from tools.advice import Advice
from tools.backends import Backend, open_backend
from tools.compute import check_stored_values, find_advice, run_period_tables, tell_start, with_uncovered
from tools.difference import (
    difference_data,
    difference_lines,
    difference_rows,
    difference_summary,
    in_order,
    time_cautions,
)
from tools.errors import NoScenes, NotCovered, TooLarge, ToolInputError
from tools.period_graphs import build_period_graphs
from tools.planning import Prepared, choose_period, choose_place, estimate_cost, prepare
from tools.recipes import method_text
from tools.run_files import source_line
from tools.runs import Made, run_once
from tools.schema import Artifact, Bbox, Estimate, Output, Period, Statistics, ToolResult
from tools.selection import Selection, select, selection_lines
from tools.telling import overall_outcome, quality, result_of

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

DIVERGING = "RdBu"
Sides = tuple[Prepared, Prepared]
"""The earlier and the later period."""


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
    work = _merged(sides, _common(earlier.box, later.box))
    named = (("LATER", later.plan, later.layers), ("EARLIER", earlier.plan, earlier.layers))
    graphs = build_period_graphs(named, later.units, work.box, least=1)
    advice = find_advice(services, context, later)

    def compute() -> Made:
        backend = open_backend(services, context, work.estimate)
        backend.validate(graphs["raster"])
        check_stored_values(backend, later)
        table, values = _run(backend, graphs, sides, context)
        context.stop_if_asked()
        numbers = _subtracted(work, values)
        artifacts = _files(services, context, backend, work, graphs, (numbers, *values), table, advice)
        return Made(statistics=(numbers, *values), artifacts=artifacts)

    told, made = run_once(services, context, work, graphs, compute)
    return _tell(context, told, sides, made, advice, selection)


def _run(
    backend: Backend, graphs: dict[str, Any], sides: Sides, context: "Context"
) -> tuple[Statistics, tuple[Statistics, Statistics]]:
    """Run the tables that hold both periods; give them as they come, and as one table for each side."""
    earlier, later = sides
    for side in sides:
        tell_start(side, context)
    unit, method = later.recipe.unit, method_text(later.plan, later.recipe, later.layers)
    periods = [side.plan.period.days for side in (later, earlier)]
    rows = run_period_tables(backend, graphs, later.units.names, periods, context)
    values = []
    for side, own in ((earlier, rows[1::2]), (later, rows[::2])):
        named = [row.model_copy(update={"label": name}) for row, name in zip(own, later.units.names, strict=True)]
        values.append(Statistics(rows=with_uncovered(named, side), unit=unit, method=method))
    return Statistics(rows=rows, unit=unit, method=method), (values[0], values[1])


def _tell(
    context: "Context", work: Prepared, sides: Sides, made: Made, advice: Advice, selection: Selection
) -> ToolResult:
    """Put the difference into words."""
    (earlier, later), (numbers, before, after) = sides, made.statistics
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
    return f"{work.recipe.title}, {plan.place.name}, {work.plan.period.days} minus {_earlier(work).days}"


def _earlier(work: Prepared) -> Period:
    """Give the period whose values are subtracted."""
    return work.plan.against or work.plan.period


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
            side = prepare(services, replace(context, collection_id=wanted), period=period.days, **shared)
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
    backend: Backend,
    work: Prepared,
    graphs: dict[str, Any],
    statistics: tuple[Statistics, Statistics, Statistics],
    table: Statistics,
    advice: Advice,
) -> tuple[Artifact, ...]:
    """Make map, table and polygons, and the one script and notebook that give both periods and their difference."""
    from tools.export import write_vector
    from tools.export_code import Sequel
    from tools.run_files import make_code

    numbers, before, after = statistics
    data = difference_data(before.rows, after.rows, numbers.rows)
    fake = work.synthetic or work.units.synthetic
    made = _pictures(services, context, backend, work, graphs["raster"], numbers)
    context.stop_if_asked()
    context.on_progress("Writing the files")
    made.append(_table(services, work, data, numbers.unit, synthetic=fake))
    made.append(write_vector(services.workspace, numbers, work.plan, synthetic=fake))
    units = work.units.names
    expected = subtraction.differences([row.model_dump() for row in table.rows], units=units)
    sequel = Sequel(
        modules=(subtraction,),
        constants={"UNITS": units, "EXPECTED_DIFFERENCES": expected},
        lines=(
            "found = differences(rows, units=UNITS)",
            "print(format_differences(found))",
            "print(compare_differences(found, EXPECTED_DIFFERENCES))",
        ),
    )
    return (*made, *make_code(services, graphs, work, table, advice, made=made, sequel=sequel))


def _pictures(
    services: "Services",
    context: "Context",
    backend: Backend,
    work: Prepared,
    graph: dict[str, Any],
    statistics: Statistics,
) -> list[Artifact]:
    """Draw the map with zero in the middle of its colours, and bars where there are several polygons."""
    from tools.charts import render_chart
    from tools.export import plan_title
    from tools.render import render_map, symmetric_range

    if not any(row.value is not None for row in statistics.rows):
        return []
    workspace, plan, title = services.workspace, work.plan, plan_title(work.plan)
    context.on_progress("Drawing the map of the difference")
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", plan.fingerprint) as draft:
        backend.run_raster(graph, draft.path)
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
    periods = [one.days for one in (_earlier(work), plan.period)]
    for row in data:
        cells = ["" if row[name] is None else row[name] for name in columns[1:]]
        writer.writerow((safe_cell(row["label"]), *cells, *periods, unit, data_word(synthetic)))
    return services.workspace.save(
        buffer.getvalue(), "table", f"Table: {plan_title(plan)}", media_type="text/csv", suffix=".csv",
        fingerprint=plan.fingerprint,
    )  # fmt: skip
