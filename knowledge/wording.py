"""What a question says besides its subject: the pixel size it wants, and the products it does not want."""

import re
from collections.abc import Iterable

from knowledge.catalogue import Catalogue, normalise
from knowledge.ingest import stems
from knowledge.lexicon import to_english
from knowledge.schema import Frozen

UNITS_M = {"cm": 0.01, "m": 1.0, "km": 1000.0}
_SIZE = r"(?P<number>\d+(?:[.,]\d+)?)[\s-]?(?P<unit>cm|km|m(?:et(?:re|er|ro)s?|etri)?)\b"
_PIXEL = r"(?:resolution|pixels?|grid|raster|cells?|auflosung|rasterweite|resolucion|risoluzione|maille)"
_PIXEL_SIZES = (
    re.compile(rf"{_SIZE}[\s-]+(?:\w+[\s-]+)?{_PIXEL}"),
    re.compile(rf"{_PIXEL}\w*(?:\s+\w+){{0,2}}\s+{_SIZE}"),
    re.compile(
        r"\b(?:at|a|mit|bei|con|de|von)\s+(?P<number>\d+(?:[.,]\d+)?)[\s-]?(?P<unit>cm)\b"
        r"(?!.{0,12}(?:depth|deep|tief|profond|hoch|high|above|haut|below|unter))"
    ),
    # "at 10 m" speaks of pixels, "at 2 m above ground" and "at 10 m depth" do not.
    re.compile(
        rf"\b(?:at|a|mit|bei|con)\s+{_SIZE}(?=\s*(?:$|[?.,;!)]|(?:for|in|of|over|per|pour|dans|sur|fur|im|uber|para|en|nel|nella|nei|su)\b))"
    ),
)
_NOT = (
    r"(?:anything|everything|something|all) (?:but|except)|other than|rather than|instead of|apart from|"
    r"except(?: for)?|excluding|without|not?(?: the| a| use| want)?|"
    r"don.?t (?:say|want|use|give|show|recommend|mention|need)(?: me| us)?|"
    r"sauf|hormis|sans|autre(?: chose)? que|au lieu de|plutot que|pas(?: de| le| la)?|"
    r"ausser|ohne|nicht(?: das| die| den)?|kein\w*|statt|anstatt|"
    r"excepto|salvo|menos|sin|no|en lugar de|en vez de|que no sea|"
    r"tranne|eccetto|senza|non|invece (?:di|del)|diverso da"
)
_ARTICLE = r"(?:the|le|la|les|l'|das|die|den|der|dem|el|los|las|il|lo|i|gli)"
_NEGATION = re.compile(rf"\b(?:{_NOT})\s+(?:(?:with|mit|avec|con|say|use|in) )?(?:{_ARTICLE} )?")
# These speak of a thing that is to stay away; a bare "not" may as well belong to a verb ("not ploughed").
_UNWANTED = re.compile(
    rf"\b(?:(?:without|except(?: for)?|excluding|apart from|ohne|ausser|sauf|hormis|sans|salvo|excepto|sin|senza|"
    rf"tranne|eccetto)\s+(?:{_ARTICLE}\s+)?|(?:not|nicht|pas|non|no|ni|nor|noch|ne)\s+(?P<only>(?:just|only|nur|bloss|seulement|solo|"
    rf"solamente|soltanto)\s+)?{_ARTICLE}\s+)(?P<thing>[^,.;:?!()]+)"
)
_CLAUSE_END = re.compile(
    r"\b(?:but|for|in|which|that|aber|sondern|fur|mais|pour|dans|que|pero|sino|para|en|ma|per|che|is|are|ist|est|son|es|e|ni|nor|noch|et|und|and|y)\b"
)
_SETTING_ASIDE = re.compile(
    r"\b(?:leave|leaving|lass\w*|laiss\w*|dej\w*|lasci\w*)\s+(?P<thing>.{1,30}?)\s+"
    r"(?:out|aside|weg|beiseite|aussen vor|de cote|fuera|a un lado|fuori|da parte)\b"
)
_POINTING = re.compile(
    r"(?:that|this|it|them|those|das|es|den|die|ca|cela|celui\W.*|eso|ese|lo|quello|questo)(?: one)?"
)
_VERB = re.compile(r"\w+(?:ar|er|ir|re|ando|iendo|endo|ing|zu)")
THING_WORDS = 4
"""Words of what is not wanted that are looked at."""
_ASKING = re.compile(
    r"\b(?:copernicus|clms)\s+(?:(?:land|monitoring|service)\s+)*(?:products?|data ?sets?|layers?|maps?)\b",
    re.IGNORECASE,
)
"""Words of asking that liken every product's description."""


class Wording(Frozen):
    """A question, read for what it demands."""

    subject: str
    """What is left when the demands are taken out."""
    pixel_m: float | None = None
    """Largest pixel the question allows, metres."""
    excluded: frozenset[str] = frozenset()
    """Ids of products that it does not want."""
    unwanted: tuple[str, ...] = ()
    """Things that it does not want, in its own words."""
    named: frozenset[str] = frozenset()
    """Ids of products that it calls by their names."""


def read_wording(question: str, catalogue: Catalogue) -> Wording:
    """Take the demands out of a question."""
    text = _plain(question)
    pixel = next((found for pattern in _PIXEL_SIZES if (found := pattern.search(text))), None)
    pixel_m = float(pixel["number"].replace(",", ".")) * _unit_m(pixel["unit"]) if pixel else None
    if pixel:
        text = f"{text[: pixel.start()]} {text[pixel.end() :]}"
    excluded: set[str] = set()
    for negation in reversed(list(_NEGATION.finditer(text))):
        rest = text[negation.end() :]
        name, products = _named_at_start(rest, catalogue)
        if products:
            excluded |= products
            text = text[: negation.start()] + rest.removeprefix(name)
    text, aside = _set_aside_by_verb(text, catalogue)
    excluded |= aside
    text, unwanted = _without_things(text)
    subject = text if pixel or excluded or unwanted else question
    return Wording(
        subject=_ASKING.sub(" ", subject),
        pixel_m=pixel_m,
        excluded=frozenset(excluded),
        unwanted=unwanted,
        named=frozenset(one for one, _ in _names_in(question, catalogue)) - excluded,
    )


def without_names(text: str, catalogue: Catalogue) -> str:
    """Take the products' names out of a text: the number in "Natura 2000" is no year."""
    plain = normalise(text)
    for _, name in _names_in(text, catalogue):
        plain = re.sub(rf"(?<!\w){re.escape(normalise(name))}(?!\w)", " ", plain)
    return plain


def is_in_name(period: str, question: str, catalogue: Catalogue) -> bool:
    """Tell whether the numbers of words for a period stand in the question as part of a product's name only."""
    numbers = re.findall(r"\d{4}", period)
    rest = without_names(question, catalogue)
    return bool(numbers) and all(number in question and number not in rest for number in numbers)


def unknown_words(text: str) -> str:
    """Give words for a place or a period, or nothing when they are terms of the trade, as "growing season" is."""
    return "" if to_english(text) else text


def extra_words(question: str, named: frozenset[str], catalogue: Catalogue) -> dict[str, int]:
    """Count for each product named how many more words its title has that the question lacks than the nearest title."""
    asked = set(stems(question))
    titles = {one.id: set(stems(one.title)) for one in catalogue.products if one.id in named}
    missing = {one: len(title - asked) for one, title in titles.items()}
    least = min(missing.values(), default=0)
    return {one: count - least for one, count in missing.items()}


def _names_in(text: str, catalogue: Catalogue) -> list[tuple[str, str]]:
    """Give the products that a text calls by a name of their own, with that name; everyday words are no names."""
    words, plain = set(re.findall(r"[\w+-]+", text)), f" {normalise(text)} "
    return [
        (bearer, name)
        for name, bearers in catalogue.proper_names.items()
        if name in words or (_is_telling(name, catalogue) and f" {normalise(name)} " in plain)
        for bearer in bearers
    ]


def _is_telling(name: str, catalogue: Catalogue) -> bool:
    """Tell whether a name can be known in any spelling: it has several words, or people write it so."""
    plain = normalise(name)
    return len(plain.split()) > 1 or any(plain == alias for one in catalogue.products for alias in one.aliases)


def _set_aside_by_verb(text: str, catalogue: Catalogue) -> tuple[str, set[str]]:
    """Read "leave X out"; "leave that one out" means what was named last."""
    found: set[str] = set()
    for match in reversed(list(_SETTING_ASIDE.finditer(text))):
        thing = match["thing"]
        if _POINTING.fullmatch(thing):
            words = re.findall(r"[\w+-]+", text[: match.start()])
            thing = next((word for word in reversed(words) if _named_at_start(word, catalogue)[1]), "")
        name, products = _named_at_start(thing, catalogue)
        if products:
            found |= products
            text = f"{text[: match.start()]} {text[match.end() :]}"
            text = re.sub(rf"\b{re.escape(name)}\b", " ", text)
    return text, found


def _without_things(text: str) -> tuple[str, tuple[str, ...]]:
    """Part a text from the things that it does not want."""
    things: list[str] = []
    for match in reversed(list(_UNWANTED.finditer(text))):
        words = _CLAUSE_END.split(match["thing"])[0].split()[:THING_WORDS]
        # "sin sembrar", "sans labourer": what is not done says what is looked for.
        if not words or _VERB.fullmatch(words[0]):
            continue
        thing = " ".join(words)
        things.append(thing)
        if match["only"]:
            continue  # "not just the surface": it is still about that
        start = match.start("thing")
        text = f"{text[: match.start()]} {text[start + len(thing) :]}"
    return text, tuple(things)


def set_aside(text: str, spoken: Iterable[str], catalogue: Catalogue) -> str:
    """Take words for place and period out of a text; a word that also names a product ("Lake Como") stays."""
    kept = {word for product in catalogue.products for word in stems(" ".join((product.title, *product.aliases)))}
    for words in spoken:
        if any(not kept.isdisjoint(stems(word)) for word in words.split()):
            continue
        if words.strip():
            text = re.sub(rf"\b{re.escape(words.strip())}\b", " ", text, flags=re.IGNORECASE)
    return text


def _named_at_start(text: str, catalogue: Catalogue) -> tuple[str, set[str]]:
    """Give the longest product name that a text begins with, and all products that bear it in their titles."""
    names = {name for product in catalogue.products for name in _names(product.title, product.abbr, *product.aliases)}
    found = max((name for name in names if re.match(rf"{re.escape(name)}\b", text)), key=len, default="")
    if not found:
        return "", set()
    bearers = {
        product.id
        for product in catalogue.products
        if found in _names(product.abbr, *product.aliases)
        or re.search(rf"\b{re.escape(found)}\b", " ".join(_names(product.title, product.family)))
    }
    return found, bearers


def _names(*names: str) -> Iterable[str]:
    return [_plain(name) for name in names]


def _plain(text: str) -> str:
    """Bring a text to lower case without accents, punctuation kept."""
    return "".join(normalise(part) or part for part in re.split(r"([^\w+.']+)", text)).lower()


def _unit_m(unit: str) -> float:
    return UNITS_M.get(unit, 1.0)
