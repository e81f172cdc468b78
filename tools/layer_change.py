"""The change of a layer between two years: a difference of values or a table of transitions, with maps and files."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.schema import LegendClass
from tools.advice import Advice
from tools.backend_layers import renamed
from tools.backends import Backend, open_backend
from tools.difference import difference_data, difference_lines
from tools.errors import NotCovered, TooLarge
from tools.layer_classes import wanted_codes
from tools.layer_cover import mark_uncovered
from tools.layer_graphs import (
    PAIR_BASE,
    UNCHANGED,
    Pair,
    build_density_change,
    build_transition_map,
    build_transition_tables,
    pair_keys,
)
from tools.layer_plan import LayerWork
from tools.layer_report import how
from tools.layer_transitions import balances, transition_lines, write_balances, write_matrix
from tools.planning import Prepared
from tools.rerun import joined
from tools.run_files import make_files, source_line
from tools.runs import Made, run_once
from tools.schema import Artifact, Bbox, Statistics, StatisticsRow
from tools.telling import overall_outcome
from tools.timings import MB_PER_SECOND
from tools.zonal import ZonalJson, table_rows

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

DIVERGING = "RdBu"
VALUES_AT_ONCE = 20_000_000
"""Pixels times transitions that are computed together: it bounds the memory of the back-end."""
IN_PARTS = 10
"""A table in parts may take so many times the values of one computation: it costs time, not memory."""
NO_CHANGE_COLOUR = "#fff3c4"


@dataclass(frozen=True)
class Change:
    """Two releases of a layer, and the one piece of work that they make together."""

    before: LayerWork
    after: LayerWork
    prepared: Prepared

    @property
    def years(self) -> tuple[str, str]:
        """Name the two releases."""
        return self.before.release.label, self.after.release.label

    @property
    def names(self) -> list[str]:
        """Name the polygons, in order."""
        return self.prepared.units.names


def pair_up(before: LayerWork, after: LayerWork) -> Change:
    """Make one piece of work of two releases; the plan is that of the later one, set against the earlier one."""
    one, other = before.prepared, after.prepared
    plan = other.plan.model_copy(update={"against": one.plan.period})
    if plan.layer and one.plan.collection_id != plan.collection_id:
        layer = plan.layer.model_copy(update={"earlier_collection_id": one.plan.collection_id})
        plan = plan.model_copy(update={"layer": layer})
    estimate = other.estimate.model_copy(
        update={
            "scenes": one.estimate.scenes + other.estimate.scenes,
            "megabytes": one.estimate.megabytes + other.estimate.megabytes,
            "seconds": round(one.estimate.seconds + other.estimate.seconds + _table_seconds(after), 1),
        }
    )
    merged = replace(
        other,
        plan=plan,
        box=_common(one.box, other.box),
        scenes=(*one.scenes, *other.scenes),
        estimate=estimate,
        synthetic=one.synthetic or other.synthetic,
        warnings=tuple(dict.fromkeys((*one.warnings, *other.warnings))),
    )
    return Change(before, after, merged)


def _table_seconds(work: LayerWork) -> float:
    """Guess the time of a table of transitions: of all that could occur, half do."""
    pairs = len(work.rules.classes) ** 2 / 2
    return work.prepared.estimate.pixels * pairs * 8 / 1e6 / MB_PER_SECOND


def run_change(
    services: "Services", context: "Context", change: Change, *, words: str, advice: Advice
) -> tuple[Prepared, Made]:
    """Compute the change: of values a difference, of classes the hectares of each transition; `data` holds `lines`."""

    def compute() -> Made:
        return _compute(services, context, change, words=words, advice=advice)

    # Which classes are summed depends on the words, so other words are another run.
    told = [first_graphs(change), wanted_codes(change.after.rules, words)]
    return run_once(services, context, change.prepared, told, compute)


def first_graphs(change: Change) -> dict[str, Any]:
    """Build what is run first: for values all there is, for classes the map that tells which transitions occur."""
    work, box = change.after, change.prepared.box
    if not work.rules.classes:
        return _on_backend(change, build_density_change(*_both(change), change.prepared.units, box))
    picture = build_transition_map(*_both(change), box, pixel_m=work.pixel_m, warp_to_epsg=work.warp_to_epsg)
    return _on_backend(change, {"raster": picture})


def _on_backend(change: Change, graphs: dict[str, Any]) -> dict[str, Any]:
    """Give graphs with the names that the back-end has for the two collections and their bands."""
    found: dict[str, Any] = renamed(graphs, change.before.prepared.layers, change.after.prepared.layers)
    return found


def _compute(services: "Services", context: "Context", change: Change, *, words: str, advice: Advice) -> Made:
    context.stop_if_asked()
    prepared = change.prepared
    context.on_progress(f"Computing {prepared.recipe.title}, {' to '.join(change.years)} ({prepared.estimate.reason})")
    backend = open_backend(services, context, prepared.estimate)
    if change.after.rules.classes:
        return _run_classes(services, context, backend, change, words=words, advice=advice)
    return _run_density(services, context, backend, change, advice=advice)


def _run_density(services: "Services", context: "Context", backend: Backend, change: Change, *, advice: Advice) -> Made:
    prepared = change.prepared
    graphs = first_graphs(change)
    sides = graphs.pop("sides")
    backend.validate(graphs["mean"])
    means = _of_one_date(backend.run_table(sides))
    rows = _rows(backend, graphs, change, change.names)
    earlier, later = (_side(rows, means, place) for place in (0, 1))
    first, second = change.years
    unit = "percentage points" if prepared.recipe.unit == "%" else prepared.recipe.unit
    method = (
        f"{second} minus {first}, pixel by pixel where both have a value, then the unweighted mean per polygon. "
        f"Each year: {how(change.after)}"
    )
    statistics = Statistics(rows=rows, unit=unit, method=method)
    table = difference_data(earlier, later, rows)
    pictures = [_write_sides(services, change, table, unit)]
    if overall_outcome(rows) == "ok":
        pictures += _draw_difference(services, backend, graphs["raster"], change, statistics)
    files = make_files(services, context, backend, graphs, prepared, statistics, advice, pictures=pictures)
    title = f"{prepared.recipe.title}, {second} minus {first}"
    lines = [f"{title}, in {unit}:", *difference_lines(prepared.recipe.title, table, rows)]
    return Made(statistics=(statistics,), artifacts=files, data={"difference": table, "lines": lines})


def _run_classes(
    services: "Services", context: "Context", backend: Backend, change: Change, *, words: str, advice: Advice
) -> Made:
    from tools.export import plan_title

    prepared, work, workspace = change.prepared, change.after, services.workspace
    picture = first_graphs(change)["raster"]
    backend.validate(picture)
    legend = "class code" if pair_keys(work.rules) == {one.code: one.code for one in work.rules.classes} else "place"
    bands = f"band 1: class changed to, {UNCHANGED} where unchanged; band 2: earlier {legend} x {PAIR_BASE} + later one"
    title = f"GeoTIFF of the changes ({bands}): {plan_title(prepared.plan)}"
    with workspace.new("raster", title, "image/tiff", ".tif", prepared.plan.fingerprint) as draft:
        backend.run_raster(picture, draft.path)
    context.stop_if_asked()
    pairs = _met(Path(draft.artifact.path), work)
    _check_size(services, prepared, len(pairs))
    tables = build_transition_tables(
        *_both(change), prepared.units, prepared.box, pairs=pairs, pixel_m=work.pixel_m,
        warp_to_epsg=work.warp_to_epsg, at_once=max(1, VALUES_AT_ONCE // prepared.estimate.pixels),
    )  # fmt: skip
    graphs = _on_backend(change, tables)
    label = {one.code: one.label for one in work.rules.classes}
    steps = [f"{label[one]} to {label[other]}" if one != other else f"{label[one]}, unchanged" for one, other in pairs]
    rows = _rows(backend, graphs, change, [f"{name}: {step}" for name in change.names for step in steps])
    statistics = Statistics(rows=rows, unit="ha", method=_class_method(change))
    units = balances(rows, change.names, pairs, work, wanted_codes(work.rules, words))
    pictures = [write_matrix(workspace, change.prepared, work, units), write_balances(workspace, prepared, units)]
    if overall_outcome(rows) == "ok":
        pictures = [_draw_changes(services, Path(draft.artifact.path), change), draft.artifact, *pictures]
    graphs["raster"] = picture
    files = make_files(services, context, backend, graphs, prepared, statistics, advice, pictures=pictures)
    head = f"{prepared.recipe.title}, from {change.years[0]} to {change.years[1]}:"
    told = {"change": units, "lines": [head, *transition_lines(units)]}
    return Made(statistics=(statistics,), artifacts=files, data=told)


def _both(change: Change) -> tuple[Any, Any]:
    works = (change.before, change.after)
    return tuple(work.prepared.plan for work in works), tuple(work.rules for work in works)


def _class_method(change: Change) -> str:
    return (
        f"Pixels with a class in {change.years[0]} and in {change.years[1]}, counted by both classes. "
        f"Each year: {how(change.after)}"
    )


def _rows(backend: Backend, graphs: dict[str, Any], change: Change, labels: Sequence[str]) -> tuple[StatisticsRow, ...]:
    parts = [backend.run_table(graph) for name, graph in graphs.items() if name.startswith("mean")]
    rows = table_rows(joined(parts), backend.run_table(graphs["count"]), labels)
    return mark_uncovered(rows, change.prepared.units, (change.before.release, change.after.release))


def _met(raster: Path, work: LayerWork) -> list[Pair]:
    """List the transitions that occur, in the order of the legend; where there is none, one that gives the counts."""
    import numpy as np
    import rasterio

    met: set[int] = set()
    with rasterio.open(raster) as source:
        for _, window in source.block_windows(2):
            values = source.read(2, window=window)
            met |= {int(one) for one in np.unique(values[np.isfinite(values)])}
    keys = pair_keys(work.rules)
    pairs = [(one, other) for one in keys for other in keys if keys[one] * PAIR_BASE + keys[other] in met]
    first = next(iter(keys))
    return pairs or [(first, first)]


def _check_size(services: "Services", prepared: Prepared, pairs: int) -> None:
    values = prepared.estimate.pixels * pairs
    if values > IN_PARTS * services.max_pixels:
        share = IN_PARTS * services.max_pixels / values
        raise TooLarge(
            f"{pairs} different transitions occur, so the table would take {values} values, more than is allowed here.",
            f"Try an area of at most {share:.0%} of this size.",
        )


def _common(one: Bbox, other: Bbox) -> Bbox:
    west, south, east, north = (*map(max, one[:2], other[:2]), *map(min, one[2:], other[2:]))
    if west >= east or south >= north:
        raise NotCovered("The two layers have no area in common there.", "Choose other years or another place.")
    return west, south, east, north


def _of_one_date(table: ZonalJson) -> list[Any]:
    return next(iter(table.values())) if isinstance(table, dict) else table


def _side(rows: Sequence[StatisticsRow], means: list[Any], place: int) -> list[StatisticsRow]:
    """Give the rows of one year over the pixels that both years have."""
    return [
        row if row.value is None else row.model_copy(update={"value": float(values[place])})
        for row, values in zip(rows, means, strict=True)
    ]


def _draw_difference(
    services: "Services", backend: Backend, graph: dict[str, Any], change: Change, statistics: Statistics
) -> list[Artifact]:
    """Draw the map with zero in the middle of its colours, and bars where there are several polygons."""
    from tools.charts import render_chart
    from tools.export import plan_title
    from tools.render import render_map, symmetric_range

    prepared, workspace, plan = change.prepared, services.workspace, change.prepared.plan
    title = plan_title(plan)
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", plan.fingerprint) as draft:
        backend.run_raster(graph, draft.path)
    raster = Path(draft.artifact.path)
    shown: dict[str, Any] = {"title": title, "synthetic": prepared.synthetic, "source_line": source_line(prepared)}
    picture = render_map(
        workspace, raster, plan, unit=statistics.unit, value_range=symmetric_range(raster), colormap=DIVERGING,
        statistics=statistics, **shown,
    )  # fmt: skip
    made = [picture, draft.artifact]
    return [*made, render_chart(workspace, statistics, plan, **shown)] if plan.output == "per_polygon" else made


def _draw_changes(services: "Services", raster: Path, change: Change) -> Artifact:
    """Draw what pixels changed to, in the legend's colours; what stayed the same is pale."""
    from tools.render import render_classes

    prepared, (first, second) = change.prepared, change.years
    same = LegendClass(code=UNCHANGED, label="no change", color=NO_CHANGE_COLOUR)
    return render_classes(
        services.workspace,
        raster,
        prepared.plan,
        classes=(same, *change.after.rules.classes),
        title=f"{prepared.recipe.title}, {prepared.plan.place.name}: changed from {first}, by class in {second}",
        synthetic=prepared.synthetic,
        source_line=source_line(prepared),
    )


def _write_sides(services: "Services", change: Change, table: Sequence[dict[str, Any]], unit: str) -> Artifact:
    """Write both years and the difference of each polygon as CSV."""
    from tools.export import data_word, plan_title, safe_cell

    prepared, plan = change.prepared, change.prepared.plan
    word = data_word(prepared.synthetic or prepared.units.synthetic)
    columns = ("earlier", "later", "difference", "later_valid_pixels", "total_pixels", "outcome")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = ("label", *change.years, "difference", "pixels_valid_in_both", "total_pixels", "outcome", "unit", "data")
    writer.writerow(names)
    for row in table:
        cells = ["" if row[name] is None else row[name] for name in columns]
        writer.writerow((safe_cell(row["label"]), *cells, unit, word))
    return services.workspace.save(
        buffer.getvalue(), "table", f"Both years: {plan_title(plan)}", media_type="text/csv", suffix=".csv",
        fingerprint=plan.fingerprint,
    )  # fmt: skip
