"""Season dates pixel by pixel, from a netCDF file with the series of each pixel.

The exported script and notebook carry the text of this file behind that of tools/phenology.py, so beside it this file
imports the standard library, numpy, xarray and rasterio alone.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from tools.phenology import MIN_DATES, Season, seasons_on, smooth

NO_DATE = -32768
MOMENTS = ("start", "peak", "end")


def season_days(values: Any, days: Any, first: date, last: date, least_amplitude: float) -> Any:
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


def season_grids(
    path: Any, *, shapes: Sequence[dict[str, Any]], first: str, last: str, least_amplitude: float
) -> tuple[Any, dict[str, Any]]:
    """Read a netCDF file and find the main season of each pixel whose centre lies in any of the shapes.

    Args:
        path: The netCDF file, with dates and a reference system.
        shapes: GeoJSON geometries.
        first: First day of the period, as YYYY-MM-DD.
        last: Last day of the period.
        least_amplitude: What rises less is no season.

    Returns:
        Start, peak and end by rows and columns as in `season_days`, and what rasterio writes them with.

    Raises:
        ValueError: The file has no dates or no reference system.
    """
    import xarray as xr
    from rasterio.features import geometry_mask
    from rasterio.transform import from_bounds
    from rasterio.warp import transform_geom

    with xr.open_dataset(path, engine="h5netcdf") as opened:
        crs = next((one.attrs["crs_wkt"] for one in opened.variables.values() if "crs_wkt" in one.attrs), None)
        cube = next((one for one in opened.values() if set(one.dims) == {"t", "y", "x"}), None)
        if crs is None or cube is None:
            raise ValueError("a netCDF file without dates or without a reference system")
        cube = cube.transpose("t", "y", "x").sortby(["t", "x"]).sortby("y", ascending=False).load()
    numbers = np.array([date.fromisoformat(str(one)[:10]).toordinal() for one in cube["t"].values])
    days = np.unique(numbers)
    # Of several scenes of a day their mean.
    layers = [np.ma.masked_invalid(cube.values[numbers == day]).mean(axis=0).filled(np.nan) for day in days]
    values = np.stack(layers).astype("float32")
    rows, columns = values.shape[1:]
    (west, east), (north, south) = (cube[axis].values[[0, -1]].astype(float) for axis in ("x", "y"))
    wide, high = (east - west) / max(columns - 1, 1) / 2, (north - south) / max(rows - 1, 1) / 2
    transform = from_bounds(west - wide, south - high, east + wide, north + high, columns, rows)
    moved = [transform_geom("EPSG:4326", crs, one) for one in shapes]
    inside = geometry_mask(moved, (rows, columns), transform, invert=True)
    found = np.full((len(MOMENTS), rows, columns), NO_DATE, np.int16)
    period = (date.fromisoformat(first), date.fromisoformat(last))
    found[:, inside] = season_days(values[:, inside], days, *period, least_amplitude)
    profile = {"driver": "GTiff", "width": columns, "height": rows, "dtype": "int16", "nodata": NO_DATE, "crs": crs,
               "transform": transform, "compress": "deflate"}  # fmt: skip
    return found, profile


def write_grids(path: Any, grids: dict[str, Any], profile: dict[str, Any], *, unit: str) -> None:
    """Write grids of days as the bands of a GeoTIFF."""
    import rasterio

    with rasterio.open(path, "w", count=len(grids), **profile) as raster:
        for place, (name, days) in enumerate(grids.items(), 1):
            raster.write(days, place)
            raster.set_band_description(place, name)
        raster.update_tags(unit=f"{unit}: 1 is 1 January")


def sums_of(found: Any) -> dict[str, list[int]]:
    """Give the number of pixels with a date and the sum of their days, for each moment."""
    return {
        name: [int((days != NO_DATE).sum()), int(days[days != NO_DATE].sum(dtype="int64"))]
        for name, days in zip(MOMENTS, found, strict=True)
    }


def maps_again(connection: Any, graph: dict[str, Any], file: str, expected: dict[str, list[int]], **how: Any) -> str:
    """Save start, peak and end as the bands of one GeoTIFF, and say whether they are those of the first run."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        connection.download(graph, f"{folder}/series.nc")
        found, profile = season_grids(f"{folder}/series.nc", **how)
    write_grids(file, dict(zip(MOMENTS, found, strict=True)), profile, unit=f"day of {how['first'][:4]}")
    now = sums_of(found)
    far = [name for name in MOMENTS if now[name] != expected[name]]
    return f"Season maps: different in {', '.join(far)}." if far else "Season maps: same as in the first run."
