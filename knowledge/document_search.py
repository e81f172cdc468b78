"""Searches the store of documents: by words, by vectors, and by passage id; only whole documents are seen."""

import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from knowledge.schema import Passage
from knowledge.storage import open_index
from knowledge.vectors import DOCUMENTS, open_vectors

MOST_HOLDERS = 10_000
"""Passages ranked for one question, about: ranking more takes longer and finds nothing better."""
SPARE = 3
"""Ranked passages a wanted one: some may belong to a document that is being replaced."""
MOST_COUNTED = 2_000
"""Passages among which the documents that hold a word are counted: more would only tell how common it is."""
NOBODY = 0.5
"""Documents that hold a word which stands in none."""
WHOLE_CHARS, ROOT_SHARE = 5, 0.7
WEIGHTS = "bm25(2.0, 2.0, 1.0)"
_VISIBLE = "pieces p JOIN documents d ON d.id = p.document_id AND d.generation = p.generation"
_COLUMNS = "p.id, p.document_id, p.title, d.url, p.section, p.text, d.version, d.date, p.page, d.family"


class DocumentSearch:
    """Finds passages of documents."""

    def __init__(self, index_dir: Path, *, chroma_url: str | None = None) -> None:
        self._index_dir = index_dir
        self._chroma_url = chroma_url
        self._vectors: Any = None

    def keyword_ids(self, words: Sequence[str], limit: int, product_id: str | None = None) -> list[str]:
        """Give the ids of passages that hold the words, best first."""
        if not words:
            return []
        with closing(self._open()) as database:
            return _find_words(database, words, product_id, limit) if _has_documents(database) else []

    def vector_ids(self, encoded: Any, model: str, limit: int, product_id: str | None = None) -> list[str]:
        """Give the ids of the passages nearest to an encoded question.

        Raises:
            EmbeddingUnavailable: the Chroma server does not answer.
        """
        with closing(self._open()) as database:
            if not _has_documents(database):
                return []
            linked = database.execute(
                "SELECT document_id FROM document_products WHERE product_id = ?", (product_id,)
            ).fetchall()
        if product_id is not None and not linked:
            return []
        if self._vectors is None:
            self._vectors = open_vectors(self._index_dir, model, name=DOCUMENTS, chroma_url=self._chroma_url)
        where = {"document_id": {"$in": [one for (one,) in linked]}} if product_id is not None else None
        answer = self._vectors.query(query_embeddings=encoded, n_results=limit, where=where, include=[])
        return [str(one) for one in answer["ids"][0]]

    def rarity(self, words: Iterable[str]) -> tuple[dict[str, float], float]:
        """Weigh words by how few documents hold them; gives also the weight of one that none holds, the highest."""
        with closing(self._open()) as database:
            if not _has_documents(database):
                return {}, 0.0
            total = database.execute("SELECT count(*) FROM documents WHERE retired IS NULL").fetchone()[0]
            weights = {word: math.log1p(total / (_holders(database, word) or NOBODY)) for word in dict.fromkeys(words)}
            return weights, math.log1p(total / NOBODY)

    def load(self, ids: Sequence[str]) -> dict[str, Passage]:
        """Give passages by id; ids that are not (or no more) searchable are left out."""
        with closing(self._open()) as database:
            return _load(database, ids) if ids and _has_documents(database) else {}

    def _open(self) -> sqlite3.Connection:
        return open_index(self._index_dir / "index.sqlite")


def _has_documents(database: sqlite3.Connection) -> bool:
    """Tell whether there is anything: an index made before documents could be read has no tables for them."""
    found = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'documents'").fetchone()
    return bool(found) and bool(database.execute("SELECT 1 FROM documents WHERE retired IS NULL LIMIT 1").fetchone())


def _holders(database: sqlite3.Connection, word: str) -> int:
    """Count the documents that hold a word or one that begins alike, among the first passages that do."""
    found = database.execute(
        "SELECT count(DISTINCT document_id) FROM (SELECT p.document_id FROM piece_words w"
        " JOIN pieces p ON p.number = w.rowid WHERE w.piece_words MATCH ? LIMIT ?)",
        (f'"{word}" OR "{word_root(word)}"*', MOST_COUNTED),
    )
    return int(found.fetchone()[0])


def word_root(word: str) -> str:
    """Give the part of a word by which `accurate` and `accuracy` are the same; numbers and short words stay whole."""
    whole = word.isdecimal() or len(word) <= WHOLE_CHARS
    return word if whole else word[: max(WHOLE_CHARS, round(ROOT_SHARE * len(word)))]


def newer_than(version: str | None, date: str | None, others: Iterable[tuple[str | None, str | None]]) -> str | None:
    """Give the highest version (or date, where versions are not given) above this one."""
    mine = _number(version)
    if mine:
        numbers = {_number(other): other for other, _ in others if _number(other)}
        best = max(numbers, default=())
        return numbers[best] if best > mine else None
    dates = [other for number, other in others if not _number(number) and other and date and other > date]
    return max(dates, default=None)


def _number(version: str | None) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version or "")]
    while numbers and not numbers[-1]:  # 1.0 is 1
        numbers.pop()
    return tuple(numbers)


def _find_words(database: sqlite3.Connection, words: Sequence[str], product_id: str | None, limit: int) -> list[str]:
    query = _query(database, words)
    if not query:
        return []
    if product_id is None:
        # Ranked before anything is joined: joining each passage that holds a word would take most of the time.
        ranked = "SELECT rowid, rank FROM piece_words WHERE piece_words MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?"
        values: tuple[Any, ...] = (query, WEIGHTS, SPARE * limit, limit)
        only = ""
    else:
        ranked = "SELECT rowid, rank FROM piece_words WHERE piece_words MATCH ? AND rank MATCH ?"
        values = (query, WEIGHTS, product_id, limit)
        only = "WHERE d.id IN (SELECT document_id FROM document_products WHERE product_id = ?)"
    rows = database.execute(
        f"SELECT p.id FROM ({ranked}) w JOIN pieces p ON p.number = w.rowid"
        f" JOIN documents d ON d.id = p.document_id AND d.generation = p.generation {only} ORDER BY w.rank LIMIT ?",
        values,
    )
    return [str(row[0]) for row in rows]


def _query(database: sqlite3.Connection, words: Sequence[str]) -> str:
    """Write the full-text query: any of the words; in a large store one of the rarest must be there.

    Words that many passages hold still count for the order, but passages that hold only those are not looked at.
    """
    counts = []
    for word in dict.fromkeys(words):
        held = "SELECT count(*) FROM (SELECT 1 FROM piece_words WHERE piece_words MATCH ? LIMIT ?)"
        # A word that stands nowhere is looked for by its root: "accurate" where documents say "accuracy".
        for form in (f'"{word}"', f'"{word_root(word)}"*'):
            count = database.execute(held, (form, MOST_HOLDERS + 1)).fetchone()[0]
            if count:
                counts.append((count, form))
                break
    counts.sort()
    rarest: list[str] = []
    total = 0
    for count, quoted in counts:
        total += count
        if rarest and total > MOST_HOLDERS:
            break
        rarest.append(quoted)
    any_word = " OR ".join(quoted for _, quoted in counts)
    return any_word if len(rarest) == len(counts) else f"({' OR '.join(rarest)}) AND ({any_word})"


def _load(database: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Passage]:
    """Give searchable passages by id; ids that are not (or no more) searchable are left out."""
    marks = ", ".join("?" * len(ids))
    rows = database.execute(f"SELECT {_COLUMNS} FROM {_VISIBLE} WHERE p.id IN ({marks})", tuple(ids)).fetchall()
    newer: dict[str, str | None] = {}
    products: dict[str, tuple[str, ...]] = {}
    for row in rows:
        document, version, day, family = row[1], row[6], row[7], row[9]
        if document in newer:
            continue
        others = database.execute(
            "SELECT version, date FROM documents WHERE family = ? AND id != ? AND retired IS NULL", (family, document)
        ).fetchall()
        newer[document] = newer_than(version, day, others)
        linked = database.execute("SELECT product_id FROM document_products WHERE document_id = ?", (document,))
        products[document] = tuple(one for (one,) in linked)
    return {
        row[0]: Passage(
            id=row[0], source_id=row[1], document_id=row[1], title=row[2], url=row[3], section=row[4], text=row[5],
            version=row[6], date=row[7], page=row[8], newer_version=newer[row[1]], product_ids=products[row[1]],
        )
        for row in rows
    }  # fmt: skip
