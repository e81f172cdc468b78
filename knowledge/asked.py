"""Facts of a product that a question asks for by their kind: DOI, scale, smallest patch, class codes, versions, ids."""

import re
from contextlib import suppress
from datetime import date

from knowledge.asked_codes import codes_in, names_class
from knowledge.asked_cues import kinds_in
from knowledge.asked_lines import NOT_STATED, TELL, UNKNOWN, Asked, telling_words
from knowledge.catalogue import Catalogue, normalise
from knowledge.errors import ProductNotFound
from knowledge.lexicon import fold, in_english
from knowledge.refusals import product_at
from knowledge.schema import Edition, Product

LEAST_LETTERS = 2
"""Names of so few letters count in capitals only."""
MOST_EDITIONS = 6
MOST_SOURCES = 2


def asked_facts(
    product: Product, question: str, catalogue: Catalogue, start: date | None = None, end: date | None = None
) -> tuple[str, ...]:
    """Give the facts whose kind a question names, of the editions of a period where it names one.

    Unknown facts are said to be not verified; a question that names no kind gets none.
    """
    text = _without_name(product, normalise(question))
    told_apart = editions_meant(product, question)
    meant = tuple(_meant(product, question, start, end))
    asked = Asked(meant, question, catalogue, product.documents, product, told_apart)
    kinds = ["codes"] * bool(codes_in(text)) + kinds_in(text)
    kinds += ["classes"] * ("classes" not in kinds and names_class(text, meant, catalogue))
    said = [one for one in product.cautions if not set(kinds).isdisjoint(kinds_in(normalise(one)))]
    told = [line for kind in kinds for line in TELL[kind](asked)]
    sources = dict.fromkeys(source for one in asked.editions for source in one.sources)
    known = sources and not all(is_unknown(line) for line in told)
    source = [f"Source of these facts: {'; '.join([*sources][:MOST_SOURCES])}."] if known else []
    return tuple(dict.fromkeys([*told, *said, *source]))


def products_named(question: str, catalogue: Catalogue) -> list[Product]:
    """Give the products that a question calls by title, abbreviation or alias, the longest name at each place."""
    return [*{one.id: one for one, _ in names_in(question, catalogue)}.values()]


def names_in(question: str, catalogue: Catalogue, *, proper_only: bool = False) -> list[tuple[Product, str]]:
    """Give the products that a question names, in its order, each with that name in lower case without accents.

    `proper_only` leaves out everyday words for them, such as "snow".
    """
    found: list[tuple[Product, str]] = []
    text, words = fold(question), re.findall(r"\w+", question)
    while text:
        name, bearers = product_at(text, catalogue, proper_only=proper_only)
        if len(name) > LEAST_LETTERS or name.upper() in words:  # the French "et" is not ET
            with suppress(ProductNotFound):
                one = catalogue.get(name)
                found += [(one, name)] * (one.id in bearers)
        text = text.lstrip()[len(name) :] if name else text.lstrip().partition(" ")[2]
    return found


def editions_meant(product: Product, question: str) -> tuple[Edition, ...]:
    """Give the editions that a question speaks of more than of the others; all where it speaks of none."""
    return tuple(_ranked(product, question)[1])


def is_unknown(fact: str) -> bool:
    """Tell whether a line of `asked_facts` says that the catalogue does not hold the fact."""
    return any(said in fact for said in (UNKNOWN, NOT_STATED, "not verified: "))


def _without_name(product: Product, text: str) -> str:
    """Take the product's own name out: who names Small Woody Features asks for nothing small."""
    for name in (normalise(product.title), normalise(product.id)):
        text = re.sub(rf"\b{re.escape(name)}\b", " ", text)
    return text


def _meant(product: Product, question: str, start: date | None, end: date | None) -> list[Edition]:
    """Give the editions of a period, those first that a question tells from the others, then the newest in use."""
    editions, _ = _ranked(product, question)
    if start and end:
        ids = {
            one.id for one in editions if _years(one) and _years(one)[0] <= end.year and _years(one)[1] >= start.year
        }
        editions = [one for one in editions if one.id in ids] or editions
    return editions[:MOST_EDITIONS]


def _ranked(product: Product, question: str) -> tuple[list[Edition], list[Edition]]:
    """Give all editions, those first whose own words a question holds, and those of them that hold most of these."""
    words = {one.id: telling_words(f"{one.id} {one.title}") for one in product.editions}
    shared = set.intersection(*words.values())
    said = telling_words(_without_name(product, normalise(f"{question} {in_english(question)}")))
    held = {one.id: len((words[one.id] - shared) & said) for one in product.editions}
    ranked = sorted(
        product.editions, key=lambda one: (held[one.id], one.status == "current", one.start or ""), reverse=True
    )
    return ranked, [one for one in ranked if held[one.id] == max(held.values())]


def _years(edition: Edition) -> tuple[int, ...]:
    found = [re.match(r"\d{4}", text or "") for text in (edition.start, edition.end)]
    return (int(found[0][0]), int(found[1][0]) if found[1] else 9999) if found[0] else ()
