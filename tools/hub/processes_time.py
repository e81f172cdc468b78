"""Processes along time: aggregation by intervals and by calendar periods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.cube import TIME_OF_DAY, Callback, Cube, parse_date, within
from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_cubes import ordered, reduce_dimension

MAX_PERIODS = 20_000


@dataclass(frozen=True)
class Period:
    """A kind of calendar period: each date's number in an unbroken count, and the label of a number."""

    number: Callable[[Any], Any]
    """Takes dates as an array."""
    label: Callable[[int], str]


def _years(times: Any) -> Any:
    return times.astype("datetime64[Y]").astype(int) + 1970


def _months(times: Any) -> Any:
    """Count months since the year 0."""
    return times.astype("datetime64[M]").astype(int) + 1970 * 12


def _days(times: Any) -> Any:
    return times.astype("datetime64[D]").astype(int)


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))


def _dekads(times: Any) -> Any:
    day_of_month = _days(times) - times.astype("datetime64[M]").astype("datetime64[D]").astype(int)
    return _months(times) * 3 + np.minimum(day_of_month // 10, 2)


def _week_label(number: int) -> str:
    # The Thursday decides which year a week belongs to; 1 January 1970 was one.
    year, week, _ = _day(number * 7).isocalendar()
    return f"{year}-{week:02d}"


def _season_label(number: int) -> str:
    year, season = divmod(int(number), 4)
    return f"{year - (season == 0)}-{('djf', 'mam', 'jja', 'son')[season]}"


def _tropical_label(number: int) -> str:
    year, season = divmod(int(number), 2)
    return f"{year - (season == 0)}-{('ndjfma', 'mjjaso')[season]}"


PERIODS = {
    "hour": Period(lambda times: times.astype("datetime64[h]").astype(int), lambda n: f"{_day(n // 24)}-{n % 24:02d}"),
    "day": Period(_days, lambda n: f"{_day(n).year}-{_day(n).timetuple().tm_yday:03d}"),
    "week": Period(lambda times: (_days(times) + 3) // 7, _week_label),
    "dekad": Period(_dekads, lambda n: f"{n // 36}-{n % 36 + 1:02d}"),
    "month": Period(_months, lambda n: f"{n // 12}-{n % 12 + 1:02d}"),
    "season": Period(lambda times: (_months(times) + 1) // 3, _season_label),
    "tropical-season": Period(lambda times: (_months(times) + 2) // 6, _tropical_label),
    "year": Period(_years, str),
    "decade": Period(lambda times: _years(times) // 10, lambda n: str(n * 10)),
    "decade-ad": Period(lambda times: (_years(times) - 1) // 10, lambda n: str(n * 10 + 1)),
}


def aggregate_temporal(
    data: Cube,
    intervals: Sequence[Sequence[str | None]],
    reducer: Callback,
    labels: Sequence[Any] = (),
    dimension: str | None = None,
    context: Any = None,
) -> Cube:
    """Reduce the dates of each half-open interval to one value; an end may be open, or both be times of day."""
    axis = data.temporal(dimension)
    times = data.data[axis].values
    keeps = [within(times, start, end) for start, end in intervals]
    names = list(labels) or [start or ".." for start, _ in intervals]
    if len(set(names)) != len(intervals):
        raise OpenEOError("DistinctDimensionLabelsRequired", "Each interval needs a label of its own.")
    as_dates = not labels and all(start and not TIME_OF_DAY.fullmatch(start) for start, _ in intervals)
    coordinates = [parse_date(name) for name in names] if as_dates else names
    return _grouped(data, axis, keeps, coordinates, reducer, context)


def aggregate_temporal_period(
    data: Cube, period: str, reducer: Callback, dimension: str | None = None, context: Any = None
) -> Cube:
    """Reduce the dates of each calendar period to one value; labels are as openEO writes them."""
    if period not in PERIODS:
        raise invalid_parameter("aggregate_temporal_period", "period", f"there are {', '.join(PERIODS)}")
    axis = data.temporal(dimension)
    numbers = PERIODS[period].number(data.data[axis].values)
    if len(numbers) == 0:
        raise OpenEOError("NoDataAvailable", "There are no dates to aggregate.")
    every = range(int(numbers.min()), int(numbers.max()) + 1)
    if len(every) > MAX_PERIODS:
        raise OpenEOError("ProcessGraphComplexity", f"{len(every)} periods are asked for; {MAX_PERIODS} at most.")
    names = [PERIODS[period].label(number) for number in every]
    return _grouped(data, axis, [numbers == number for number in every], names, reducer, context)


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
