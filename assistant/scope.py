"""Parts of a question that are outside the land service, told apart from the rest, which is answered."""

import re
from functools import cache

from assistant import abilities, lexicon, slots

_ASKED = re.compile(r"(?<=[?])\s+")


def parted(question: str) -> tuple[str, tuple[str, ...]]:
    """Give a question without the parts that another service would answer, and those parts.

    It is parted only where what is left asks for the same as the whole: "NDVI and rainfall of Rennes" stays together.
    """
    parts = [part.strip(" ,;") for sentence in _ASKED.split(question) for part in _joined(sentence)]
    outside = tuple(part for part in parts if is_outside(part))
    inside = " ".join(part for part in parts if part not in outside)
    about = lexicon.has(inside, *slots.EVIDENCE, "area_noun") or bool(abilities.find_indices(inside))
    if not outside or not about or is_outside(inside):
        return question, ()
    whole, left = (slots.intent_of(text, slots.periods_of(text)) for text in (question, inside))
    return (inside, outside) if left == whole else (question, ())


def is_outside(words: str) -> bool:
    """Tell whether words are about what another service has, or none of the land."""
    return abilities.names_elsewhere(words) or lexicon.has(words, "elsewhere")


def _joined(sentence: str) -> list[str]:
    """Part a sentence at the last "and" behind which everything is outside."""
    for match in reversed(list(_joiner().finditer(lexicon.fold(sentence)))):
        head, tail = sentence[: match.start()], sentence[match.end() :]
        is_word = sentence[match.start() : match.end()].isascii()  # Italian "è" is no "e"
        if is_word and is_outside(tail) and not is_outside(head):
            return [head, tail]
    return [sentence]


@cache
def _joiner() -> "re.Pattern[str]":
    return re.compile(rf",?\s+(?:{lexicon.alternatives('joiner')})\s+")
