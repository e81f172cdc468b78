"""Times told by the distance from those of the question before: "one year earlier", "deux mois plus tard"."""

import re
from dataclasses import dataclass
from functools import cache

from assistant import lexicon
from assistant.times import find_periods
from tools.period_words import CANONICAL
from tools.periods import YEAR

UNITS = ("year", "quarter", "month", "week", "day")
_A = r"an?|one|une?|ein(?:e|en|em|er)?|una|uno|l'|the|im|das|el|la|le|il|lo"

_DAY = re.compile(r"^\d{1,2}\S{0,2}\s+(?:of |de |d')?(?=[^\W\d])")
_OF = r"(?:by|of|de|d'|um|en|di)?"
_ORDINAL = (
    r"(?:the (?=\d+(?:st|nd|rd|th))|le |am |el (?:dia )?|il (?:giorno )?)"
    r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?(?![.\s]*[\w/-])"
)
"""A day without its month: "the 15th"."""
_PRECEDING = r"previous|preceding|vor(?:her)?ige\w*|precedent\w*|anterior"
_FOLLOWING = r"following|folgende\w*|siguiente|seguente|successiv[oa]|suivante?"
"""Words that stand before the unit: "previous year"."""


@dataclass(frozen=True)
class Shift:
    """So much before or after a period that was named before, and where the text says so."""

    words: str
    """What `tools.periods` reads with the period after it: "1 year before"."""
    start: int
    end: int

    def of(self, period: str) -> str:
        """Give the words for the period that lies so much before or after another one, or for a day of that month."""
        return f"{self.words} {_DAY.sub('', period) if self.words.isdigit() else period}"


def find_shift(text: str) -> Shift | None:
    """Find how far from the period before a follow-up looks; None when it does not say."""
    folded = lexicon.fold(text)
    for pattern in _patterns():
        for match in pattern.finditer(folded):
            found = match.groupdict()
            if found.get("day"):
                return Shift(found["day"], *match.span())
            count = CANONICAL.get(found.get("count") or "1", found.get("count") or "1")
            unit = CANONICAL.get(found.get("unit") or "year", found.get("unit") or "year")
            way = "after" if found.get("later") else "before"
            number = int(count) if count.isdigit() else 1
            return Shift(f"{number} {unit} {way}", *match.span())
    return None


def without_shift(text: str) -> str:
    """Put bars in place of the words for a shift; all else keeps its position."""
    found = find_shift(text)
    return text[: found.start] + "|" * (found.end - found.start) + text[found.end :] if found else text


def spelled_out(question: str) -> str:
    """Give a question about one period and "the year before" with that year's: "June 2023" after "June 2024"."""
    shift = find_shift(question)
    years = re.fullmatch(r"(\d+) year (before|after)", shift.words) if shift else None
    if not shift or not years:
        return question
    own = [one.words for one in find_periods(question) if one.end <= shift.start or shift.end <= one.start]
    by = int(years[1]) if years[2] == "after" else -int(years[1])
    other = re.sub(YEAR, lambda year: str(int(year[0]) + by), own[0]) if len(own) == 1 else ""
    return f"{question[: shift.start]}{other}{question[shift.end :]}" if other not in ("", *own) else question


@cache
def _patterns() -> tuple["re.Pattern[str]", ...]:
    earlier, later = lexicon.alternatives("earlier"), lexicon.alternatives("later")
    way = rf"(?:(?P<later>{later})|(?:{earlier}))"
    unit = rf"(?P<unit>{_words(*UNITS)})"
    count = rf"(?P<count>\d{{1,3}}|{_words(*map(str, range(1, 13)))}|{_A})"
    year, last, same = _words("year"), _words("last"), lexicon.alternatives("same_days")
    last_year = rf"(?:(?:{last})\s+(?:{year})|(?:{year})\s+(?:{last}))"
    patterns = (
        rf"(?:{same})\W+(?:\w+\W+){{0,2}}?{last_year}",
        rf"{count}\s*(?<!\w){unit}\s+{way}",
        rf"(?:il y a|vor|hace|nach)\s+{count}\s+{unit}",
        rf"{way}\s+{_OF}\s*{count}\s*(?<!\w){unit}",
        rf"{unit}\s+{way}",
        rf"(?:{_PRECEDING}|(?P<later>{_FOLLOWING}))\s+{unit}",
        r"vorjahr\w*",
        _ORDINAL,
    )
    return tuple(re.compile(rf"(?<!\w){one}(?!\w)") for one in patterns)


@cache
def _words(*canonical: str) -> str:
    found = {word for word, one in CANONICAL.items() if one in canonical} | {*canonical}
    return "|".join(sorted(map(re.escape, found), key=lambda word: (-len(word), word)))
