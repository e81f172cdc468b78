"""Words to a period: "summer 2023", "since May 2019", "2024-05-01/2024-08-31", "this summer"."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from tools.calendar_spans import (
    MONTHS,
    OFFSETS,
    UNITS,
    Span,
    calendar_day,
    choose,
    days_back,
    iso_week,
    months_of_year,
    moved,
    one_day,
    part_of,
    part_of_year,
    some_days,
    whole_months,
)
from tools.errors import PeriodInvalid
from tools.period_words import CANONICAL, FILLERS, PHRASES, WORDS
from tools.schema import Period

__all__ = [
    "ATOM",
    "CANONICAL",
    "FILLERS",
    "MONTH",
    "MONTHS",
    "SEASON",
    "UNIT",
    "WORDS",
    "YEAR",
    "mentioned_periods",
    "parse_period",
    "parse_periods",
]

SENTINEL2_START = date(2015, 6, 23)
"""Launch of Sentinel-2A; nothing to compute an index from lies before."""

ONWARD = re.compile(r"(?<=\d) (?:on|an)\s*$")
"""What ends "from May 2018 on" and "von Mai 2018 an"; anywhere else these words say nothing of time."""
EXAMPLES_HINT = "Try 'summer 2023', 'May 2019', '2 May 2019', 'since 2020' or '2024-05-01/2024-08-31'."

SEASON_STARTS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
SOUTHERN_SEASON_STARTS = {"spring": 9, "summer": 12, "autumn": 3, "winter": 6}
GROWING_MONTHS, SOUTHERN_GROWING_MONTHS = (4, 10), (10, 4)
"""First and last month taken for "growing season"; a convention, which the label tells."""

DASHES = str.maketrans({"\u2013": "-", "\u2014": "-"})

YEAR = r"(?:19|20)\d{2}"
MONTH = "|".join(MONTHS)
SEASON = "|".join(SEASON_STARTS)
UNIT = "year|quarter|month|week|day"
WHICH = "this|last|next"
OF_A_SPAN = r"(?:early|mid|late)(?: -)?|[12] half|[1-5] week|week [1-5]|last week|(?:1|last) \d{1,2} (?:week|day)"
"""Parts of a month or season: "first half", "last week", "first ten days"."""
PART = rf"(?:(?:{OF_A_SPAN}) )?"
DAYS = r"\d{1,2}(?: ?- ?| to )\d{1,2}"
GROWING = r"(?:growing season|season (?:growing|vegetation))"
YEAR_SAID = rf"(?:(?P<before>{WHICH}) year|year (?P<after>{WHICH}))"
AGO = rf"ago \d{{1,3}} (?:{UNIT})|\d{{1,3}} (?:{UNIT}) ago"
ISO = r"\d{4}-\d{2}-\d{2}"
ATOM = (
    rf"{ISO}|\d{{1,2}}[./]\d{{1,2}}[./]{YEAR}|{YEAR}-\d{{2}}(?!\d)|\d{{1,2}}[./]{YEAR}"
    rf"|(?:\d{{1,2}}|{DAYS}) (?:{MONTH}) {YEAR}|(?:{MONTH}) (?:\d{{1,2}}|{DAYS}) {YEAR}|{PART}(?:{MONTH}) {YEAR}"
    rf"|{PART}(?:{SEASON}) {YEAR}(?:[/-]\d{{2,4}})?|{YEAR} (?:{SEASON})"
    rf"|last quarter {YEAR}|(?:1|last) \d{{1,2}} month {YEAR}"
    rf"|(?:quarter|half) [1-4] {YEAR}|[1-4] (?:quarter|half) {YEAR}|{YEAR}(?: -)? (?:quarter|half) [1-4]"
    rf"|week \d{{1,2}} {YEAR}|{YEAR}(?: -)? week \d{{1,2}}"
    rf"|{GROWING}(?: {YEAR}| (?:{WHICH}))?|{YEAR} {GROWING}|(?:{WHICH}) {GROWING}"
    rf"|{PART}(?:\d{{1,2}} )?(?:{MONTH}) (?:(?:{WHICH}) year|year (?:{WHICH}))"
    rf"|{PART}(?:{SEASON}) (?:(?:{WHICH}) year|year (?:{WHICH}))"
    rf"|{PART}(?:{WHICH}) (?:{SEASON}|{MONTH}|{UNIT}|weekend)|{PART}(?:{SEASON}|{UNIT}|weekend) (?:{WHICH})"
    rf"|(?:{PART}(?:{MONTH}|{SEASON}) )?(?:{AGO})"
    rf"|(?:last )?\d{{1,3}} (?:last )?(?:{UNIT})|\d{{1,3}} (?:{UNIT}) last"
    rf"|yesterday|today|tomorrow|{PART}(?:year )?{YEAR}"
)
PERIOD = re.compile(rf"(?:since )?\b(?:{ATOM})(?: ?(?:/|-|to) ?(?:{ATOM}))?(?![\w.]*\d)")
NAMED = rf"(?:\d{{1,2}} )?(?:{MONTH})|{PART}(?:{MONTH})|{PART}(?:{SEASON})|quarter [1-4]"
FROM_TO = re.compile(rf"({NAMED}|(?:{MONTH}) \d{{1,2}}) ?(?:to|-) ?({NAMED}|(?:{MONTH}) \d{{1,2}})(?: ({YEAR}))?")
"""The first date borrows the year of the second ("May to July 2019"); without one, the latest begun is meant."""
SHIFTED = re.compile(rf"(\d{{1,3}}) ({UNIT}) (before|after) (.+)")
"""A period so much earlier or later than another one: "1 year before June 2026"."""
PARTED = re.compile(rf"(?!\d half {YEAR}$)({OF_A_SPAN}) (?!ago)(.+)")
SOME = re.compile(r"[2-5] (?:week|quarter) ")
SEVERAL = re.compile(r"\b(?:weeks|quarters|wochen|quartale|semaines|trimestres|semanas|settimane|trimestri)\b", re.I)
"""The canonical words are one for "two weeks in June" and "second week of June"; the plural tells them apart."""
BORROWED = re.compile(rf"({PART}(?:{MONTH}|{SEASON}|{GROWING})|\d{{1,2}} (?:{MONTH}))?(?: ?({YEAR}))?")


def parse_period(text: str, *, today: date, southern: bool = False, earliest: date = SENTINEL2_START) -> Period:
    """Read a period from words; refuse what lies in the future or before `earliest`.

    A period that is still running ends today. Winter bears the year of its January; `southern` turns the seasons.
    """
    return _period(_canonical(text), text, today=today, southern=southern, earliest=earliest)


def parse_periods(
    text: str, *, today: date, southern: bool = False, earliest: date = SENTINEL2_START
) -> tuple[Period, ...]:
    """Read one period, or those that are set against each other: "2018 against 2024", "May 2019 and May 2020".

    A part borrows what it leaves out from the other: "summer 2018 against 2024", "May and June 2019".
    """
    words = _canonical(text)
    parts = [part.strip() for part in re.split(r"\bversus\b|\band\b", words) if part.strip()]
    if len(parts) < 2:
        return (parse_period(text, today=today, southern=southern, earliest=earliest),)
    parts = [part.removeprefix("to ") for part in parts]
    whole = _borrowed(parts)
    return tuple(_period(part, part, today=today, southern=southern, earliest=earliest) for part in whole)


def _borrowed(parts: list[str]) -> list[str]:
    """Complete parts that give only a month or only a year from the part that gives both."""
    read = [BORROWED.fullmatch(part) for part in parts]
    names = [match[1] for match in read if match and match[1] and match[2]]
    years = [match[2] for match in read if match and match[1] and match[2]]
    whole = []
    for part, match in zip(parts, read, strict=True):
        if match and match[2] and not match[1] and names:
            whole.append(f"{names[0]} {match[2]}")
        elif match and match[1] and not match[2] and years:
            whole.append(f"{match[1]} {years[0]}")
        else:
            whole.append(part)
    return whole


def _period(words: str, text: str, *, today: date, southern: bool, earliest: date) -> Period:
    """Read one period from canonical words; `text` is how the user wrote it."""
    if SOME.match(words) and SEVERAL.search(text):
        raise PeriodInvalid(f"{text.strip()!r} does not say which ones.", "Give the first and the last day.")
    start, end = _span(words, text, today=today, southern=southern)
    label = text.strip()
    if start > today:
        raise PeriodInvalid(
            f"{label!r} lies in the future: it starts on {start}, and today is {today}.",
            hint="Ask for a period that has begun, for example 'last summer' or 'this year'.",
        )
    if start < earliest:
        launch = ", when Sentinel-2A was launched" if earliest == SENTINEL2_START else ""
        until = min(end, today) if end > earliest else today
        raise PeriodInvalid(
            f"{label!r} starts on {start}, before the first data of {earliest}{launch}.",
            hint=f"Start on {earliest} or later, for example '{earliest}/{until}'; for older years, ask which "
            "product covers them.",
        )
    if re.search(GROWING, words):
        label = f"{label} (taken as {MONTHS[start.month - 1].title()} to {MONTHS[end.month - 1].title()})"
    return Period(start=start, end=min(end, today), label=label)


def mentioned_periods(text: str) -> tuple[str, ...]:
    """Return the period words found in a sentence, each fit for `parse_period`."""
    return tuple(match.group().strip() for match in PERIOD.finditer(_canonical(text)))


def _canonical(text: str) -> str:
    """Bring words of five languages to one small English vocabulary."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(DASHES))
    plain = "".join(char for char in plain if not unicodedata.combining(char)).replace("\u00b0", "")
    plain = re.sub(r"(\d)\.-", r"\1-", plain)
    plain = re.sub(
        r"\b(\d{1,2})(?:st|nd|rd|th|er|e|eme|re|o|a|\u00ba|\u00aa)\b|\b(\d{1,2})\.(?= [a-z])", r"\1\2", plain
    )
    plain = re.sub(rf"({ISO})t\d[\d:.]*z?", r"\1", plain)
    plain = ONWARD.sub(" onward", plain)
    plain = _phrases().sub(lambda match: PHRASES[match[0]], plain)
    tokens = re.findall(r"\d(?:[\d./-]*\d)?|[a-z]+|[/-]", plain)
    words = " ".join(CANONICAL.get(token, token) for token in tokens if token not in FILLERS)
    # "au printemps", "a mayo": nothing stands before it that it could lead from.
    words = words.removeprefix("to ")
    # "May 2019 and May 2020" are two periods; only after "between" do they bound one.
    return re.sub(r"\bbetween (.*?) and\b", r"\1 to", words)


@lru_cache(maxsize=1)
def _phrases() -> "re.Pattern[str]":
    longest_first = sorted(PHRASES, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(re.escape(phrase) for phrase in longest_first)})\b")


def _span(words: str, text: str, *, today: date, southern: bool) -> Span:
    """Read one span, an open span, a range of two, or one so much before or after another."""

    def atom(part: str) -> Span:
        third = PARTED.fullmatch(part.strip())
        span = _atom(third[2] if third else part.strip(), text, today=today, southern=southern)
        try:
            return part_of(third[1], *span) if third else span
        except ValueError as error:
            raise PeriodInvalid(f"{text.strip()!r} names a part that is not there.", EXAMPLES_HINT) from error

    def ends(both: "re.Match[str]", year: int) -> Span:
        first, last = (atom(f"{name} {year}") for name in both.group(1, 2))
        return _from_to(first if first[0] <= last[1] else atom(f"{both[1]} {year - 1}"), last, text)

    if shifted := SHIFTED.fullmatch(words):
        base = _span(shifted[4], text, today=today, southern=southern)
        return moved(base, int(shifted[1]) * (1 if shifted[3] == "after" else -1), shifted[2])

    since = words.startswith("since ") or words.endswith(" onward")
    words = words.removeprefix("since ").removesuffix(" onward")
    separated = re.fullmatch(rf"({ATOM}) ?(?:/|-|to) ?({ATOM})", words)
    if separated:
        return _from_to(atom(separated[1]), atom(separated[2]), text)
    if both := FROM_TO.fullmatch(words):
        years = [int(both[3])] if both[3] else range(today.year + 1, today.year - 2, -1)
        return next((span for year in years if (span := ends(both, year))[0] <= today), ends(both, years[0]))
    bounded = re.match(rf"(?:{DAYS}) (?:{MONTH})", words)  # "dal 1 al 15 maggio": "since" is no more than "from"
    if not bounded and since:
        first = atom(words)[0]
        return first, max(today, first)
    return atom(words)


def _from_to(first: Span, last: Span, text: str) -> Span:
    if first[0] > last[1]:
        raise PeriodInvalid(
            f"The period {text.strip()!r} ends before it starts.", hint=f"Did you mean {last[0]} to {first[1]}?"
        )
    return first[0], last[1]


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


Reader = Callable[["re.Match[str]"], Span]
FIXED: tuple[tuple[str, Reader], ...] = (
    (r"(\d{4})-(\d{2})-(\d{2})", lambda m: one_day(m[1], m[2], m[3])),
    (rf"(\d{{1,2}})[./](\d{{1,2}})[./]({YEAR})", lambda m: one_day(m[3], m[2], m[1])),
    (rf"(\d{{1,2}}) ({MONTH}) ({YEAR})", lambda m: one_day(m[3], m[2], m[1])),
    (rf"({MONTH}) (\d{{1,2}}) ({YEAR})", lambda m: one_day(m[3], m[1], m[2])),
    (rf"({DAYS}) ({MONTH}) ({YEAR})", lambda m: some_days(m[3], m[2], m[1])),
    (rf"({MONTH}) ({DAYS}) ({YEAR})", lambda m: some_days(m[3], m[1], m[2])),
    (rf"({YEAR})-(\d{{2}})", lambda m: whole_months(int(m[1]), int(m[2]))),
    (rf"({MONTH}) ({YEAR})", lambda m: whole_months(int(m[2]), MONTHS.index(m[1]) + 1)),
    (rf"(?:year )?({YEAR})", lambda m: whole_months(int(m[1]), 1, months=12)),
    (rf"({YEAR})-({YEAR})", lambda m: (date(int(m[1]), 1, 1), date(int(m[2]), 12, 31))),
    (rf"(\d{{1,2}})[./]({YEAR})", lambda m: whole_months(int(m[2]), int(m[1]))),
    (rf"(quarter|half) (?P<n>[1-4]) (?P<y>{YEAR})", lambda m: part_of_year(m[1], int(m["n"]), int(m["y"]))),
    (rf"(?P<n>[1-4]) (quarter|half) (?P<y>{YEAR})", lambda m: part_of_year(m[2], int(m["n"]), int(m["y"]))),
    (rf"(?P<y>{YEAR})(?: -)? (quarter|half) (?P<n>[1-4])", lambda m: part_of_year(m[2], int(m["n"]), int(m["y"]))),
    (rf"last quarter ({YEAR})", lambda m: part_of_year("quarter", 4, int(m[1]))),
    (rf"(1|last) ([1-9]|1[0-2]) month ({YEAR})", lambda m: months_of_year(m[1], int(m[2]), int(m[3]))),
    (rf"week (?P<n>\d{{1,2}}) (?P<y>{YEAR})", lambda m: iso_week(int(m["y"]), int(m["n"]))),
    (rf"(?P<y>{YEAR})(?: -)? week (?P<n>\d{{1,2}})", lambda m: iso_week(int(m["y"]), int(m["n"]))),
)
"""Spans that do not depend on today."""


def _relative(today: date, southern: bool) -> tuple[tuple[str, Reader], ...]:
    """Return the readers of spans that depend on today or on the hemisphere."""
    starts = SOUTHERN_SEASON_STARTS if southern else SEASON_STARTS

    def season(name: str, year: int) -> Span:
        month = starts[name]
        return whole_months(year - 1 if month == 12 else year, month, months=3)

    def calendar(name: str, year: int) -> Span:
        return season(name, year) if name in starts else whole_months(year, MONTHS.index(name) + 1)

    def growing(year: int) -> Span:
        first, last = SOUTHERN_GROWING_MONTHS if southern else GROWING_MONTHS
        return whole_months(year - 1 if first > last else year, first)[0], whole_months(year, last)[1]

    def named(which: str, name: str) -> Span:
        if name in UNITS:
            return UNITS[name](which, today)
        years = range(today.year - 2, today.year + 3)
        if re.fullmatch(GROWING, name):
            return choose(which, [growing(year) for year in years], today)
        return choose(which, [calendar(name, year) for year in years], today)

    def begun(month: str, days: str) -> Span:
        read = one_day if days.isdigit() else some_days
        return choose("begun", [read(str(year), month, days) for year in (today.year - 1, today.year)], today)

    def said(match: "re.Match[str]") -> int:
        return today.year + OFFSETS[match["before"] or match["after"]]

    def ago(match: "re.Match[str]") -> Span:
        count, unit = re.findall(rf"\d+|{UNIT}", match["ago"])
        if not match["name"]:
            return moved(UNITS[unit]("this", today), -int(count), unit)
        if unit != "year":
            raise ValueError
        year = today.year - int(count)
        return calendar(match["name"], year)

    return (
        (rf"(?:(?P<name>{MONTH}|{SEASON}) )?(?P<ago>{AGO})", ago),
        (rf"(\d{{1,2}}) ({MONTH}) {YEAR_SAID}", lambda m: one_day(str(said(m)), m[2], m[1])),
        (rf"({MONTH}) {YEAR_SAID}", lambda m: whole_months(said(m), MONTHS.index(m[1]) + 1)),
        (rf"({SEASON}) {YEAR_SAID}", lambda m: season(m[1], said(m))),
        (rf"({SEASON}) ({YEAR})(?:[/-]\d{{2,4}})?", lambda m: season(m[1], int(m[2]) + _two_years(m[0]))),
        (rf"({YEAR}) ({SEASON})", lambda m: season(m[2], int(m[1]))),
        (rf"(this|last|next) ({SEASON}|{MONTH}|{UNIT}|weekend)", lambda m: named(m[1], m[2])),
        (rf"({SEASON}|{UNIT}|weekend) (this|last|next)", lambda m: named(m[2], m[1])),
        (rf"({SEASON}|{MONTH})", lambda m: named("begun", m[1])),
        (rf"(\d{{1,2}}|{DAYS}) ({MONTH})", lambda m: begun(m[2], m[1])),
        (rf"({MONTH}) (\d{{1,2}}|{DAYS})", lambda m: begun(m[1], m[2])),
        (rf"({GROWING}) ({YEAR})", lambda m: growing(int(m[2]))),
        (rf"({YEAR}) ({GROWING})", lambda m: growing(int(m[1]))),
        (rf"({WHICH}) ({GROWING})", lambda m: named(m[1], m[2])),
        (rf"({GROWING}) ({WHICH})", lambda m: named(m[2], m[1])),
        (GROWING, lambda m: named("begun", m[0])),
        (rf"(?:last )?(\d{{1,3}}) (?:last )?({UNIT})(?: last)?", lambda m: (days_back(today, int(m[1]), m[2]), today)),
        (r"yesterday", lambda _: calendar_day("last", today)),
        (r"today", lambda _: (today, today)),
        (r"tomorrow", lambda _: calendar_day("next", today)),
    )


def _two_years(words: str) -> int:
    """Return 1 for a season that names both its years ("winter 2023/24"): it belongs to the second."""
    return 1 if re.search(r"[/-]\d+$", words) else 0
