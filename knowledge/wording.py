"""What a question says besides its subject: the pixel size it wants, and the products it does not want."""

import re
from collections.abc import Iterable

from knowledge.catalogue import Catalogue, normalise
from knowledge.ingest import stems
from knowledge.schema import Frozen

UNITS_M = {"cm": 0.01, "m": 1.0, "km": 1000.0}
_SIZE = r"(?P<number>\d+(?:[.,]\d+)?)[\s-]?(?P<unit>cm|km|m(?:et(?:re|er|ro)s?|etri)?)\b"
_PIXEL = r"(?:resolution|pixels?|grid|raster|cells?|auflosung|rasterweite|resolucion|risoluzione|maille)"
_PIXEL_SIZES = (
    re.compile(rf"{_SIZE}[\s-]+(?:\w+[\s-]+)?{_PIXEL}"),
    re.compile(rf"{_PIXEL}\w*(?:\s+\w+){{0,2}}\s+{_SIZE}"),
    # "at 10 m" speaks of pixels, "at 2 m above ground" and "at 10 m depth" do not.
    re.compile(rf"\b(?:at|a|mit|bei|con)\s+{_SIZE}(?=\s*(?:$|[?.,;!)]|(?:for|in|of|over|per|pour|fur|para)\b))"),
)
_NOT = (
    r"(?:anything|everything|something|all) (?:but|except)|other than|rather than|instead of|apart from|"
    r"except(?: for)?|excluding|without|not?(?: the| a| use| want)?|don't (?:want|use)|"
    r"sauf|hormis|sans|autre(?: chose)? que|au lieu de|plutot que|pas(?: de| le| la)?|"
    r"ausser|ohne|nicht(?: das| die| den)?|kein\w*|statt|anstatt|"
    r"excepto|salvo|menos|sin|no|en lugar de|en vez de|que no sea|"
    r"tranne|eccetto|senza|non|invece (?:di|del)|diverso da"
)
_NEGATION = re.compile(rf"\b(?:{_NOT})\s+(?:the |le |la |les |das |die |den |el |los |il )?")


class Wording(Frozen):
    """A question, read for what it demands."""

    subject: str
    """What is left when the demands are taken out."""
    pixel_m: float | None = None
    """Largest pixel the question allows, metres."""
    excluded: frozenset[str] = frozenset()
    """Ids of products that it does not want."""


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
    subject = question if not pixel and not excluded else text
    return Wording(subject=subject, pixel_m=pixel_m, excluded=frozenset(excluded))


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
