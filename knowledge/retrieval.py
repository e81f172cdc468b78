"""Search over the index: keywords and vectors fused by reciprocal rank, then the hard facts of each product."""

import logging
import re
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from knowledge.catalogue import Catalogue, load_catalogue, normalise
from knowledge.embeddings import NO_EMBEDDING, load_encoder
from knowledge.errors import EmbeddingUnavailable, IndexMissing
from knowledge.ingest import ALIASES, RANKING, open_vectors, search_words
from knowledge.schema import Bbox, Passage, Product, ProductMatch

logger = logging.getLogger(__name__)

RANK_OFFSET = 60  # the usual constant of reciprocal rank fusion
POOL = 40
FINEST_UNITS = {  # words for small units, and the coarsest pixel that still tells them apart
    20.0: ("parcel", "parcels", "field", "fields", "plot", "plots", "garden", "gardens", "street", "streets", "hedge",
           "hedges", "building", "buildings", "meadow", "meadows", "farm", "farms", "park", "parks"),
    100.0: ("town", "towns", "city", "district", "districts", "municipality", "municipalities", "commune", "communes",
            "village", "villages", "neighbourhood", "neighbourhoods"),
}  # fmt: skip
COARSE_FACTOR = 0.5
OUT_OF_TIME_FACTOR = 0.4


class Retriever:
    """Finds products and passages; loads its slow parts on first use."""

    def __init__(self, index_dir: Path, *, embedding_model: str, catalogue: Catalogue | None = None) -> None:
        self._index_dir = index_dir
        self._model = embedding_model
        self._catalogue = catalogue
        self._vectors: Any = None
        self._asked: tuple[str, Any] = ("", None)
        self._loading = threading.Lock()  # tools run in parallel; Chroma must be opened by one of them
        self.embedding_problem = ""
        """Why search goes by keywords only; empty when it does not, or on purpose."""

    @property
    def catalogue(self) -> Catalogue:
        """The products, read on first use."""
        if self._catalogue is None:
            self._catalogue = load_catalogue()
        return self._catalogue

    def warm_up(self) -> None:
        """Load catalogue, encoder and index now, so that the first question does not wait for them."""
        self.passages("land cover", limit=1)

    def products(
        self,
        question: str,
        *,
        limit: int = 3,
        bbox: Bbox | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> list[ProductMatch]:
        """Give the products that fit a question, best first; those that do not reach the place are left out.

        Raises:
            IndexMissing: the index has not been built.
        """
        scores = fuse(
            [
                _product_order(self._keyword_ids(question, RANKING)),
                _product_order(self._vector_ids(question, RANKING)),
                self._named(question),
            ]
        )
        found = []
        for product_id, score in scores.items():
            product = self.catalogue.get(product_id)
            if bbox is not None and not product.covers_place(bbox):
                continue
            lacks, factor = _shortfalls(product, question, start, end)
            found.append((score * factor, product, lacks))
        found.sort(key=lambda item: (-item[0], item[1].id))
        return [
            ProductMatch(
                product=product,
                score=score,
                why=_reasons(product, question, bbox),
                lacks=lacks or _not_for(product, question),
                passages=tuple(self.passages(question, limit=3, product_id=product.id)),
            )
            for score, product, lacks in found[:limit]
        ]

    def passages(self, question: str, *, limit: int = 5, product_id: str | None = None) -> list[Passage]:
        """Give the passages nearest to a question, of one product or of all.

        Raises:
            IndexMissing: the index has not been built.
        """
        sections = ("about", "use", "limits", "access", "editions", "documents")
        scores = fuse(
            [self._keyword_ids(question, sections, product_id), self._vector_ids(question, sections, product_id)]
        )
        rows = self._rows(f"SELECT id, product_id, title, url, section, text FROM entries WHERE section != '{ALIASES}'")
        known = {row[0]: row for row in rows}
        if product_id is not None and not scores:
            scores = {one: 0.0 for one, row in known.items() if row[1] == product_id}
        return [_passage(known[one], score) for one, score in list(scores.items())[:limit]]

    def _named(self, question: str) -> list[str]:
        """Products whose name or alias stands in the question, longest name first."""
        asked = f" {_key(question)} "
        raw = set(re.findall(r"[\w+-]+", question))
        hits: dict[str, int] = {}
        for product in self.catalogue.products:
            if product.abbr in raw:  # capitals count here: LIE is a product, lie is a word
                hits[product.id] = len(product.abbr)
            for name in (product.title, *product.aliases):
                stems = _key(name)
                if stems and f" {stems} " in asked:
                    hits[product.id] = max(hits.get(product.id, 0), len(stems))
        return sorted(hits, key=lambda one: -hits[one])

    def _keyword_ids(self, question: str, sections: Iterable[str], product_id: str | None = None) -> list[str]:
        words = search_words(question)
        if not words:
            self._rows("SELECT 1")  # an index that is missing must still be told
            return []
        query = " OR ".join(f'"{word}"' for word in words)
        marks = ", ".join("?" * len(tuple(sections)))
        prefix = f"{product_id}#%" if product_id else "%"
        rows = self._rows(
            f"SELECT id FROM words WHERE words MATCH ? AND section IN ({marks}) AND id LIKE ?"
            f" ORDER BY bm25(words, 0, 0, 3.0, 1.0) LIMIT {POOL}",
            (query, *sections, prefix),
        )
        return [str(row[0]) for row in rows]

    def _vector_ids(self, question: str, sections: Iterable[str], product_id: str | None = None) -> list[str]:
        if self._model == NO_EMBEDDING or self.embedding_problem:
            return []
        try:
            with self._loading:
                encoder = load_encoder(self._model)
                if self._vectors is None:
                    self._vectors = open_vectors(self._index_dir, self._model)
        except EmbeddingUnavailable as error:
            self.embedding_problem = error.message
            logger.warning("keyword search only: %s", error)
            return []
        if not self._vectors.count():
            self.embedding_problem = "The index was built without vectors for this encoder."
            return []
        where: dict[str, Any] = {"section": {"$in": list(sections)}}
        if product_id is not None:
            where = {"$and": [where, {"product_id": product_id}]}
        asked = self._asked
        if asked[0] != question:  # one question is searched several times; encoding is the slow part
            asked = self._asked = (question, encoder.encode([question]))
        answer = self._vectors.query(query_embeddings=asked[1], n_results=POOL, where=where)
        return [str(one) for one in answer["ids"][0]]

    def _rows(self, query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        path = self._index_dir / "index.sqlite"
        if not path.exists():
            raise IndexMissing("The search index has not been built yet.", hint="Run `clms-assistant ingest`.")
        with closing(sqlite3.connect(path)) as database:
            return database.execute(query, values).fetchall()


def fuse(orders: Iterable[list[str]]) -> dict[str, float]:
    """Join rankings by reciprocal rank; best first."""
    scores: dict[str, float] = {}
    for order in orders:
        for rank, one in enumerate(order):
            scores[one] = scores.get(one, 0.0) + 1.0 / (RANK_OFFSET + rank + 1)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def _product_order(passage_ids: list[str]) -> list[str]:
    return list(dict.fromkeys(one.split("#")[0] for one in passage_ids))


def _passage(row: tuple[Any, ...], score: float) -> Passage:
    one, product_id, title, url, section, text = row
    return Passage(id=one, source_id=product_id, title=title, url=url, section=section, text=text, score=score)


def _stems(text: str) -> str:
    """Lower-case words without plural s, so that `parcels` meets `parcel`."""
    return " ".join(re.sub(r"(?<=\w\w\w)s$", "", word) for word in normalise(text).split())


def _key(text: str) -> str:
    """Stems of the words that carry meaning, as one string."""
    return _stems(" ".join(search_words(text)))


def _shortfalls(product: Product, question: str, start: date | None, end: date | None) -> tuple[str, float]:
    """Say what the product's facts lack for the question, and how far that lowers it."""
    lacks, factor = [], 1.0
    words = set(normalise(question).split())
    needed = min((limit for limit, units in FINEST_UNITS.items() if words.intersection(units)), default=None)
    if needed is not None and product.resolution_m is not None and product.resolution_m > needed:
        lacks.append(f"Its pixels of {product.resolution_m:g} m are too coarse for units that small.")
        factor *= COARSE_FACTOR
    if start is not None and end is not None and not product.covers_time(start, end):
        lacks.append(f"It has no data for that period (its data run from {product.start} to {product.end}).")
        # A status map of some years ago still answers today; a daily series that ended does not.
        later = (product.end or "9999") < str(start.year)
        factor *= 1.0 if later and _is_status_map(product) else OUT_OF_TIME_FACTOR
    return " ".join(lacks), factor


def _is_status_map(product: Product) -> bool:
    return product.cadence is None or "yearly" in product.cadence


def _reasons(product: Product, question: str, bbox: Bbox | None) -> tuple[str, ...]:
    fit = _closest(product.choose_when, question)
    size = (
        f"Pixels of {product.resolution_m:g} m." if product.resolution_m else "Vector data: polygons, lines or points."
    )
    period = (
        f"Data from {product.start} to {'today' if product.end == 'present' else product.end}." if product.start else ""
    )
    covers = f"It covers the place ({product.coverage})." if bbox is not None and product.boxes else ""
    return tuple(reason for reason in (fit, product.summary, size, period, covers) if reason)


def _not_for(product: Product, question: str) -> str:
    sentence = _closest(product.not_for, question)
    return f"Not for: {sentence}" if sentence else ""


def _closest(sentences: tuple[str, ...], question: str) -> str:
    """Give the sentence that shares most words with the question; the first when none does."""
    asked = set(_key(question).split())
    return max(sentences, key=lambda s: len(asked.intersection(_stems(s).split())), default="")
