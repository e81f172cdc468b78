"""What is told first of a product that a question names, from its facts: yes or no, or why it is not taken."""

import re
from collections.abc import Iterable, Mapping, Sequence

from knowledge.asked import editions_meant, names_in, products_named
from knowledge.asked_cues import kinds_in
from knowledge.asked_lines import successor
from knowledge.asked_service import subject_stems
from knowledge.catalogue import Catalogue
from knowledge.fitness import difference_rule, differences, edition_elsewhere, shortfalls, suited
from knowledge.lexicon import fold, in_english
from knowledge.matches import Need
from knowledge.ranking import SURE, not_for, warning
from knowledge.refusals import cadences_in
from knowledge.schema import Comparability, Edition, Product
from knowledge.words import stems

_OPEN = re.compile(
    r"\W*(?:which|what|how|where|when|why|who|quel|combien|comment|ou|quand|pourquoi|qui|qu|welch|wie|wo|wann|"
    r"warum|was (?:ist|sind|gibt|kann|hat|zeigt|misst|bedeutet|kostet)|wer|"
    r"cual|como|donde|cuando|cuant|que|quien|por que|quale|quali|come|dove|quando|quanto|quanta|perche|"
    r"chi|che)\w{0,2}\b"
)
"""How questions begin that are not answered with yes or no."""
_COVERS = re.compile(
    r"\b(?:cover\w*|includ\w*|contain\w*|reach\w*|part of|inside|data (?:for|in|on|over)|couv\w*|inclu\w*|comprend\w*|"
    r"contient|fait partie|deckt|\w*abdeck\w*|enthal\w*|umfasst|gehort|daten (?:fur|uber)|cubre\w*|contiene|abarca\w*|"
    r"forma parte|datos (?:de|para|sobre)|copr\w*|fa parte|dati (?:per|su))\b"
)
_PUBLISHED = re.compile(
    r"\b(?:out|published|released|exists?|available|already|yet|is there|are there|publie\w*|paru\w*|sortie?|"
    r"disponible|existe|y a-t-il|deja|erschienen|veroffentlicht|gibt es|verfugbar|schon|publicad\w*|hay|ya|"
    r"pubblicat\w*|uscit\w*|disponibile|esiste|c'e|gia)\b"
)
_SUBTRACTS = re.compile(
    r"\b(?:subtract\w*|minus|differenc\w*|(?:may|can|should) (?:i|we|one) compare|(?:valid|fair|allowed) to compare|"
    r"comparable\w*|soustrai\w*|(?:puis-je|peut-on) comparer|abzieh\w*|abgezogen|subtrah\w*|differenz\w*|"
    r"vergleichbar\w*|(?:darf|kann) (?:ich|man)\b.*\bvergleichen|rest(?:ar|o|amos)|(?:puedo|se pued\w*) comparar|"
    r"sottra\w*|confrontabil\w*|paragonabil\w*|(?:posso|si poss\w*|si puo) (?:confrontare|paragonare))\b"
)
"""Asks whether two years may be held against each other; to compare them is a computation."""
_NUMBER = re.compile(
    r"(?<![\w.])(?P<cue>(?:version\w*|versi[oó]n|v\.?|[ck]olle[ck]tion\w*|colección|collezione|[ée]dition|ausgabe|edición|"
    r"edizione)\s+)?\d+\b(?!\s?k?m\b|[\s-]?(?:daily|day|tägig|tagig))",
    re.I,
)
"""A number; without a cue before it a day, a year or a count, and no version."""
_LACKS = re.compile(r"\b(?:non|not|no|without)\b", re.I)
"""Classes of what lacks a thing do not show it."""
NO = "No."
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_SERVES = re.compile(
    r"\W*(?:can|could|may|do|does|is|are|would|will|kann|konnen|darf|zeigt|sagt|misst|erkennt|sieht|hilft|ist|eignet|"
    r"puis|peut|peux|est|montre|voit|puedo|podemos|se puede|sirve|me dice|muestra|mide|ve|es|posso|possiamo|si puo|"
    r"mi dice|mostra|misura|vede|serve|e|va)\b"
)
"""How questions begin that are answered with yes or no, though no question mark may stand behind them."""
_UNITS = frozenset(
    stems("fields parcels farms districts municipalities municipality regions countries cities villages rural")
)
MOST_REASONS = 3
MOST_CLASSES = 3


def yes_or_no(question: str, need: Need, catalogue: Catalogue, spoken: Sequence[str] = ()) -> str:
    """Answer whether the one product named has a place, an edition for a year, or years to subtract; else nothing.

    `spoken` are the question's words for place and period.
    """
    text = fold(question).replace("’", "'")
    named = products_named(question, catalogue)
    if len(named) != 1 or not text.rstrip().endswith("?") or _OPEN.match(text):
        return ""
    # The words and years of its own name ask for nothing; a year behind it ("CLC 2024") does.
    plain = (one for one in named[0].aliases if not _YEAR.search(one))
    for name in sorted(map(fold, {named[0].title, named[0].id.replace("-", " "), *plain}), key=len, reverse=True):
        if name in text:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text)
    if _SUBTRACTS.search(text) and (ends := difference_rule(named[0], need, catalogue)):
        return _subtraction(named[0], *ends)
    years = [int(one) for one in _YEAR.findall(text)]
    # Who asks for something newer than a year has that year.
    if len(years) == 1 and _PUBLISHED.search(text) and need.bbox is None and "versions" not in kinds_in(text):
        return _edition(named[0], years[0])
    if not (need.bbox and _COVERS.search(text)):
        return ""
    for words in filter(None, spoken):
        text = text.replace(fold(words).replace("’", "'"), " ")
    own = stems(f"{named[0].title} {named[0].family} {named[0].family_abbr or ''}")
    return _coverage(named[0], need, catalogue, subject_stems(_COVERS.sub(" ", text)).difference(own))


def replaced(question: str, catalogue: Catalogue) -> str:
    """Say which version took the place of the one that a question names; nothing where it names none that has gone.

    An older reference year stays on offer for that year: the note on editions tells of it.
    """
    if not {"versions", "status"}.isdisjoint(kinds_in(fold(question))):
        return ""  # told among the facts asked for
    lines, words = [], _NUMBER.sub(_version, question)
    for product in products_named(question, catalogue):
        meant = editions_meant(product, words)
        if all(one.superseded_by and one.start != one.end for one in meant):
            lines += [f"{one.id} is replaced by {successor(one, catalogue)}." for one in meant]
    return " ".join(lines)


def _version(number: re.Match[str]) -> str:
    """Give "v2" for "version 2"; a number without a cue goes."""
    if not number["cue"]:
        return " "
    return re.sub(r"(?i)^v\D*", "v", number[0])


def use_asked(question: str, catalogue: Catalogue) -> tuple[Product, str] | None:
    """Read "can I use X for Y" and "does X show Y": the one product with a name of its own, and the words for Y."""
    text = fold(question).replace("’", "'")
    names = names_in(question, catalogue, proper_only=True)
    if len({one.id for one, _ in names}) != 1 or _OPEN.match(text):
        return None
    if not _SERVES.match(text):
        return None
    for _, name in names:
        text = text.replace(name, " ")
    thing = " ".join(word for word in re.findall(r"[\w'-]+", text) if subject_stems(word))
    return (names[0][0], thing) if thing and not kinds_in(text) else None


def without_grain(thing: str) -> str:
    """Leave out of words the units and rhythms, which are nobody's subject: "yearly", "for my parcels"."""
    units = (one for one in thing.split() if not _UNITS.issuperset(stems(in_english(one))))
    return " ".join(one for one in units if not cadences_in(one))


def serves_for(product: Product, thing: str, near: Mapping[str, float], catalogue: Catalogue) -> str:
    """Answer whether a product may be taken for a thing: by what it is not for, its classes, else what it measures.

    `near` tells how near products, and subjects that others have, are to the thing alone; on a guess nothing is said.
    """
    told = f"{product.title} measures {product.measures}." if product.measures else product.summary
    if said := warning(product, in_english(thing)):
        return f"{NO} {told} {said}"
    asked = subject_stems(in_english(thing))
    labels = (one for one in _labels(product, catalogue) if not _LACKS.search(one))
    if classes := [one for one in labels if asked and asked <= set(stems(one))][:MOST_CLASSES]:
        return f"Yes. {told} Among its classes: {'; '.join(classes)}."
    nearest = max(near, key=lambda one: near[one], default="")
    if near.get(nearest, 0.0) < SURE:
        return ""
    if nearest == product.id:
        own = (product.title, product.summary, told, *product.subjects, *product.aliases, *product.choose_when)
        return f"Yes. {told}" if set(stems(in_english(thing))) <= set(stems(" ".join(own))) else told
    return told  # that others are nearer denies nothing


def why_not(
    ids: Iterable[str], question: str, subject: str, best: Product | None, need: Need, catalogue: Catalogue
) -> str:
    """Say of products that a question wonders about what they lack for it, and how they fall behind the best one."""
    lines, wondered = [], frozenset(ids)
    # A name such as CORINE is also borne by a product of change, which is not what is meant.
    named = [one for one in products_named(question, catalogue) if one.id in wondered]
    shortest = sorted((catalogue.get(one) for one in wondered), key=lambda one: (len(one.title), one.id))
    for product in named or shortest[:1]:
        reasons = [one.text for one in shortfalls(product, need, catalogue)] + [not_for(product, subject)]
        reasons += differences(product, best) if best else []
        told = " ".join([one for one in reasons if one][:MOST_REASONS])
        lines.append(f"Why not {product.title}: {told or 'nothing is known against it.'}")
    return "\n".join(lines)


def _coverage(product: Product, need: Need, catalogue: Catalogue, thing: frozenset[str]) -> str:
    """Tell whether a product has the place; where it is asked for a thing there, which of its classes speak of it."""
    if without := edition_elsewhere(product, need):
        return f"No. The edition {without} of {product.title} does not cover the place ({product.coverage})."
    lacks = shortfalls(product, need, catalogue)
    short = [one for one in lacks if one.kind in ("place", "unverified")]
    if any(one.kind == "place" and one.blocks for one in short):
        return f"No. {product.title} does not cover the place ({product.coverage})."
    if short:
        return f"{product.title}: {short[0].text}"
    covered = f"{product.title} covers the place ({suited(product, need).coverage})."
    if period := next((one.text for one in lacks if one.kind == "period"), ""):
        return f"{period} {covered}"  # it has the place, but not in the edition asked for
    if not thing:
        return f"Yes. {covered}"
    classes = [one for one in _labels(product, catalogue) if not thing.isdisjoint(stems(one))][:MOST_CLASSES]
    told = f"Among its classes: {'; '.join(classes)}." if classes else ""
    told = told or (f"It measures {product.measures}." if product.measures else "")
    return f"{covered} {told}".strip()


def _labels(product: Product, catalogue: Catalogue) -> list[str]:
    """Give the labels of all classes of a product's editions, once each."""
    legends = dict.fromkeys(name for edition in product.editions for name in edition.legends)
    return [*dict.fromkeys(one.label for name in legends for one in catalogue.legend(name).classes)]


def _subtraction(product: Product, years: tuple[int, int], rule: Comparability | None) -> str:
    if rule is None:
        return f"Not verified: whether {years[0]} and {years[1]} of {product.title} may be subtracted."
    lead = {True: "Yes.", False: f"No. Do not subtract its years {years[0]} and {years[1]}:", None: "Not verified:"}
    take = f" Take {rule.change_product}." if rule.change_product else ""
    return f"{lead[rule.allowed]} {rule.reason}{take}"


def _edition(product: Product, year: int) -> str:
    dated = [(span, one) for one in product.editions if (span := _span(one))]
    found = [one for (first, last), one in dated if first <= year <= last and not one.is_change]
    found.sort(key=lambda one: one.status != "current")
    if found and found[0].status == "announced":
        return f"No. {found[0].id} is announced, not published."
    if found:
        return f"Yes. {product.title} has data for {year}: {found[0].id}."
    if not dated:
        return ""
    ends = [last for (_, last), one in dated if one.status != "announced"]
    return f"No. {product.title} has nothing for {year} in the catalogue; its data end in {max(ends)}." if ends else ""


def _span(edition: Edition) -> tuple[int, int] | None:
    """Give the first and the last year of an edition; 9999 while production goes on, None where they are not known."""
    years = [re.match(r"\d{4}", day or "") for day in (edition.start, edition.end)]
    first, last = years
    if first is None:
        return None
    return int(first[0]), int(last[0]) if last else 9999
