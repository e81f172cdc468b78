"""Everyday words: how near a question is to what people say for each product, learned from the catalogue's phrases.

Each product, and each subject that others have, brings phrases in five languages (`asked_as`). A linear classifier over
pieces of three to five letters learns which pieces tell one owner from the others, so that endings, compounds and slips
of the pen are bridged, and words that all owners share ("how much", "in the city") count for little. It needs no
encoder and no download; what it brings is told in docs/performance.md.
"""

import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from knowledge.catalogue import Catalogue
from knowledge.elsewhere import load_elsewhere
from knowledge.ingest import ELSEWHERE
from knowledge.lexicon import in_english, without_function_words

PIECES = (3, 5)
"""Length of the pieces that words are cut into, letters."""
STRICTNESS = 3.0
"""How closely the classifier follows the phrases (`C` of the support vector machine)."""

NOISE = 0.3
"""Less than this is what any words are near to some owner."""

Phrase = tuple[str, str]
"""Owner and phrase."""

_learning = threading.Lock()  # tools run in parallel; the phrases are learned by one of them


class Phrasebook:
    """Tells how near words are to the phrases of each owner."""

    def __init__(self, phrases: tuple[Phrase, ...]) -> None:
        """Learn the phrases, of at least two owners, each also in its English terms; takes seconds."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.svm import LinearSVC

        known = dict.fromkeys((owner, form) for owner, phrase in phrases for form in _forms(phrase))
        self._cutter = TfidfVectorizer(analyzer="char_wb", ngram_range=PIECES, sublinear_tf=True)
        pieces = self._cutter.fit_transform([form for _, form in known])
        self._classifier: Any = LinearSVC(C=STRICTNESS, random_state=0).fit(pieces, [owner for owner, _ in known])

    def nearness(self, words: str) -> dict[str, float]:
        """Give how near words are to owners: about 1 where they are like a phrase, nothing where they are not near.

        Words without any meaning of their own ("and in") are near to nobody.
        """
        forms = _forms(words)
        if not any(forms):
            return {}
        margins = self._classifier.decision_function(self._cutter.transform(forms)).mean(axis=0)
        near = {str(owner): 1.0 + float(one) for owner, one in zip(self._classifier.classes_, margins, strict=True)}
        return {owner: one for owner, one in near.items() if one > NOISE}


def open_phrasebook(catalogue: Catalogue) -> Phrasebook:
    """Give the phrasebook of a catalogue; it is learned once a process."""
    phrases = tuple(_phrases(catalogue))
    with _learning:
        return _learned(phrases)


@lru_cache(maxsize=4)
def _learned(phrases: tuple[Phrase, ...]) -> Phrasebook:
    return Phrasebook(phrases)


def _phrases(catalogue: Catalogue) -> Iterator[Phrase]:
    for product in catalogue.products:
        said = (one for phrases in product.asked_as.values() for one in phrases)
        about = f"{product.title} ({product.abbr}): {product.summary}"
        yield from ((product.id, one) for one in (product.title, *product.aliases, *product.choose_when, about, *said))
    for other in load_elsewhere().values():
        said = (one for phrases in other.asked_as.values() for one in phrases)
        owner = f"{ELSEWHERE}{other.id}"
        yield from ((owner, one) for one in (other.subject, *other.aliases, *other.translations, *said))


def _forms(words: str) -> list[str]:
    """Give words as they stand and in English terms, without accents and words that carry no meaning."""
    return [without_function_words(form) for form in (words, in_english(words))]
