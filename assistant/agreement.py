"""Whether two computations are of the same place and period, whatever words they were asked with."""

from datetime import date
from typing import Any

from assistant.lexicon import fold
from knowledge.errors import ClmsError
from tools.schema import Period

SMALL = 3
"""Words of so many letters tell no place from another."""


def is_of_same(wanted: dict[str, Any], made: dict[str, Any], today: date) -> bool:
    """Tell whether a call is of the place wanted and of days in the period wanted; what cannot be read is let pass."""
    places = str(wanted.get("place") or ""), str(made.get("place") or "")
    periods = [_period(str(one.get("period") or ""), today) for one in (wanted, made)]
    first, second = periods
    if first and second and (first.end < second.start or second.end < first.start):
        return False
    return not all(places) or _is_same_place(*places)


def _is_same_place(one: str, other: str) -> bool:
    from tools.places import find_places

    words, others = _telling(one), _telling(other)
    if words and others and (words <= others or others <= words):
        return True
    try:
        names = [{(place.name, place.bbox) for place in find_places(words, limit=5)} for words in (one, other)]
    except ClmsError:
        return True
    return not all(names) or bool(names[0] & names[1])


def _telling(name: str) -> set[str]:
    """Give the words of a name without the small ones: "de", "the"."""
    return {word for word in fold(name).replace(",", " ").split() if len(word) > SMALL}


def _period(words: str, today: date) -> Period | None:
    from tools.periods import parse_period

    try:
        return parse_period(words, today=today, earliest=date.min) if words.strip() else None
    except ClmsError:
        return None
