"""Answers from manuals: the sentences and table rows nearest to a question, word for word, with their page."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowledge.asked import is_unknown, products_named
from knowledge.blocks import inert
from knowledge.catalogue import normalise
from knowledge.document_search import word_root
from knowledge.lexicon import in_manual_words
from knowledge.schema import Citation, Passage
from knowledge.words import STOPWORDS, stem
from tools.schema import ToolResult

if TYPE_CHECKING:
    from knowledge.retrieval import Retriever

LOOKED_AT = 40
LEAST_SHARE = 0.6
"""Share of the question, rare words counting more, that a passage with its title must hold to be quoted at all."""
LEAST_OWN = 0.5
"""The same of what its title does not say already: that must stand in the passage or its section."""
QUOTE_CHARS = 400
YEAR_WEIGHT = 0.25
"""What a year counts: a manual that does not name it may still hold for it."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_IDLE_WORDS = """
    tell know known explain describe define definition exactly happen happens call called say says said manual manuals
    document documents documentation according possible mean means meaning long often still really copernicus clms layer
    layers come comes look looks lie lies use used uses using make makes made take takes taken need needs work works go
    goes back quickly soon there maximum minimum
"""
_IDLE = frozenset(map(stem, _IDLE_WORDS.split()))
"""Words of asking: no passage must hold them."""


Group = tuple[str, ...]
"""Words that stand for one thing: a passage meets it with half of them."""


@dataclass(frozen=True)
class _Asked:
    """What a question looks for."""

    weights: dict[Group, float]
    rarest: Group
    """Of what any document holds, what fewest hold; empty where none holds anything."""
    named: frozenset[str]
    """Products that it calls by a name."""

    def share(self, held: Collection[Group], of: Collection[Group]) -> float:
        """Give the weight of what is held of some groups, as a share of theirs."""
        whole = sum(self.weights[one] for one in of)
        return sum(self.weights[one] for one in of if one in held) / whole if whole else 0.0


@dataclass(frozen=True)
class _Found:
    score: float
    passage: Passage
    quote: str
    held: frozenset[str] = frozenset()
    """Words of the question that the quote holds, beside those of the document's title."""


def quote_documents(
    retriever: "Retriever",
    question: str,
    *,
    product_id: str | None = None,
    limit: int = 3,
) -> ToolResult:
    """Quote what the documents say to a question, one passage a document, so that differing sources are all seen.

    Args:
        retriever: Search over the index.
        question: What is asked, in words, without place and period.
        product_id: Only documents that belong to this product.
        limit: Most quotes.

    Raises:
        IndexMissing: the index has not been built.
    """
    asked = _read(retriever, question)
    words = " ".join(word for one in asked.weights for word in one)
    passages = retriever.document_passages(words, limit=LOOKED_AT, product_id=product_id) if words else []
    quoted: dict[str, _Found] = {}
    for passage in passages:
        found = _quote(retriever, passage, asked)
        if found and found.score > quoted.get(passage.source_id, _Found(0.0, passage, "")).score:
            quoted[passage.source_id] = found
    if not quoted:
        return ToolResult(text="No document in the index speaks of this.")
    nearest = sorted(quoted.values(), key=lambda one: (-one.score, one.passage.newer_version is not None))[:limit]
    citations = tuple(_citation(retriever, one.passage, one.quote) for one in nearest)
    newer = [one for one in citations if one.newer_version]
    return ToolResult(
        text="\n".join(inert(f"“{one.quote}” ({one.place})") for one in citations),
        data={"only_documents": _beyond_cards(retriever, asked, nearest[0]), "said": nearest[0].held},
        citations=citations,
        warnings=tuple(f"A newer version of {one.title} is in the index: {one.newer_version}." for one in newer),
    )


def with_documents(
    retriever: "Retriever", found: ToolResult, question: str, *, product_id: str | None = None
) -> ToolResult:
    """Add to what the catalogue says what the documents say; theirs first where only they know it.

    Args:
        retriever: Search over the index.
        found: What the catalogue says.
        question: What is asked, in words, without place and period.
        product_id: Only documents that belong to this product.

    Raises:
        IndexMissing: the index has not been built.
    """
    advice = found.recommendation
    said = quote_documents(retriever, question, product_id=product_id)
    if not said.citations:
        return found
    facts = advice.facts if advice else found.data.get("facts", ())
    gap = any(map(is_unknown, facts)) if advice or facts else not product_id
    # Who names the product wants something said of it, which may be a fact of the catalogue or a yes or no.
    told = facts or (advice and advice.told_first)
    wanted = not told and said.data["said"] and bool(products_named(question, retriever.catalogue))
    first = gap or bool(said.data["only_documents"] or wanted)
    quoted = f"The documents say:\n{said.text}"
    more = {
        "text": f"{quoted}\n\n{found.text}" if first else f"{found.text}\n{quoted}",
        "data": {**found.data, "documents_first": first},
        "citations": (*found.citations, *said.citations),
        "warnings": (*found.warnings, *said.warnings),
    }
    return found.model_copy(update=more)


def _beyond_cards(retriever: "Retriever", asked: _Asked, nearest: _Found) -> bool:
    """Tell whether only a document can answer: it speaks of what no card does, or not the one of the product named."""
    if not any(retriever.on_cards(word) for word in asked.rarest):
        return True
    owners = asked.named.intersection(nearest.passage.product_ids)
    return bool(owners) and any(owners.isdisjoint(retriever.on_cards(word)) for word in nearest.held)


def _read(retriever: "Retriever", question: str) -> _Asked:
    """Weigh what a question looks for by how few documents hold it."""
    groups: dict[Group, None] = {}
    for part in in_manual_words(question):
        words = [word for word in _words(" ".join(part)) if stem(word) not in _IDLE]
        groups.update(dict.fromkeys([tuple(words)] if len(part) > 1 and words else [(word,) for word in words]))
    rarity, unknown = retriever.rarity(word for group in groups for word in group)
    weights = {group: sum(rarity[word] for word in group) / len(group) for group in groups} if rarity else {}
    known = [group for group, weight in weights.items() if weight < unknown]
    years = [group for group in weights if len(weights) > 1 and _YEAR.fullmatch(group[0])]
    weights |= {group: YEAR_WEIGHT * weights[group] for group in years}
    rarest = max(known, key=lambda group: weights[group], default=())
    named = {product.id for product in products_named(question, retriever.catalogue)}
    named = named or retriever.named(" ".join(word for one in groups for word in one))
    return _Asked(weights, rarest, frozenset(named))


def _quote(retriever: "Retriever", passage: Passage, asked: _Asked) -> _Found | None:
    """Quote the line of a passage that says most of what is asked; None when it speaks of something else."""
    products = [retriever.catalogue.get(one) for one in passage.product_ids]
    if asked.named and products and asked.named.isdisjoint(passage.product_ids):
        mentioned = [retriever.catalogue.get(one) for one in asked.named]
        if not _mentions(passage, (name for one in mentioned for name in (one.title, *one.aliases))):
            return None  # a manual of another product
    names = " ".join(name for one in products for name in (one.title, one.abbr, *one.aliases))
    by_title = _held(asked, f"{passage.title} {names}")
    by_text = _held(asked, f"{passage.section} {passage.text}")
    rest = [one for one in asked.weights if one not in by_title]
    numbers = [one for one in rest if one[0].isdecimal() and not _YEAR.fullmatch(one[0])]
    if asked.rarest not in by_title | by_text or not by_text.issuperset(numbers):
        return None
    if (
        asked.share(by_title | by_text, asked.weights) < LEAST_SHARE
        or asked.share(by_text, rest or by_title) < LEAST_OWN
    ):
        return None
    held = {line: _held(asked, f"{head} {line}") for head, line in _lines(passage.text)}
    held = {line: one for line, one in held.items() if one.issuperset(numbers)} or held
    # What the headings say of all lines tells none of them from the others.
    own = set(rest) - _held(asked, passage.section) or rest
    sought = rest or [*asked.weights]
    shares = {line: asked.share(one, sought) for line, one in held.items()}
    # Of lines that say as much, the one that begins with what is asked is about it.
    line = max(shares, key=lambda one: (asked.share(held[one], own), shares[one], -_begin(asked, one)), default="")
    if not line:
        return None
    words = frozenset(word for group in held[line].intersection(rest) for word in group if not _YEAR.fullmatch(word))
    return _Found(asked.share(by_text, sought) + shares[line], passage, line[:QUOTE_CHARS], words)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Give the sentences of a passage, or the rows of its table with their header."""
    head, *lines = text.split("\n")
    if head.startswith("|"):
        yield from ((head, line) for line in lines[1:] if line.strip())
    else:
        yield from (("", one) for line in (head, *lines) for one in re.split(r"(?<=[.!?]) ", line) if one.strip())


def _mentions(passage: Passage, names: Iterable[str]) -> bool:
    text = f" {normalise(f'{passage.section} {passage.text}')} "
    return any(f" {normalise(name)} " in text for name in names)


def _held(asked: _Asked, text: str) -> set[Group]:
    """Give what a text meets."""
    words = {stem(word) for word in _words(text)}
    return {group for group in asked.weights if 2 * sum(_is_among(stem(word), words) for word in group) > len(group)}


def _begin(asked: _Asked, line: str) -> int:
    """Count the words of a line before the first that is asked for."""
    words = _words(line)
    return next((place for place, word in enumerate(words) if _held(asked, word)), len(words))


def _words(text: str) -> list[str]:
    """Give the words that carry meaning; a code may be a single digit, and % is a word."""
    words = normalise(text.replace("%", " percent ")).replace(".", " ").split()
    return [word for word in words if word not in STOPWORDS and (len(word) > 1 or word.isdecimal())]


def _is_among(word: str, words: set[str]) -> bool:
    """Tell whether a word, or one that begins alike, is among some."""
    root = word_root(word)
    return word in words or (root != word and any(one.startswith(root) for one in words))


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
        columns=passage.text.split("\n", 1)[0].strip("| ") if passage.text.startswith("|") else None,
    )
