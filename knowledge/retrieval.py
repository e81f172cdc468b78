"""Search over the index: keywords and vectors fused by reciprocal rank, then the hard facts of each product."""

import logging
import math
import re
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Literal

from knowledge.catalogue import Catalogue, load_catalogue, normalise
from knowledge.document_search import DocumentSearch
from knowledge.embeddings import NO_EMBEDDING, load_encoder
from knowledge.errors import EmbeddingUnavailable, IndexMissing
from knowledge.fitness import Need, period_note, shortfalls
from knowledge.ingest import ALIASES, RANKING, facts_sentence, search_words
from knowledge.schema import Bbox, Passage, Product, ProductMatch
from knowledge.vectors import open_vectors

logger = logging.getLogger(__name__)

RANK_OFFSET = 60  # the usual constant of reciprocal rank fusion
POOL = 40
Ranking = Literal["keyword", "dense", "names"]
RANKINGS: tuple[Ranking, ...] = ("keyword", "dense", "names")
BLOCKED_FACTOR = 0.4
SHORT_FACTOR = 0.8
"""How far a shortfall lowers a product: one that blocks it, and one that does not."""


class Retriever:
    """Finds products and passages; loads its slow parts on first use."""

    def __init__(
        self,
        index_dir: Path,
        *,
        embedding_model: str,
        catalogue: Catalogue | None = None,
        chroma_url: str | None = None,
        use: Iterable[Ranking] = RANKINGS,
    ) -> None:
        """Keep what search needs; `use` leaves rankings out, so that each one's worth can be measured."""
        self._index_dir = index_dir
        self._chroma_url = chroma_url
        self._documents = DocumentSearch(index_dir, chroma_url=chroma_url)
        self._use = frozenset(use)
        self._model = embedding_model
        self._catalogue = catalogue
        self._vectors: Any = None
        self._asked: tuple[str, Any] = ("", None)
        self._unencodable = False
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
        unit_m: float | None = None,
        pixel_m: float | None = None,
    ) -> list[ProductMatch]:
        """Give the products that fit a question, best first; each says what it lacks.

        Args:
            question: What is asked, in words: it decides by subject.
            limit: How many to give.
            bbox: Box that must be covered, degrees.
            start: First day of the period asked for.
            end: Last day of the period asked for.
            unit_m: Side of the smallest units that must be told apart, metres.
            pixel_m: Largest pixel allowed, metres.

        Raises:
            IndexMissing: the index has not been built.
        """
        need = Need(bbox=bbox, start=start, end=end, unit_m=unit_m, pixel_m=pixel_m)
        scores = fuse(
            [
                _product_order(self._keyword_ids(question, RANKING)),
                _product_order(self._vector_ids(question, RANKING)),
                self._named(question),
            ]
        )
        found = [self._match(product_id, score, question, need) for product_id, score in scores.items()]
        return sorted(found, key=lambda match: (-match.score, match.product.id))[:limit]

    def stored(self, passage_ids: Iterable[str]) -> dict[str, Passage]:
        """Give passages as they stand in the index, by id; what is not there is left out.

        Raises:
            IndexMissing: the index has not been built.
        """
        ids = tuple(dict.fromkeys(passage_ids))
        marks = ", ".join("?" * len(ids))
        rows = self._rows(f"SELECT id, product_id, title, url, section, text FROM entries WHERE id IN ({marks})", ids)
        return {row[0]: _passage(row, 0.0) for row in rows} | self._documents.load(ids)

    def passage(self, passage_id: str) -> Passage | None:
        """Give one passage as it stands in the index; None when it is not there (any more)."""
        return self.stored([passage_id]).get(passage_id)

    def _match(self, product_id: str, score: float, question: str, need: Need) -> ProductMatch:
        product = self.catalogue.get(product_id)
        short = shortfalls(product, need)
        factor = math.prod(BLOCKED_FACTOR if one.blocks else SHORT_FACTOR for one in short)
        return ProductMatch(
            product=product,
            score=score * factor,
            why=_reasons(product, question, need),
            lacks=" ".join(one.text for one in short) or _not_for(product, question),
            shortfalls=short,
        )

    def passages(self, question: str, *, limit: int = 5, product_id: str | None = None) -> list[Passage]:
        """Give the passages nearest to a question, of product cards and documents, of one product or of all.

        Raises:
            IndexMissing: the index has not been built.
        """
        sections = ("about", "use", "limits", "access", "editions", "documents")
        scores = fuse(
            [
                self._keyword_ids(question, sections, product_id),
                self._vector_ids(question, sections, product_id),
                *self._document_orders(question, product_id),
            ]
        )
        rows = self._rows(f"SELECT id, product_id, title, url, section, text FROM entries WHERE section != '{ALIASES}'")
        known = {row[0]: _passage(row, 0.0) for row in rows}
        if product_id is not None and not scores:
            scores = {one: 0.0 for one, passage in known.items() if passage.source_id == product_id}
        known |= self._documents.load([one for one in scores if one not in known])
        found = [(known[one], score) for one, score in scores.items() if one in known]
        return [passage.model_copy(update={"score": score}) for passage, score in found[:limit]]

    def _document_orders(self, question: str, product_id: str | None) -> list[list[str]]:
        """Rank the passages of documents, by words and by vectors."""
        orders = []
        if "keyword" in self._use:
            orders.append(self._documents.keyword_ids(search_words(question), POOL, product_id))
        try:
            if (encoded := self._encoded(question)) is not None:
                with self._loading:
                    orders.append(self._documents.vector_ids(encoded, self._model, POOL, product_id))
        except EmbeddingUnavailable as error:
            self._unencodable = True
            self.embedding_problem = error.message
            logger.warning("keyword search only: %s", error)
        return orders

    def _encoded(self, question: str) -> Any:
        """Encode a question once; None when search goes by keywords.

        Raises:
            EmbeddingUnavailable: the encoder cannot be loaded.
        """
        if self._model == NO_EMBEDDING or self._unencodable or "dense" not in self._use:
            return None
        if self._asked[0] != question:  # one question is searched several times; encoding is the slow part
            with self._loading:
                encoder = load_encoder(self._model)
            self._asked = (question, encoder.encode([question]))
        return self._asked[1]

    def _named(self, question: str) -> list[str]:
        """Products whose name or alias stands in the question, longest name first."""
        if "names" not in self._use:
            return []
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
        if not words or "keyword" not in self._use:
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
        if self._model == NO_EMBEDDING or self.embedding_problem or "dense" not in self._use:
            return []
        try:
            with self._loading:
                encoder = load_encoder(self._model)
                if self._vectors is None:
                    self._vectors = open_vectors(self._index_dir, self._model, chroma_url=self._chroma_url)
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


def _reasons(product: Product, question: str, need: Need) -> tuple[str, ...]:
    """Say why: when to choose it, what it is, its facts, and what holds for the place and the period."""
    period = period_note(product, need.start, need.end) if need.start and need.end else ""
    covers = f"It covers the place ({product.coverage})." if need.bbox and _known_to_cover(product, need.bbox) else ""
    reasons = (_closest(product.choose_when, question), product.summary, facts_sentence(product), period, covers)
    return tuple(reason for reason in reasons if reason)


def _known_to_cover(product: Product, bbox: Bbox) -> bool:
    return bool(product.boxes) and product.covers_place(bbox)


def _not_for(product: Product, question: str) -> str:
    sentence = _closest(product.not_for, question)
    return f"Not for: {sentence}" if sentence else ""


def _closest(sentences: tuple[str, ...], question: str) -> str:
    """Give the sentence that shares most words with the question; the first when none does."""
    asked = set(_key(question).split())
    return max(sentences, key=lambda s: len(asked.intersection(_stems(s).split())), default="")
