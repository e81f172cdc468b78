"""What a question says besides its subject: the pixel size and rhythm it wants, and what it does not want."""

import re
from collections.abc import Iterable

from knowledge.catalogue import SIZED, Catalogue, normalise
from knowledge.lexicon import fold, in_english, settings_in, to_english
from knowledge.refusals import (
    NO_PIXEL,
    SIZE,
    THRESHOLD,
    Refused,
    cadences_in,
    is_finer,
    limit_m,
    metres,
    product_at,
    read_refusal,
    read_why_not,
    speaks_of_change,
)
from knowledge.schema import Frozen
from knowledge.words import stems

_PIXEL = r"(?:resolution|pixels?|pixeln|grid|raster|cells?|auflosung|rasterweite|resolucion|risoluzione|maille)"
_PIXEL_SIZES = (
    re.compile(rf"{SIZE}[\s-]+(?:\w+[\s-]+)?{_PIXEL}"),
    re.compile(rf"{_PIXEL}\w*(?:\s+\w+){{0,2}}\s+{SIZE}"),
    re.compile(
        r"\b(?:at|a|mit|bei|con|de|von)\s+(?P<number>\d+(?:[.,]\d+)?)[\s-]?(?P<unit>cm)\b"
        r"(?!.{0,12}(?:depth|deep|tief|profond|hoch|high|above|haut|below|unter))"
    ),
    # "at 10 m" speaks of pixels, "at 2 m above ground" and "at 10 m depth" do not.
    re.compile(
        rf"\b(?:at|a|mit|bei|con)\s+{SIZE}(?=\s*(?:$|[?.,;!)]|(?:for|in|of|over|per|pour|dans|sur|fur|im|uber|para|en|nel|nella|nei|su)\b))"
    ),
)
_BARE_SIZE = re.compile(
    rf"(?:(?P<before>[\w']+)\s+)?(?<![\w.,-]){SIZE}(?!\s*(?:{NO_PIXEL}|(?:of|from|to|de|du|des|del|della|dal|dalla|vom|von)\b|"
    r"temperatur|x\s*\d|[-–]))"
)
_DISTANCE = re.compile(
    r"within|in|im|of|than|over|under|above|below|up|to|every|each|about|around|next|last|from|first|umkreis|von|uber|unter|"
    r"bis|als|dans|sur|sous|rayon|jusqu|que|sobre|bajo|hasta|radio|radius|buffer|di|entro|raggio|oltre|sotto|sopra|and|y|et|e|und|\d+"
)
"""Words before a bare number of metres that make it a distance or a height."""
_KIND_OF_DATA = re.compile(
    r"\s+(?:series|layers?|maps?|products?|data ?sets?|serien?|reihe|karte|produkt|produit|capa|strato)\b"
)
DEMANDS = ("pixel_below", "pixel_just", "change", "cadences", "refused")
"""What of a wording is asked of a product's facts, by its name in `Need`."""
_SUB_METRE = re.compile(r"\bsub[\s-]?met(?:re|er|rique|rico|rica)\b|\bsubmetr\w*")
_ARTICLE = r"(?:the|le|la|les|l'|das|die|den|der|dem|el|los|las|il|lo|i|gli)"
# These speak of a thing that is to stay away; a bare "not" may as well belong to a verb ("not ploughed").
_UNWANTED = re.compile(
    rf"\b(?!\w+{THRESHOLD})"
    rf"(?:(?:without|except(?: for)?|excluding|apart from|ohne|ausser|sauf|hormis|sans|salvo|excepto|sin|senza|"
    rf"tranne|eccetto)\s+(?:{_ARTICLE}\s+)?|(?:not|nicht|pas|non|no|ni|nor|weder\b.{{1,60}}\bnoch|ne)\s+"
    rf"(?P<only>(?:just|only|nur|bloss|seulement|solo|solamente|soltanto)\s+)?{_ARTICLE}\s+)(?P<thing>(?:(?!\b(?:ni|nor|noch)\b)[^,.;:?!()])+)"
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
    r"\b(?:copernicus|clms)\s+(?:(?:land|monitoring|service)\s+)*(?:products?|data ?sets?|layers?|maps?)\b"
    r"|\b(?:which|what|quels?|welche[rns]?|que|cuales|quale|quali)\s+satell?it\w*",
    re.IGNORECASE,
)
"""Words of asking that liken every product's description, or the one of what satellites are checked by."""


class Wording(Frozen):
    """A question, read for what it demands."""

    subject: str
    """What is left when the demands are taken out."""
    pixel_m: float | None = None
    """Largest pixel the question allows, metres."""
    pixel_below: bool = False
    """True when pixels must be smaller than that."""
    pixel_just: bool = False
    """True when that very size is asked for, not one at most."""
    change: bool = False
    """True when it is asked what changed."""
    cadences: frozenset[str] = frozenset()
    """Rhythms that it speaks of."""
    refused: Refused = Refused()
    """Sensors, formats, pixels and rhythms that it does not want."""
    excluded: frozenset[str] = frozenset()
    """Ids of products that it does not want."""
    unwanted: tuple[str, ...] = ()
    """Things that it does not want, in its own words."""
    questioned: frozenset[str] = frozenset()
    """Ids of products of which it asks why they are not the ones to take; they are excluded, too."""
    named: frozenset[str] = frozenset()
    """Ids of products that it calls by names of their own, such as CORINE."""
    called: frozenset[str] = frozenset()
    """Ids of products whose titles begin with its words, such as imperviousness."""


def read_wording(question: str, catalogue: Catalogue) -> Wording:
    """Take the demands out of a question."""
    rest, questioned = read_why_not(question, catalogue)
    refusal = read_refusal(rest, catalogue)
    limit = limit_m(refusal.rest)
    pixel_m, below, text = limit or _pixel_size(refusal.rest, catalogue)
    just = bool(pixel_m) and not (limit or below or is_finer(text))
    if pixel_m is None and refusal.facts.pixels_m and (finer := is_finer(text)):
        pixel_m, below = min(refusal.facts.pixels_m), True
        text = f"{text[: finer.start()]} {text[finer.end() :]}"
    text, aside = _set_aside_by_verb(text, catalogue)
    excluded = refusal.products | aside | questioned
    text, unwanted = _without_things(text)
    changed = pixel_m or excluded or unwanted or refusal.facts.told
    subject = text if changed else question
    return Wording(
        subject=_ASKING.sub(" ", subject),
        pixel_m=pixel_m,
        pixel_below=below,
        pixel_just=just,
        change=speaks_of_change(question),
        cadences=cadences_in(without_names(text, catalogue)),
        refused=refusal.facts,
        excluded=frozenset(excluded),
        questioned=questioned,
        unwanted=unwanted,
        named=frozenset(one for one, _ in _names_in(question, catalogue)) - excluded,
        called=_called_in(question, catalogue) - excluded,
    )


def thing_in(words: str, question: str, wording: Wording, names: Iterable[Iterable[frozenset[str]]]) -> str:
    """Give the words of a question without those that tell where something is.

    Empty where nothing is left, nothing goes, a product is named, or a name would be cut in two.

    Args:
        words: The words of its subject.
        question: The whole of it, in which a place still has its name.
        wording: What was read of it.
        names: All names of all subjects, as sets of stems.
    """
    thing = fold(words)
    for one in settings_in(question):
        thing = thing.replace(fold(one), " ")
    if wording.named or wording.called or thing == fold(words):
        return ""
    left, whole = (frozenset(stems(in_english(one))) for one in (thing, words))
    cut = (one <= whole and not one <= left and not one.isdisjoint(left) for owned in names for one in owned)
    return thing if left and not any(cut) else ""


def _pixel_size(text: str, catalogue: Catalogue) -> tuple[float | None, bool, str]:
    """Read the largest pixel allowed, metres; whether pixels must be smaller; and the text without these words."""
    if match := _SUB_METRE.search(text):
        return 1.0, True, f"{text[: match.start()]} {text[match.end() :]}"
    found = next((found for pattern in _PIXEL_SIZES if (found := pattern.search(text))), None)
    if found is None:
        # Kilometres are distances, unless some product has pixels of that size.
        bare = (one for one in _BARE_SIZE.finditer(text) if one["unit"] != "km" or metres(one) in catalogue.sizes_m)
        bare = (one for one in bare if not _DISTANCE.fullmatch(one["before"] or ""))
        found = next((one for one in bare if not _ends_name(text, one.end(), catalogue)), None)
    if found is None:
        return None, False, text
    start = found.start("number") if "before" in found.groupdict() else found.start()
    return metres(found), False, f"{text[:start]} {text[found.end() :]}"


def _ends_name(text: str, end: int, catalogue: Catalogue) -> bool:
    """Tell whether a size ends the name of a product, as in "the global land cover 100 m series"."""
    before = f" {normalise(text[:end])}"
    named = any(before.endswith(f" {name}") for name in catalogue.plain_names if SIZED.search(name))
    return named and bool(_KIND_OF_DATA.match(text, end))


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
        if name in words or (name in catalogue.telling_names and f" {normalise(name)} " in plain)
        for bearer in bearers
    ]


def _called_in(text: str, catalogue: Catalogue) -> frozenset[str]:
    """Give the products that a text calls by the first words of their titles; the longest names are read first."""
    plain, found = f" {normalise(text)} ", set()
    for name in sorted(catalogue.plain_names, key=len, reverse=True):
        if name and f" {name} " in plain:
            found.add(catalogue.plain_names[name])
            plain = plain.replace(f" {name} ", " | ")
    return frozenset(found - {""})


def _set_aside_by_verb(text: str, catalogue: Catalogue) -> tuple[str, frozenset[str]]:
    """Read "leave X out"; "leave that one out" means what was named last."""
    found: frozenset[str] = frozenset()
    for match in reversed(list(_SETTING_ASIDE.finditer(text))):
        thing = match["thing"]
        if _POINTING.fullmatch(thing):
            words = re.findall(r"[\w+-]+", text[: match.start()])
            thing = next((word for word in reversed(words) if product_at(word, catalogue)[1]), "")
        name, products = product_at(thing, catalogue)
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
