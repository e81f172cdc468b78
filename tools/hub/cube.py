"""The two kinds of cube that process graphs work on: rasters (dimensions t, bands, y, x) and values per geometry."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.openeo_errors import OpenEOError

Block = np.ndarray[Any, np.dtype[Any]]
Callback = Callable[..., Any]
"""A child process graph, called with its parameters by name."""
TIME_OF_DAY = re.compile(r"\d{2}:\d{2}:\d{2}")


@dataclass(frozen=True)
class Cube:
    """A raster data cube. No-data is NaN; coordinates `x` and `y` are pixel centres in `crs`."""

    data: xr.DataArray
    crs: str | None = None

    def with_data(self, data: xr.DataArray) -> "Cube":
        """Give the same cube around other data."""
        return replace(self, data=data)

    def axis(self, name: str) -> str:
        """Check that a dimension exists and give its name."""
        if name not in self.data.dims:
            known = ", ".join(str(dim) for dim in self.data.dims)
            raise OpenEOError(
                "DimensionNotAvailable", f"A dimension named '{name}' does not exist; there are: {known}."
            )
        return name

    def temporal(self, name: str | None = None) -> str:
        """Give the name of the temporal dimension."""
        if name is not None:
            return self.axis(name)
        found = [str(dim) for dim in self.data.dims if is_temporal(self.data, str(dim))]
        if len(found) != 1:
            raise OpenEOError(
                "TooManyDimensions" if found else "DimensionNotAvailable",
                f"Expected one temporal dimension, found {len(found)}.",
            )
        return found[0]

    def bands(self) -> str:
        """Give the name of the bands dimension."""
        others = [str(d) for d in self.data.dims if d not in ("x", "y") and not is_temporal(self.data, str(d))]
        if "bands" in others:
            return "bands"
        if len(others) != 1:
            raise OpenEOError("DimensionMissing", "The cube has no single dimension of type bands.")
        return others[0]

    def labels(self, dim: str) -> list[Any]:
        """List the labels of a dimension, dates as RFC 3339 text."""
        if dim not in self.data.coords:
            return list(range(self.data.sizes[dim]))
        values = self.data[dim].values
        return [date_text(v) for v in values] if values.dtype.kind == "M" else values.tolist()

    def resolution(self) -> tuple[float, float]:
        """Give pixel width and height, both positive, in units of the CRS."""
        sizes = []
        for dim in ("x", "y"):
            values = self.data[dim].values
            step = (
                self.data.attrs.get("resolution", 1.0)
                if len(values) < 2
                else abs(values[-1] - values[0]) / (len(values) - 1)
            )
            sizes.append(float(step))
        return sizes[0], sizes[1]


@dataclass(frozen=True)
class VectorCube:
    """Values per geometry; the first dimension of `data` is `geometry`."""

    data: xr.DataArray
    geometries: tuple[dict[str, Any], ...]
    """GeoJSON geometries in EPSG:4326, in the order of the dimension."""


def is_temporal(data: xr.DataArray, dim: str) -> bool:
    """Tell whether a dimension has dates as labels."""
    return dim in data.coords and data[dim].dtype.kind == "M"


def date_text(moment: np.datetime64) -> str:
    """Write a date as openEO does: RFC 3339, UTC, whole seconds."""
    return f"{np.datetime_as_string(moment, unit='s')}Z"


def parse_date(text: str) -> np.datetime64:
    """Read an RFC 3339 date or time."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OpenEOError("ProcessParameterInvalid", f"{text!r} is not a date.") from error
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "ns")


def within(times: Block, start: str | None, end: str | None) -> Block:
    """Tell which dates lie in a half-open interval; an end may be open, or both be times of day, also over midnight."""
    if start and end and TIME_OF_DAY.fullmatch(start) and TIME_OF_DAY.fullmatch(end):
        moments = times - times.astype("datetime64[D]")
        first, last = (parse_date(f"1970-01-01T{one}") - np.datetime64(0, "ns") for one in (start, end))
        begun: Block = moments >= first
        over: Block = moments >= last
        return begun & ~over if first < last else begun | ~over
    low, high = (None if one is None else parse_date(one) for one in (start, end))
    if low is not None and high is not None and high <= low:
        raise OpenEOError(
            "TemporalExtentEmpty", f"The interval from {start} to {end} is empty: the end must come later."
        )
    inside: Block = np.ones(len(times), bool)
    if low is not None:
        inside &= times >= low
    if high is not None:
        inside &= times < high
    return inside


def reprojected_bounds(bounds: tuple[float, float, float, float], source: str, target: str) -> tuple[float, ...]:
    """Give the box around a box in another CRS, edges densified."""
    if source == target:
        return bounds
    from rasterio.warp import transform_bounds

    return tuple(transform_bounds(source, target, *bounds, densify_pts=21))


def crs_text(value: Any) -> str:
    """Write an EPSG code, a WKT2 text or nothing as a CRS that rasterio reads."""
    if value is None:
        return "EPSG:4326"
    text = str(value)
    text = f"EPSG:{text}" if text.isdigit() else text
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        CRS.from_user_input(text)
    except CRSError as error:
        raise OpenEOError("ProcessParameterInvalid", f"{text[:60]!r} is no coordinate reference system.") from error
    return text
