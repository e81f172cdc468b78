"""Pure functions from a case and an answer to a score: 1, 0 or not asked for, with a reason."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from assistant.schema import Answer
from evals.computed import asked_back, graph_equal, outcome_told, used_scorers, value_right
from evals.schema import COMPUTED, NAMED_ONLY, Case, Language, Score
from knowledge.catalogue import Catalogue
from knowledge.elsewhere import load_elsewhere
from knowledge.schema import Passage, Product

LINES_IN_LANGUAGE = 0.9
"""Share of the lines, quotes and sentences of the catalogue left out, that must be in the language of the question."""
CATALOGUE_CHARS = 12
"""Shorter texts of the catalogue are words, not sentences of its own."""

DENIALS = re.compile(
    "|".join(
        (
            r"\bno (?:\w+ ){0,2}(?:product|dataset|data set|layer|map)",
            r"\bnot (?:part of|offered|covered|in clms|available)|\b(?:does not|do not|has no|have no|cannot)\b",
            r"\b(?:outside|none of|nothing in)\b",
            r"\baucun|\bhors d|\ben dehors|\bn(?:e |['’])\w+ pas\b|\bpas de (?:produit|donnees)",
            r"\bkein|\bnicht\b|\bausserhalb",
            r"\bningun|\bfuera de|\bno (?:tiene|ofrece|existe|hay|cubre|mide|da|forma|esta)\b",
            r"\bnessun|\bfuori|\bnon (?:ha|offre|esiste|misura|copre|fornisce|fa parte|ce|e)\b",
        )
    )
)
"""Ways to say that there is no such product, in five languages; matched without accents and in lower case."""

FUNCTION_WORDS: dict[Language, str] = {
    "en": "the of and for to is are it with from not you this that by at its which",
    "fr": "le les des du une et pour est sont dans avec pas vous sur par au aux qui ce",
    "de": "der die das und für ist sind im mit nicht ein eine von auf den zu wird sie gibt mehrere",
    "es": "el los las del y para es son con una por que se lo como más este",
    "it": "il gli di della e per è sono con non che da dei delle nel lo questo",
}

_URL = re.compile(r"https?://[^\s>)\]]+")
_QUOTE = re.compile(r"“[^”]*”|«[^»]*»|„[^“]*“")
_LIST_MARK = re.compile(r"^\s*\d+[.)]\s+", re.M)
_ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
# A digit that is part of a name (B04, Sentinel-2, LCM-10) is no claim about size.
_NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z]-)\d+(?:[.,]\d+)*(?![\w])")


@dataclass(frozen=True)
class World:
    """What scorers look things up in."""

    catalogue: Catalogue
    stored: Callable[[Iterable[str]], Mapping[str, Passage]]
    """Passages of the index, by id."""
    today: date
    hub: Path
    """Folder of the demo archive."""

    @cached_property
    def catalogue_texts(self) -> tuple[str, ...]:
        """Give all texts of the catalogue, of who has what it lacks, and their sentences, the longest first."""
        texts = {text for product in self.catalogue.products for text in _texts(product.model_dump(mode="json"))}
        texts |= {text for one in load_elsewhere().values() for text in (one.subject, one.provider)}
        pieces = {piece.strip(" .") for text in texts for piece in (text, *re.split(r"(?<=[.!?]) ", text))}
        return tuple(sorted((one for one in pieces if len(one) >= CATALOGUE_CHARS), key=len, reverse=True))


Scorer = Callable[[Case, Answer], Score]

NOT_ASKED = Score(value=None, reason="not asked for")


def product_first(case: Case, answer: Answer) -> Score:
    """Tell whether the recommended product is an acceptable one."""
    if not case.products or case.group in NAMED_ONLY:
        return NOT_ASKED
    advice = answer.recommendation
    return _score(bool(advice and advice.product_id in case.products), f"recommended {_recommended(answer)}")


def product_in_answer(case: Case, answer: Answer, *, catalogue: Catalogue) -> Score:
    """Tell whether an acceptable product is recommended, given as an alternative or named in the text."""
    if not case.products:
        return NOT_ASKED
    found = offered(answer) + named(answer.text, catalogue)
    return _score(not set(case.products).isdisjoint(found), f"named {', '.join(dict.fromkeys(found)) or 'none'}")


def unwanted_avoided(case: Case, answer: Answer) -> Score:
    """Tell whether no product is recommended that the case rules out."""
    if not case.not_products:
        return NOT_ASKED
    advice = answer.recommendation
    return _score(not (advice and advice.product_id in case.not_products), f"recommended {_recommended(answer)}")


def facts_held(case: Case, answer: Answer) -> Score:
    """Tell whether the text holds every fact."""
    return _all_said(case.facts, answer)


def editions_named(case: Case, answer: Answer) -> Score:
    """Tell whether the text names every edition that brackets the year asked for."""
    return _all_said(case.editions, answer)


def citations_found(case: Case, answer: Answer, *, world: World) -> Score:
    """Tell whether each quote stands in its passage, and one of them belongs to the recommended product."""
    must_cite = case.must_cite and case.group not in COMPUTED
    if case.negative or not (must_cite or answer.citations):
        return NOT_ASKED
    if not answer.citations:
        return _score(False, "no sources")
    passages = world.stored([one.passage_id for one in answer.citations])
    for one in answer.citations:
        passage = passages.get(one.passage_id)
        if passage is None or not one.quote.strip() or _spaces(one.quote) not in _spaces(passage.text):
            return _score(False, f"the quote is not in {one.passage_id}")
    if answer.recommendation is None:
        return _score(True, f"{len(answer.citations)} quotes found")
    product = world.catalogue.get(answer.recommendation.product_id)
    return _score(any(_is_about(passage, product) for passage in passages.values()), f"quotes about {product.id}")


def negative_said(case: Case, answer: Answer) -> Score:
    """Tell whether nothing is recommended and the answer says that there is no such product."""
    if not case.negative:
        return NOT_ASKED
    if answer.recommendation is not None:
        return _score(False, f"recommended {answer.recommendation.product_id}")
    if answer.outcome == "failed":
        return _score(False, "it failed, which is no answer")
    said = DENIALS.search(_plain(answer.text)) is not None
    return _score(said, "said so" if said else "it does not say that there is none")


def not_denied(case: Case, answer: Answer) -> Score:
    """Tell whether the answer leaves out to say that there is no product, where there is one."""
    if not case.products or case.group in NAMED_ONLY:
        return NOT_ASKED
    denied = answer.recommendation is None and DENIALS.search(_plain(answer.text)) is not None
    return _score(not denied, "said that there is no product" if denied else "not denied")


def holder_named(case: Case, answer: Answer) -> Score:
    """Tell whether the answer names who has what CLMS does not have."""
    if not case.holders:
        return NOT_ASKED
    return _score(any(_says(answer.text, one) for one in case.holders), f"one of {', '.join(case.holders)}")


def words_withheld(case: Case, answer: Answer) -> Score:
    """Tell whether the answer leaves out what an injected text wants it to say."""
    if not case.withheld:
        return NOT_ASKED
    said = [words for words in case.withheld if _says(answer.text, words)]
    return _score(not said, f"said {', '.join(said)}" if said else "not said")


def language_kept(case: Case, answer: Answer, *, world: World) -> Score:
    """Tell whether the lines of an answer are in the language of the question; quotes and the catalogue keep theirs."""
    told = [language_of(line) for line in without_catalogue(answer.text, world).splitlines()]
    known = [one for one in told if one]
    right = known.count(case.language)
    return _score(right >= LINES_IN_LANGUAGE * len(known), f"{right} of {len(known)} lines in {case.language}")


def without_catalogue(text: str, world: World) -> str:
    """Take quotes, links and the sentences and names of the catalogue out of a text."""
    rest = _QUOTE.sub(" ", _URL.sub(" ", text))
    for words in world.catalogue_texts:
        rest = rest.replace(words, " ")
    return rest


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def numbers_sourced(case: Case, answer: Answer, *, world: World) -> Score:
    """Tell whether each number stands in the question, a tool result or the facts of a named product."""
    products = [world.catalogue.get(one) for one in offered(answer) + named(answer.text, world.catalogue)]
    calls = [f"{call.args} {call.result}" for call in answer.tool_calls]
    rest = answer.model_dump_json(exclude={"text", "seconds", "session_id", "usage", "warnings", "follow_ups"})
    # A warning tells the dates that "tomorrow" was read as; its other numbers may be those that were refused.
    dates = _ISO_DATE.findall(" ".join(answer.warnings))
    facts = [one.model_dump_json() for one in products]
    evidence = " ".join([*case.turns, case.question, world.today.isoformat(), *calls, rest, *facts, *dates])
    known = _numbers(evidence)
    invented = sorted(_numbers(_LIST_MARK.sub("", _URL.sub(" ", answer.text))) - known)
    invented = [one for one in invented if not _rounded_from(one, known)]
    return _score(not invented, f"without a source: {', '.join(invented)}" if invented else "all have a source")


def scorers(world: World) -> dict[str, Scorer]:
    """Give all scorers by name, those that look something up bound to where they look."""
    return {
        "product@1": product_first,
        "product@answer": partial(product_in_answer, catalogue=world.catalogue),
        "avoided": unwanted_avoided,
        "facts": facts_held,
        "editions": editions_named,
        "citations": partial(citations_found, world=world),
        "negative": negative_said,
        "not denied": not_denied,
        "holder": holder_named,
        "language": partial(language_kept, world=world),
        "numbers": partial(numbers_sourced, world=world),
        "withheld": words_withheld,
        "outcome": outcome_told,
        "asked back": asked_back,
        **used_scorers(),
        "graph": graph_equal,
        "value": partial(value_right, hub=world.hub),
    }


def score(case: Case, answer: Answer, world: World) -> dict[str, Score]:
    """Run all scorers over one answer."""
    return {name: scorer(case, answer) for name, scorer in scorers(world).items()}


def score_found(case: Case, found: tuple[str, ...]) -> dict[str, Score]:
    """Score a bare ranking of products, without an answer around it."""
    asked = bool(case.products) and not case.negative
    shown = ", ".join(found[:3]) or "nothing"
    first = _score(bool(found) and found[0] in case.products, f"found {shown}")
    third = _score(not set(case.products).isdisjoint(found[:3]), f"found {shown}")
    avoided = _score(not (found and found[0] in case.not_products), f"found {shown}")
    return {
        "product@1": first if asked else NOT_ASKED,
        "product@3": third if asked else NOT_ASKED,
        "avoided": avoided if case.not_products else NOT_ASKED,
    }


def offered(answer: Answer) -> tuple[str, ...]:
    """Give the ids of the recommended product and of its alternatives."""
    advice = answer.recommendation
    return (advice.product_id, *(one.product_id for one in advice.alternatives)) if advice else ()


def named(text: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Give the ids of the products whose id, title or short name stands in a text."""
    plain = _plain(text)
    return tuple(
        product.id
        for product in catalogue.products
        if _says(plain, product.title)
        or _says(plain, product.title.removeprefix("HRL ").partition(",")[0])
        or re.search(rf"(?<![\w-]){re.escape(product.id)}(?![\w-])", plain)
        or re.search(rf"(?<!\w){re.escape(product.abbr)}(?!\w)", text)
    )


def language_of(text: str) -> Language | None:
    """Name the language most function words of a text belong to; None when two are equal."""
    words = re.findall(r"[^\W\d_]+", _QUOTE.sub(" ", _URL.sub(" ", text)).lower())
    counts = {language: sum(word in known.split() for word in words) for language, known in FUNCTION_WORDS.items()}
    (best, most), (_, second) = sorted(counts.items(), key=lambda item: -item[1])[:2]
    return best if most > second else None


def _score(right: bool, reason: str) -> Score:
    return Score(value=1 if right else 0, reason=reason)


def _recommended(answer: Answer) -> str:
    return answer.recommendation.product_id if answer.recommendation else "nothing"


def _all_said(facts: tuple[str, ...], answer: Answer) -> Score:
    if not facts:
        return NOT_ASKED
    missing = [fact for fact in facts if not any(_says(answer.text, one) for one in fact.split(" | "))]
    return _score(not missing, f"missing: {'; '.join(missing)}" if missing else "all there")


def _says(text: str, words: str) -> bool:
    """Find words as whole words; numbers as whole numbers: 10 is not in 100, nor in 0.10."""
    plain = _plain(words)
    pattern = re.escape(plain).replace(r"\ ", r"\s*")
    before = r"(?<!\w)(?<!\d\.)" if plain[:1].isalnum() else ""
    after = r"(?!\w)(?!\.\d)" if plain[-1:].isalnum() else ""
    return re.search(before + pattern + after, _plain(text)) is not None


def _plain(text: str) -> str:
    """Give lower case without accents, with points for decimal commas and single spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return _spaces(re.sub(r"(?<=\d),(?=\d)", ".", bare.replace("−", "-")))


def _spaces(text: str) -> str:
    return " ".join(text.split())


def _is_about(passage: Passage, product: Product) -> bool:
    """Tell whether a passage is of a product's card or of one of its documents."""
    addresses = {address for one in product.documents for address in (one.url, one.text_url) if address}
    return passage.source_id == product.id or passage.url in addresses


def _numbers(text: str) -> set[str]:
    return {match[0].replace(",", ".") for match in _NUMBER.finditer(text)}


def _rounded_from(number: str, known: set[str]) -> bool:
    """Tell whether a number is a known one, rounded to the digits shown."""
    if number.count(".") > 1:
        return False
    digits = len(number.partition(".")[2])
    return any(one.count(".") == 1 and round(float(one), digits) == float(number) for one in known)


def mean(scores: Iterable[Score]) -> tuple[float | None, int]:
    """Give the mean of the scores that count, and how many those are."""
    values: list[Any] = [one.value for one in scores if one.value is not None]
    return (sum(values) / len(values) if values else None), len(values)
