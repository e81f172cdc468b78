"""Make the files of a run: map or chart, tables, and what runs it again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.advice import Advice
from tools.backends import Backend
from tools.planning import Prepared
from tools.schema import Artifact, Statistics

if TYPE_CHECKING:
    from tools.export_code import Sequel
    from tools.toolbox import Context, Services


def make_files(
    services: "Services",
    context: "Context",
    backend: Backend,
    graphs: dict[str, Any],
    work: Prepared,
    statistics: Statistics,
    advice: Advice,
    *,
    pictures: Sequence[Artifact] | None = None,
    sequel: "Sequel | None" = None,
) -> tuple[Artifact, ...]:
    """Make the map or chart (unless `pictures` are there), the tables, and the files that run the result again.

    A `sequel` is what script and notebook compute from the table.
    """
    from tools.export import write_table, write_vector

    workspace, plan, fake = services.workspace, work.plan, work.synthetic or work.units.synthetic
    made = list(pictures or _pictures(services, context, backend, graphs, work, statistics))
    context.stop_if_asked()
    context.on_progress("Writing the files")
    made.append(write_table(workspace, statistics, plan, synthetic=fake))
    made.append(write_vector(workspace, statistics, plan, synthetic=fake))
    return (*made, *make_code(services, graphs, work, statistics, advice, made=made, sequel=sequel))


def make_code(
    services: "Services",
    graphs: dict[str, Any],
    work: Prepared,
    expected: Statistics,
    advice: Advice,
    *,
    made: Sequence[Artifact],
    sequel: "Sequel | None" = None,
) -> tuple[Artifact, ...]:
    """Make the graphs, the script and the notebook that give the `expected` table again, and the records of all."""
    from tools.export import synthetic_note
    from tools.export_code import write_notebook, write_script
    from tools.records import write_records

    workspace, plan = services.workspace, work.plan
    note = synthetic_note(scenes=work.synthetic, units=work.units.synthetic)
    url = services.rerun_url or services.openeo_url
    again: dict[str, Any] = {"openeo_url": url, "expected": expected, "note": note, "sequel": sequel}
    code = [
        *_graph_files(services, graphs, work, note),
        write_script(workspace, graphs, plan, **again),
        write_notebook(workspace, graphs, plan, **again),
    ]
    product_id = advice.recommendation.product_id if advice.recommendation else ""
    return (*code, *write_records(services, work, product_id, (*made, *code)))


def _graph_files(services: "Services", graphs: dict[str, Any], work: Prepared, note: str) -> list[Artifact]:
    """Write the graph of the numbers, which any client can execute, and that of the map, which gives a GeoTIFF."""
    from tools.export import plan_title, write_graph

    parts = [graph for name, graph in graphs.items() if name.startswith("mean")]
    made = []
    for number, graph in enumerate(parts, 1):
        title = f"openEO process graph, part {number} of {len(parts)}: {plan_title(work.plan)}" if parts[1:] else ""
        made.append(write_graph(services.workspace, graph, work.plan, title=title, note=note))
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
    from tools.charts import render_chart
    from tools.render import render_map

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
    raster = Path(draft.artifact.path)
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
