"""Questions about the course of the year: when the season begins, and how a period compares with other years."""

import re
from functools import lru_cache
from typing import Literal

from assistant import abilities, lexicon
from assistant.picks import without_periods
from assistant.spans import When
from tools.periods import GROWING, YEAR, mentioned_periods

Yearly = Literal["", "phenology", "anomaly"]
"""An output of `compute`; empty for none of these."""

_SPELT = re.compile(r"(?<![\w-])[A-Z][A-Z0-9-]{2,}(?![\w-])")
_DIGIT = re.compile(r"\d")
_YEAR = re.compile(rf"(?<!\d){YEAR}(?!\d)")


def asked_output(question: str, whens: tuple[When, ...]) -> Yearly:
    """Tell whether a question wants season dates or the deviation from other years.

    In "NDVI in the growing season 2024" the season only says when; in "when did it start" it is what is asked for. A
    product that gives the dates itself is not computed from scenes.
    """
    if lexicon.has(question, "anomaly"):
        return "anomaly"
    rest = without_periods(question, whens)
    asks = lexicon.has(question, "when") or (lexicon.has(question, "begins") and not abilities.find_indices(question))
    dates = lexicon.has(rest, "phenology") or (asks and _speaks_of_season(question, whens))
    other = lexicon.has(question, "other_season") or names_date_layer(question)
    return "phenology" if dates and not other else ""


def names_date_layer(question: str) -> bool:
    """Tell whether a question names a product of dates or one of its layers as spelt: HR-VPP, SOSD."""
    return any(word in _date_layers() for word in _SPELT.findall(question))


def asked_periods(kind: Yearly, words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Give each period wanted, in words, and the years that it is compared with; empty words where none are named."""
    if kind == "anomaly":
        years = sorted(year for one in words[1:] for year in _YEAR.findall(one))
        return ((words[0] if words else "", f"{years[0]} to {years[-1]}" if years else ""),)
    # "Growing season" alone says no year.
    dated = [one for one in words if _DIGIT.search(one)] or [one for one in words if not _is_season(one)]
    return tuple((one, "") for one in dated) or (("", ""),)


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
