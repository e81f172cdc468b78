"""Search over the index: products by relevance and then by facts, passages by reciprocal rank of words and vectors."""

import logging
import math
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from knowledge.asked_cues import without_cues
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.document_search import DocumentSearch
from knowledge.elsewhere import load_elsewhere
from knowledge.embeddings import NO_EMBEDDING, load_encoder
from knowledge.errors import EmbeddingUnavailable, IndexMissing
from knowledge.ingest import ALIASES, ELSEWHERE, SUBJECTS
from knowledge.lexicon import in_english
from knowledge.matches import Need, ProductMatch
from knowledge.phrasebook import Phrasebook, open_phrasebook
from knowledge.ranking import (
    KIN,
    MOSTLY,
    NAMED,
    SURE,
    Findings,
    add_up,
    beside_policies,
    is_theirs,
    judge,
    name_shares,
    order,
    raised_for_policy,
    theirs_first,
    with_reasons,
    without_unwanted,
    word_shares,
)
from knowledge.schema import Bbox, Passage
from knowledge.storage import open_index
from knowledge.vectors import open_vectors
from knowledge.verdicts import NO, replaced, serves_for, use_asked, why_not, without_grain, yes_or_no
from knowledge.wording import DEMANDS, extra_words, read_wording, set_aside, thing_in
from knowledge.words import search_words, stems

logger = logging.getLogger(__name__)

RANK_OFFSET = 60  # the usual constant of reciprocal rank fusion
POOL = 40
KEPT = 256
"""Questions whose vectors are kept: one is searched several times, many are on their way, and encoding is slow."""
SERVER_RETRY_S = 60.0
"""After so long a vector server that went away is asked again."""
Ranking = Literal["keyword", "dense", "names", "phrases"]
RANKINGS: tuple[Ranking, ...] = ("keyword", "dense", "names", "phrases")
PHRASES = 200
"""Phrases looked at for one question: enough that each near product is among their owners."""


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
        self._encode = lru_cache(maxsize=KEPT)(self._encode_now)
        self._words_until = 0.0
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
        self.find("land cover")

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
        return list(self.find(question, need, limit=limit).matches)

    def find(self, question: str, need: Need | None = None, *, limit: int = 3, spoken: Sequence[str] = ()) -> Findings:
        """Give the products for a question, best first, or who else has what it asks for.

        Args:
            question: What is asked, in words.
            need: What it asks besides its subject.
            limit: How many products to give.
            spoken: The question's words for place and period: they say nothing about the subject.

        Raises:
            IndexMissing: the index has not been built.
        """
        wording = read_wording(question, self.catalogue)
        need = need or Need()
        asked = {name: getattr(wording, name) for name in DEMANDS}
        need = need.model_copy(update={"pixel_m": need.pixel_m or wording.pixel_m, **asked})
        words = self._without(spoken, without_cues(wording.subject, meta_only=True))
        subject, relevance = in_english(words), self._relevance(words)
        thing = thing_in(words, question, wording, self._names.values())
        if thing and is_theirs(near := self._relevance(thing)):
            subject, relevance = in_english(thing), theirs_first(relevance, near)
        for one, extra in extra_words(question, wording.named | wording.called, self.catalogue).items():
            relevance[one] = relevance.get(one, 0.0) + (NAMED if extra == 0 else NAMED / 2)
        beside = beside_policies(subject, self.catalogue)
        about = self._relevance(beside) if beside else {}
        if max(about.values(), default=0.0) >= SURE:
            relevance = about  # the policy's name is near to what serves it, whatever is asked of it
        relevance |= raised_for_policy(relevance, self.catalogue, subject)
        for unwanted in wording.unwanted:
            relevance = without_unwanted(relevance, self._relevance(unwanted))
        verdict, refuted = yes_or_no(question, need, self.catalogue, spoken), frozenset[str]()
        if not verdict and (used := use_asked(question, self.catalogue)):
            near = self._relevance(without_grain(self._without(spoken, used[1])))
            verdict = serves_for(*used, near, self.catalogue)
            if verdict.startswith(NO) and max(near.values(), default=0.0) >= SURE:
                relevance = theirs_first(relevance, near) if is_theirs(near) else relevance
                refuted = frozenset({used[0].id})
        matches = order(relevance, self.catalogue, need, wording.excluded | refuted)
        others = {one: relevance.get(f"{ELSEWHERE}{one}", 0.0) for one in load_elsewhere()}
        shares = name_shares(subject, self._names)
        theirs = max((share for one, share in shares.items() if one.startswith(ELSEWHERE)), default=0.0)
        called = {one for one, share in shares.items() if share >= MOSTLY and share > theirs}
        found = judge(matches, others, named=(wording.named | called) - refuted, limit=limit, question=subject)
        apart = wording.excluded - wording.questioned
        titles = (one.title for one in self.catalogue.products if one.id in apart)
        best = next((one.product for one in found.matches), None)
        missed = why_not(wording.questioned, question, subject, best, need, self.catalogue)
        told_first = missed or verdict or replaced(question, self.catalogue)
        told = tuple(with_reasons(one, subject, need) for one in found.matches)
        said = {"left_out": (*titles, *wording.refused.told), "told_first": told_first}
        return found.model_copy(update={"matches": told, **said})

    def _without(self, spoken: Sequence[str], words: str) -> str:
        """Take words for place and period out, unless they are of a name: "fires right now" are another's subject."""
        bare = set_aside(words, spoken, self.catalogue)
        left, whole = (name_shares(in_english(one), self._names) for one in (bare, words))
        return words if any(one.startswith(ELSEWHERE) for one in whole.keys() - left.keys()) else bare

    def _relevance(self, words: str) -> dict[str, float]:
        """Tell how near each product, and each subject that others have, is to words of any language."""
        subject = in_english(words)
        owners = self._owners(search_words(subject))
        return add_up(
            self._likeness(subject),
            word_shares(owners, len(self._names)) if "keyword" in self._use else {},
            name_shares(subject, self._names) if "names" in self._use else {},
            self._said(words) if "phrases" in self._use else {},
        )

    def _said(self, words: str) -> dict[str, float]:
        """Tell how near words are to what people say for each product; its kin are near in part."""
        near = self._phrasebook.nearness(words)
        themes: dict[str, float] = {}
        for one in self.catalogue.products:
            for theme in one.themes:
                themes[theme] = max(themes.get(theme, 0.0), near.get(one.id, 0.0))
        kin = {
            one.id: KIN * max(themes[theme] for theme in one.themes) for one in self.catalogue.products if one.themes
        }
        return {owner: most for owner in {*near, *kin} if (most := max(near.get(owner, 0.0), kin.get(owner, 0.0)))}

    @cached_property
    def _phrasebook(self) -> Phrasebook:
        return open_phrasebook(self.catalogue, self._index_dir)

    @cached_property
    def _names(self) -> dict[str, list[frozenset[str]]]:
        """The names of each product, and of each subject that others have, as sets of word stems."""
        names = {product.id: (product.title, *product.aliases) for product in self.catalogue.products}
        names |= {f"{ELSEWHERE}{one.id}": (*one.aliases, *one.translations) for one in load_elsewhere().values()}
        return {owner: [frozenset(stems(alias)) for alias in aliases] for owner, aliases in names.items()}

    def _owners(self, words: Iterable[str]) -> dict[str, set[str]]:
        """Give the products whose cards hold a word, for each of several words."""
        marks = ", ".join("?" * len(SUBJECTS))
        query = (
            f"SELECT DISTINCT substr(id, 1, instr(id, '#') - 1) FROM words WHERE words MATCH ? AND section IN ({marks})"
        )
        with closing(self._open()) as database:
            return {
                word: {str(row[0]) for row in database.execute(query, (f'"{word}"', *SUBJECTS))}
                for word in dict.fromkeys(words)
            }

    def _likeness(self, question: str) -> dict[str, float]:
        """Give the cosine of the question and the nearest phrase of each product."""
        found: dict[str, float] = {}
        for one, cosine in self._nearest(question, SUBJECTS, limit=PHRASES):
            owner = one.split("#")[0]
            found[owner] = max(found.get(owner, 0.0), cosine)
        return found

    def named(self, text: str) -> set[str]:
        """Give the products that a text calls by one of their names, whole."""
        words = frozenset(stems(in_english(text)))
        ours = ((owner, names) for owner, names in self._names.items() if not owner.startswith(ELSEWHERE))
        return {owner for owner, names in ours if any(name and name <= words for name in names)}

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

    def passages(self, question: str, *, limit: int = 5, product_id: str | None = None) -> list[Passage]:
        """Give the passages nearest to a question, of product cards and documents, of one product or of all.

        Raises:
            IndexMissing: the index has not been built.
        """
        question = in_english(question)
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

    def document_passages(self, words: str, *, limit: int, product_id: str | None = None) -> list[Passage]:
        """Give the passages of documents nearest to English words, best first.

        Raises:
            IndexMissing: the index has not been built.
        """
        self._rows("SELECT 1")
        best = list(fuse(self._document_orders(words, product_id)))[:limit]
        found = self._documents.load(best)
        return [found[one] for one in best if one in found]

    def rarity(self, words: Iterable[str]) -> tuple[dict[str, float], float]:
        """Weigh words by how few of the documents hold them, and give the weight of one that none holds."""
        return self._documents.rarity(words)

    def on_cards(self, word: str) -> set[str]:
        """Give the products, and subjects of others, whose card holds a word."""
        rows = self._rows("SELECT product_id FROM words JOIN entries USING (id) WHERE words MATCH ?", (f'"{word}"',))
        return {str(owner) for (owner,) in rows}

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
            self._go_by_words(error)
        return orders

    def _go_by_words(self, error: EmbeddingUnavailable) -> None:
        """Leave vectors aside, and keep the reason: for a while where a server may come back, else for good."""
        self._words_until = monotonic() + (SERVER_RETRY_S if self._chroma_url else math.inf)
        self.embedding_problem = error.message
        logger.warning("keyword search only: %s", error.message)

    def _encoded(self, question: str) -> Any:
        """Give a question's vector; None when search goes by keywords.

        Raises:
            EmbeddingUnavailable: the encoder cannot be loaded.
        """
        if self._model == NO_EMBEDDING or monotonic() < self._words_until or "dense" not in self._use:
            return None
        return self._encode(question)

    def _encode_now(self, question: str) -> list[list[float]]:
        with self._loading:
            encoder = load_encoder(self._model)
        return encoder.encode([question])

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
        return [one for one, _ in self._nearest(question, sections, product_id=product_id)]

    def _nearest(
        self, question: str, sections: Iterable[str], *, product_id: str | None = None, limit: int = POOL
    ) -> list[tuple[str, float]]:
        """Give the ids of the nearest passages with their cosine."""
        if self._model == NO_EMBEDDING or monotonic() < self._words_until or "dense" not in self._use:
            return []
        try:
            encoded = self._encoded(question)
            with self._loading:
                if self._vectors is None:
                    self._vectors = open_vectors(self._index_dir, self._model, chroma_url=self._chroma_url)
            found: list[tuple[str, float]] | None = self._vectors.nearest(encoded, sections, product_id, limit)
        except EmbeddingUnavailable as error:
            self._vectors = None
            self._go_by_words(error)
            return []
        self.embedding_problem = "" if found is not None else "The index was built without vectors for this encoder."
        return found or []

    def _rows(self, query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        with closing(self._open()) as database:
            return database.execute(query, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        path = self._index_dir / "index.sqlite"
        if not path.exists():
            raise IndexMissing("The search index has not been built yet.", hint="Run `clms-assistant ingest`.")
        return open_index(path)


def fuse(orders: Iterable[list[str]]) -> dict[str, float]:
    """Join rankings by reciprocal rank; best first."""
    scores: dict[str, float] = {}
    for ranking in orders:
        for rank, one in enumerate(ranking):
            scores[one] = scores.get(one, 0.0) + 1.0 / (RANK_OFFSET + rank + 1)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def _passage(row: tuple[Any, ...], score: float) -> Passage:
    one, product_id, title, url, section, text = row
    return Passage(id=one, source_id=product_id, title=title, url=url, section=section, text=text, score=score)
