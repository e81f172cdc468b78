"""Feature stacks for machine learning: bands and indices of all dates, masked and scaled, on one grid, in one file."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tools import band_graphs
from tools.backends import OpenEOBackend, open_backend
from tools.errors import NoScenes, TooLarge
from tools.indices import Recipe, get_recipe, used_layers
from tools.layers import Layers
from tools.planning import Prepared, prepare
from tools.runs import Made, run_once
from tools.schema import Artifact, LayerChoice, ToolResult
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

Format = Literal["netcdf", "geotiff", "zarr"]

MAX_VALUES = 50_000_000
"""Values in one stack: 200 MB, which one machine holds in memory while writing."""
SCALED = "stored value x"
KINDS: dict[Format, str] = {
    "netcdf": "netCDF (CF-1.8)",
    "geotiff": "GeoTIFF, one layer for each date and band",
    "zarr": "Zarr in one ZIP file (CF-1.8)",
}
SUBJECT = "satellite reflectances for machine learning"


@dataclass(frozen=True)
class Variable:
    """One band or index of a stack."""

    name: str
    long_name: str
    comment: str = ""
    unit: str = "1"
    """Empty for stored values, of which nobody says what they count."""


@dataclass(frozen=True)
class StackWork:
    """A stack, looked up and ready to run."""

    prepared: Prepared
    variables: tuple[Variable, ...]
    indices: tuple[str, ...]
    """Ids of the recipes of those variables that are indices."""
    graph: dict[str, Any]
    composite: bool = False
    """Whether it holds the median over the dates instead of the dates."""


def make_stack(
    services: "Services",
    context: "Context",
    *,
    bands: str,
    place: str,
    period: str,
    format: Format,  # noqa: A002  # what users call it
    composite: bool = False,
) -> ToolResult:
    """Plan the stack, let the back-end make it, write it with its names and dates, and tell what is in it."""
    context.on_progress("Looking up place, period and scenes")
    work = look_up(services, context, bands=bands, place=place, period=period, composite=composite)
    context.stop_if_asked()
    graphs = {"stack": work.graph, "format": format}
    told, made = run_once(services, context, work.prepared, graphs, lambda: run(services, context, work, format))
    return _told(replace(work, prepared=told), made.data, format, made.artifacts)


def run(services: "Services", context: "Context", work: StackWork, format_name: Format) -> Made:
    """Let the back-end make the stack, and write it."""
    from tools.stack_files import StackData, write_stack

    backend = open_backend(services, context, work.prepared.estimate)
    backend.validate(work.graph)
    _check_reflectances(backend, work)
    estimate = work.prepared.estimate
    context.on_progress(f"Loading bands and indices ({estimate.reason} {estimate.megabytes:.1f} MB)")
    with tempfile.TemporaryDirectory(prefix="clms-") as folder:
        path = Path(folder) / "stack.nc"
        backend.run_netcdf(work.graph, path)
        context.stop_if_asked()
        data = StackData.read(path, work.variables, composite_of=work.prepared.plan.period if work.composite else None)
    found = data.describe()
    if not found["valid_share"]:
        raise NoScenes(
            "Every pixel of every date is masked or empty (cloud, shadow, snow, no data): the stack would be empty.",
            "Try a longer period.",
        )
    context.on_progress("Writing the files")
    return Made(statistics=(), artifacts=write_stack(services, work, data, format_name), data=found)


def look_up(
    services: "Services", context: "Context", *, bands: str, place: str, period: str, composite: bool = False
) -> StackWork:
    """Choose place, scenes, bands and indices.

    Raises:
        ToolInputError: A name is neither a band of the collection nor a known index.
        TooLarge: The stack would hold too many values.
    """

    def widen(layers: Layers) -> Recipe:
        symbols, indices = band_graphs.read_wanted(bands, layers)
        needed = dict.fromkeys([*symbols, *(one for name in indices for one in get_recipe(name).needs)])
        return band_graphs.bands_recipe(
            tuple(needed), identifier="feature_stack", title="Feature stack",
            long_name="bands and indices of all dates", reading="", subject=SUBJECT,
        )  # fmt: skip

    prepared = prepare(
        services, context, recipe_id=band_graphs.CHOOSES, place=place, period=period, output="composite",
        units="parcels", widen=widen,
    )  # fmt: skip
    symbols, indices = band_graphs.read_wanted(bands, prepared.layers)
    base = (
        prepared.recipe.model_copy(update={"formula": f"({' + '.join(symbols)}) / {symbols[0]}"}) if symbols else None
    )
    variables = _variables(base, indices, prepared.layers)
    _check_size(prepared, len(variables), composite=composite)
    names = [one.name for one in variables]
    layer = LayerChoice(title="Feature stack", unit="1", band=", ".join(names), reference=prepared.plan.period.label)
    plan = prepared.plan.model_copy(update={"layer": layer, "parameters": {"variables": names}})
    prepared = replace(prepared, plan=plan)
    graph = band_graphs.build_stack(plan, base, indices, prepared.layers, prepared.box, composite=composite)
    return StackWork(prepared, variables, indices, graph, composite)


def _check_reflectances(backend: OpenEOBackend, work: StackWork) -> None:
    """Refuse an index that needs reflectances where the bands hold something else."""
    from tools.compute import check_stored_values

    prepared = work.prepared
    for name in work.indices:
        plan = prepared.plan.model_copy(update={"recipe_id": name})
        check_stored_values(backend, replace(prepared, plan=plan, recipe=get_recipe(name)))


def _variables(bands: Recipe | None, indices: tuple[str, ...], layers: Layers) -> tuple[Variable, ...]:
    found = []
    for band in used_layers(bands, layers) if bands else ():
        scaled = band.scale not in (None, 1.0) or bool(band.offset)
        name = band.common_name or band.name
        if scaled:
            comment = f"{SCALED} {band.scale or 1:g} + {band.offset or 0:g}"
            found.append(Variable(band.name, f"{name} reflectance", comment))
        else:
            told = "no scale and offset" if band.scale is None else "a scale of 1 and no offset"
            found.append(Variable(band.name, f"{name} stored value", f"as stored: the collection names {told}", ""))
    for name in indices:
        recipe = get_recipe(name)
        found.append(Variable(recipe.title, recipe.long_name, f"{recipe.formula}; {recipe.reference}".strip("; ")))
    return tuple(found)


def _span(dates: list[str]) -> str:
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def _check_size(prepared: Prepared, layers: int, *, composite: bool) -> None:
    dates = 1 if composite else len({scene.datetime[:10] for scene in prepared.scenes})
    values = prepared.estimate.pixels * dates * layers
    if values > MAX_VALUES:
        raise TooLarge(
            f"This stack would hold {values / 1e6:.0f} million values ({prepared.estimate.pixels} pixels, "
            f"{counted(dates, 'date')}, {counted(layers, 'band')}); {MAX_VALUES / 1e6:.0f} million at most.",
            f"Choose at most {max(1, MAX_VALUES // (prepared.estimate.pixels * layers))} of the dates, fewer bands, or "
            "a smaller place.",
        )


def _told(work: StackWork, found: dict[str, Any], format_name: Format, artifacts: tuple[Artifact, ...]) -> ToolResult:
    from tools.export import synthetic_note

    prepared, names = work.prepared, [one.name for one in work.variables]
    plan, dates = prepared.plan, found["dates"]
    note = synthetic_note(scenes=prepared.synthetic, units=False)
    when = "the median over the dates" if work.composite else f"{counted(len(dates), 'date')} ({_span(dates)})"
    about = (
        f"Feature stack of {plan.place.name}, {plan.period.start} to {plan.period.end}: "
        f"{counted(len(names), 'variable')} ({', '.join(names)}) of {when}, "
        f"{counted(len(names) * len(dates), 'layer')} on one grid of {found['columns']} by "
        f"{found['rows']} pixels of {found['pixel']} ({found['crs']}), as {KINDS[format_name]}."
    )
    scaled = any(one.comment.startswith(SCALED) for one in work.variables)
    values = "Scale and offset of the collection are applied" if scaled else "Bands are as they are stored"
    values += (
        "; clouds, shadows, snow and no data are NaN" if prepared.layers.scl else "; no data is NaN, clouds are not"
    )
    share = (
        f"{values}; {found['valid_share']:.1%} of the values are valid. "
        "The stack covers the whole rectangle of the place."
    )
    source = f"Collection {plan.collection_id}, {counted(len(prepared.scenes), 'scene')}. The table lists every layer."
    notes = (f"Note: {one}" for one in prepared.warnings if not one.startswith("Synthetic demo data"))
    image = "True-colour image: the picture and the map show red, green and blue as the eye sees them."
    seen = image if any(one.kind == "map" for one in artifacts) else ""
    told = (note, seen, about, f"{share} {source}", *notes)
    return ToolResult(
        text="\n".join(part for part in told if part),
        data={
            "collection": plan.collection_id,
            "synthetic": prepared.synthetic,
            "variables": names,
            "format": format_name,
            **found,
        },
        plan=plan,
        estimate=prepared.estimate,
        artifacts=artifacts,
        warnings=prepared.warnings,
    )
