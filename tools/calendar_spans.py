"""Arithmetic of the calendar: months, weeks, quarters and parts of them as first and last day."""

import re
from calendar import month_name, monthrange
from collections.abc import Callable
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

MONTHS = [name.lower() for name in month_name[1:]]

Span = tuple[date, date]


def moved(span: Span, count: int, unit: str) -> Span:
    """Move a span by so many units; what ends with its month ends with a month."""
    count, unit = (count * 3, "month") if unit == "quarter" else (count, unit)
    by = relativedelta(**{f"{unit}s": count})  # type: ignore[arg-type]  # keyword by name
    start, end = span
    if unit in ("month", "year") and start.day == 1 and end.day == monthrange(end.year, end.month)[1]:
        last = end.replace(day=1) + by
        return start + by, last.replace(day=monthrange(last.year, last.month)[1])
    return start + by, end + by


def part_of(which: str, start: date, end: date) -> Span:
    """Return a third, a half, a week or some days of a span; raise ValueError when it has no such week or days."""
    days = (end - start).days + 1
    which = re.sub(r"^week (\d)$", r"\1 week", which)
    first, _, rest = which.removesuffix(" -").partition(" ")
    if rest == "half" and (start, end) == whole_months(start.year, 1, months=12):
        return part_of_year("half", int(first), start.year)
    if rest == "half":
        cuts, number = [0, days // 2, days], int(first) - 1
    elif rest:
        count, _, unit = rest.rpartition(" ")
        length = int(count or 1) * (7 if unit == "week" else 1)
        begin = days - length if first == "last" else (int(first) - 1) * length
        cuts, number = [begin, min(begin + length, days)], 0
    else:
        cuts, number = [round(days * n / 3) for n in range(4)], ("early", "mid", "late").index(first)
    if not 0 <= cuts[number] < cuts[number + 1]:
        raise ValueError(which)
    return start + timedelta(days=cuts[number]), start + timedelta(days=cuts[number + 1] - 1)


def one_day(year: str, month: str, day: str) -> Span:
    """Return a day; the month by its number or its English name."""
    number = int(month) if month.isdigit() else MONTHS.index(month) + 1
    exact = date(int(year), number, int(day))
    return exact, exact


def some_days(year: str, month: str, days: str) -> Span:
    """Return from one day of a month to another; raise ValueError where the first is the later one."""
    first, last = (one_day(year, month, day)[0] for day in re.findall(r"\d+", days))
    if first > last:
        raise ValueError(days)
    return first, last


def whole_months(year: int, month: int, *, months: int = 1) -> Span:
    """Return whole calendar months."""
    start = date(year, month, 1)
    last = start + relativedelta(months=months - 1)
    return start, date(last.year, last.month, monthrange(last.year, last.month)[1])


def part_of_year(kind: str, number: int, year: int) -> Span:
    """Return a quarter or a half of a calendar year; raise ValueError when there is no such part."""
    months = 3 if kind == "quarter" else 6
    return whole_months(year, months * (number - 1) + 1, months=months)


def months_of_year(which: str, count: int, year: int) -> Span:
    """Return the first or ("last") the last months of a calendar year."""
    return whole_months(year, 13 - count if which == "last" else 1, months=count)


def iso_week(year: int, week: int) -> Span:
    """Return a week of ISO 8601, Monday to Sunday."""
    monday = date.fromisocalendar(year, week, 1)
    return monday, monday + timedelta(days=6)


def choose(which: str, spans: list[Span], today: date) -> Span:
    """Choose among yearly spans in order: the last one finished, this year's, the next one, or the latest begun."""
    if which == "last":
        return [span for span in spans if span[1] < today][-1]
    if which == "next":
        return next(span for span in spans if span[0] > today)
    if which == "begun":
        return [span for span in spans if span[0] <= today][-1]
    running = [span for span in spans if span[0] <= today <= span[1]]
    return running[0] if running else next(span for span in spans if span[1].year == today.year)


def days_back(today: date, count: int, unit: str) -> date:
    """Return the first day of the last `count` units, today included."""
    count, unit = (count * 3, "month") if unit == "quarter" else (count, unit)
    return today - relativedelta(**{f"{unit}s": count}) + timedelta(days=1)  # type: ignore[arg-type]  # keyword by name


def _calendar_year(which: str, today: date) -> Span:
    return whole_months(today.year + OFFSETS[which], 1, months=12)


def _calendar_quarter(which: str, today: date) -> Span:
    day = date(today.year, (today.month - 1) // 3 * 3 + 1, 1) + relativedelta(months=3 * OFFSETS[which])
    return whole_months(day.year, day.month, months=3)


def _calendar_month(which: str, today: date) -> Span:
    day = today + relativedelta(months=OFFSETS[which])
    return whole_months(day.year, day.month)


def _calendar_week(which: str, today: date) -> Span:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=OFFSETS[which])
    return monday, monday + timedelta(days=6)


def _calendar_weekend(which: str, today: date) -> Span:
    """Return a Saturday and its Sunday; on one of the two, "last" is the one a week before."""
    saturday = today + timedelta(days=5 - today.weekday())
    saturday += timedelta(weeks=OFFSETS[which])
    return saturday, saturday + timedelta(days=1)


def calendar_day(which: str, today: date) -> Span:
    """Return yesterday ("last"), today or tomorrow ("next")."""
    return (today + timedelta(days=OFFSETS[which]),) * 2


OFFSETS = {"this": 0, "last": -1, "next": 1}


UNITS: dict[str, Callable[[str, date], Span]] = {
    "year": _calendar_year,
    "quarter": _calendar_quarter,
    "month": _calendar_month,
    "week": _calendar_week,
    "day": calendar_day,
    "weekend": _calendar_weekend,
}
"""Readers of "this year", "last month" and so on."""
