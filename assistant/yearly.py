"""Questions about the course of the year: when the season begins, and how a period compares with other years."""

import re
from functools import lru_cache
from typing import Literal

from assistant import abilities, lexicon
from assistant.picks import without_periods
from assistant.times import When, is_day
from tools.periods import GROWING, YEAR, mentioned_periods

Yearly = Literal["", "phenology", "anomaly"]
"""An output of `compute`; empty for none of these."""

DAY, PART, WHOLE_YEAR, SPAN = range(4)
"""How much time words name, the narrowest first."""
_SPELT = re.compile(r"(?<![\w-])[A-Z][A-Z0-9-]{2,}(?![\w-])")
_DIGIT = re.compile(r"\d")
_YEAR = re.compile(rf"(?<!\d){YEAR}(?!\d)")


def asked_output(question: str, whens: tuple[When, ...]) -> Yearly:
    """Tell whether a question wants season dates or the deviation from other years.

    In "NDVI in the growing season 2024" the season only says when; in "when did it start" it is what is asked for. A
    product that gives the dates itself is not computed from scenes.
    """
    if (
        lexicon.has(question, "anomaly")
        or _asks_if_usual(question)
        or _against_years(question, tuple(when.words for when in whens))
    ):
        return "anomaly"
    rest = without_periods(question, whens)
    asks = lexicon.has(question, "when") or (lexicon.has(question, "begins") and not abilities.find_indices(question))
    dates = lexicon.has(rest, "phenology") or (asks and _speaks_of_season(question, whens))
    other = lexicon.has(question, "other_season") or names_date_layer(question)
    return "phenology" if dates and not other else ""


def _asks_if_usual(question: str) -> bool:
    """Tell whether a question wants to know if greenness is normal: that is told by other years, not by one value."""
    green = bool(abilities.find_indices(question)) or lexicon.has(question, "vegetation")
    return green and lexicon.has(question, "usual") and not names_mean(question)


def names_date_layer(question: str) -> bool:
    """Tell whether a question names a product of dates or one of its layers as spelt: HR-VPP, SOSD."""
    return any(word in _date_layers() for word in _SPELT.findall(question))


def asked_periods(kind: Yearly, words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Give each period wanted, in words, and the years that it is compared with; empty words where none are named."""
    if kind == "anomaly":
        target, others = _target(words)
        years = sorted(_years(others) - set(map(int, _YEAR.findall(target))))
        return ((target, f"{years[0]} to {years[-1]}" if years else ""),)
    # "Growing season" alone says no year.
    dated = [one for one in words if _DIGIT.search(one)] or [one for one in words if not _is_season(one)]
    return tuple((one, "") for one in dated) or (("", ""),)


def names_mean(question: str) -> bool:
    """Tell whether a question sets something against a mean or what is normal: "than the average"."""
    relative, mean = lexicon.alternatives("relative"), lexicon.alternatives("mean_noun")
    return bool(re.search(rf"(?<!\w)(?:{relative})(?:\s+\w{{1,5}}){{0,2}}\s+(?:{mean})", lexicon.fold(question)))


def _against_years(question: str, words: tuple[str, ...]) -> bool:
    """Tell whether a question sets a period against several years in a row: "May 2019 and the mean of 2016-2018"."""
    target, others = _target(words)
    own = set(map(int, _YEAR.findall(target)))
    years = _years(others) - own
    if len(years) < 2 or set(range(min(years), max(years) + 1)) - years - own:
        return False
    if names_mean(question):
        return True
    spans = any(_breadth(one) == SPAN for one in others)
    finer = _breadth(target) < WHOLE_YEAR or lexicon.has(question, "mean_noun")
    compared = lexicon.has(question, "compare", "difference") and not lexicon.has(question, "series")
    return compared and spans and finer


def _target(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Give the narrowest of several periods, the first of those alike, and the others."""
    if not words:
        return "", ()
    place = min(range(len(words)), key=lambda one: _breadth(words[one]))
    return words[place], (*words[:place], *words[place + 1 :])


def _breadth(words: str) -> int:
    """Tell how much time words name: a day, a part of a year, a year or several years."""
    if is_day(words):
        return DAY
    years = set(_YEAR.findall(words))
    if len(years) > 1:
        return SPAN
    return WHOLE_YEAR if any(re.fullmatch(rf"(?:year )?{YEAR}", one) for one in mentioned_periods(words)) else PART


def _years(words: tuple[str, ...]) -> set[int]:
    """Give all years that periods name, with those between the ends of each."""
    named = [list(map(int, _YEAR.findall(one))) for one in words]
    return {year for one in named if one for year in range(min(one), max(one) + 1)}


def _speaks_of_season(question: str, whens: tuple[When, ...]) -> bool:
    grows = lexicon.has(question, "vegetation") and lexicon.has(question, "begins")
    return grows or lexicon.has(question, "phenology") or any(_is_season(when.words) for when in whens)


def _is_season(words: str) -> bool:
    """Tell whether words for a time are those for the growing season."""
    return any(re.search(GROWING, found) for found in mentioned_periods(words))


@lru_cache(maxsize=1)
def _date_layers() -> frozenset[str]:
    """Give the abbreviations of the products that hold dates, and the names of their layers of dates."""
    from knowledge.catalogue import load_catalogue
    from knowledge.decoding import has_dates

    names: set[str] = set()
    for product in load_catalogue().products:
        variables = (one for edition in product.editions for one in edition.variables)
        dates = {one.name for one in variables if has_dates(one)}
        names |= {*dates, *product.abbr.split(" / ")} if dates else set()
    return frozenset(names)
