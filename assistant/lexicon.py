"""Cue words in five languages, read from `lexicon.yaml` and made into patterns at first use."""

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field, RootModel, StringConstraints, model_validator

Language = Literal["en", "fr", "de", "es", "it"]
LANGUAGES: tuple[Language, ...] = ("en", "fr", "de", "es", "it")
Word = Annotated[str, StringConstraints(pattern=r"^[^A-Z.,:;?!]{1,40}$")]
MAX_WORDS = 5
"""A longer entry would be a sentence, not a cue."""

CONTENT = (
    "product", "ask", "recommend", "scenes", "vegetation", "compute", "amount", "parcels", "districts", "communes",
    "area_noun", "mine", "time_noun", "series", "changing", "map", "compare", "difference", "threshold", "ranking",
    "highest", "lowest", "phenology", "area",
    "forecast", "anomaly", "begins", "trade", "land", "land_state", "classify", "kmeans", "stack",
)  # fmt: skip
"""Slots whose words have a meaning of their own; the others hold articles, prepositions and the like."""

NUMBER = r"\d[\d.,]{0,11}\w{0,3}"
"""What the mark # stands for in a cue."""
NOT_LETTER_BEFORE, NOT_LETTER_AFTER = r"(?<!\w)", r"(?!\w)"


class Lexicon(RootModel[dict[str, dict[Language, Annotated[tuple[Word, ...], Field(min_length=1)]]]]):
    """Slot to language to cue words."""

    @model_validator(mode="after")
    def _complete(self) -> "Lexicon":
        for slot, languages in self.root.items():
            if missing := set(LANGUAGES) - set(languages):
                raise ValueError(f"{slot} has no words for {', '.join(sorted(missing))}")
            if long := [word for words in languages.values() for word in words if len(word.split()) > MAX_WORDS]:
                raise ValueError(f"{slot} holds sentences: {', '.join(long)}")
        return self


@lru_cache(maxsize=1)
def load() -> Lexicon:
    """Read and check the file."""
    import yaml

    return Lexicon.model_validate(yaml.safe_load((files("assistant") / "lexicon.yaml").read_text(encoding="utf-8")))


@lru_cache(maxsize=256)
def fold(text: str) -> str:
    """Bring a text to the form cues are compared in: lower case, no accents; each character keeps its position."""
    return "".join(_fold_character(character) for character in text)


@cache
def _fold_character(character: str) -> str:
    if character in "’‘ʼ":
        return "'"
    base = unicodedata.normalize("NFKD", character)[0].lower()
    return base if len(base) == 1 else character


@cache
def pattern(*slots: str) -> "re.Pattern[str]":
    """Give the pattern that finds any word of some slots in a folded text; longer words win."""
    return re.compile(f"{NOT_LETTER_BEFORE}(?:{alternatives(*slots)})")


@cache
def alternatives(*slots: str) -> str:
    """Give the words of some slots as one alternation, for use inside a larger pattern."""
    words = {fold(word) for slot in slots for words in load().root[slot].values() for word in words}
    return "|".join(_expression(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def has(text: str, *slots: str) -> bool:
    """Tell whether a text holds a word of any of the slots."""
    return bool(pattern(*slots).search(fold(text)))


def has_only(word: str, *slots: str) -> bool:
    """Tell whether a word is, as a whole, a word of any of the slots."""
    return bool(pattern(*slots).fullmatch(fold(word)))


def is_cue(word: str, *, ending: int | None = None) -> bool:
    """Tell whether a single word speaks of a subject or a task, so that it is no name of a place.

    Args:
        word: The word.
        ending: How many letters a star may stand for: Grasse is no "grass*". None: any number.
    """
    return bool(_content(ending).fullmatch(fold(word)))


@cache
def _content(ending: int | None) -> "re.Pattern[str]":
    whole = pattern(*CONTENT)
    return whole if ending is None else re.compile(whole.pattern.replace(r"\w*", rf"\w{{0,{ending}}}"))


def _expression(word: str) -> str:
    body = re.escape(word).replace(r"\#", NUMBER).replace(r"\*", r"\w*")
    body = body.replace(r"\ ", r"[\s-]+").replace(r"\-", r"[\s-]?")
    return body if word.endswith("'") else f"{body}{NOT_LETTER_AFTER}"
