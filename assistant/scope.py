"""Parts of a question that are outside the land service, told apart from the rest, which is answered."""

import re
from functools import cache

from assistant import abilities, lexicon, slots
from assistant.sentences import word_pattern
from assistant.spans import find_places
from assistant.times import find_periods

_ASKED = re.compile(r"(?<=[?])\s+")


def parted(question: str) -> tuple[str, tuple[str, ...]]:
    """Give a question without the parts that another service would answer, and those parts.

    It is parted only where what is left, with the place and the time of both, asks for the same as the whole.
    """
    parts = [part.strip(" ,;") for sentence in _ASKED.split(question) for part in _joined(sentence)]
    outside = tuple(part for part in parts if is_outside(part))
    inside = " ".join(part for part in parts if part not in outside)
    about = lexicon.has(inside, *slots.EVIDENCE, "area_noun") or bool(abilities.find_indices(inside))
    if not outside or not about or is_outside(inside):
        return question, ()
    inside += _shared(inside, outside[-1])
    whole, left = (slots.intent_of(text, slots.periods_of(text)) for text in (question, inside))
    return (inside, outside) if left == whole else (question, ())


def _shared(inside: str, outside: str) -> str:
    """Give where and when at the end of "rainfall in Lyon in 2020", where the part before it lacks them.

    What is a question of its own ("and what is the air quality in Metz?") shares nothing.
    """
    places = find_places(outside, any_name=False)
    if not places or find_places(inside, any_name=False) or find_periods(inside):
        return ""
    start = min([outside.index(places[0].split()[0]), *(when.start for when in find_periods(outside))])
    before, article = lexicon.alternatives("before_place", "during"), lexicon.alternatives("article")
    lead = re.search(rf"(?:(?<!\w)(?:{before})\s*)?(?:(?<!\w)(?:{article})\s*)?$", lexicon.fold(outside[:start]))
    start = lead.start() if lead else start
    asks = lexicon.has(outside[:start], "ask") or word_pattern("is").search(lexicon.fold(outside[:start]))
    return "" if asks else f" {outside[start:]}"


def is_outside(words: str) -> bool:
    """Tell whether words are about what another service has, or none of the land."""
    return abilities.names_elsewhere(words) or lexicon.has(words, "elsewhere")


def _joined(sentence: str) -> list[str]:
    """Part a sentence at the last "and" with all that is outside on one of its sides, and a place for the other."""
    for match in reversed(list(_joiner().finditer(lexicon.fold(sentence)))):
        head, tail = sentence[: match.start()], sentence[match.end() :]
        is_word = sentence[match.start() : match.end()].isascii()  # Italian "è" is no "e"
        outside = [is_outside(head), is_outside(tail)]
        if is_word and outside[0] != outside[1] and (outside[1] or _has_its_place(head, tail)):
            return [head, tail]
    return [sentence]


def _has_its_place(head: str, tail: str) -> bool:
    """Tell whether what follows names a place where what stands before does."""
    return bool(find_places(tail, any_name=False)) or not find_places(head, any_name=False)


@cache
def _joiner() -> "re.Pattern[str]":
    return re.compile(rf",?\s+(?:{lexicon.alternatives('joiner')})\s+")
