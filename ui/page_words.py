"""The labels of the page in five languages, from one file."""

from functools import cache
from pathlib import Path

import yaml

from knowledge.lexicon import LANGUAGES, Language

ASSETS = Path(__file__).parent / "assets"
NAMES: dict[Language, str] = {"en": "English", "fr": "Français", "de": "Deutsch", "es": "Español", "it": "Italiano"}
"""The languages by their own names."""


def say(language: Language, key: str, **values: object) -> str:
    """Give a label; `values` fill the words in braces."""
    return all_words()[key][LANGUAGES.index(language)].format(**values)


def group(language: Language, prefix: str) -> dict[str, str]:
    """Give all labels whose key begins with a prefix, by the rest of the key."""
    return {key.removeprefix(prefix): say(language, key) for key in all_words() if key.startswith(prefix)}


def chosen_language(asked: str, wanted: str) -> Language:
    """Give the language an address asks for, else that of the browser."""
    return next((one for one in LANGUAGES if one == asked), None) or browser_language(wanted)


def browser_language(wanted: str) -> Language:
    """Give the page's language for what a browser asks for, such as `fr-CH` or `de,en;q=0.8`; English for others."""
    for part in wanted.split(","):
        code = part.split(";")[0].strip().lower()[:2]
        for language in LANGUAGES:
            if code == language:
                return language
    return "en"


@cache
def all_words() -> dict[str, list[str]]:
    """Read the file: for each key its words in the order of `LANGUAGES`."""
    words: dict[str, list[str]] = yaml.safe_load((ASSETS / "words.yaml").read_text(encoding="utf-8"))
    return words
