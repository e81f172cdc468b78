"""Whether two computations are of the same place and period, whatever words they were asked with."""

from datetime import date
from typing import Any

from assistant.lexicon import fold
from knowledge.errors import ClmsError
from tools.schema import Period


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

    if set(fold(one).replace(",", " ").split()) & set(fold(other).replace(",", " ").split()):
        return True
    try:
        names = [{(place.name, place.bbox) for place in find_places(words, limit=5)} for words in (one, other)]
    except ClmsError:
        return True
    return not all(names) or bool(names[0] & names[1])


def _period(words: str, today: date) -> Period | None:
    from tools.periods import parse_period

    try:
        return parse_period(words, today=today, earliest=date.min) if words.strip() else None
    except ClmsError:
        return None
