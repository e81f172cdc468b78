"""Run a computation: plan, graphs, back-end, statistics, advice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from knowledge.errors import ClmsError
from tools.advice import Advice, advise, unit_size_m
from tools.backends import Backend, open_backend
from tools.errors import ToolInputError
from tools.indices import RADAR, needs_reflectance, used_layers
from tools.planning import Prepared, prepare
from tools.recipes import build_band_means, build_graphs, method_text
from tools.run_files import make_files
from tools.runs import Made, run_once
from tools.schema import Output, Statistics, StatisticsRow, ToolResult
from tools.selection import Selection
from tools.telling import tell
from tools.words import counted
from tools.zonal import band_means, rows_from_json, table_rows

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

HIGHEST_REFLECTANCE = 2.0
"""Snow and sun glint come a little above 1; a mean above this is in other units."""


def compute_index(
    services: "Services",
    context: "Context",
    *,
    recipe_id: str,
    place: str,
    period: str,
    output: Output,
    units: str,
    selection: Selection,
) -> ToolResult:
    """Plan, estimate, run and tell one computation."""
    context.on_progress("Looking up place, period and scenes")
    work = prepare(services, context, recipe_id=recipe_id, place=place, period=period, output=output, units=units)
    context.stop_if_asked()
    graphs = build_graphs(work.plan, work.layers, work.units, work.box)
    advice = find_advice(services, context, work)

    def compute() -> Made:
        backend = open_backend(services, context, work.estimate)
        for name in graphs.keys() - {"count"}:
            backend.validate(graphs[name])
        check_stored_values(backend, work)
        statistics = run_statistics(backend, graphs, work, context)
        context.stop_if_asked()
        artifacts = make_files(services, context, backend, graphs, work, statistics, advice)
        return Made(statistics=(statistics,), artifacts=artifacts)

    told, made = run_once(services, context, work, graphs, compute)
    return tell(told, made.statistics[0], made.artifacts, advice, selection)


def check_stored_values(backend: Backend, work: Prepared) -> None:
    """Look at the stored values where an index needs reflectances and the metadata does not say what they are.

    Raises:
        ToolInputError: They are no reflectances, so the index would be far off.
    """
    bands = used_layers(work.recipe, work.layers)
    radar = bool(set(work.recipe.needs) & set(RADAR))
    if not (radar or needs_reflectance(work.recipe)) or all(band.scale not in (None, 1) for band in bands):
        return
    means = band_means(backend.run_table(build_band_means(work.plan, work.layers, work.units, work.box)), len(bands))
    if far := [
        f"{band.name} {mean:.0f}"
        for band, mean in zip(bands, means, strict=True)
        if mean > HIGHEST_REFLECTANCE or (radar and mean < 0)
    ]:
        raise ToolInputError(
            f"{work.recipe.title} needs {work.recipe.wants}, but the collection {work.plan.collection_id} "
            f"publishes no scale that makes them so (mean of {', '.join(far)}).",
            "Add the files again with their scale and offset (`hub add --scale`), or ask for a ratio such as NDVI.",
        )


def run_statistics(backend: Backend, graphs: dict[str, Any], work: Prepared, context: "Context") -> Statistics:
    """Run the two tables of a plan and pair them, row by row."""
    tell_start(work, context)
    mean = backend.run_table(graphs["mean"])
    context.stop_if_asked()
    count = backend.run_table(graphs["count"])
    labels = work.units.names
    rows = rows_from_json(mean, count, labels)
    return Statistics(
        rows=with_uncovered(rows, work),
        unit=work.recipe.unit,
        method=method_text(work.plan, work.recipe, work.layers),
    )


def tell_start(work: Prepared, context: "Context") -> None:
    """Say what is computed now, and what it takes."""
    context.on_progress(
        f"Computing {work.recipe.title} from {counted(work.estimate.scenes, 'scene')} ({work.estimate.reason} "
        f"{work.estimate.megabytes:.1f} MB, about {work.estimate.seconds:g} s)"
    )


def run_period_tables(
    backend: Backend, graphs: dict[str, Any], units: Sequence[str], periods: Sequence[str], context: "Context"
) -> tuple[StatisticsRow, ...]:
    """Run the two tables of several periods: one row for each unit and period, unit by unit."""
    mean = backend.run_table(graphs["mean"])
    context.stop_if_asked()
    count = backend.run_table(graphs["count"])
    return table_rows(mean, count, [f"{unit}, {period}" for unit in units for period in periods])


def find_advice(services: "Services", context: "Context", work: Prepared) -> Advice:
    """Look up the product for the question; a computation does not fail for want of it."""
    plan = work.plan
    try:
        return advise(
            services.retriever,
            context.question or work.recipe.subject,
            bbox=plan.place.bbox,
            period=plan.period,
            unit_m=unit_size_m(plan.polygons),
            spoken=(plan.place.name, plan.period.label),
        )
    except ClmsError as error:
        return Advice(warnings=(f"No product advice: {error}",))


def with_uncovered(rows: Sequence[StatisticsRow], work: Prepared) -> tuple[StatisticsRow, ...]:
    """Tell polygons that no scene touches apart from polygons whose pixels are all masked."""
    from shapely.geometry import box, shape
    from shapely.ops import unary_union

    reach = unary_union([box(*scene.bbox) for scene in work.scenes])
    shapes = [shape(feature["geometry"]) for feature in work.units.collection["features"]]
    outside = {label for label, one in zip(work.units.names, shapes, strict=True) if not one.intersects(reach)}
    return tuple(
        row.model_copy(update={"outcome": "not_covered", "value": None})
        if row.label in outside and row.outcome != "ok"
        else row
        for row in rows
    )
