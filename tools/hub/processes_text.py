"""Processes on texts and dates."""

import calendar
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_arrays import elements

_SECONDS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
_MONTHS = {"month": 1, "year": 12}


def _folded(text: str, case_sensitive: bool) -> str:
    return text if case_sensitive else text.casefold()


def _test(check: Callable[[str, str], bool]) -> Callable[..., Any]:
    def run(data: Any, pattern: str, case_sensitive: bool = True) -> Any:
        if data is None:
            return None
        return check(_folded(str(data), case_sensitive), _folded(pattern, case_sensitive))

    return run


def text_concat(data: Sequence[Any], separator: Any = "") -> str:
    """Join values as text."""
    return _text(separator).join(_text(value) for value in elements(data))


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _moment(text: Any) -> datetime:
    """Read a date or time; without a zone it is UTC, and a leap second is the second after."""
    leap = isinstance(text, str) and text[17:19] == "60"
    try:
        moment = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
    except (ValueError, TypeError) as error:
        raise OpenEOError("ProcessParameterInvalid", f"{text!r} is not a date.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(seconds=leap)


def date_between(x: str, min: str, max: str, exclude_max: bool = False) -> bool:  # noqa: A002  # openEO's names
    """Tell whether a date lies in a period."""
    moment, start, end = _moment(x), _moment(min), _moment(max)
    return start <= moment and (moment < end if exclude_max else moment <= end)


def date_difference(date1: str, date2: str, unit: str = "second") -> float:
    """Give the time from the first date to the second; months and years by the calendar, with fractions."""
    first, second = _moment(date1), _moment(date2)
    if unit in _MONTHS:
        return (_months(second) - _months(first)) / _MONTHS[unit]
    if unit not in _SECONDS:
        raise invalid_parameter("date_difference", "unit", f"there are {', '.join([*_SECONDS, *_MONTHS])}")
    return (second - first).total_seconds() / _SECONDS[unit]


def _months(moment: datetime) -> float:
    moment = moment.astimezone(UTC)
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = calendar.monthrange(moment.year, moment.month)[1]
    return moment.year * 12 + moment.month - 1 + (moment - start).total_seconds() / (days * 86400)


def date_shift(date: str, value: int, unit: str) -> str:
    """Move a date; a day that the new month lacks becomes its last."""
    moment = _moment(date)
    try:
        if unit in _MONTHS:
            months = moment.year * 12 + moment.month - 1 + value * _MONTHS[unit]
            year, month = divmod(months, 12)
            moment = moment.replace(day=1, year=year, month=month + 1).replace(
                day=min(moment.day, calendar.monthrange(year, month + 1)[1])
            )
        elif unit in _SECONDS:
            moment += timedelta(seconds=value * _SECONDS[unit])
        else:
            raise invalid_parameter("date_shift", "unit", f"there are {', '.join([*_SECONDS, *_MONTHS])}")
    except (ValueError, OverflowError) as error:
        raise invalid_parameter("date_shift", "value", "the new date lies outside the years 1 to 9999") from error
    if len(date) == len("2020-01-01"):
        return moment.date().isoformat()
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if date.endswith(("Z", "z")) else text


PROCESSES: dict[str, Callable[..., Any]] = {
    "text_begins": _test(str.startswith), "text_ends": _test(str.endswith),
    "text_contains": _test(lambda text, part: part in text), "text_concat": text_concat,
    "date_between": date_between, "date_difference": date_difference, "date_shift": date_shift,
}  # fmt: skip
