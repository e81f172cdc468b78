"""What the tests of taking documents in share."""

from collections.abc import Callable
from pathlib import Path

from knowledge.ingest_documents import DocumentOutcome, DocumentsReport
from knowledge.retrieval import Retriever
from knowledge.schema import Passage

Ingest = Callable[..., DocumentsReport]
MANUAL = "---\ntitle: {title}\nversion: {version}\n---\n\n# Accuracy\n\nThe quokkameter reads {value} percent.\n"


def search(index_dir: Path, question: str) -> list[Passage]:
    found = Retriever(index_dir, embedding_model="none").passages(question, limit=10)
    return [passage for passage in found if passage.document_id]


def outcomes(report: DocumentsReport) -> list[str]:
    return [one.outcome for one in report.outcomes]


def manual(value: int = 97, *, title: str = "Snow manual", version: str = "1") -> str:
    return MANUAL.format(title=title, version=version, value=value)


def only(report: DocumentsReport) -> DocumentOutcome:
    assert len(report.outcomes) == 1
    return report.outcomes[0]
