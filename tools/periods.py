"""Words to a period: "summer 2023", "since May 2019", "2024-05-01/2024-08-31", "this summer"."""

import re
import unicodedata
from calendar import month_name, monthrange
from collections.abc import Callable
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

from tools.errors import PeriodInvalid
from tools.schema import Period

SENTINEL2_START = date(2015, 6, 23)
"""Launch of Sentinel-2A; nothing to compute an index from lies before."""

EXAMPLES_HINT = "Try 'summer 2023', 'May 2019', '2 May 2019', 'since 2020' or '2024-05-01/2024-08-31'."

MONTHS = [name.lower() for name in month_name[1:]]
SEASON_STARTS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
SOUTHERN_SEASON_STARTS = {"spring": 9, "summer": 12, "autumn": 3, "winter": 6}

WORDS = {
    "january": "jan janvier januar enero gennaio",
    "february": "feb fevrier februar febrero febbraio",
    "march": "mar mars marz maerz marzo",
    "april": "apr avril abril aprile",
    "may": "mai mayo maggio",
    "june": "jun juin juni junio giugno",
    "july": "jul juillet juli julio luglio",
    "august": "aug aout agosto",
    "september": "sep sept septembre septiembre settembre",
    "october": "oct octobre oktober okt octubre ottobre",
    "november": "nov novembre noviembre",
    "december": "dec decembre dezember dez diciembre dicembre",
    "spring": "springs printemps fruhling fruhjahr fruehling primavera primaveras",
    "summer": "summers ete etes sommer verano veranos estate estati",
    "autumn": "autumns fall falls automne automnes herbst otono otonos autunno autunni",
    "winter": "winters hiver hivers invierno inviernos inverno inverni",
    "year": "annee an jahr ano anno years ans annees jahre jahren anos anni",
    "month": "mois monat mes mese months monate monaten meses mesi",
    "week": "semaine woche semana settimana weeks semaines wochen semanas settimane",
    "day": "jour tag dia giorno days jours tage tagen dias giorni",
    "2": "two deux zwei dos due",
    "3": "three trois drei tres tre",
    "4": "four quatre vier cuatro quattro",
    "5": "five cinq funf cinco cinque",
    "6": "six sechs seis sei",
    "10": "ten dix zehn diez dieci",
    "12": "twelve douze zwolf doce dodici",
    "this": "current ce cet cette diesen diesem dieser dieses este esta questa questo quest",
    "last": "past previous dernier derniere derniers dernieres letzten letzter letzte letztem letztes pasado pasada "
    "ultimo ultima ultimos scorso scorsa passe passee",
    "next": "prochain prochaine nachsten nachster nachstes proximo proxima prossimo prossima",
    "since": "depuis seit desde dal",
    "to": "until till through au bis hasta al a",
    "and": "und y et e",
    "between": "zwischen entre tra fra",
}
CANONICAL = {word: canonical for canonical, words in WORDS.items() for word in words.split()}
FILLER_WORDS = """
in on during over the of for from at within whole entire full all summertime season
de del della du des d l le la les el los en im den der dem das am von vom
"""
FILLERS = frozenset(FILLER_WORDS.split())
DASHES = str.maketrans({"\u2013": "-", "\u2014": "-"})

YEAR = r"(?:19|20)\d{2}"
MONTH = "|".join(MONTHS)
SEASON = "|".join(SEASON_STARTS)
UNIT = "year|month|week|day"
ISO = r"\d{4}-\d{2}-\d{2}"
ATOM = (
    rf"{ISO}|\d{{1,2}}[./]\d{{1,2}}[./]{YEAR}|{YEAR}-\d{{2}}(?!\d)"
    rf"|\d{{1,2}} (?:{MONTH}) {YEAR}|(?:{MONTH}) \d{{1,2}} {YEAR}|(?:{MONTH}) {YEAR}"
    rf"|(?:{SEASON}) {YEAR}(?:[/-]\d{{2,4}})?|{YEAR} (?:{SEASON})"
    rf"|(?:this|last|next) (?:{SEASON}|{MONTH}|{UNIT})|(?:{SEASON}|{UNIT}) (?:this|last|next)"
    rf"|(?:last )?\d{{1,3}} (?:last )?(?:{UNIT})|yesterday|today|now|(?:year )?{YEAR}"
)
PERIOD = re.compile(rf"(?:since )?\b(?:{ATOM})(?: ?(?:/|-|to) ?(?:{ATOM}))?(?![\w.]*\d)")
SHARED_YEAR = rf"((?:\d{{1,2}} )?(?:{MONTH})) (?:to|-) ((?:\d{{1,2}} )?(?:{MONTH}) ({YEAR}))"
"""The first date borrows the year of the second: "May to July 2019"."""

Span = tuple[date, date]


def parse_period(text: str, *, today: date, southern: bool = False, earliest: date = SENTINEL2_START) -> Period:
    """Read a period from words; refuse what lies in the future or before `earliest`.

    A period that is still running ends today. Winter bears the year of its January; `southern` turns the seasons.
    """
    words = _canonical(text)
    start, end = _span(words, text, today=today, southern=southern)
    if start > end:
        raise PeriodInvalid(
            f"The period {text.strip()!r} ends before it starts.", hint=f"Did you mean {end} to {start}?"
        )
    if start > today:
        raise PeriodInvalid(
            f"{text.strip()!r} lies in the future: it starts on {start}, and today is {today}.",
            hint="Ask for a period that has begun, for example 'last summer' or 'this year'.",
        )
    if start < earliest:
        raise PeriodInvalid(
            f"{text.strip()!r} starts on {start}, before the first data of {earliest}.",
            hint=f"Start on {earliest} or later, for example '{earliest}/{max(earliest, min(end, today))}'.",
        )
    return Period(start=start, end=min(end, today), label=text.strip())


def mentioned_periods(text: str) -> tuple[str, ...]:
    """Return the period words found in a sentence, each fit for `parse_period`."""
    return tuple(match.group().strip() for match in PERIOD.finditer(_canonical(text)))


def _canonical(text: str) -> str:
    """Bring words of five languages to one small English vocabulary."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(DASHES))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"\b(\d{1,2})(?:st|nd|rd|th|er)\b|\b(\d{1,2})\.(?= [a-z])", r"\1\2", plain)
    plain = re.sub(rf"({ISO})t\d[\d:.]*z?", r"\1", plain)
    tokens = re.findall(r"[\d./-]*\d|[a-z]+|[/-]", plain)
    words = " ".join(CANONICAL.get(token, token) for token in tokens if token not in FILLERS)
    # "May 2019 and May 2020" are two periods; only after "between" do they bound one.
    return re.sub(r"\bbetween (.*?) and\b", r"\1 to", words)


def _span(words: str, text: str, *, today: date, southern: bool) -> Span:
    """Read one span, an open span, or a range of two."""

    def atom(part: str) -> Span:
        return _atom(part.strip(), text, today=today, southern=southern)

    if words.startswith("since "):
        return atom(words.removeprefix("since "))[0], max(today, atom(words.removeprefix("since "))[0])
    separated = re.fullmatch(rf"({ATOM}) ?(?:/|-|to) ?({ATOM}|today)", words)
    if separated:
        return atom(separated[1])[0], atom(separated[2])[1]
    shared_year = re.fullmatch(rf"((?:\d{{1,2}} )?(?:{MONTH})) (?:to|-) ((?:\d{{1,2}} )?(?:{MONTH}) ({YEAR}))", words)
    if shared_year:
        return atom(f"{shared_year[1]} {shared_year[3]}")[0], atom(shared_year[2])[1]
    return atom(words)


def _atom(words: str, text: str, *, today: date, southern: bool) -> Span:
    """Read one span: the first pattern that fits the whole of it."""
    for pattern, read in (*FIXED, *_relative(today, southern)):
        match = re.fullmatch(pattern, words)
        if match:
            try:
                return read(match)
            except (ValueError, OverflowError) as error:
                raise PeriodInvalid(f"{text.strip()!r} holds a date that does not exist.", EXAMPLES_HINT) from error
    raise PeriodInvalid(f"I cannot read {text.strip()!r} as a period.", hint=EXAMPLES_HINT)


def _day(year: str, month: str, day: str) -> Span:
    number = int(month) if month.isdigit() else MONTHS.index(month) + 1
    exact = date(int(year), number, int(day))
    return exact, exact


def _month(year: int, month: int, *, months: int = 1) -> Span:
    """Return whole calendar months."""
    start = date(year, month, 1)
    last = start + relativedelta(months=months - 1)
    return start, date(last.year, last.month, monthrange(last.year, last.month)[1])


Reader = Callable[["re.Match[str]"], Span]
FIXED: tuple[tuple[str, Reader], ...] = (
    (r"(\d{4})-(\d{2})-(\d{2})", lambda m: _day(m[1], m[2], m[3])),
    (rf"(\d{{1,2}})[./](\d{{1,2}})[./]({YEAR})", lambda m: _day(m[3], m[2], m[1])),
    (rf"(\d{{1,2}}) ({MONTH}) ({YEAR})", lambda m: _day(m[3], m[2], m[1])),
    (rf"({MONTH}) (\d{{1,2}}) ({YEAR})", lambda m: _day(m[3], m[1], m[2])),
    (rf"({YEAR})-(\d{{2}})", lambda m: _month(int(m[1]), int(m[2]))),
    (rf"({MONTH}) ({YEAR})", lambda m: _month(int(m[2]), MONTHS.index(m[1]) + 1)),
    (rf"(?:year )?({YEAR})", lambda m: _month(int(m[1]), 1, months=12)),
    (rf"({YEAR})-({YEAR})", lambda m: (date(int(m[1]), 1, 1), date(int(m[2]), 12, 31))),
)
"""Spans that do not depend on today."""


def _relative(today: date, southern: bool) -> tuple[tuple[str, Reader], ...]:
    """Return the readers of spans that depend on today or on the hemisphere."""
    starts = SOUTHERN_SEASON_STARTS if southern else SEASON_STARTS

    def season(name: str, year: int) -> Span:
        month = starts[name]
        return _month(year - 1 if month == 12 else year, month, months=3)

    def named(which: str, name: str) -> Span:
        if name in UNITS:
            return UNITS[name](which, today)
        years = range(today.year - 2, today.year + 3)
        spans = [season(name, y) if name in starts else _month(y, MONTHS.index(name) + 1) for y in years]
        return _choose(which, spans, today)

    return (
        (rf"({SEASON}) ({YEAR})(?:[/-]\d{{2,4}})?", lambda m: season(m[1], int(m[2]) + _two_years(m[0]))),
        (rf"({YEAR}) ({SEASON})", lambda m: season(m[2], int(m[1]))),
        (rf"(this|last|next) ({SEASON}|{MONTH}|{UNIT})", lambda m: named(m[1], m[2])),
        (rf"({SEASON}|{UNIT}) (this|last|next)", lambda m: named(m[2], m[1])),
        (rf"({SEASON}|{MONTH})", lambda m: named("begun", m[1])),
        (
            rf"(?:last )?(\d{{1,3}}) (?:last )?({UNIT})",
            lambda m: (_back(today, int(m[1]), m[2]), today),
        ),
        (r"yesterday", lambda _: _calendar_day("last", today)),
        (r"today|now", lambda _: (today, today)),
    )


def _two_years(words: str) -> int:
    """Return 1 for a season that names both its years ("winter 2023/24"): it belongs to the second."""
    return 1 if re.search(r"[/-]\d+$", words) else 0


def _choose(which: str, spans: list[Span], today: date) -> Span:
    """Choose among yearly spans in order: the last one finished, this year's, the next one, or the latest begun."""
    if which == "last":
        return [span for span in spans if span[1] < today][-1]
    if which == "next":
        return next(span for span in spans if span[0] > today)
    if which == "begun":
        return [span for span in spans if span[0] <= today][-1]
    running = [span for span in spans if span[0] <= today <= span[1]]
    return running[0] if running else next(span for span in spans if span[1].year == today.year)


def _back(today: date, count: int, unit: str) -> date:
    """Return the first day of the last `count` units, today included."""
    return today - relativedelta(**{f"{unit}s": count}) + timedelta(days=1)  # type: ignore[arg-type]  # keyword by name


OFFSETS = {"this": 0, "last": -1, "next": 1}


def _calendar_year(which: str, today: date) -> Span:
    return _month(today.year + OFFSETS[which], 1, months=12)


def _calendar_month(which: str, today: date) -> Span:
    day = today + relativedelta(months=OFFSETS[which])
    return _month(day.year, day.month)


def _calendar_week(which: str, today: date) -> Span:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=OFFSETS[which])
    return monday, monday + timedelta(days=6)


def _calendar_day(which: str, today: date) -> Span:
    return (today + timedelta(days=OFFSETS[which]),) * 2


UNITS: dict[str, Callable[[str, date], Span]] = {
    "year": _calendar_year,
    "month": _calendar_month,
    "week": _calendar_week,
    "day": _calendar_day,
}
"""Readers of "this year", "last month" and so on."""
