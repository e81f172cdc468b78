"""Run a prepared plan: graphs, back-end, statistics, map, files, and the words that tell the result."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from knowledge.errors import ClmsError
from tools.advice import Advice, advise, recommendation_text, unit_size_m
from tools.backends import Backend, OpenEOBackend
from tools.errors import JobFailed
from tools.planning import Prepared, date_list, prepare
from tools.recipes import build_graphs, method_text
from tools.schema import Artifact, Outcome, Output, Statistics, StatisticsRow, ToolResult
from tools.words import counted
from tools.zonal import curve, rows_from_json, summary

if TYPE_CHECKING:
    from pathlib import Path

    from tools.toolbox import Context, Services

ROWS_IN_TEXT = 12
LOW_SHARE = 0.5


def compute_index(
    services: "Services", context: "Context", *, recipe_id: str, place: str, period: str, output: Output, units: str
) -> ToolResult:
    """Plan, estimate, run and tell one computation."""
    context.on_progress("Looking up place, period and scenes")
    work = prepare(services, context, recipe_id=recipe_id, place=place, period=period, output=output, units=units)
    _stop_if_asked(context)
    graphs = build_graphs(work.plan, work.layers, work.units, work.box)
    backend = OpenEOBackend(services.openeo_url, timeout_s=services.timeout_s)
    for name in graphs.keys() - {"count"}:
        backend.validate(graphs[name])
    statistics = run_statistics(backend, graphs, work, context)
    _stop_if_asked(context)
    advice = find_advice(services, context, work)
    artifacts = _files(services, context, backend, graphs, work, statistics, advice)
    return _result(work, statistics, artifacts, advice)


def run_statistics(backend: Backend, graphs: dict[str, Any], work: Prepared, context: "Context") -> Statistics:
    """Run the two tables of a plan and pair them, row by row."""
    context.on_progress(
        f"Computing {work.recipe.title} from {counted(work.estimate.scenes, 'scene')} ({work.estimate.reason})"
    )
    mean = backend.run_table(graphs["mean"])
    _stop_if_asked(context)
    count = backend.run_table(graphs["count"])
    labels = [str(feature["properties"]["name"]) for feature in work.units.collection["features"]]
    rows = rows_from_json(mean, count, labels)
    return Statistics(
        rows=_with_uncovered(rows, work, labels),
        unit=work.recipe.unit,
        method=method_text(work.plan, work.recipe, work.layers),
    )


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


def source_line(work: Prepared) -> str:
    """Tell where the pixels come from, for maps and charts, and whether the polygons are invented."""
    if work.synthetic:
        return f"Synthetic demo data ({work.plan.collection_id}): invented, not a measurement."
    invented = " Polygons: synthetic demo data, invented." if work.units.synthetic else ""
    return f"{_pixel_source(work)}.{invented}"


def _pixel_source(work: Prepared) -> str:
    years = sorted({scene.datetime[:4] for scene in work.scenes})
    span = years[0] if len(years) == 1 else f"{years[0]}-{years[-1]}"
    if work.plan.collection_id.startswith("sentinel-"):
        return f"Contains modified Copernicus Sentinel data {span}; collection {work.plan.collection_id}"
    return f"Source: {work.layers.title} ({work.plan.collection_id}), {span}"


def _with_uncovered(rows: Sequence[StatisticsRow], work: Prepared, labels: list[str]) -> tuple[StatisticsRow, ...]:
    """Tell polygons that no scene touches apart from polygons whose pixels are all masked."""
    from shapely.geometry import box, shape
    from shapely.ops import unary_union

    reach = unary_union([box(*scene.bbox) for scene in work.scenes])
    shapes = [shape(feature["geometry"]) for feature in work.units.collection["features"]]
    outside = {label for label, one in zip(labels, shapes, strict=True) if not one.intersects(reach)}
    return tuple(
        row.model_copy(update={"outcome": "not_covered", "value": None})
        if row.label in outside and row.outcome != "ok"
        else row
        for row in rows
    )


def _files(
    services: "Services",
    context: "Context",
    backend: Backend,
    graphs: dict[str, Any],
    work: Prepared,
    statistics: Statistics,
    advice: Advice,
) -> tuple[Artifact, ...]:
    """Make the map or chart, the tables, and the files that run the result again."""
    from tools.export import synthetic_note, write_table, write_vector
    from tools.export_code import write_notebook, write_script
    from tools.provenance import write_provenance

    workspace, plan, fake = services.workspace, work.plan, work.synthetic or work.units.synthetic
    note = synthetic_note(scenes=work.synthetic, units=work.units.synthetic)
    made = list(_pictures(services, context, backend, graphs, work, statistics))
    _stop_if_asked(context)
    context.on_progress("Writing the files")
    made.append(write_table(workspace, statistics, plan, synthetic=fake))
    made.append(write_vector(workspace, statistics, plan, synthetic=fake))
    made += _graph_files(services, graphs, work, note)
    url = services.rerun_url or services.openeo_url
    made.append(write_script(workspace, graphs, plan, openeo_url=url, expected=statistics, note=note))
    made.append(write_notebook(workspace, graphs, plan, openeo_url=url, expected=statistics, note=note))
    provenance = write_provenance(
        workspace,
        plan,
        scenes=work.scenes,
        product_id=advice.recommendation.product_id if advice.recommendation else "",
        artifacts=made,
        openeo_url=url,
        stac_url=services.stac_url,
        synthetic=fake,
    )
    return (*made, provenance)


def _graph_files(services: "Services", graphs: dict[str, Any], work: Prepared, note: str) -> list[Artifact]:
    """Write the graph of the numbers, which any client can execute, and that of the map, which gives a GeoTIFF."""
    from tools.export import plan_title, write_graph

    made = [write_graph(services.workspace, graphs["mean"], work.plan, note=note)]
    if "raster" in graphs:
        title = f"openEO process graph of the map (gives a GeoTIFF): {plan_title(work.plan)}"
        made.append(write_graph(services.workspace, graphs["raster"], work.plan, title=title, note=note))
    return made


def _pictures(
    services: "Services",
    context: "Context",
    backend: Backend,
    graphs: dict[str, Any],
    work: Prepared,
    statistics: Statistics,
) -> list[Artifact]:
    from tools.render import render_chart, render_map

    workspace, plan, recipe = services.workspace, work.plan, work.recipe
    if not any(row.outcome == "ok" for row in statistics.rows):
        return []
    title = f"{recipe.title}, {plan.place.name}, {plan.period.label}"
    line = source_line(work)
    chart = {"title": title, "synthetic": work.synthetic, "source_line": line}
    if "raster" not in graphs:
        return [render_chart(workspace, statistics, plan, **chart)]  # type: ignore[arg-type]  # mixed keyword values
    context.on_progress("Drawing the map")
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", plan.fingerprint) as draft:
        backend.run_raster(graphs["raster"], draft.path)
    raster: Path = _path(draft.artifact)
    picture = render_map(
        workspace,
        raster,
        plan,
        unit=recipe.unit,
        value_range=recipe.value_range,
        colormap=recipe.colormap,
        title=title,
        statistics=statistics,
        synthetic=work.synthetic,
        source_line=line,
    )
    made = [picture, draft.artifact]
    if plan.output == "per_polygon":
        made.append(render_chart(workspace, statistics, plan, **chart))  # type: ignore[arg-type]  # mixed keyword values
    return made


def _path(artifact: Artifact) -> "Path":
    from pathlib import Path

    return Path(artifact.path)


def _result(work: Prepared, statistics: Statistics, artifacts: tuple[Artifact, ...], advice: Advice) -> ToolResult:
    rows = statistics.rows
    outcome = _outcome(rows)
    data = _data(work, statistics)
    warnings = (*work.warnings, *_quality(rows), *advice.warnings)
    parts = [_headline(work, outcome), _numbers(work, rows, data) if outcome == "ok" else _nothing(rows, outcome)]
    parts.append(f"Method: {statistics.method}")
    parts += [work.recipe.reading] if outcome == "ok" else []
    parts += [f"Note: {warning}" for warning in warnings]
    parts += [recommendation_text(advice.recommendation)] if advice.recommendation else []
    return ToolResult(
        text="\n".join(parts),
        outcome=outcome,
        data=data,
        plan=work.plan,
        estimate=work.estimate,
        statistics=statistics,
        recommendation=advice.recommendation,
        artifacts=artifacts,
        citations=advice.citations,
        warnings=warnings,
    )


def _outcome(rows: Sequence[StatisticsRow]) -> Outcome:
    outcomes = {row.outcome for row in rows}
    if "ok" in outcomes:
        return "ok"
    return "not_covered" if outcomes == {"not_covered"} else "no_data"


def _data(work: Prepared, statistics: Statistics) -> dict[str, Any]:
    plan, rows = work.plan, statistics.rows
    data: dict[str, Any] = {
        "collection": plan.collection_id,
        "synthetic": work.synthetic,
        "scenes": len(work.scenes),
        "dates": sorted({scene.datetime[:10] for scene in work.scenes}),
        "bbox": work.box,
        "units_synthetic": work.units.synthetic,
    }
    if plan.output == "per_polygon":
        data["summary"] = summary(rows)
    elif plan.output == "series":
        labels = list(dict.fromkeys(row.label for row in rows))
        data["curves"] = {label: curve([row for row in rows if row.label == label]) for label in labels}
    return data


def _headline(work: Prepared, outcome: Outcome) -> str:
    plan = work.plan
    mark = "Synthetic demo data. " if work.synthetic else ""
    what = {"per_polygon": "per polygon", "series": "per date", "composite": "median map"}[plan.output]
    when = f"{plan.period.start} to {plan.period.end}" if plan.period.start != plan.period.end else plan.period.start
    return (
        f"{mark}{work.recipe.title} {what}, {plan.place.name}, {when}: outcome {outcome}. Collection "
        f"{plan.collection_id}, {counted(len(work.scenes), 'scene')} ({date_list(work.scenes)})."
    )


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


def _quality(rows: Sequence[StatisticsRow]) -> tuple[str, ...]:
    found = []
    thin = sum(row.outcome == "ok" and row.valid_share < LOW_SHARE for row in rows)
    if thin:
        found.append(f"{thin} of {len(rows)} values rest on less than {LOW_SHARE:.0%} of the pixels.")
    tiny = len({row.label for row in rows if row.total_pixels == 0 and row.outcome == "no_data"})
    if tiny:
        found.append(f"{counted(tiny, 'polygon')} with no pixel centre inside, so with no value.")
    return tuple(found)


def _stop_if_asked(context: "Context") -> None:
    if context.cancelled():
        raise JobFailed("The computation was stopped.", "Ask again to start it anew.")
