"""Opens the Chroma collections: embedded in the index folder, or on a Chroma server by its address."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from knowledge.embeddings import Encoder
from knowledge.errors import EmbeddingUnavailable
from knowledge.passages import Piece

CARDS = "passages"
DOCUMENTS = "documents"
BATCH = 64
SERVER_HINT = "Check CLMS_CHROMA_URL and start the server (`chroma run`); keyword search is used meanwhile."


def open_vectors(index_dir: Path, model: str, *, name: str = CARDS, chroma_url: str | None = None) -> "Vectors":
    """Open the collection of one encoder; vectors of two encoders never mix.

    Raises:
        EmbeddingUnavailable: the Chroma server does not answer.
    """
    import chromadb
    from chromadb.config import Settings
    from chromadb.errors import ChromaError

    suffix = hashlib.sha256(model.encode()).hexdigest()[:8]
    settings = Settings(anonymized_telemetry=False)
    try:
        if chroma_url is None:
            client = chromadb.PersistentClient(str(index_dir / "vectors"), settings)
        else:
            parts = urlsplit(chroma_url)
            ssl = parts.scheme == "https"
            port = parts.port or (443 if ssl else 8000)
            client = chromadb.HttpClient(parts.hostname or "", port, ssl, settings=settings)
        collection = client.get_or_create_collection(
            f"{name}-{suffix}", embedding_function=None, metadata={"hnsw:space": "cosine"}
        )
        return Vectors(collection, chroma_url)
    except (ChromaError, ValueError, OSError) as error:
        if chroma_url is None:
            raise
        raise _away(chroma_url) from error


class Vectors:
    """A collection whose server may go away while it is used: that is told as what it is."""

    def __init__(self, collection: Any, chroma_url: str | None) -> None:
        self._collection = collection
        self._chroma_url = chroma_url

    def count(self) -> int:
        """Count the vectors."""
        return int(self._ask("count"))

    def get(self, **wanted: Any) -> Any:
        """See `chromadb.Collection.get`."""
        return self._ask("get", **wanted)

    def query(self, **wanted: Any) -> Any:
        """See `chromadb.Collection.query`."""
        return self._ask("query", **wanted)

    def upsert(self, **given: Any) -> None:
        """See `chromadb.Collection.upsert`."""
        self._ask("upsert", **given)

    def delete(self, **named: Any) -> None:
        """See `chromadb.Collection.delete`."""
        self._ask("delete", **named)

    def _ask(self, what: str, **how: Any) -> Any:
        import httpx
        from chromadb.errors import ChromaError

        try:
            return getattr(self._collection, what)(**how)
        except (ChromaError, httpx.HTTPError) as error:
            if self._chroma_url is None:
                raise
            raise _away(self._chroma_url) from error


def _away(chroma_url: str) -> EmbeddingUnavailable:
    parts = urlsplit(chroma_url)
    return EmbeddingUnavailable(f"The Chroma server at {parts.hostname}:{parts.port} does not answer.", SERVER_HINT)


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
