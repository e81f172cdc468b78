"""Takes documents into the index: only what is new or changed is read, and each becomes searchable as a whole."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from knowledge.blocks import Reading
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.documents import READER, DocumentRow, DocumentStore, document_id, family_of, piece_id
from knowledge.embeddings import NO_EMBEDDING, load_encoder
from knowledge.errors import ClmsError, EmbeddingUnavailable, SourceGone, SourceInvalid
from knowledge.fetch import DEFAULT_HOSTS, Fetcher
from knowledge.links import ProductLinks
from knowledge.passages import Piece, cut
from knowledge.schema import Frozen
from knowledge.sources import Content, Found, Source, Validators, open_source
from knowledge.storage import only_writer
from knowledge.vectors import BATCH, DOCUMENTS, PieceVectors, open_vectors

logger = logging.getLogger(__name__)

BAR_SIGNS = 20
FETCHED = "fetch-"
Outcome = Literal["added", "changed", "unchanged", "retired", "failed"]


class DocumentOutcome(Frozen):
    """What one run did with one document, or with a source that could not be opened."""

    address: str
    outcome: Outcome
    title: str = ""
    passages: int = 0
    """Searchable passages it has now."""
    message: str = ""
    """Why it failed or was retired."""
    hint: str = ""
    """What to do next."""

    @property
    def line(self) -> str:
        """Say in a line what became of it."""
        told = f"{self.message} {self.hint}".strip() or f"{self.title}, {self.passages} passages"
        return f"{self.outcome}: {self.address}: {told}"


class DocumentsReport(Frozen):
    """What one run did."""

    outcomes: tuple[DocumentOutcome, ...]
    embedding: str
    """Encoder in use, or `none` with the reason why there is none."""

    def count(self, outcome: Outcome) -> int:
        """Count the documents with one outcome."""
        return sum(one.outcome == outcome for one in self.outcomes)


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    documents: int
    """Documents finished."""
    address: str
    passages: int
    """Passages read of the current document."""
    expected: int | None = None
    """Documents that there are; None while that is not known."""
    finished: DocumentOutcome | None = None
    """What became of the document, when it is finished."""

    @property
    def line(self) -> str:
        """Say where the run stands, with a bar where its end is known."""
        counted = f"{self.documents} documents"
        if self.expected:
            share = min(1.0, self.documents / self.expected)
            bar = "#" * round(BAR_SIGNS * share)
            counted = f"[{bar:.<{BAR_SIGNS}}] {share:.0%}, {self.documents} of {self.expected} documents"
        return f"{counted}; {self.passages} passages of {self.address}"


def ingest_documents(
    index_dir: Path,
    sources: Sequence[str],
    *,
    embedding_model: str,
    hosts: str = DEFAULT_HOSTS,
    chroma_url: str | None = None,
    catalogue: Catalogue | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
    make_fetcher: Callable[..., Fetcher] = Fetcher,
) -> DocumentsReport:
    """Bring the index up to date with files, folders, web pages, a library index or the portal.

    A document that cannot be read is reported and the others go on; what was searchable of it stays searchable.

    Args:
        index_dir: Folder of the index.
        sources: Paths and addresses.
        embedding_model: Encoder of the vectors, or `none`.
        hosts: Hosts that may be asked, parted by commas.
        chroma_url: Chroma server; None for the embedded one.
        catalogue: Products that documents are linked to.
        on_progress: Told after every batch of passages.
        on_wait: Told, in a sentence, that another process is writing; it is waited for some seconds.
        make_fetcher: Makes the HTTP client, given a folder and the hosts.

    Raises:
        IngestBusy: another run is writing.
    """
    index_dir.mkdir(parents=True, exist_ok=True)
    with only_writer(index_dir, on_wait=on_wait), _fetch_folder(index_dir) as folder:
        vectors, embedding = _open_vectors(index_dir, embedding_model, chroma_url)
        links = ProductLinks(catalogue or load_catalogue())
        with (
            closing(DocumentStore(index_dir / "index.sqlite")) as store,
            closing(make_fetcher(Path(folder), hosts=hosts)) as fetcher,
        ):
            run = _Run(store, vectors, embedding_model if vectors else NO_EMBEDDING, links, on_progress)
            for source in sources:
                run.source(source, fetcher)
    report = DocumentsReport(outcomes=tuple(run.outcomes), embedding=embedding)
    logger.info("documents: %s of %s failed", report.count("failed"), len(report.outcomes))
    return report


def _fetch_folder(index_dir: Path) -> "tempfile.TemporaryDirectory[str]":
    """Make a folder for what is fetched; those of runs that were killed go, since only one run writes."""
    for left in index_dir.glob(f"{FETCHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(dir=index_dir, prefix=FETCHED)


def _open_vectors(index_dir: Path, model: str, chroma_url: str | None) -> tuple[PieceVectors | None, str]:
    if model == NO_EMBEDDING:
        return None, NO_EMBEDDING
    try:
        encoder = load_encoder(model)
        collection = open_vectors(index_dir, model, name=DOCUMENTS, chroma_url=chroma_url, writing=True)
        return PieceVectors(collection, encoder), model
    except EmbeddingUnavailable as error:
        logger.warning("keyword search only: %s", error)
        return None, f"{NO_EMBEDDING}: {error.message}"


class _Run:
    """One run over several sources."""

    def __init__(
        self,
        store: DocumentStore,
        vectors: PieceVectors | None,
        embedding: str,
        links: ProductLinks,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.outcomes: list[DocumentOutcome] = []
        self._store, self._vectors, self._embedding, self._links = store, vectors, embedding, links
        self._on_progress = on_progress or (lambda _: None)
        self._expected: int | None = None

    def source(self, address: str, fetcher: Fetcher) -> None:
        """Take in all documents of a source; then retire those it does not name any more."""
        named: set[str] = set()
        try:
            source = open_source(address, fetcher)
            self._expected = None if source.count is None else len(self.outcomes) + source.count
            for found in source.found:
                named.add(found.address)
                self._document(found, source)
        except ClmsError as error:
            self._tell(DocumentOutcome(address=address, outcome="failed", message=error.message, hint=error.hint))
            return  # a list that broke off says nothing of what is missing from it
        for row in self._store.of_root(source.root) if source.many else ():
            if row.address not in named:
                self._retire(row, "It is not in its source any more.")

    def _document(self, found: Found, source: Source) -> None:
        known = self._store.known(found.address)
        current = known is not None and known.retired is None and known.reader == READER
        content = None
        try:
            content = found.open(Validators(known.etag, known.modified) if known and current else Validators())
            if known and current and (content is None or content.digest == known.digest):
                self._unchanged(known, content)
            elif content is None:
                raise SourceInvalid("The server says that nothing has changed, but was not asked.", "Tell its team.")
            else:
                self._read(found, source.root, known, content)
        except SourceGone as error:
            if known and known.retired is None:
                self._retire(known, error.message)
            else:
                self._failed(found, error)
        except ClmsError as error:
            self._failed(found, error)
        finally:
            if content is not None:
                content.done()

    def _unchanged(self, known: DocumentRow, content: Content | None) -> None:
        if content is not None:
            last = content.validators
            self._store.touch(known.id, _now(), last.etag, last.modified)
        if self._vectors is not None and known.embedding != self._embedding:
            for batch in _batches(self._store.pieces(known)):
                self._vectors.add(known.id, known.title, batch)
            self._store.mark_embedding(known.id, self._embedding)
        count = len(self._store.staged(known.id, known.generation))
        self._tell(DocumentOutcome(address=known.address, outcome="unchanged", title=known.title, passages=count))

    def _read(self, found: Found, root: str, known: DocumentRow | None, content: Content) -> None:
        """Stage a document part by part, then make it searchable in one step."""
        reading = content.read()
        one = document_id(found.address)
        generation = self._store.next_generation(one)
        title = reading.title or found.title or found.address
        try:
            self._stage(one, generation, title, reading, found.address)
        except ClmsError:
            self._discard(one, generation, known)
            raise
        row = DocumentRow(
            id=one, root=root, address=found.address, url=found.url, title=title, version=reading.version,
            date=reading.date, family=family_of(title, found.address), digest=content.digest,
            etag=content.validators.etag, modified=content.validators.modified, reader=READER,
            embedding=self._embedding, generation=generation, checked=_now(),
        )  # fmt: skip
        ids = self._store.staged(one, generation)
        before = self._store.staged(one, known.generation) if known else set()
        self._store.publish(row, self._links.products_of(title, found.address, found.url))
        if self._vectors is not None:
            self._vectors.keep(one, ids)
        same = known is not None and (before, known.title, known.version, known.date) == (
            ids, title, row.version, row.date,
        )  # fmt: skip
        back = known is None or known.retired is not None
        outcome: Outcome = "added" if back else "unchanged" if same else "changed"
        self._tell(DocumentOutcome(address=found.address, outcome=outcome, title=title, passages=len(ids)))

    def _stage(self, one: str, generation: int, title: str, reading: Reading, address: str) -> None:
        count = 0
        for batch in _batches((piece_id(one, piece), piece) for piece in cut(reading.blocks)):
            if self._vectors is not None:
                self._vectors.add(one, title, batch)
            self._store.stage(one, generation, title, batch)
            count += len(batch)
            self._on_progress(Progress(len(self.outcomes), address, count, self._expected))
        if not count:
            raise SourceInvalid("The document holds no text.", "Check it in its own program.")

    def _discard(self, one: str, generation: int, known: DocumentRow | None) -> None:
        """Throw away what was staged of a document that turned out to be broken."""
        self._store.discard(one, generation)
        if self._vectors is not None:
            self._vectors.keep(one, self._store.staged(one, known.generation) if known else set())

    def _retire(self, row: DocumentRow, why: str) -> None:
        self._store.retire(row.id, _now())
        if self._vectors is not None:
            self._vectors.keep(row.id, set())
        self._tell(
            DocumentOutcome(
                address=row.address, outcome="retired", title=row.title, message=why,
                hint="It is no longer searched.",
            )
        )  # fmt: skip

    def _failed(self, found: Found, error: ClmsError) -> None:
        self._tell(
            DocumentOutcome(
                address=found.address, outcome="failed", title=found.title or "", message=error.message,
                hint=error.hint,
            )
        )  # fmt: skip

    def _tell(self, outcome: DocumentOutcome) -> None:
        self.outcomes.append(outcome)
        done = len(self.outcomes)
        self._on_progress(Progress(done, outcome.address, outcome.passages, self._expected, finished=outcome))


def _batches(pieces: Iterable[tuple[str, Piece]]) -> Iterator[list[tuple[str, Piece]]]:
    following = iter(pieces)
    while batch := list(islice(following, BATCH)):
        yield batch


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
