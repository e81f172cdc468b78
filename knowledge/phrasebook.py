"""Everyday words: how near a question is to what people say for each product, learned from the catalogue's phrases.

Each product, and each subject that others have, brings phrases in five languages (`asked_as`). A linear classifier over
pieces of three to five letters learns which pieces tell one owner from the others, so that endings, compounds and slips
of the pen are bridged, and words that all owners share ("how much", "in the city") count for little. It needs no
encoder and no download; what it brings is told in docs/performance.md.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from zipfile import BadZipFile

from knowledge.catalogue import Catalogue
from knowledge.elsewhere import load_elsewhere
from knowledge.ingest import ELSEWHERE
from knowledge.lexicon import in_english, load_lexicon, without_function_words

CUTTING: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (3, 5), "sublinear_tf": True}
"""How words are cut into pieces of three to five letters, and how these are weighed."""
STRICTNESS = 3.0
"""How closely the classifier follows the phrases (`C` of the support vector machine)."""

NOISE = 0.3
"""Less than this is what any words are near to some owner."""

UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile)
"""What reading a file that is missing, cut short or something else can raise."""

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
        self._cutter: Any = TfidfVectorizer(**CUTTING)
        pieces = self._cutter.fit_transform([form for _, form in known])
        learned = LinearSVC(C=STRICTNESS, random_state=0).fit(pieces, [owner for owner, _ in known])
        self._owners = [str(owner) for owner in learned.classes_]
        # Rounded as they are kept, so that the first process answers like the ones after it.
        self._weights, self._bias = learned.coef_.T.astype("float16").astype("float32"), learned.intercept_

    @classmethod
    def read(cls, path: Path) -> "Phrasebook":
        """Read what `write` wrote.

        Raises:
            UNREADABLE: there is no such file, or it holds something else.
        """
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        book = cls.__new__(cls)
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            book._owners, book._bias = file["owners"].tolist(), file["bias"]
            book._weights = file["weights"].astype("float32")
            book._cutter = TfidfVectorizer(**CUTTING, vocabulary=file["pieces"].tolist())
            book._cutter.idf_ = file["idf"]
        return book

    def write(self, path: Path) -> None:
        """Keep what was learned, in half precision."""
        import numpy as np

        with NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            try:
                np.savez(
                    file,
                    owners=np.array(self._owners),
                    bias=self._bias,
                    weights=self._weights.astype("float16"),
                    pieces=self._cutter.get_feature_names_out().astype(str),
                    idf=self._cutter.idf_,
                )
                Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise

    def nearness(self, words: str) -> dict[str, float]:
        """Give how near words are to owners: about 1 where they are like a phrase, nothing where they are not near.

        Words without any meaning of their own ("and in") are near to nobody.
        """
        forms = _forms(words)
        if not any(forms):
            return {}
        pieces = self._cutter.transform(forms)
        used = sorted(set(pieces.indices.tolist()))  # a product with all weights would first copy all of them
        margins = (pieces[:, used] @ self._weights[used]).mean(axis=0) + self._bias
        near = {owner: 1.0 + float(one) for owner, one in zip(self._owners, margins, strict=True)}
        return {owner: one for owner, one in near.items() if one > NOISE}


def open_phrasebook(catalogue: Catalogue, folder: Path) -> Phrasebook:
    """Give the phrasebook of a catalogue: as it was kept in a folder, else learned and kept there."""
    phrases = tuple(_phrases(catalogue))
    with _learning:
        return _opened(phrases, folder)


@lru_cache(maxsize=4)
def _opened(phrases: tuple[Phrase, ...], folder: Path) -> Phrasebook:
    import sklearn

    told = repr((phrases, CUTTING, STRICTNESS, sklearn.__version__, load_lexicon()))
    path = folder / f"phrasebook-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"
    try:
        return Phrasebook.read(path)
    except UNREADABLE:
        book = Phrasebook(phrases)
    # A disk that is full or not to be written costs the next process the learning, not this one the answer.
    with suppress(OSError):
        book.write(path)
        for old in set(folder.glob("phrasebook-*")) - {path}:
            old.unlink()
    return book


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
