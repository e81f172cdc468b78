"""Season dates pixel by pixel: start, peak and end of the main season as GeoTIFF files and maps."""

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.backends import OpenEOBackend
from tools.phenology import MIN_DATES, Season, seasons_on, smooth
from tools.planning import Prepared
from tools.recipes import index_cube
from tools.schema import Artifact, Estimate

if TYPE_CHECKING:
    from tools.stack_files import StackData
    from tools.toolbox import Context, Services

MAX_PIXELS = 50_000
"""Pixels of a season map: each one is a series of its own."""
PIXELS_PER_SECOND = 3000.0
"""Of seasons on one core, in between few and many patterns of dates without cloud; only a guide for the estimate."""
PICTURES_S = 1.0
NO_DATE = -32768
MOMENTS = ("start", "peak", "end")
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


def season_days(
    values: NDArray[np.floating[Any]],
    days: NDArray[np.int64],
    first: date,
    last: date,
    least_amplitude: float,
) -> NDArray[np.int16]:
    """Find the main season of each pixel: of those whose peak lies in the period, the highest.

    Args:
        values: Dates by pixels; NaN is no data.
        days: Day number of each date, ascending, each once.
        first: First day of the period.
        last: Last day of the period.
        least_amplitude: What rises less is no season.

    Returns:
        Start, peak and end by pixels, as days of the year in which the period begins: 1 is 1 January, 0 and below lie
        before it; `NO_DATE` where there is none.
    """
    found = np.full((len(MOMENTS), values.shape[1]), NO_DATE, np.int16)
    origin = date(first.year, 1, 1).toordinal() - 1
    # Pixels that were seen on the same dates share their spline.
    patterns, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for number, seen in enumerate(patterns.T):
        if seen.sum() < MIN_DATES:
            continue
        own, used = np.flatnonzero(which == number), days[seen]
        part = values[np.ix_(seen, own)].astype("float64")
        curves, _ = smooth(used, part, np.ones(len(used)))
        scatter = np.sqrt(np.mean((curves[used - used[0]] - part) ** 2, axis=0))
        for place, pixel in enumerate(own):
            seasons, _ = seasons_on(curves[:, place], used, float(scatter[place]), first, last, least_amplitude)
            if main := _main(seasons):
                moments = (getattr(main, name).day for name in MOMENTS)
                found[:, pixel] = [NO_DATE if day is None else day.toordinal() - origin for day in moments]
    return found


def _main(seasons: Sequence[Season]) -> Season | None:
    known = [one for one in seasons if one.peak_value is not None]
    return max(known, key=lambda one: one.peak_value or 0.0, default=None)


def make_season_maps(
    services: "Services",
    context: "Context",
    backend: OpenEOBackend,
    work: Prepared,
    graph: dict[str, Any],
    least_amplitude: float,
) -> list[Artifact]:
    """Run the series of all pixels, and make a map and a GeoTIFF of each moment that any pixel has."""
    from tools.feature_stack import Variable
    from tools.stack_files import StackData

    context.on_progress("Drawing the maps of season dates")
    with tempfile.TemporaryDirectory(prefix="clms-") as folder:
        path = Path(folder) / "series.nc"
        backend.run_netcdf(graph, path)
        context.stop_if_asked()
        data = StackData.read(path, [Variable(work.recipe.title, work.recipe.long_name)])
    days, values = _by_day(data)
    inside = _inside(data, work)
    found = np.full((len(MOMENTS), *data.shape), NO_DATE, np.int16)
    period = work.plan.period
    found[:, inside] = season_days(values[:, inside], days, period.start, period.end, least_amplitude)
    made: list[Artifact] = []
    for name, dates in zip(MOMENTS, found, strict=True):
        if (dates != NO_DATE).any():
            made += _draw(services, work, data, name, dates)
    return made


def _by_day(data: "StackData") -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give day numbers and values, one layer for each day: of several scenes of a day their mean."""
    (name,) = data.names
    numbers = np.array([date.fromisoformat(day).toordinal() for day in data.dates])
    whole, days = data.dataset[name].values, np.unique(numbers)
    if len(days) == len(numbers):
        return numbers, whole
    layers = [np.ma.masked_invalid(whole[numbers == day]).mean(axis=0).filled(np.nan) for day in days]
    return days, np.stack(layers).astype("float32")


def _inside(data: "StackData", work: Prepared) -> NDArray[np.bool_]:
    """Tell which pixel centres lie in the place or in any of its polygons."""
    from rasterio.features import geometry_mask
    from rasterio.warp import transform_geom

    crs, shapes = data.dataset.rio.crs, [one["geometry"] for one in work.units.collection["features"]]
    moved = [transform_geom("EPSG:4326", crs, one) for one in shapes]
    return np.asarray(geometry_mask(moved, data.shape, data.dataset.rio.transform(), invert=True))


def _draw(
    services: "Services", work: Prepared, data: "StackData", name: str, dates: NDArray[np.int16]
) -> tuple[Artifact, Artifact]:
    """Write one moment as GeoTIFF, and draw it."""
    import rasterio

    from tools.render import render_map
    from tools.run_files import source_line

    plan, workspace = work.plan, services.workspace
    unit = f"{name} of the season, day of {plan.period.start.year}"
    title = f"{name.capitalize()} of the season from {work.recipe.title}, {plan.place.name}, {plan.period.label}"
    rows, columns = data.shape
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": "int16", "nodata": NO_DATE,
        "crs": data.dataset.rio.crs, "transform": data.dataset.rio.transform(), "compress": "deflate",
    }  # fmt: skip
    new = workspace.new("raster", f"GeoTIFF: {title} ({unit})", "image/tiff", ".tif", plan.fingerprint)
    with new as draft, rasterio.open(draft.path, "w", **profile) as raster:
        raster.write(dates, 1)
        raster.set_band_description(1, name)
        raster.update_tags(unit=f"{unit}: 1 is 1 January")
    picture = render_map(
        workspace, Path(draft.artifact.path), plan, unit=unit, value_range=None, colormap=COLORMAP, title=title,
        synthetic=work.synthetic, source_line=source_line(work),
    )  # fmt: skip
    return picture, draft.artifact
