"""Processes along time: aggregation by intervals and by calendar periods."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.cube import Callback, Cube, parse_date
from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_cubes import ordered, reduce_dimension

UNITS = {"day": "datetime64[D]", "month": "datetime64[M]", "year": "datetime64[Y]"}


def aggregate_temporal(
    data: Cube,
    intervals: Sequence[Sequence[str]],
    reducer: Callback,
    labels: Sequence[Any] = (),
    dimension: str | None = None,
    context: Any = None,
) -> Cube:
    """Reduce the dates of each half-open interval to one value."""
    axis = data.temporal(dimension)
    names = list(labels) or [interval[0] for interval in intervals]
    if len(set(names)) != len(intervals):
        raise OpenEOError("DistinctDimensionLabelsRequired", "Each interval needs a label of its own.")
    times = data.data[axis].values
    keeps = [(times >= parse_date(start)) & (times < parse_date(end)) for start, end in intervals]
    coordinates = names if labels else [parse_date(str(n)) for n in names]
    return _grouped(data, axis, keeps, coordinates, reducer, context)


def aggregate_temporal_period(
    data: Cube, period: str, reducer: Callback, dimension: str | None = None, context: Any = None
) -> Cube:
    """Reduce the dates of each day, month or year to one value; labels are as openEO writes them."""
    if period not in UNITS:
        raise invalid_parameter("aggregate_temporal_period", "period", f"this back-end knows {', '.join(UNITS)}")
    axis = data.temporal(dimension)
    groups = data.data[axis].values.astype(UNITS[period])
    if len(groups) == 0:
        raise OpenEOError("NoDataAvailable", "There are no dates to aggregate.")
    every = np.arange(groups.min(), groups.max() + 1)
    names = [str(group) for group in every]
    if period == "day":
        names = [f"{group.astype(object).year}-{group.astype(object).timetuple().tm_yday:03d}" for group in every]
    return _grouped(data, axis, [groups == group for group in every], names, reducer, context)


def _grouped(data: Cube, axis: str, keeps: list[Any], labels: list[Any], reducer: Callback, context: Any) -> Cube:
    layers = []
    for keep in keeps:
        indices = np.flatnonzero(keep)
        if len(indices):
            layers.append(
                reduce_dimension(data.with_data(data.data.isel({axis: indices})), reducer, axis, context).data
            )
        else:
            layers.append(xr.full_like(data.data.isel({axis: 0}, drop=True), np.nan))
    joined = xr.concat(layers, dim=axis, coords="minimal", compat="override", join="override", combine_attrs="override")
    return data.with_data(ordered(joined.assign_coords({axis: labels})))


PROCESSES: dict[str, Callable[..., Any]] = {
    "aggregate_temporal": aggregate_temporal,
    "aggregate_temporal_period": aggregate_temporal_period,
}
