"""Builds the search index: product cards to passages, to SQLite full text and to Chroma vectors.

Every passage is keyed by the hash of its text, so a second run over unchanged products changes nothing.
"""

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from knowledge.card_vectors import text_encoder
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.elsewhere import Elsewhere, load_elsewhere
from knowledge.embeddings import NO_EMBEDDING
from knowledge.errors import EmbeddingUnavailable
from knowledge.fineness import is_vector
from knowledge.schema import Frozen, Product
from knowledge.storage import BUILD_PATIENCE_S, only_writer, open_index
from knowledge.vectors import BATCH, Vectors, open_vectors

logger = logging.getLogger(__name__)

ALIASES = "names"
"""Section that holds a product's other names, a phrase an entry: found by search, never quoted."""
RANKING = ("about", "use", "policies", ALIASES)
"""Sections that say what a product is good for; limits and access must not pull it up."""
ELSEWHERE = "elsewhere/"
"""Begins the owner and the sections of subjects that are no product's."""
SUBJECTS = (*RANKING, f"{ELSEWHERE}phrases", f"{ELSEWHERE}translations")
"""Sections in which the subject of a question is looked for."""
ENCODED = (*RANKING, f"{ELSEWHERE}phrases", "limits", "access")
"""Sections with vectors; lists of editions and documents are names, which keywords find better."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
  id TEXT PRIMARY KEY, product_id TEXT NOT NULL, section TEXT NOT NULL, title TEXT NOT NULL, url TEXT,
  text TEXT NOT NULL, digest TEXT NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(id UNINDEXED, section UNINDEXED, title, text,
  tokenize='porter unicode61 remove_diacritics 2');
"""


class Entry(Frozen):
    """One passage on its way into the index."""

    id: str
    product_id: str
    section: str
    title: str
    url: str | None
    text: str

    @property
    def digest(self) -> str:
        """Content hash: equal digests need no work."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class IngestReport(Frozen):
    """What one run did."""

    added: int
    changed: int
    unchanged: int
    removed: int
    embedding: str
    """Encoder in use, or `none` with the reason why there is none."""


def build_index(
    index_dir: Path,
    *,
    embedding_model: str,
    on_progress: Callable[[int, int], None] | None = None,
    catalogue: Catalogue | None = None,
    chroma_url: str | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> IngestReport:
    """Bring the index up to date with the product files.

    A failing encoder does not fail the run: the report names the reason and search goes by keywords.

    Args:
        index_dir: Folder of the index.
        embedding_model: Encoder of the vectors, or `none`.
        on_progress: Told how many of the vectors are written.
        catalogue: The products; those of the package when left out.
        chroma_url: Chroma server; None for the embedded one.
        on_wait: Told, in a sentence, that another process is writing and is waited for.

    Raises:
        IngestBusy: another process writes for longer than `BUILD_PATIENCE_S`.
    """
    index_dir.mkdir(parents=True, exist_ok=True)
    entries = all_entries(catalogue or load_catalogue())
    vectors = _CardVectorStore(index_dir, embedding_model, chroma_url, on_progress)
    with closing(open_index(index_dir / "index.sqlite")) as database:
        _make_tables(database)
        changes = _changes(database, entries)
        # Where nothing is to be written nobody is waited for: a start must not hang on a long ingest.
        if changes.any or not vectors.current(entries):
            with only_writer(index_dir, patience_s=BUILD_PATIENCE_S, on_wait=on_wait):
                changes = _changes(database, entries)
                with database:
                    _write_words(database, [*changes.added, *changes.changed], changes.removed)
                vectors.write(entries)
        _note_embedding(database, vectors.embedding)
    report = IngestReport(
        added=len(changes.added),
        changed=len(changes.changed),
        unchanged=len(entries) - len(changes.added) - len(changes.changed),
        removed=len(changes.removed),
        embedding=vectors.embedding,
    )
    logger.info("index built: %s", report)
    return report


def all_entries(catalogue: Catalogue) -> dict[str, Entry]:
    """Give the entries of all products, and of the subjects that others have, by id."""
    entries = {e.id: e for product in catalogue.products for e in product_entries(product)}
    return entries | {e.id: e for subject in load_elsewhere().values() for e in elsewhere_entries(subject)}


def encoded_texts(entries: Iterable[Entry]) -> list[str]:
    """Give the texts that get a vector."""
    return [vector_text(entry) for entry in entries if entry.section in ENCODED]


def product_entries(product: Product) -> Iterator[Entry]:
    """Cut a product card into passages that can be found and quoted."""
    documents = [f"{d.title} ({d.url})" if d.url else d.title for d in product.documents]
    sections = {
        "about": f"{product.summary} {facts_sentence(product)}",
        "use": " ".join(product.choose_when),
        "policies": " ".join(policy_sentences(product).values()),
        "limits": " ".join((*(f"Not for: {item}" for item in product.not_for), *product.cautions)),
        "access": " ".join(product.access),
        "editions": "; ".join(f"{e.title} [{e.id}, {e.status}]" for e in product.editions) + ".",
        "documents": "; ".join(documents),
    }
    named = f"{product.title} ({product.abbr})"
    # Short phrases, each encoded alone: a loose question is like one of them rather than like all at once.
    phrases = dict.fromkeys((product.title, *product.aliases, *product.choose_when, product.measures or product.title))
    texts = [(section, section, text) for section, text in sections.items() if text]
    texts += [(f"{ALIASES}/{number}", ALIASES, phrase) for number, phrase in enumerate(phrases)]
    for name, section, text in texts:
        yield Entry(
            id=f"{product.id}#{name}", product_id=product.id, section=section, title=named, url=product.url, text=text
        )


def elsewhere_entries(subject: Elsewhere) -> Iterator[Entry]:
    """Make an entry of each phrase for a subject that is no product's, so that it competes with the products'."""
    owner = f"{ELSEWHERE}{subject.id}"
    texts = [("phrases", phrase) for phrase in dict.fromkeys((subject.subject, *subject.aliases))]
    texts += [("translations", phrase) for phrase in subject.translations]
    for number, (section, text) in enumerate(texts):
        yield Entry(
            id=f"{owner}#{number}",
            product_id=owner,
            section=f"{ELSEWHERE}{section}",
            title=subject.subject,
            url=subject.url,
            text=text,
        )


def policy_sentences(product: Product) -> dict[str, str]:
    """Say for each policy whether a document names the product for it, or only we do."""
    named = dict.fromkeys(policy for edition in product.editions for policy in edition.policies)
    inferred = dict.fromkeys(policy for edition in product.editions for policy in edition.policies_inferred)
    sentences = {policy: f"It may serve {policy} (our reading; no document says so)." for policy in inferred}
    return sentences | {policy: f"Its documents name it for {policy}." for policy in named}


def facts_sentence(product: Product) -> str:
    """Say resolution, coverage, period and cadence in one sentence."""
    end = {"present": "today", None: "an unstated year"}.get(product.end, product.end)
    years = f"of {end}" if product.start == product.end else f"from {product.start} to {end}"
    unmeasured = "vector data" if is_vector(product) else "pixel size not given"
    parts = [
        f"pixels of {product.resolution_m:g} m" if product.resolution_m else unmeasured,
        f"coverage: {product.coverage}",
        f"data {years}" if product.start else "",
        f"produced: {product.cadence}" if product.cadence else "",
    ]
    return "Facts: " + "; ".join(part for part in parts if part) + "."


def _make_tables(database: sqlite3.Connection) -> None:
    """Make the tables that are missing; of two processes that begin at once, one waits for the other."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone():
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")


@dataclass(frozen=True)
class _Changes:
    added: list[Entry]
    changed: list[Entry]
    removed: set[str]

    @property
    def any(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def _changes(database: sqlite3.Connection, entries: dict[str, Entry]) -> _Changes:
    """Compare the products with what is in the index."""
    known = dict(database.execute("SELECT id, digest FROM entries"))
    return _Changes(
        added=[e for e in entries.values() if e.id not in known],
        changed=[e for e in entries.values() if e.id in known and known[e.id] != e.digest],
        removed=known.keys() - entries.keys(),
    )


def _note_embedding(database: sqlite3.Connection, embedding: str) -> None:
    """Keep which encoder the vectors are of; an unchanged one is not written, so that a start needs no write lock."""
    if database.execute("SELECT value FROM meta WHERE key = 'embedding'").fetchone() != (embedding,):
        with database:
            database.execute("INSERT OR REPLACE INTO meta VALUES ('embedding', ?)", (embedding,))


def _write_words(database: sqlite3.Connection, fresh: list[Entry], removed: set[str]) -> None:
    if not fresh and not removed:
        return
    stale = [(one,) for one in (*removed, *(e.id for e in fresh))]
    database.executemany("DELETE FROM entries WHERE id = ?", stale)
    database.executemany("DELETE FROM words WHERE id = ?", stale)
    database.executemany(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(e.id, e.product_id, e.section, e.title, e.url, e.text, e.digest) for e in fresh],
    )
    database.executemany("INSERT INTO words VALUES (?, ?, ?, ?)", [(e.id, e.section, e.title, e.text) for e in fresh])


class _CardVectorStore:
    """Keeps the vectors of the cards up to date; a failure is told in `embedding` and leaves search by keywords."""

    def __init__(
        self, index_dir: Path, model: str, chroma_url: str | None, on_progress: Callable[[int, int], None] | None
    ) -> None:
        self._index_dir, self._model, self._chroma_url = index_dir, model, chroma_url
        self._on_progress = on_progress
        self.embedding = model
        """Encoder in use, or `none` with the reason why there is none."""

    def current(self, entries: dict[str, Entry]) -> bool:
        """Tell whether nothing is to be written."""
        if self._model == NO_EMBEDDING:
            return True
        try:
            stale, todo = self._differences(
                open_vectors(self._index_dir, self._model, chroma_url=self._chroma_url), entries
            )
        except EmbeddingUnavailable as error:
            return self._go_without(error)
        return not stale and not todo

    def write(self, entries: dict[str, Entry]) -> None:
        """Write what is missing, drop what belongs to nothing; the caller holds the index's lock."""
        if self._model == NO_EMBEDDING:
            return
        try:
            collection = open_vectors(self._index_dir, self._model, chroma_url=self._chroma_url, writing=True)
            stale, todo = self._differences(collection, entries)
            if stale:
                collection.delete(ids=stale)
            if todo:
                self._write(collection, todo)
        except EmbeddingUnavailable as error:
            self._go_without(error)

    @staticmethod
    def _differences(collection: Vectors, entries: dict[str, Entry]) -> tuple[list[str], list[Entry]]:
        stored = collection.get(include=["metadatas"])
        had = {one: str(meta["digest"]) for one, meta in zip(stored["ids"], stored["metadatas"], strict=True)}
        stale = [one for one in had if one not in entries]
        return stale, [e for e in entries.values() if e.section in ENCODED and had.get(e.id) != e.digest]

    def _write(self, collection: Vectors, todo: list[Entry]) -> None:
        encode = text_encoder(self._model)
        for begin in range(0, len(todo), BATCH):
            part = todo[begin : begin + BATCH]
            collection.upsert(
                ids=[e.id for e in part],
                embeddings=encode([vector_text(e) for e in part]),
                metadatas=[{"product_id": e.product_id, "section": e.section, "digest": e.digest} for e in part],
            )
            if self._on_progress is not None:
                self._on_progress(min(begin + BATCH, len(todo)), len(todo))

    def _go_without(self, error: EmbeddingUnavailable) -> Literal[True]:
        logger.warning("keyword search only: %s", error)
        self.embedding = f"{NO_EMBEDDING}: {error.message}"
        return True


def vector_text(entry: Entry) -> str:
    """Give the text that is encoded: passages know which product they speak of."""
    return entry.text if entry.section in (ALIASES, *SUBJECTS[-2:]) else f"{entry.title}: {entry.text}"
