"""The store of documents: passages are staged in parts and become searchable all at once, when a document is whole.

A document's row names the generation of passages that counts. Staging writes the next generation; publishing moves the
row to it and drops the old one in a single transaction. Whatever a killed run leaves behind has no row that names it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from knowledge.passages import Piece
from knowledge.storage import open_index

READER = 6
"""Raise it when reading or cutting changes: documents are then read again though their bytes are the same."""
TABLES = """
CREATE TABLE IF NOT EXISTS documents (
  id TEXT PRIMARY KEY, root TEXT NOT NULL, address TEXT NOT NULL UNIQUE, url TEXT, title TEXT NOT NULL, version TEXT,
  date TEXT, family TEXT NOT NULL, digest TEXT NOT NULL, etag TEXT, modified TEXT, reader INTEGER NOT NULL,
  embedding TEXT NOT NULL, generation INTEGER NOT NULL, checked TEXT NOT NULL, retired TEXT);
CREATE INDEX IF NOT EXISTS documents_family ON documents(family);
CREATE TABLE IF NOT EXISTS document_products (document_id TEXT NOT NULL, product_id TEXT NOT NULL,
  PRIMARY KEY (document_id, product_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pieces (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, document_id TEXT NOT NULL, generation INTEGER NOT NULL,
  title TEXT NOT NULL, section TEXT NOT NULL, page INTEGER, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS pieces_id ON pieces(id);
CREATE UNIQUE INDEX IF NOT EXISTS pieces_document ON pieces(document_id, generation, id);
CREATE VIRTUAL TABLE IF NOT EXISTS piece_words USING fts5(title, section, text, content='',
  tokenize='porter unicode61 remove_diacritics 2');
"""
_GENERIC = frozenset(
    ["algorithm", "theoretical", "basis", "document", "product", "user", "users", "manual", "guide", "guideline",
     "guidelines", "specification", "specifications", "description", "nomenclature", "quality", "assessment", "report",
     "validation", "technical", "pum", "atbd", "the", "of", "and", "for", "a", "copernicus", "land", "monitoring",
     "service", "clms"]
)  # fmt: skip


@dataclass(frozen=True)
class DocumentRow:
    """What the store knows of one document."""

    id: str
    root: str
    """The source it was found through: a folder, an index, a portal, or itself."""
    address: str
    url: str | None
    title: str
    version: str | None
    date: str | None
    family: str
    """Same for all versions of one document."""
    digest: str
    etag: str | None
    modified: str | None
    reader: int
    embedding: str
    """Encoder of its vectors, or `none`."""
    generation: int
    checked: str
    """When it was last looked at, ISO."""
    retired: str | None = None
    """When it was found to be gone; its passages are not searched any more."""


class DocumentStore:
    """Writes documents; one writer at a time holds the lock."""

    def __init__(self, path: Path) -> None:
        self._database = open_index(path, isolation_level=None)
        self._database.executescript(TABLES)
        # What a killed run staged, and nothing names.
        for document_id, generation in self._database.execute(
            "SELECT DISTINCT p.document_id, p.generation FROM pieces p LEFT JOIN documents d ON d.id = p.document_id"
            " WHERE d.generation IS NOT p.generation"
        ).fetchall():
            with self._transaction():
                self._drop(document_id, "generation = ?", generation)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def known(self, address: str) -> DocumentRow | None:
        """Give the row of an address, retired or not."""
        row = self._database.execute("SELECT * FROM documents WHERE address = ?", (address,)).fetchone()
        return DocumentRow(*row) if row else None

    def of_root(self, root: str) -> list[DocumentRow]:
        """Give the searchable documents that one source led to."""
        rows = self._database.execute("SELECT * FROM documents WHERE root = ? AND retired IS NULL", (root,))
        return [DocumentRow(*row) for row in rows]

    def next_generation(self, document_id: str) -> int:
        """Give the number under which the next passages are staged."""
        row = self._database.execute("SELECT generation FROM documents WHERE id = ?", (document_id,)).fetchone()
        return row[0] + 1 if row else 1

    def stage(self, document_id: str, generation: int, title: str, pieces: Sequence[tuple[str, Piece]]) -> None:
        """Write passages that nobody finds yet; a passage that is staged twice counts once."""
        with self._transaction():
            for one, piece in pieces:
                done = self._database.execute(
                    "INSERT OR IGNORE INTO pieces (id, document_id, generation, title, section, page, text)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (one, document_id, generation, title, piece.section, piece.page, piece.text),
                )
                if done.rowcount:
                    self._database.execute(
                        "INSERT INTO piece_words (rowid, title, section, text) VALUES (?, ?, ?, ?)",
                        (done.lastrowid, title, piece.section, piece.text),
                    )

    def publish(self, row: DocumentRow, product_ids: Iterable[str]) -> None:
        """Make the staged generation the one that is searched, and drop the one before."""
        marks = ", ".join("?" * len(DocumentRow.__dataclass_fields__))
        values = tuple(getattr(row, name) for name in DocumentRow.__dataclass_fields__)
        with self._transaction():
            self._database.execute(f"INSERT OR REPLACE INTO documents VALUES ({marks})", values)
            self._database.execute("DELETE FROM document_products WHERE document_id = ?", (row.id,))
            self._database.executemany(
                "INSERT OR IGNORE INTO document_products VALUES (?, ?)", [(row.id, one) for one in product_ids]
            )
            self._drop(row.id, "generation != ?", row.generation)

    def touch(self, document_id: str, checked: str, etag: str | None, modified: str | None) -> None:
        """Note that a document was looked at and is the same."""
        with self._transaction():
            self._database.execute(
                "UPDATE documents SET checked = ?, etag = ?, modified = ? WHERE id = ?",
                (checked, etag, modified, document_id),
            )

    def retire(self, document_id: str, when: str) -> None:
        """Take a document out of search; its row stays, so that it is known to have been there."""
        with self._transaction():
            self._database.execute("UPDATE documents SET retired = ?, digest = '' WHERE id = ?", (when, document_id))
            self._drop(document_id, "generation > ?", -1)

    def staged(self, document_id: str, generation: int) -> set[str]:
        """Give the ids of the passages of one generation."""
        rows = self._database.execute(
            "SELECT id FROM pieces WHERE document_id = ? AND generation = ?", (document_id, generation)
        )
        return {row[0] for row in rows}

    def pieces(self, row: DocumentRow) -> Iterator[tuple[str, Piece]]:
        """Give the searchable passages of a document."""
        rows = self._database.execute(
            "SELECT id, section, page, text FROM pieces WHERE document_id = ? AND generation = ?",
            (row.id, row.generation),
        )
        return ((one, Piece(section, page, text)) for one, section, page, text in rows)

    def mark_embedding(self, document_id: str, embedding: str) -> None:
        """Note which encoder made a document's vectors."""
        with self._transaction():
            self._database.execute("UPDATE documents SET embedding = ? WHERE id = ?", (embedding, document_id))

    def discard(self, document_id: str, generation: int) -> None:
        """Throw away what was staged under a number."""
        with self._transaction():
            self._drop(document_id, "generation = ?", generation)

    def _drop(self, document_id: str, which: str, generation: int) -> None:
        rows = self._database.execute(
            f"SELECT number, title, section, text FROM pieces WHERE document_id = ? AND {which}",
            (document_id, generation),
        ).fetchall()
        # An FTS table without content needs the old text to forget a row.
        self._database.executemany(
            "INSERT INTO piece_words (piece_words, rowid, title, section, text) VALUES ('delete', ?, ?, ?, ?)", rows
        )
        self._database.execute(f"DELETE FROM pieces WHERE document_id = ? AND {which}", (document_id, generation))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def document_id(address: str) -> str:
    """Give a document's id: readable, and the same for the same address."""
    stem = re.sub(r"[^a-z0-9]+", "-", address.rstrip("/").rpartition("/")[2].lower()).strip("-")[:48].strip("-")
    return f"{stem or 'document'}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def piece_id(document: str, piece: Piece) -> str:
    """Give a passage's id: the same as long as its place and its words are."""
    content = f"{piece.section}\n{piece.page}\n{piece.text}"
    return f"{document}#{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def family_of(title: str, address: str) -> str:
    """Give what all versions of a document share: its title without the version.

    A title that any product's manual could have says nothing alone: the folder it lies in is added.
    """
    bare = re.sub(r"\b(?:version|issue|revision|v)[ ._]?\d+(?:\.\d+)*", " ", title.lower())
    words = re.findall(r"[^\W_]+", bare)
    if not set(words) - _GENERIC:
        words.append(address.rpartition("/")[0].lower())
    return " ".join(words)
