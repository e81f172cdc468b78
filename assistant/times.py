"""Where a question speaks of time."""

import re
from dataclasses import dataclass
from typing import Literal

from assistant import lexicon
from tools.period_words import CANONICAL, FILLERS, PHRASES
from tools.periods import ATOM, DAYS, MONTH, MONTHS, NAMED, OF_A_SPAN, PART, SEASON, UNIT, YEAR

Ends = Literal["bounds", "compared", "changed", "unclear"]
"""What "between A and B" means: one period, two, two where both are the same month, or what its form suggests."""

HEAD = rf"(?:\d{{1,2}} |{PART})(?:{MONTH})|{PART}(?:{SEASON})"
"""What can stand before a year: "3 may", "may", "summer"."""
RANGE = rf"(?P<between>between )?(?P<first>{ATOM}|{HEAD}) ?(?P<link>to|and|/|-) ?(?P<second>{ATOM})"
_RANGE = re.compile(RANGE)
_PERIOD = re.compile(
    rf"(?<![\w.-])(?:between (?:{ATOM}|{HEAD}|\d{{1,2}}) and (?:{ATOM})"
    rf"|(?:{ATOM}|{HEAD}) ?(?:to|/|-) ?(?:{ATOM})"
    rf"|(?:since (?!(?:{ATOM}|{HEAD}) to (?:{ATOM})))?(?:{ATOM})(?: onward)?)(?![\w.]*\d)"
)
"""A mention of one period; "since" before a range is no more than "from" ("dal 1 al 15 luglio")."""
_BETWEEN = rf"(?!to )(?:(?!(?:{MONTH}|{SEASON}) )[a-z]+ ){{1,3}}"
"""Up to three words between two periods that are compared: "and in", "compared with"."""
_SHARED_YEAR = re.compile(
    rf"(?<![\w.-])(?P<first>{HEAD}) {_BETWEEN}(?P<second>(?:{HEAD}) (?P<year>{YEAR}))(?![\w.]*\d)"
)
_SHARED_HEAD = re.compile(rf"(?<![\w.-])(?P<first>(?P<head>{HEAD}) {YEAR}) {_BETWEEN}(?P<second>{YEAR})(?![\w.]*\d)")
_JOINED_YEAR, _JOINED_HEAD = (re.compile(one.pattern.replace(_BETWEEN, "and ")) for one in (_SHARED_YEAR, _SHARED_HEAD))
"""Two that share a year or a name although nothing is compared: "May and June 2024"."""
_JOINED_PART = re.compile(
    rf"(?<![\w.-])(?P<first>early|mid|late|[1-5]) and (?P<second>(?:early|mid|late|[1-5])(?P<noun> half| week)?)"
    rf" (?P<rest>(?:{MONTH}|{SEASON})(?: {YEAR})?)(?![\w.]*\d)"
)
"""Two parts of one month or season: "first and second half of June"."""
_PARTLY = re.compile(
    rf"(?<![\w.-])(?:{NAMED}|(?:{MONTH}) \d{{1,2}}) ?(?:to|-) ?(?:{NAMED}|(?:{MONTH}) \d{{1,2}})(?!\w)|"
    rf"(?<![\w.-])(?:(?:{OF_A_SPAN}) (?:{MONTH}|{SEASON})|(?:\d{{1,2}}|{DAYS}) (?:{MONTH})"
    rf"|(?:{MONTH}) (?:\d{{1,2}}|{DAYS})(?= \||$))(?!\w)"
)
"""A part of a month or its days without a year: "mid May", "15 June"."""
_NO_YEAR = re.compile(rf"{PART}(?:{MONTH}|{SEASON})|(?:\d{{1,2}}|{DAYS}) (?:{MONTH})")
_YEAR_AFTER_NAME = re.compile(rf"(?P<name>{MONTH}|{SEASON}) {YEAR}")
_FROM = re.compile(r"(?i)\b(?:from|von|vom)\s+(?:\w+\s+)?$")
_ON = re.compile(r"(?i)\s+(?:on|an)(?=\s*(?:[^\w\s]|$))")
"""The two parts around the beginning of a period without end: "from May 2018 on"."""
_OTHER_MEANINGS = ("march", "mars", "mayo", "sept")
"""Names of months that are other words or places, too, so that they count only after "in"."""
_LENGTH = re.compile(rf"\d{{1,3}} (?:{UNIT})")
"""A length such as "10 day" says when only with "last"."""
_DAY = re.compile(
    rf"\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]{YEAR}|\d{{1,2}} (?:{MONTH}) {YEAR}|(?:{MONTH}) \d{{1,2}} {YEAR}"
)
_SAID = "|".join(re.escape(phrase) for phrase in sorted(PHRASES, key=len, reverse=True))
_TOKEN = re.compile(
    rf"(?<!\w)(?P<phrase>{_SAID})(?!\w)"
    r"|(\d{1,2})(?:st|nd|rd|th|er|º|°)\b|(\d{1,2})\.(?=\s*[a-z])|([^\W\d_]{1,4})\.(?=\s*\w)|\d{1,2},\d{1,3}(?!\d)|[\d./-]{0,24}\d|[^\W\d_]+|[/–—-]|[.;:?!()%]"
)


@dataclass(frozen=True)
class When:
    """One mention of time: words that `parse_period` reads, and where they stand."""

    words: str
    start: int
    end: int


@dataclass(frozen=True)
class _Token:
    words: str
    start: int
    end: int


class _Words:
    """A text as the small English vocabulary of `tools.periods`, with the way back to the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = [_token(match) for match in _TOKEN.finditer(lexicon.fold(text))]
        self.tokens = [token for token in found if token.words not in FILLERS]
        self.joined = " ".join(token.words for token in self.tokens)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give the part of the text from which a part of the joined words came."""
        position, inside = 0, []
        for token in self.tokens:
            if position < end and position + len(token.words) > start:
                inside.append(token)
            position += len(token.words) + 1
        return inside[0].start, inside[-1].end

    def original(self, match: "re.Match[str]", group: str) -> str:
        """Give a group of a match as it is written in the text."""
        start, end = self.span(*match.span(group))
        return self.text[start:end]


def find_periods(text: str, *, ends: Ends = "bounds") -> tuple[When, ...]:
    """Find all mentions of time, in order; a bare month or season counts when there is nothing better."""
    words, found, position = _Words(text), list[When](), 0
    while match := _first(words.joined, position, ends):
        position = match.end()
        if not _LENGTH.fullmatch(match[0]):
            start, end = words.span(*match.span())
            on = _ON.match(text, end) if _FROM.search(text[:start]) else None
            end = on.end() if on else end
            found += [When(part, start, end) for part in _parts(words, match, ends) or (text[start:end],)]
    return tuple(found) or _bare(text)


def is_day(words: str) -> bool:
    """Tell whether words for a time name a single day."""
    return bool(_DAY.fullmatch(_Words(words).joined))


def in_year_of(base: str, words: str) -> str:
    """Give words for a month, a season or days with the year of a period before, where they name none."""
    year = re.findall(YEAR, base)
    return f"{words} {year[-1]}" if year and _NO_YEAR.fullmatch(_Words(words).joined) else words


def _token(match: "re.Match[str]") -> _Token:
    if match["phrase"]:
        return _Token(PHRASES[match["phrase"]], match.start(), match.end())
    words = match[2] or match[3] or match[4] or match[0]
    words = "-" if words in "–—" else "|" if words in ".;:?!()%" else words.replace(",", ".")
    return _Token(CANONICAL.get(words, words), match.start(), match.end())


def _first(joined: str, position: int, ends: Ends) -> "re.Match[str] | None":
    """Find the next mention; where things are compared, two that share a year or a month count as one mention."""
    shared = (_SHARED_HEAD, _SHARED_YEAR) if ends == "compared" else (_JOINED_HEAD, _JOINED_YEAR)
    patterns = (*shared, _JOINED_PART, _PERIOD)
    matches = [match for pattern in patterns if (match := pattern.search(joined, position))]
    return min(matches, key=lambda match: match.start(), default=None)


def _parts(words: _Words, match: "re.Match[str]", ends: Ends) -> tuple[str, ...]:
    """Part a mention into the two periods it compares; empty when it is one period."""
    if match.re in (_SHARED_HEAD, _JOINED_HEAD):
        return words.original(match, "first"), f"{match['head']} {match['second']}"
    if match.re in (_SHARED_YEAR, _JOINED_YEAR):
        return f"{words.original(match, 'first')} {match['year']}", words.original(match, "second")
    if match.re is _JOINED_PART:
        first, second, rest = (words.original(match, group) for group in ("first", "second", "rest"))
        return f"{first}{match['noun'] or ''} {rest}", f"{second} {rest}"
    both = _RANGE.fullmatch(words.joined, *match.span())
    if not both or not _are_two(words, both, ends):
        return ()
    first, second = words.original(both, "first"), words.original(both, "second")
    year = re.search(YEAR, both["second"])
    return f"{first} {year[0]}" if year and re.fullmatch(HEAD, both["first"]) else first, second


def _are_two(words: _Words, both: "re.Match[str]", ends: Ends) -> bool:
    if ends == "compared":
        before = words.text[: words.span(*both.span())[0]]
        lead = re.search(rf"(?<!\w)(?:{lexicon.alternatives('from')})\s*$", lexicon.fold(before))
        apart = not lead and not re.fullmatch(HEAD, both["first"])
        return both["link"] == "and" or (both["link"] == "to" and (apart or _same_kind(both)))
    return ends != "bounds" and bool(both["between"] or ends == "changed") and _same_month(both)


def _same_month(both: "re.Match[str]") -> bool:
    """Tell whether both ends are the same month or season: "June 2024", "June 2025"."""
    names = [_YEAR_AFTER_NAME.fullmatch(both[end]) for end in ("first", "second")]
    return bool(names[0] and names[1] and names[0]["name"] == names[1]["name"])


def _same_kind(both: "re.Match[str]") -> bool:
    """Tell whether both ends are periods one would set against each other, rather than the ends of one period."""
    years = all(re.fullmatch(YEAR, both[end]) for end in ("first", "second"))
    return years or _same_month(both)


def _bare(text: str) -> tuple[When, ...]:
    """Find "in summer", "im Mai", "mid-May", "15 June" or a month by its name alone: the latest one that has begun."""
    words = _Words(text)
    for match in _PARTLY.finditer(words.joined):
        start, end = words.span(*match.span())
        if not re.search(r"\b(?:may|march)\b", text[start:end]):  # "CO2 may"
            return (When(text[start:end], start, end),)
    lead = rf"(?<!\w)(?:{lexicon.alternatives('during')})\s*(?P<name>[^\W\d_]+)"
    for match in re.finditer(lead, lexicon.fold(text)):
        if re.fullmatch(f"{MONTH}|{SEASON}", CANONICAL.get(match["name"], match["name"])):
            return (When(text[slice(*match.span("name"))], *match.span("name")),)
    named = (match for match in re.finditer(r"[^\W\d_]{4,}", lexicon.fold(text)) if match[0] not in _OTHER_MEANINGS)
    months = (match.span() for match in named if CANONICAL.get(match[0], match[0]) in MONTHS)
    return tuple(When(text[start:end], start, end) for start, end in months)[:1]
