"""Words that carry meaning, and their stems: what search and comparison of texts go by."""

import re
from functools import lru_cache

from knowledge.catalogue import normalise

ENDINGS = re.compile(r"(?<=\w\w\w)(?:ings?|ed|es|e|s)$")
_STOPWORDS = """
    a about all am an and any are around as at be been between by can could currently did do does for from get
    give had has have how i in into is it its last many map me mean much my near need now of on or our over per
    please product data show some such tell than that the their them there these they this those to today us use
    used want was we were what when where which who why will with within would year years you your area areas
    summer winter spring autumn
"""
STOPWORDS = frozenset(_STOPWORDS.split())


def search_words(question: str) -> list[str]:
    """Give the words of a question that carry meaning for keyword search."""
    return [word for word in normalise(question).replace(".", " ").split() if word not in STOPWORDS and len(word) > 1]


def stems(text: str) -> list[str]:
    """Give the words that carry meaning without their endings, so that `parcels` meets `parcel`."""
    return list(_stems(text))


@lru_cache(maxsize=16_384)
def _stems(text: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in search_words(text))


def stem(word: str) -> str:
    """Give a word without its ending."""
    return ENDINGS.sub("", word)
