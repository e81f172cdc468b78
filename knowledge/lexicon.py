"""Five languages, one catalogue in English: which language a question is in."""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

Language = Literal["en", "fr", "de", "es", "it"]

LANGUAGES: tuple[Language, ...] = ("en", "fr", "de", "es", "it")
_FILE = Path(__file__).with_name("lexicon.yaml")


def language_of(text: str) -> Language:
    """Tell the language of a text by its function words; English when nothing speaks for another."""
    words = re.findall(r"[^\W\d_]+", fold(text))
    table = _function_words()
    counts = {language: sum(word in table[language] for word in words) for language in LANGUAGES}
    return max(LANGUAGES, key=lambda language: counts[language])


def fold(text: str) -> str:
    """Lower a text and take its accents off: `Forêts` and `forets` are the same word."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


@cache
def _function_words() -> dict[str, frozenset[str]]:
    data = yaml.safe_load(_FILE.read_text(encoding="utf-8"))["function_words"]
    return {language: frozenset(fold(words).split()) for language, words in data.items()}
