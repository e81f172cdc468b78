"""Season dates from a series: a smoothing spline through the dates, and where it crosses shares of its rise and fall.

The exported script and notebook carry the text of this file, so it imports the standard library, numpy and scipy alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

HALF_WAVE_DAYS = 60.0
"""The spline halves waves of this length; of one half as long, a seventeenth is left."""
START_SHARE, END_SHARE = 0.25, 0.15
"""The season starts where the curve has risen by this share from the minimum before the peak, and ends where no more
than this share is left of the fall to the minimum after it."""
MIN_VALID_SHARE = 0.5
"""A date on which less of the unit was seen is left out; others weigh as much as was seen."""
MIN_DATES = 6
"""A rise, a peak and a fall are not told apart with fewer."""
MAX_GAP_DAYS = 45
"""What lies in a longer gap between two dates was not seen."""
EDGE_DAYS = 30
"""A rise or fall this close to the first or last date may have begun before or go on after it."""
MINOR_SHARE = 0.25
"""A further peak counts from this share of the largest one's height above its surroundings."""
NOISE_FACTOR = 3.0
"""A season is higher than so many times the scatter of the dates around the curve."""


@dataclass(frozen=True)
class Moment:
    """One date of a season, or why there is none."""

    day: date | None = None
    between: tuple[date, date] | None = None
    """The nearest dates with a value before and after it."""
    reason: str = ""


@dataclass(frozen=True)
class Season:
    """One rise and fall; values are those of the smoothed curve."""

    start: Moment
    peak: Moment
    end: Moment
    peak_value: float | None = None
    amplitude: float | None = None
    """Peak minus the mean of the minima before and after it; None where one of them was not seen."""

    @property
    def length_days(self) -> int | None:
        """Days from start to end."""
        return (self.end.day - self.start.day).days if self.start.day and self.end.day else None


@dataclass(frozen=True)
class Phenology:
    """The seasons of one unit, or why there is none."""

    seasons: tuple[Season, ...] = ()
    reason: str = ""
    dates: int = 0
    """Dates that were used."""
    curve: tuple[tuple[date, float], ...] = ()
    """The smoothed value of each day; days in long gaps are left out."""
    scatter: float | None = None
    """Root mean square of the dates' distances from the curve."""

    @property
    def known(self) -> bool:
        """True when any season has a date."""
        return any(one.day for season in self.seasons for one in (season.start, season.peak, season.end))


def find_seasons(rows: Sequence[dict[str, Any]], first: date, last: date, least_amplitude: float) -> Phenology:
    """Find the seasons of one unit whose peak lies in a period.

    Args:
        rows: One for each date, with `date` (YYYY-MM-DD), `value` (None: no data), `valid_pixels`, `total_pixels`.
        first: First day of the period; rows may begin before it, so that a rise before it is seen.
        last: Last day of the period.
        least_amplitude: What rises less, in units of the values, is no season.
    """
    used = _usable(rows)
    if len(used) < MIN_DATES:
        few = f"{len(used)} of {len(rows)} dates have a value for at least {MIN_VALID_SHARE:.0%} of the pixels"
        return Phenology(reason=f"{few}; at least {MIN_DATES} are needed.", dates=len(used))
    days = np.array([day for day, _, _ in used])
    values, weights = (np.array(part) for part in zip(*(one[1:] for one in used), strict=True))
    curve, known = smooth(days, values, weights)
    scatter = float(np.sqrt(np.average((curve[days - days[0]] - values) ** 2, weights=weights)))
    seasons, reason = seasons_on(curve, days, scatter, first, last, least_amplitude)
    daily = tuple((date.fromordinal(int(days[0]) + n), float(curve[n])) for n in range(len(curve)) if known[n])
    if not seasons and not reason:
        reason = f"No season has its peak between {first} and {last}."
    return Phenology(seasons, reason, len(used), daily, scatter)


def seasons_on(
    curve: Any, days: Any, scatter: float, first: date, last: date, least_amplitude: float
) -> tuple[tuple[Season, ...], str]:
    """Read the seasons whose peak lies in a period off a smoothed curve, or why no peak stands out."""
    peaks, reason = _peaks(curve, max(least_amplitude, NOISE_FACTOR * scatter))
    found = (_season(curve, days, peaks, place) for place in range(len(peaks)))
    return tuple(season for season in found if _touches(season.peak, first, last)), reason


def smooth(days: Any, values: Any, weights: Any) -> tuple[Any, Any]:
    """Draw a smoothing spline through the dates.

    Args:
        days: Day numbers, ascending, each once.
        values: Value of each, or of each and several pixels.
        weights: Weight of each.

    Returns:
        The value of each day from the first to the last, straight lines across long gaps; and True for each day that
        does not lie in a long gap.
    """
    from scipy.interpolate import make_smoothing_spline

    at = np.arange(days[0], days[-1] + 1)
    # An even series of weight g a day is damped by 1 / (1 + penalty / g * (2 pi / wave) ** 4).
    penalty = (HALF_WAVE_DAYS / (2 * np.pi)) ** 4 * weights.sum() / (days[-1] - days[0])
    curve = make_smoothing_spline(days - days[0], values, w=weights, lam=penalty)(at - days[0])
    known = np.ones(len(at), dtype=bool)
    for before, after in pairwise(days):
        if after - before > MAX_GAP_DAYS:
            known[before - days[0] + 1 : after - days[0]] = False
    if not known.all():
        curve = np.apply_along_axis(lambda one: np.interp(at, at[known], one[known]), 0, curve)
    return curve, known


def season_rows(found: dict[str, Phenology]) -> list[dict[str, Any]]:
    """Give one row for each season of each unit; a unit without one has a row that says why."""
    rows = []
    for label, one in found.items():
        for number, season in enumerate(one.seasons or (None,), start=1):
            rows.append({"label": label, "season": number if season else None, **_row(season, one)})
    return rows


def _row(season: Season | None, found: Phenology) -> dict[str, Any]:
    moments = {name: getattr(season, name) if season else Moment() for name in ("start", "peak", "end")}
    row: dict[str, Any] = {}
    for name, moment in moments.items():
        row[name] = moment.day.isoformat() if moment.day else None
        row[f"{name}_day_of_year"] = moment.day.timetuple().tm_yday if moment.day else None
        row[f"{name}_between"] = [one.isoformat() for one in moment.between] if moment.between else None
        row[f"{name}_reason"] = moment.reason
    return row | {
        "length_days": season.length_days if season else None,
        "peak_value": season.peak_value if season else None,
        "amplitude": season.amplitude if season else None,
        "dates": found.dates,
        "scatter": found.scatter,
        "outcome": "ok" if any(one.day for one in moments.values()) else "no_data",
        "reason": found.reason,
    }


def _usable(rows: Sequence[dict[str, Any]]) -> list[tuple[int, float, float]]:
    """Give day number, value and weight of the dates that count, in order."""
    used = {}
    for row in rows:
        share = row["valid_pixels"] / row["total_pixels"] if row["total_pixels"] else 0.0
        if row["value"] is not None and share >= MIN_VALID_SHARE:
            used[date.fromisoformat(row["date"]).toordinal()] = (float(row["value"]), share)
    return [(day, *used[day]) for day in sorted(used)]


def _peaks(curve: Any, level: float) -> tuple[list[int], str]:
    """Give the days of the peaks that stand out by a level, or why there is none."""
    from scipy.signal import find_peaks

    places, found = find_peaks(curve, prominence=level)
    if len(places):
        heights = found["prominences"]
        return [int(one) for one in places[heights >= MINOR_SHARE * heights.max()]], ""
    spread = float(curve.max() - curve.min())
    if spread < level:
        return [], f"The curve is flat: it spans {spread:.3f}, and a season needs {level:.3f}."
    return [], f"The curve spans {spread:.3f} but has no peak between its first and its last date that stands out."


def _season(curve: Any, days: Any, peaks: list[int], place: int) -> Season:
    """Read one season off the curve, between the minima before and after its peak."""
    peak = peaks[place]
    top = _moment(peak, days)
    if top.day is None:
        unknown = Moment(reason="without the peak there is no height to measure it by.")
        return Season(unknown, top, unknown)
    left, right = peaks[place - 1] if place else 0, peaks[place + 1] if place + 1 < len(peaks) else len(curve) - 1
    before, after = left + int(np.argmin(curve[left:peak])), peak + int(np.argmin(curve[peak : right + 1]))
    low, high, final = float(curve[before]), float(curve[peak]), float(curve[after])
    rise = curve[before : peak + 1] >= low + START_SHARE * (high - low)
    fall = curve[peak : after + 1] >= final + END_SHARE * (high - final)
    start = _moment(peak - int(np.argmin(rise[::-1])) + 1, days)
    end = _moment(peak + int(np.argmin(fall)) - 1, days)
    start, end = _inside(start, days, "start"), _inside(end, days, "end")
    both = (start.day or before > 0) and (end.day or after < len(curve) - 1)
    return Season(start, top, end, high, high - (low + final) / 2 if both else None)


def _moment(place: int, days: Any) -> Moment:
    """Give the date of a day of the curve, unless it lies in or at a long gap."""
    day = int(days[0]) + place
    before, after = days[days < day], days[days > day]
    around = [int(before[-1] if len(before) else days[0]), int(after[0] if len(after) else days[-1])]
    if day in days:  # Two gaps touch a day that was seen.
        around.insert(1, day)
    gap, first, last = max(
        (end - begin, date.fromordinal(begin), date.fromordinal(end)) for begin, end in pairwise(around)
    )
    if gap > MAX_GAP_DAYS:
        return Moment(
            None, (first, last), f"nothing was seen for {gap} days, from {first} to {last}, and it lies there."
        )
    return Moment(date.fromordinal(day), (date.fromordinal(around[0]), date.fromordinal(around[-1])))


def _inside(moment: Moment, days: Any, name: str) -> Moment:
    """Take back a date so close to an end of the series that the rise or the fall was not seen whole."""
    if moment.day is None:
        return moment
    edge = date.fromordinal(int(days[0] if name == "start" else days[-1]))
    if abs(moment.day - edge) >= timedelta(days=EDGE_DAYS):
        return moment
    words = (
        f"the first date is {edge}, and the rise may have begun before it."
        if name == "start"
        else f"the last date is {edge}, and the fall may go on after it."
    )
    return Moment(None, None, words)


def _touches(moment: Moment, first: date, last: date) -> bool:
    """Tell whether a peak lies in a period; one in a gap, whether any of the gap does."""
    if moment.day:
        return first <= moment.day <= last
    return moment.between is not None and moment.between[0] <= last and moment.between[1] >= first


def seasons_of(
    rows: Sequence[dict[str, Any]], *, first: str, last: str, least_amplitude: float
) -> dict[str, Phenology]:
    """Find the seasons of each unit of a table of means with one row for each date and unit."""
    period = date.fromisoformat(first), date.fromisoformat(last)
    labels = dict.fromkeys(row["label"] for row in rows)
    return {
        label: find_seasons([row for row in rows if row["label"] == label and row["date"]], *period, least_amplitude)
        for label in labels
    }


def format_seasons(rows: Sequence[dict[str, Any]]) -> str:
    """Give season rows as lines of text."""
    lines = []
    for row in rows:
        dates = ", ".join(f"{name} {row[name] or 'not told'}" for name in ("start", "peak", "end"))
        lines.append(f"{row['label']}: {dates if row['season'] else row['reason']}")
    return "\n".join(lines)


def compare_seasons(rows: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> str:
    """Say in one sentence whether season rows have the dates of the first run."""
    names = ("label", "season", "start", "peak", "end", "length_days")
    now, then = ([tuple(row[name] for name in names) for row in part] for part in (rows, expected))
    return "Season dates: same as in the first run." if now == then else "Season dates: different from the first run."
