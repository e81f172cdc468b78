"""Answers from manuals: the sentences and table rows nearest to a question, word for word, with their page."""

import re
from typing import TYPE_CHECKING

from knowledge.schema import Citation, Passage
from tools.schema import ToolResult

if TYPE_CHECKING:
    from knowledge.retrieval import Retriever

LOOKED_AT = 24
LEAST_SHARE = 0.5
"""Share of the question's words that a passage (with its title and section) must hold to be quoted at all."""
QUOTE_CHARS = 400


def quote_documents(
    retriever: "Retriever", question: str, *, product_id: str | None = None, limit: int = 3
) -> ToolResult:
    """Quote what the documents say to a question, one passage a document, so that differing sources are all seen.

    Args:
        retriever: Search over the index.
        question: What is asked, in words.
        product_id: Only documents that belong to this product.
        limit: Most quotes.

    Raises:
        IndexMissing: the index has not been built.
    """
    found = retriever.passages(question, limit=LOOKED_AT, product_id=product_id)
    quoted: dict[str, tuple[int, Passage, str]] = {}
    for passage in found:
        if passage.document_id and passage.document_id not in quoted and (line := _nearest_line(passage, question)):
            quoted[passage.document_id] = (line[0], passage, line[1])
    if not quoted:
        return ToolResult(text="No document in the index speaks of this.")
    nearest = sorted(quoted.values(), key=lambda one: one[0], reverse=True)[:limit]
    citations = tuple(_citation(retriever, passage, quote) for _, passage, quote in nearest)
    newer = [one for one in citations if one.newer_version]
    return ToolResult(
        text="\n".join(f"“{one.quote}” ({one.place})" for one in citations),
        citations=citations,
        warnings=tuple(f"A newer version of {one.title} is in the index: {one.newer_version}." for one in newer),
    )


def _citation(retriever: "Retriever", passage: Passage, quote: str) -> Citation:
    stored = retriever.passage(passage.id)
    return Citation(
        passage_id=passage.id,
        title=passage.title,
        url=passage.url,
        quote=quote,
        verified=stored is not None and quote in stored.text,
        page=passage.page,
        version=passage.version,
        newer_version=passage.newer_version,
    )


def _nearest_line(passage: Passage, question: str) -> tuple[int, str] | None:
    """Give the sentence or table row that shares most words with the question, and how many; None when about else."""
    from knowledge.ingest import stems

    asked = set(stems(question))
    about = set(stems(f"{passage.title} {passage.section} {passage.text}"))
    if not asked or len(asked & about) < LEAST_SHARE * len(asked):
        return None
    lines = passage.text.split("\n")
    lines = lines[2:] if lines[0].startswith("|") else [one for line in lines for one in re.split(r"(?<=[.!?]) ", line)]
    shared, quote = max(((len(asked.intersection(stems(line))), line) for line in lines), key=lambda one: one[0])
    return (shared, quote[:QUOTE_CHARS]) if shared else None
