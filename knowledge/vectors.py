"""Opens the Chroma collections: embedded in the index folder, or on a Chroma server by its address."""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from knowledge.embeddings import Encoder
from knowledge.errors import EmbeddingUnavailable
from knowledge.passages import Piece
from knowledge.storage import no_writer, writings

CARDS = "passages"
DOCUMENTS = "documents"
BATCH = 64
LOOKED_AT = 400
"""Vectors looked at for a question: of the ten nearest of a million 90 % are found, with Chroma's own 100 only 79 %."""
SERVER_HINT = "Check CLMS_CHROMA_URL and start the server (`chroma run`); keyword search is used meanwhile."
FOLDER_HINT = "Stop all commands, delete that folder and run `clms-assistant ingest`; keyword search is used meanwhile."


def open_vectors(
    index_dir: Path, model: str, *, name: str = CARDS, chroma_url: str | None = None, writing: bool = False
) -> "Vectors":
    """Open the collection of one encoder; vectors of two encoders never mix.

    Args:
        index_dir: Folder of the index.
        model: Encoder of the vectors.
        name: Which collection.
        chroma_url: Chroma server; None for the embedded one.
        writing: Whether the caller holds the index's lock, and must write upon what others have written.

    Raises:
        EmbeddingUnavailable: the Chroma server does not answer, or the folder is broken.
    """
    place: _Place = _Folder.of(index_dir.resolve()) if chroma_url is None else _Server(chroma_url)
    vectors = Vectors(place, f"{name}-{hashlib.sha256(model.encode()).hexdigest()[:8]}")
    place.open(writing=writing)
    return vectors


class Vectors:
    """A collection, with the part of `chromadb.Collection` that is needed."""

    def __init__(self, place: "_Place", name: str) -> None:
        self._place = place
        self._name = name

    def count(self) -> int:
        """Count the vectors."""
        return int(self._place.ask(self._name, "count"))

    def get(self, **wanted: Any) -> Any:
        """See `chromadb.Collection.get`."""
        return self._place.ask(self._name, "get", **wanted)

    def query(self, **wanted: Any) -> Any:
        """See `chromadb.Collection.query`."""
        return self._place.ask(self._name, "query", **wanted)

    def nearest(
        self, encoded: Any, sections: Iterable[str], product_id: str | None, limit: int
    ) -> list[tuple[str, float]] | None:
        """Give the ids of the nearest passages of cards with their cosine, best first; None where no vectors are.

        Args:
            encoded: One unit vector, as a list of one.
            sections: Only passages of these sections.
            product_id: Only those of this product; None for all.
            limit: How many at most.

        Raises:
            EmbeddingUnavailable: the Chroma server does not answer, or the folder is broken.
        """
        if (matrix := self._place.whole(self._name)) is not None:
            return matrix.nearest(encoded, frozenset(sections), product_id, limit)
        if not self.count():
            return None
        where: dict[str, Any] = {"section": {"$in": list(sections)}}
        if product_id is not None:
            where = {"$and": [where, {"product_id": product_id}]}
        answer = self.query(query_embeddings=encoded, n_results=limit, where=where)
        return [(str(one), 1.0 - float(far)) for one, far in zip(answer["ids"][0], answer["distances"][0], strict=True)]

    def upsert(self, **given: Any) -> None:
        """See `chromadb.Collection.upsert`."""
        self._place.ask(self._name, "upsert", **given)

    def delete(self, **named: Any) -> None:
        """See `chromadb.Collection.delete`."""
        self._place.ask(self._name, "delete", **named)


class _Place(Protocol):
    """Where collections are."""

    def open(self, *, writing: bool) -> None:
        """Connect."""

    def ask(self, collection: str, what: str, **how: Any) -> Any:
        """Call a method of a collection."""

    def whole(self, collection: str) -> "_Matrix | None":
        """Give all vectors of a collection of cards, where that is known to be as it is now."""


class _Matrix:
    """The few thousand vectors of the cards in memory: multiplied sooner than Chroma searches them."""

    def __init__(self, stored: Any) -> None:
        import numpy as np

        self._ids = np.array(stored["ids"])
        self._vectors = np.asarray(stored["embeddings"], dtype=np.float32)
        self._sections = np.array([one["section"] for one in stored["metadatas"]])
        self._products = np.array([one["product_id"] for one in stored["metadatas"]])
        self._of = lru_cache(maxsize=4)(self._cut)

    def nearest(
        self, encoded: Any, sections: frozenset[str], product_id: str | None, limit: int
    ) -> list[tuple[str, float]] | None:
        """See `Vectors.nearest`."""
        import numpy as np

        if not len(self._ids):
            return None
        ids, products, vectors = self._of(sections)
        if product_id is not None:
            ids, vectors = ids[products == product_id], vectors[products == product_id]
        cosines = vectors @ np.asarray(encoded[0], dtype=np.float32)
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [(str(one), float(cosine)) for one, cosine in zip(ids[best], cosines[best], strict=True)]

    def _cut(self, sections: frozenset[str]) -> "tuple[Any, Any, Any]":
        """Give ids, products and vectors of some sections: few sets of them are asked for, again and again."""
        import numpy as np

        wanted = np.isin(self._sections, list(sections))
        return self._ids[wanted], self._products[wanted], self._vectors[wanted]


class _Server:
    """A Chroma server; it may go away while it is used, and that is told as what it is."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._collections: dict[str, Any] = {}

    def open(self, *, writing: bool) -> None:
        """Connect; all clients of a server see the same."""
        import chromadb
        from chromadb.errors import ChromaError

        parts = urlsplit(self._url)
        ssl = parts.scheme == "https"
        port = parts.port or (443 if ssl else 8000)
        try:
            self._client = chromadb.HttpClient(parts.hostname or "", port, ssl, settings=_settings())
        except (ChromaError, ValueError, OSError) as error:
            raise self._away() from error

    def ask(self, collection: str, what: str, **how: Any) -> Any:
        """Call a method of a collection."""
        import httpx
        from chromadb.errors import ChromaError

        try:
            if collection not in self._collections:
                self._collections[collection] = _collection(self._client, collection)
            return getattr(self._collections[collection], what)(**how)
        except (ChromaError, httpx.HTTPError) as error:
            raise self._away() from error

    def whole(self, collection: str) -> None:
        """Give nothing: others may have written to the server since."""

    def _away(self) -> EmbeddingUnavailable:
        parts = urlsplit(self._url)
        return EmbeddingUnavailable(f"The Chroma server at {parts.hostname}:{parts.port} does not answer.", SERVER_HINT)


class _Folder:
    """Chroma in the index folder, opened anew when another process has written: it would go on with what it has read.

    One for all who use a folder in this process: Chroma shares what it has read between them, until all let go.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._using = threading.RLock()
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._matrices: dict[str, _Matrix] = {}
        self._seen = -1
        """Number of writings when it was opened."""

    @staticmethod
    @cache
    def of(index_dir: Path) -> "_Folder":
        """Give the one of a folder."""
        return _Folder(index_dir)

    def open(self, *, writing: bool) -> None:
        """Open what is there; a writer waits for none, since it holds the lock."""
        if writing:
            with self._using:
                self._open(writings(self._index_dir))

    def ask(self, collection: str, what: str, **how: Any) -> Any:
        """Call a method of a collection, as the last writer left it; while one writes, as it was before."""
        from chromadb.errors import ChromaError

        with self._using:
            count = writings(self._index_dir)
            try:
                if count == self._seen:
                    return self._call(collection, what, how)
                with no_writer(self._index_dir) as free:
                    if free or self._client is None:
                        self._open(count if free else -1)
                    return self._call(collection, what, how)
            except ChromaError as error:
                raise self._broken(error) from error

    def whole(self, collection: str) -> _Matrix:
        """Give all vectors of a collection, read again when another process has written."""
        with self._using:
            if writings(self._index_dir) != self._seen or collection not in self._matrices:
                stored = self.ask(collection, "get", include=["embeddings", "metadatas"])
                self._matrices[collection] = _Matrix(stored)
            return self._matrices[collection]

    def _open(self, count: int) -> None:
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.errors import ChromaError

        if self._client is not None:
            self._client.close()
        self._client, self._seen = None, -1
        self._collections.clear()
        self._matrices.clear()
        try:
            self._client = chromadb.PersistentClient(str(self._index_dir / "vectors"), _settings())
        except ChromaError as error:
            # Chroma keeps what failed to start and would hand it out again, though it is of no use.
            SharedSystemClient.clear_system_cache()
            raise self._broken(error) from error
        self._seen = count

    def _call(self, collection: str, what: str, how: dict[str, Any]) -> Any:
        if collection not in self._collections:
            self._collections[collection] = _collection(self._client, collection)
        return getattr(self._collections[collection], what)(**how)

    def _broken(self, error: Exception) -> EmbeddingUnavailable:
        reason = str(error).splitlines()[0][:200]
        return EmbeddingUnavailable(
            f"The vectors in {self._index_dir / 'vectors'} cannot be read: {reason}", FOLDER_HINT
        )


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _collection(client: Any, name: str) -> Any:
    metadata = {"hnsw:space": "cosine", "hnsw:search_ef": LOOKED_AT}
    return client.get_or_create_collection(name, embedding_function=None, metadata=metadata)


class PieceVectors:
    """Writes the vectors of document passages; an id that is there already is not encoded again."""

    def __init__(self, collection: Vectors, encoder: Encoder) -> None:
        self._collection = collection
        self._encoder = encoder

    def add(self, document_id: str, title: str, pieces: Sequence[tuple[str, Piece]]) -> None:
        """Encode and write what is missing of these passages."""
        had = set(self._collection.get(ids=[one for one, _ in pieces], include=[])["ids"])
        todo = {one: piece for one, piece in pieces if one not in had}
        if todo:
            texts = [f"{title} {piece.section}: {piece.text}" for piece in todo.values()]
            self._collection.upsert(
                ids=list(todo),
                embeddings=self._encoder.encode(texts),
                metadatas=[{"document_id": document_id} for _ in todo],
            )

    def keep(self, document_id: str, ids: set[str]) -> None:
        """Drop the vectors of a document that belong to none of these passages."""
        forget_vectors(self._collection, document_id, ids)


def forget_vectors(collection: Vectors, document_id: str, but: set[str]) -> None:
    """Drop a document's vectors except those of the named passages."""
    stored = collection.get(where={"document_id": document_id}, include=[])["ids"]
    stale = [one for one in stored if one not in but]
    for begin in range(0, len(stale), 1000):
        collection.delete(ids=stale[begin : begin + 1000])
