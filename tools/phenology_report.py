"""Put season dates into words: dates with their day of the year, what was not seen, the method and its source."""

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any

from tools import phenology
from tools.phenology import Moment, Phenology, Season
from tools.planning import Prepared
from tools.schema import Period, Recommendation
from tools.words import counted

UNITS_IN_TEXT = 12
MOMENTS = {"start": "starts", "peak": "peaks", "end": "ends"}
TIMESAT = "Jönsson and Eklundh 2004, Computers & Geosciences 30, 833-845, https://doi.org/10.1016/j.cageo.2004.05.006"
SPLINE = "Reinsch 1967, Numerische Mathematik 10, 177-183, https://doi.org/10.1007/BF02162161"


def season_lines(found: dict[str, Phenology], work: Prepared, official: Recommendation | None) -> list[str]:
    """Tell the seasons of each unit, what they have in common, and which product gives such dates officially."""
    lines = []
    if len(found) > 1:
        lines.append(_common(found))
    shown = sorted(found.items(), key=lambda pair: not pair[1].known)[:UNITS_IN_TEXT]
    close = len(found) <= UNITS_IN_TEXT // 4
    lines += [line for label, one in shown for line in _unit_lines(label, one, close=close)]
    if len(found) > len(shown):
        lines.append(f"{len(found) - len(shown)} more are in the table.")
    if official:
        lines.append(
            f"These dates are computed here from {counted(len(work.scenes), 'scene')} with {work.recipe.title}. They "
            f"are not those of {official.title}, the product that gives season dates officially."
        )
    return lines


def season_method(series: str, read: Period) -> str:
    """Tell how the dates are made.

    Args:
        series: How the series was made.
        read: The days that were read.
    """
    return (
        f"{series} Season dates from this series, read from {read.start} to {read.end}: a cubic smoothing spline "
        f"(scipy make_smoothing_spline; {SPLINE}) that halves waves of {phenology.HALF_WAVE_DAYS:g} days, each date "
        f"weighted by its share of valid pixels, dates below {phenology.MIN_VALID_SHARE:.0%} left out. The season "
        f"starts on the first day on which the curve has risen by {phenology.START_SHARE:.0%} from the minimum before "
        f"the peak, and ends on the last day with {phenology.END_SHARE:.0%} or more left of the fall to the minimum "
        f"after it: thresholds of the seasonal amplitude as in TIMESAT ({TIMESAT}). Amplitude: peak minus the mean of "
        f"both minima. A season belongs to the day of its peak. No date is told in or at a gap of more than "
        f"{phenology.MAX_GAP_DAYS} days, and no start or end within {phenology.EDGE_DAYS} days of the first or last "
        "date."
    )


def season_warnings(work: Prepared, found: dict[str, Phenology], *, today: date) -> tuple[str, ...]:
    """Tell what makes the dates weak."""
    told = []
    domain = _domain(work.recipe.title)
    if domain != "vegetation":
        told.append(f"{work.recipe.title} is an index of {domain}: its seasons are not those of the plants.")
    if work.plan.period.end + timedelta(days=phenology.EDGE_DAYS) > today:
        told.append(f"The period ends with {work.plan.period.end}: a season that is not over has no end yet.")
    several = [label for label, one in found.items() if len(one.seasons) > 1]
    if several and (work.plan.period.end - work.plan.period.start).days <= 366:
        told.append(
            f"{counted(len(several), 'unit')} with more than one season: double crops, mowing and cloud remnants all "
            "make several peaks; look at the chart."
        )
    return tuple(told)


def summarise(found: dict[str, Phenology]) -> dict[str, Any]:
    """Count the units and give the earliest, the median and the latest date of their main seasons."""
    main = [_main_season(one) for one in found.values() if one.known]
    summary: dict[str, Any] = {"units": len(found), "units_with_dates": len(main)}
    for name in MOMENTS:
        days = sorted(moment.day for season in main if (moment := getattr(season, name)).day)
        if days:
            middle = date.fromordinal(round(median(day.toordinal() for day in days)))
            spread = {"earliest": days[0], "median": middle, "latest": days[-1]}
            summary[name] = {"units": len(days), **{key: _told(day) for key, day in spread.items()}}
    return summary


def in_words(day: date) -> str:
    """Say a day with its number in the year."""
    return f"{day} (day {day.timetuple().tm_yday} of {day.year})"


def _told(day: date) -> dict[str, Any]:
    return {"date": day.isoformat(), "day_of_year": day.timetuple().tm_yday}


def _main_season(found: Phenology) -> Season:
    """Give the season with the highest peak."""
    return max(found.seasons, key=lambda one: (one.peak_value is not None, one.peak_value or 0.0))


def _common(found: dict[str, Phenology]) -> str:
    """Tell of many units together."""
    together = summarise(found)
    text = f"{together['units_with_dates']} of {counted(together['units'], 'polygon')} have season dates."
    parts = [
        f"{name} {part['median']['date']} (day {part['median']['day_of_year']}; {part['earliest']['date']} to "
        f"{part['latest']['date']}, {counted(part['units'], 'polygon')})"
        for name in MOMENTS
        if (part := together.get(name))
    ]
    return f"{text} Median of their main seasons: {', '.join(parts)}." if parts else text


def _unit_lines(label: str, found: Phenology, *, close: bool) -> list[str]:
    if not found.seasons:
        return [f"{label}: no season dates. {found.reason}"]
    lines = []
    for number, season in enumerate(found.seasons, start=1):
        name = f"{label}, season {number} of {len(found.seasons)}" if len(found.seasons) > 1 else label
        lines.append(_season_line(name, season, found.dates, close=close))
    return lines


def _season_line(name: str, season: Season, dates: int, *, close: bool) -> str:
    moments: Sequence[tuple[str, Moment]] = [(one, getattr(season, one)) for one in MOMENTS]
    known = [f"{MOMENTS[one]} {_moment(moment, close=close)}" for one, moment in moments if moment.day]
    if not season.peak.day:
        return f"{name}: no dates, for its peak was not seen: {season.peak.reason}"
    text = f"{name}: {', '.join(known)}; peak value {season.peak_value:.3f}"
    text += f"; {counted(season.length_days, 'day')} long" if season.length_days is not None else ""
    text += f"; amplitude {season.amplitude:.3f}" if season.amplitude is not None else ""
    text += f"; from {counted(dates, 'date')}."
    missing = [f"No date of its {one}: {moment.reason}" for one, moment in moments if not moment.day]
    return " ".join([text, *missing])


def _moment(moment: Moment, *, close: bool) -> str:
    day = in_words(moment.day) if moment.day else ""
    if not (close and moment.between):
        return day
    return f"{day}, seen between {moment.between[0]} and {moment.between[1]}"


def _domain(title: str) -> str:
    """Tell what an index is of, as spyndex says; one of one's own counts as one of vegetation."""
    import spyndex

    known = spyndex.indices.get(title)
    return str(known.application_domain) if known is not None else "vegetation"
