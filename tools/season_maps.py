"""Season dates pixel by pixel: start, peak and end of the main season as GeoTIFF files and maps."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.backends import OpenEOBackend
from tools.errors import JobFailed
from tools.planning import Prepared
from tools.recipes import index_cube
from tools.schema import Artifact, Estimate
from tools.season_pixels import MOMENTS, NO_DATE, season_grids, sums_of, write_grids

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

MAX_PIXELS = 50_000
"""Pixels of a season map: each one is a series of its own."""
PIXELS_PER_SECOND = 3000.0
"""Of seasons on one core, in between few and many patterns of dates without cloud; only a guide for the estimate."""
PICTURES_S = 1.0
COLORMAP = "viridis"


def build_series(work: Prepared) -> dict[str, Any]:
    """Build the flat graph of the index on all dates, pixel by pixel, as netCDF."""
    cube = index_cube(work.plan, work.recipe, work.layers, work.box)
    named = cube.add_dimension(name="bands", label=work.recipe.title, type="bands")
    graph: dict[str, Any] = named.save_result(format="netCDF").flat_graph()
    return graph


def with_maps(estimate: Estimate) -> Estimate:
    """Add the time that the maps take to an estimate; none where the area is too large for them."""
    more_s = PICTURES_S + estimate.pixels / PIXELS_PER_SECOND if estimate.pixels <= MAX_PIXELS else 0.0
    return estimate.model_copy(update={"seconds": round(estimate.seconds + more_s, 1)})


def map_settings(work: Prepared, least_amplitude: float) -> dict[str, Any]:
    """Give what the seasons of the pixels are found with, as plain values: the exported script has them, too."""
    shapes = [one["geometry"] for one in work.units.collection["features"]]
    period = work.plan.period
    days = {"first": period.start.isoformat(), "last": period.end.isoformat()}
    return {"shapes": shapes, **days, "least_amplitude": least_amplitude}


def make_season_maps(
    services: "Services",
    context: "Context",
    backend: OpenEOBackend,
    work: Prepared,
    graph: dict[str, Any],
    least_amplitude: float,
) -> tuple[list[Artifact], dict[str, Any]]:
    """Run the series of all pixels, and make a map and a GeoTIFF of each moment that any pixel has.

    Returns:
        The files, and the constants with which the exported script makes the maps again.

    Raises:
        JobFailed: The back-end's file lacks dates or the reference system.
    """
    context.on_progress("Drawing the maps of season dates")
    settings = map_settings(work, least_amplitude)
    with tempfile.TemporaryDirectory(prefix="clms-") as folder:
        path = Path(folder) / "series.nc"
        backend.run_netcdf(graph, path)
        context.stop_if_asked()
        try:
            found, profile = season_grids(path, **settings)
        except ValueError as error:
            raise JobFailed(f"The back-end answered {error}.", "Run the computation again.") from error
    made: list[Artifact] = []
    for name, days in zip(MOMENTS, found, strict=True):
        if (days != NO_DATE).any():
            made += _draw(services, work, name, days, profile)
    return made, {"PIXELS": graph, "MAP_SETTINGS": settings, "EXPECTED_MAPS": sums_of(found)}


def _draw(
    services: "Services", work: Prepared, name: str, days: NDArray[np.int16], profile: dict[str, Any]
) -> tuple[Artifact, Artifact]:
    """Write one moment as GeoTIFF, and draw it."""
    from tools.render import render_map
    from tools.run_files import source_line

    plan, workspace = work.plan, services.workspace
    unit = f"{name} of the season, day of {plan.period.start.year}"
    title = f"{name.capitalize()} of the season from {work.recipe.title}, {plan.place.name}, {plan.period.label}"
    with workspace.new("raster", f"GeoTIFF: {title} ({unit})", "image/tiff", ".tif", plan.fingerprint) as draft:
        write_grids(draft.path, {name: days}, profile, unit=unit)
    picture = render_map(
        workspace, Path(draft.artifact.path), plan, unit=unit, value_range=None, colormap=COLORMAP, title=title,
        synthetic=work.synthetic, source_line=source_line(work),
    )  # fmt: skip
    return picture, draft.artifact
