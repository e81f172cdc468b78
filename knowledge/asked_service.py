"""Facts of the service as a whole, or of a family of its products: licence, citation, reference system, account."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from knowledge.asked_cues import kinds_in, without_cues
from knowledge.catalogue import Catalogue, normalise
from knowledge.editions import licence
from knowledge.errors import SourceInvalid
from knowledge.lexicon import LANGUAGES, Language, fold, in_english, is_function_word
from knowledge.schema import Edition, Frozen, Product
from knowledge.words import stems

FILE = Path(__file__).with_name("service_facts.yaml")
MOST_TITLES = 6
"""Products named for one value; of more, the number is told."""
MOST_SOURCES = 2
_SERVICE = re.compile(r"\b(?:clms|copernicus land(?: monitoring)?)\b")


class ServiceFact(Frozen):
    """One thing known of the whole service."""

    text: str
    source: str = ""
    """Where it stands; empty for what is not verified."""


class ServiceFacts(Frozen):
    """What `service_facts.yaml` holds."""

    facts: dict[str, tuple[ServiceFact, ...]]
    """Kind of fact to what is known."""
    idle: dict[Language, str]
    """Words that do not narrow a question down to some products."""


@cache
def load_service_facts(path: Path = FILE) -> ServiceFacts:
    """Read and check the file.

    Raises:
        SourceInvalid: it does not hold what it should.
    """
    try:
        return ServiceFacts.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} does not hold facts of the service: {error}") from error


def service_facts(question: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Give the facts a question asks for of the whole service or of a family; none where it is about something else.

    The caller sees to it that the question names no product.
    """
    kinds = [kind for kind in kinds_in(normalise(question)) if kind in _TELL]
    words = subject_stems(question)
    products = _family(words, catalogue) if kinds else ()
    if kinds and not products and _SERVICE.search(fold(question)) and not _is_of_a_layer(words, catalogue):
        # "Posters made from CLMS data": what is made of the data says nothing of the layers.
        words, products = frozenset(), catalogue.products
    if not products:
        return ()
    editions = [(one, edition) for one in products for edition in one.editions if edition.status == "current"]
    told = [line for kind in kinds for line in _TELL[kind](editions)]
    said = [
        f"{one.title}: {text}"
        for one in products
        for text in one.cautions
        if not set(kinds).isdisjoint(kinds_in(normalise(text)))
    ]
    known = () if words else (fact for kind in kinds for fact in load_service_facts().facts.get(kind, ()))
    service = [f"{fact.text}{f' Source: {fact.source}.' if fact.source else ''}" for fact in known]
    return (*told, *service, *said)


def subject_stems(question: str) -> frozenset[str]:
    """Give the stems of what a question speaks of besides the facts it asks for."""
    rest = re.sub(r"[^\w\s]", " ", fold(without_cues(question)))
    words = [word for word in rest.split() if not any(is_function_word(word, one) for one in LANGUAGES)]
    known = " ".join(word for word in words if word not in _idle())
    return frozenset(stems(in_english(known))) - frozenset(stems(" ".join(_idle())))


@cache
def _idle() -> frozenset[str]:
    return frozenset(word for words in load_service_facts().idle.values() for word in words.split())


def _family(words: frozenset[str], catalogue: Catalogue) -> tuple[Product, ...]:
    """Give the products, two at least, whose title, family or part of the service holds some words; all for none."""
    found = tuple(
        one
        for one in catalogue.products
        if words.issubset(stems(f"{one.title} {one.family} {one.family_abbr or ''} {one.component}"))
    )
    return found if len(found) > 1 else ()


def _is_of_a_layer(words: frozenset[str], catalogue: Catalogue) -> bool:
    """Tell whether some words are of what a product is about: "soil moisture as netCDF" asks for a product."""
    return any(not words.isdisjoint(stems(" ".join((one.title, *one.subjects)))) for one in catalogue.products)


Listed = Sequence[tuple[Product, Edition]]


def _values(what: str, listed: Listed, told: Callable[[Edition], str]) -> list[str]:
    """Tell the values of one fact, the most common first, with the products that have each."""
    owners: dict[str, dict[str, None]] = {}
    for product, edition in listed:
        owners.setdefault(told(edition), {})[product.title] = None
    order = sorted((value for value in owners if value), key=lambda value: -len(owners[value]))
    lines = [f"{what}: {value} ({_titles(owners[value])})." for value in order]
    lines += [f"{what}, not verified: {_titles(owners[''])}."] if "" in owners else []
    counted = Counter(source for _, edition in listed if told(edition) for source in edition.sources)
    sources = "; ".join(source for source, _ in counted.most_common(MOST_SOURCES))
    return [*lines, *([f"Source of these facts: {sources}."] if sources else [])]


def _titles(titles: Iterable[str]) -> str:
    names = [*titles]
    return ", ".join(names) if len(names) <= MOST_TITLES else f"{len(names)} products"


def _licence(listed: Listed) -> list[str]:
    """Tell each licence with how many data sets of which products have it, so that no one takes these for all."""
    names = Counter(edition.licence for _, edition in listed)
    titles = {name: dict.fromkeys(one.title for one, edition in listed if edition.licence == name) for name in names}
    return [
        f"Licence of {count} current data sets ({_titles(titles[name])}): {licence(name)}"
        for name, count in names.most_common()
    ]


def _doi(listed: Listed) -> list[str]:
    known = sum(bool(edition.dois) for _, edition in listed)
    return [f"A DOI belongs to a data set: this catalogue knows that of {known} of {len(listed)}; name the data set."]


_TELL: dict[str, Callable[[Listed], list[str]]] = {
    "licence": _licence,
    "doi": _doi,
    "account": lambda _: [],
    "contact": lambda _: [],
    "crs": lambda listed: _values("Coordinate reference system", listed, lambda one: ", ".join(one.crs)),
    "format": lambda listed: _values("Format", listed, lambda one: ", ".join(one.formats)),
}
