"""What a question refuses: products, sensors, formats, pixel sizes and rhythms that it names in a negated span.

A span begins with a word of refusal ("anything but", "ohne", "no quiero"), goes on over a list of names ("not CLC+ and
not CORINE") and ends at the first word that is none. "Not only", "why not" and two negations that cancel each other
refuse nothing. `refusals.yaml` holds the words of five languages.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import ValidationError

from knowledge.catalogue import Catalogue
from knowledge.errors import SourceInvalid
from knowledge.lexicon import Language, fold, likeliest_languages, to_english
from knowledge.schema import Frozen
from knowledge.words import stems

FILE = Path(__file__).with_name("refusals.yaml")
UNITS_M = {"cm": 0.01, "m": 1.0, "km": 1000.0}
SIZE = r"(?P<number>\d+(?:[.,]\d+)?)[\s-]?(?P<unit>cm|km|m(?:et(?:re|er|ro)s?|etri)?)\b"
THRESHOLD = r"\s+(?:[\w']+\s+){0,2}(?:\d+(?:[.,]\d+)?\s*)?(?:%|(?:per ?cent|pour ?cent|prozent|por ciento|per cento)\b)"
"""What stands behind a "not" that turns a number round and refuses nothing: "more than 30 %"."""
NO_PIXEL = (
    r"(?:high|tall|deep|wide|long|thick|away|from|above|below|ago|buffer|radius|around|altitude|elevation|depth|height|"
    r"air|wind|hoch|tief|breit|lang|entfernt|um|uber|unter|haut|large|autour|au|de haut|alto|altura|profund\w*|"
    r"ancho|largo|alrededor|alt[oaie]|profond\w*|larg\w*|intorno|attorno)\b"
)
"""Words after a number of metres that make it a height or a distance."""
FILLERS_AT_MOST = 4
PART_WORDS = 4
"""Words looked at for a part of a title."""
WITHOUT = ("without", "ohne", "sans", "sin", "senza")
"""Words that another negation before them turns round: "I cannot do without"."""
Kind = Literal["product", "sensor", "format", "pixel", "cadence"]


class Refused(Frozen):
    """What must not be given."""

    sensors: frozenset[str] = frozenset()
    """Keys of `refusals.yaml`, which stand in the catalogue's names of sensors."""
    formats: frozenset[str] = frozenset()
    pixels_m: frozenset[float] = frozenset()
    cadences: frozenset[str] = frozenset()

    @property
    def sensor_names(self) -> dict[str, str]:
        """Give the sensors' names by their keys, which stand in the catalogue's own spelling."""
        return {one: _words().sensors[one][0] for one in sorted(self.sensors)}

    @property
    def told(self) -> tuple[str, ...]:
        """Give what is refused by its facts, in words."""
        return (
            *(f"data from {one}" for one in self.sensor_names.values()),
            *(f"{one} data" for one in sorted(self.formats)),
            *(f"pixels of {one:g} m" for one in sorted(self.pixels_m)),
            *(f"{one} data" for one in sorted(self.cadences)),
        )


class Refusal(Frozen):
    """A question, parted from what it refuses."""

    rest: str
    """Folded text without the spans of refusal."""
    products: frozenset[str] = frozenset()
    """Ids of products."""
    facts: Refused = Refused()


class _Words(Frozen):
    """What `refusals.yaml` holds."""

    choice: dict[Language, tuple[str, ...]]
    denial: dict[Language, tuple[str, ...]]
    absence: dict[Language, tuple[str, ...]]
    nouns: tuple[str, ...]
    wishing: dict[Language, tuple[str, ...]]
    fillers: dict[Language, tuple[str, ...]]
    joiners: tuple[str, ...]
    merely: tuple[str, ...]
    asking: tuple[str, ...]
    why: tuple[str, ...]
    being: tuple[str, ...]
    after: dict[Language, tuple[str, ...]]
    finer: dict[Language, tuple[str, ...]]
    finer_alone: tuple[str, ...]
    coarser: dict[Language, tuple[str, ...]]
    change: dict[Language, tuple[str, ...]]
    cadences: dict[str, tuple[str, ...]]
    formats: dict[str, tuple[str, ...]]
    sensors: dict[str, tuple[str, ...]]


class _Thing(NamedTuple):
    kind: Kind
    values: frozenset[str]
    end: int


def read_refusal(question: str, catalogue: Catalogue) -> Refusal:
    """Part a question from what it refuses."""
    text, found = fold(question).replace("’", "'"), []
    for start in reversed(list(_start().finditer(text))):
        if _is_cancelled(text, start):
            continue
        things = _list_of_things(text, start, catalogue)
        if things:
            found += things
            noun = _noun().match(text, things[-1].end)
            text = f"{text[: start.start()]} {text[noun.end() if noun else things[-1].end :]}"
    text, behind = _refused_behind(text, catalogue)
    found += behind
    values = {
        kind: frozenset(value for one in found if one.kind == kind for value in one.values)
        for kind in ("product", "sensor", "format", "pixel", "cadence")
    }
    facts = Refused(
        sensors=values["sensor"],
        formats=values["format"],
        pixels_m=frozenset(map(float, values["pixel"])),
        cadences=values["cadence"],
    )
    return Refusal(rest=text, products=values["product"], facts=facts)


def read_why_not(question: str, catalogue: Catalogue) -> tuple[str, frozenset[str]]:
    """Read "why not X" and "why can I not take X": the folded text without it, and the products wondered about."""
    text = fold(question).replace("’", "'")
    names, bearers = _products(catalogue, proper_only=True)
    name = names.pattern
    words, why = r"(?:\s+[\w'-]+)", rf"(?<!\w)(?:{_alternatives(_words().why)})"
    no = r"(?:\w+n't|cannot|not|nicht|kein\w*|pas|no|non)"
    for pattern in (
        rf"{why}{words}{{0,3}}?\s+{no}{words}{{0,4}}?{name}",
        rf"{why}{words}{{0,3}}?{name}{words}{{0,2}}?\s+{no}\b",
    ):
        if match := re.search(pattern, text):
            return f"{text[: match.start()]} {text[match.end() :]}", bearers[_even(match[1])]
    return question, frozenset()


def product_at(text: str, catalogue: Catalogue, *, proper_only: bool = False) -> tuple[str, frozenset[str]]:
    """Give the longest product name that a folded text begins with, and the products that bear it."""
    pattern, bearers = _products(catalogue, proper_only=proper_only)
    match = pattern.match(text)
    return (match[1], bearers[_even(match[1])]) if match else ("", frozenset())


def cadences_in(text: str) -> frozenset[str]:
    """Give the rhythms that a text speaks of."""
    return frozenset(one for one, pattern in _named("cadences").items() if pattern.search(fold(text)))


def speaks_of_change(text: str) -> bool:
    """Tell whether a text, in the likeliest of its languages, asks what became more, less or something else."""
    words = _alternatives(one for language in likeliest_languages(text) for one in _words().change[language])
    return bool(re.search(rf"(?<!\w)(?:{words})(?!\w)", fold(text)))


def is_finer(text: str) -> re.Match[str] | None:
    """Find "something finer" in a folded text: finer than the pixels that it refuses."""
    return re.search(rf"(?<!\w)(?:{_alternatives(_words().finer_alone)})(?!\w)", text)


def limit_m(text: str) -> tuple[float, bool, str] | None:
    """Read "finer than 100 m" or "not coarser than 100 m" in a folded text: metres, whether less is asked, the rest."""
    for pattern, below in ((_pattern_of("finer"), True), (_pattern_of("coarser"), False)):
        match = pattern.search(text)
        if match and (below or _start().search(text[max(0, match.start() - 30) : match.start()])):
            return metres(match), below, f"{text[: match.start()]} {text[match.end() :]}"
    return None


def metres(match: re.Match[str]) -> float:
    """Give the metres of a match of `SIZE`."""
    return float(match["number"].replace(",", ".")) * UNITS_M.get(match["unit"], 1.0)


def _is_cancelled(text: str, start: re.Match[str]) -> bool:
    """Tell whether words around a refusal say that it is none: "not only", "not above 30 %", "why not"."""
    before = _clause_before(text, start.start())
    merely, asking, being, no = _around()
    if re.match(THRESHOLD, text[start.end() :]):
        return True
    if merely.match(text, start.end()) or being.search(before):
        return True
    if start["wishing"]:
        return False
    may_cancel = start["choice"] or start["absence"] in WITHOUT
    return bool(asking.search(before) or (may_cancel and no.search(before)))


def _clause_before(text: str, at: int) -> str:
    return re.split(r"[.;:?!,]", text[:at])[-1]


def _list_of_things(text: str, start: re.Match[str], catalogue: Catalogue) -> list[_Thing]:
    """Read the names that follow a word of refusal."""
    found: list[_Thing] = []
    at, bare = start.end(), False
    strict = bool(start["absence"])
    while thing := _next_thing(text, at, catalogue, strict=strict, bare=bare):
        found.append(thing)
        if not (joiner := _joiners().match(text, thing.end)):
            break
        at, bare = joiner.end(), bool(joiner["bare"] and not joiner["again"])
    return found


def _next_thing(text: str, at: int, catalogue: Catalogue, *, strict: bool, bare: bool) -> _Thing | None:
    """Read the next name of a list; what is wanted may stand behind a bare comma ("not CORINE, daily snow")."""
    if bare:
        thing = _product_at(text, at, catalogue, proper_only=True)
        return thing if thing and _item_end().match(text, thing.end) else None
    for _ in range(FILLERS_AT_MOST + 1):
        if thing := _thing_at(text, at, catalogue, proper_only=strict):
            return thing
        if not (filler := _fillers().match(text, at)):
            break
        at = filler.end()
    return _partly_named_at(text, at, catalogue, strict=strict)


def _partly_named_at(text: str, at: int, catalogue: Catalogue, *, strict: bool) -> _Thing | None:
    """Read words that stand in titles, in any language: two of them, or the first one before a noun ("layer")."""
    best, size = None, 0
    for word in list(re.finditer(r"[\w'+-]+", text[at:]))[:PART_WORDS]:
        piece = text[at : at + word.end()]
        part = frozenset(stems(to_english(piece) or piece))
        heads = {one: title[:1] if len(part) == 1 else title for one, title in _title_stems(catalogue).items()}
        owners = frozenset(one for one, head in heads.items() if part and part.issubset(head))
        enough = (len(part) > 1 and not strict) or _noun().match(text, at + word.end())
        if owners and enough and len(part) > size:
            best, size = _Thing("product", owners, at + word.end()), len(part)
    return best


@lru_cache(maxsize=4)
def _title_stems(catalogue: Catalogue) -> dict[str, list[str]]:
    return {one.id: stems(one.title) for one in catalogue.products}


def _thing_at(text: str, at: int, catalogue: Catalogue, *, proper_only: bool) -> _Thing | None:
    """Read one name: a size, a sensor, a format, a rhythm or a product; everyday names only where a choice is made."""
    if size := re.compile(rf"\s*{SIZE}(?!\s*{NO_PIXEL})").match(text, at):
        return _Thing("pixel", frozenset({str(metres(size))}), size.end())
    kinds: tuple[tuple[Kind, str], ...] = (("sensor", "sensors"), ("format", "formats"), ("cadence", "cadences"))
    for kind, slot in kinds:
        for key, pattern in _named(slot).items():
            if match := pattern.match(text, at):
                return _Thing(kind, frozenset({key}), match.end())
    if thing := _product_at(text, at, catalogue, proper_only=proper_only):
        return thing
    thing = _product_at(text, at, catalogue, proper_only=False)
    return thing if thing and _noun().match(text, thing.end) else None


def _product_at(text: str, at: int, catalogue: Catalogue, *, proper_only: bool) -> _Thing | None:
    pattern, bearers = _products(catalogue, proper_only=proper_only)
    match = pattern.match(text, at)
    return _Thing("product", bearers[_even(match[1])], match.end()) if match else None


def _refused_behind(text: str, catalogue: Catalogue) -> tuple[str, list[_Thing]]:
    """Read "CORINE won't do": the name before words of refusal."""
    pattern, bearers = _products(catalogue, proper_only=True)
    name = pattern.pattern
    after = _alternatives(one for words in _words().after.values() for one in words)
    found: list[_Thing] = []
    for match in reversed(list(re.finditer(rf"{name}(?P<comma>,?)\s+(?P<after>{after})\s*(?=$|[.,;:!?])", text))):
        bare = " " not in match["after"]
        tag = bare and (match["comma"] or text.startswith("?", match.end()))  # "puedo usar CORINE, no?"
        if tag or _around()[1].search(_clause_before(text, match.start())):
            continue
        found.append(_Thing("product", bearers[_even(match[1])], match.end()))
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text, found


@lru_cache(maxsize=8)
def _products(catalogue: Catalogue, *, proper_only: bool) -> tuple[re.Pattern[str], dict[str, frozenset[str]]]:
    """Give one pattern of all products' names, the longest first, and who bears each; everyday words on demand."""
    bearers: dict[str, set[str]] = {}
    for name, ids in catalogue.proper_names.items():
        bearers.setdefault(_even(name), set()).update(ids)
    for product in catalogue.products:
        names = {product.title, product.family, *product.abbr.split(" / ")}
        names |= {re.sub(r"^(?:HRL|HR-WSI|N2K,)\s|,.*$", "", one) for one in names} | set(product.aliases)
        for name in names:
            telling = name not in product.aliases and (" " in name or sum(map(str.isupper, name)) > 1)
            if telling or "+" in name or not proper_only:
                bearers.setdefault(_even(name), set()).add(product.id)
    titles = {product.id: f" {_even(product.title)} {_even(product.family)} " for product in catalogue.products}
    for name, owners in bearers.items():
        owners |= {one for one, title in titles.items() if f" {name} " in title}
    pattern = "|".join(
        r"[\s-]+".join("(?:and|&)" if word == "and" else re.escape(word) for word in name.split())
        for name in sorted(bearers, key=lambda one: (-len(one), one))
        if name
    )
    return re.compile(rf"\s*(?<!\w)({pattern})(?![\w+])"), {name: frozenset(ids) for name, ids in bearers.items()}


def _even(name: str) -> str:
    return " ".join(re.split(r"[\s-]+", fold(name).replace("&", "and")))


@cache
def _words(path: Path = FILE) -> _Words:
    try:
        return _Words.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} does not hold words of refusal: {error}") from error


def _alternatives(words: Iterable[str]) -> str:
    """Give the pattern of some words, the longest first; a star stands for any ending."""
    plain = sorted({fold(one).replace("’", "'") for one in words}, key=lambda one: (-len(one), one))
    return "|".join(r"[\s-]+".join(re.escape(part).replace(r"\*", r"\w*") for part in one.split()) for one in plain)


def _all(words: dict[Language, tuple[str, ...]]) -> str:
    return _alternatives(one for some in words.values() for one in some)


@cache
def _start() -> re.Pattern[str]:
    words = _words()
    kinds = ((one, getattr(words, one)) for one in ("wishing", "choice", "absence", "denial"))
    return re.compile(rf"(?<![\w'])(?:{'|'.join(f'(?P<{name}>{_all(some)})' for name, some in kinds)})(?!\w)")


@cache
def _around() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    words = _words()
    no = r"(?:not|never|nicht|nie|pas|jamais|no|nunca|non|mai|can't|cannot|don't)"
    return (
        re.compile(rf"\s+(?:{_alternatives(words.merely)})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{_alternatives(words.asking)})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{_alternatives(words.being)})\s*$"),
        re.compile(rf"(?<!\w){no}(?:\s+\w+){{0,2}}\s*$"),
    )


@cache
def _fillers() -> re.Pattern[str]:
    return re.compile(rf"\s*(?<!\w)(?:{_all(_words().fillers)})(?:(?<=')|(?!\w))\s*")


@cache
def _joiners() -> re.Pattern[str]:
    no = f"{_all(_words().denial)}|{_all(_words().absence)}"
    joined = rf"[,/]?\s+(?:{_alternatives(_words().joiners)})(?!\w)|/"
    return re.compile(rf"\s*(?:{joined}|(?P<bare>,))(?P<again>\s+(?:{no})(?!\w))?\s*")


@cache
def _item_end() -> re.Pattern[str]:
    """Give the pattern of what follows an item of a list: the next one, or the end of the clause."""
    return re.compile(rf"\s*(?:$|[.,;:!?/)]|(?:{_alternatives(_words().joiners)})(?!\w))")


@cache
def _noun() -> re.Pattern[str]:
    return re.compile(rf"\s*(?:{_alternatives(_words().nouns)})(?!\w)")


@cache
def _named(slot: Literal["sensors", "formats", "cadences"]) -> dict[str, re.Pattern[str]]:
    known: dict[str, tuple[str, ...]] = getattr(_words(), slot)
    return {key: re.compile(rf"\s*(?<![\w-])(?:{_alternatives(words)})(?!\w)") for key, words in known.items()}


@cache
def _pattern_of(slot: Literal["finer", "coarser"]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{_all(getattr(_words(), slot))})\s+(?:the\s+)?{SIZE}(?!\s*{NO_PIXEL})")
