"""Check the names in an answer: products, places and quotations must come from a result or from the conversation."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from assistant import lexicon
from assistant.claims import is_month
from assistant.sentences import word_pattern

QUOTE = re.compile(r"[“«„\"]([^“”«»„\"]{12,400})[”»“\"]")
MIN_QUOTED_WORDS = 4
PRIVATE_WORDS = 8
"""So many words in a row of the instructions to a model are no chance."""
_CAPITAL = r"[A-ZÀ-Þ][\w'’-]+"
_NAME = re.compile(rf"(?<![\w-]){_CAPITAL}(?: {_CAPITAL}){{0,3}}")
_MIN_PLACE_LETTERS = 4


def unknown_names(sentence: str, known: str) -> Iterator[str]:
    """Give the products, places and quotations of a sentence that what is known does not hold.

    Args:
        sentence: As written.
        known: All texts of the tools and of the conversation, folded.
    """
    for product in _products().finditer(sentence):
        if not any(_holds(known, name) for name in _names_of(lexicon.fold(product[0]))):
            yield product[0]
    for place in _places(sentence):
        if not _holds(known, lexicon.fold(place)):
            yield place
    for quote in QUOTE.finditer(sentence):
        words = _bare(lexicon.fold(quote[1]))
        if len(words.split()) >= MIN_QUOTED_WORDS and words not in _bare(known):
            yield quote[1]


def repeats(sentence: str, private: str) -> bool:
    """Tell whether a sentence repeats a run of words of a text that is not for users."""
    words, known = _bare(lexicon.fold(sentence)).split(), f" {_bare(lexicon.fold(private))} "
    runs = (words[at : at + PRIVATE_WORDS] for at in range(len(words) - PRIVATE_WORDS + 1))
    return any(f" {' '.join(run)} " in known for run in runs)


def _places(sentence: str) -> Iterator[str]:
    """Give names of places, capitalised and known: after a word such as "in", or before one such as "has"."""
    from assistant.spans import is_known_place

    folded, before = lexicon.fold(sentence), lexicon.pattern("before_place").pattern
    for match in _NAME.finditer(sentence):
        name = match[0]
        where = re.search(rf"{before}\s*(?:(?:the|la|le|les|el|il|der|die|den|dem)\s+)?$", folded[: match.start()])
        if not where and not word_pattern("has_value").match(folded, match.end() + 1):
            continue
        common = is_month(name) or lexicon.is_cue(name) or _products().search(name) or name.isupper()
        if len(name) >= _MIN_PLACE_LETTERS and not common and is_known_place(name):
            yield name


@cache
def _products() -> "re.Pattern[str]":
    """Give the pattern of names of products in several words, or with a hyphen, that begin with a capital."""
    longest = sorted(_product_names(), key=lambda name: (-len(name), name))
    names = "|".join(rf"{re.escape(one)}" for one in longest if len(one.split()) > 1)
    return re.compile(rf"(?<![\w-])(?=[A-Z])(?i:{names})(?![\w-])")


def _names_of(name: str) -> set[str]:
    """Give all names, folded, of the products that bear a name."""
    return {
        lexicon.fold(other) for one, others in _product_names().items() if lexicon.fold(one) == name for other in others
    }


@cache
def _product_names() -> dict[str, set[str]]:
    """Give each name of a product, with all names of the products that bear it."""
    from knowledge.catalogue import load_catalogue

    found: dict[str, set[str]] = {}
    for product in load_catalogue().products:
        names = {
            product.title,
            product.title.partition(",")[0],
            product.id,
            *product.abbr.split(" / "),
            *product.aliases,
        }
        for name in names:
            found.setdefault(name, set()).update(names)
    return found


def _holds(known: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", known) is not None


@lru_cache(maxsize=64)
def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text))
