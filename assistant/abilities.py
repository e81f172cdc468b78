"""What a question asks for and what the tools can compute of it: the tools say so themselves, no second list."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

from assistant import lexicon
from knowledge.lexicon import in_english, is_function_word, language_of
from knowledge.words import stems
from tools.indices import all_recipes, get_recipe, long_names, needs_beyond, recipe_ids
from tools.schema import Output
from tools.toolbox import OutputKind, Toolbox

if TYPE_CHECKING:
    from knowledge.catalogue import Catalogue

DEFAULT_INDEX = "ndvi"
"""Computed when a question speaks of green or of vegetation and names no index."""

KINDS = {
    "threshold": "how many or which share lie above or below a threshold",
    "ranking": "a ranking",
    "change": "a change map",
    "difference": "the difference itself",
    "phenology": "season dates (phenology)",
    "area": "areas in hectares",
    "forecast": "a forecast",
    "anomaly": "the deviation from a long-term mean",
}
"""Kinds of results people ask for, each with its cue words in the lexicon, and what to call it."""
_LOWER_CASE_INDEX = re.compile(r"nd\w+|\w*[vw]i\d?")
"""Shapes of index names that are no words; others, such as GLI or VARI, count only as they are spelt."""
_COMPOUND = re.compile(r"(\w{3,}?)s?-?index(?!\w)", re.I)
_AROUND = 3
"""Words beside "index" that may say which one is meant."""
_PLAIN = {"vegetation", "index"}
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9]+")


def indices() -> Collection[str]:
    """Give the ids of the indices that `compute` has a recipe for."""
    return long_names().keys()


def outputs() -> dict[str, str]:
    """Give each output of `compute` with the words its own description has for it."""
    described = str(get_args(OutputKind)[1].description).rstrip(".").split("; ")
    words = dict(part.split(": ", 1) for part in described if ": " in part)
    return {name: words.get(name, name.replace("_", " ")) for name in get_args(Output)}


def computable_text() -> str:
    """Tell in a phrase what can be computed now."""
    *most, last = outputs().values()
    spectral = f"NDVI and other spectral indices as {', '.join(most)} or {last}"
    layers = "of product layers that are here, means of densities and areas of classes"
    classes = "classes of land by k-means, a random forest on labelled polygons or thresholds"
    return f"{spectral}; {layers}; {classes}; and bands of all dates in one file for machine learning"


def find_indices(text: str) -> tuple[str, ...]:
    """Find the indices a text names, by short or by long name; "not with NDVI" names none."""
    unwanted = re.compile(rf"(?<!\w)(?:{lexicon.alternatives('without')})\s+(?:\w+\s+)?(\w+)")
    left_out = {match.start(1) for match in unwanted.finditer(lexicon.fold(text))}
    tokens = [match for match in _TOKEN.finditer(text) if match.start() not in left_out]
    short = [name for match in tokens if (name := _index_name(match[0]))]
    folded = lexicon.fold(text).replace("normalised", "normalized").replace("-", " ")
    longs = [long_name for long_name in _long_names() if long_name in folded]
    whole = [one for one in longs if not any(one != other and one in other for other in longs)]
    return tuple(dict.fromkeys([*short, *(_long_names()[one] for one in whole)]))


def named_in_words(text: str) -> str:
    """Give the words by which a text names an index that it does not name in full: radar vegetation index.

    Empty where it names none so, or a product that is called an index; "vegetation index" alone means the usual one.
    """
    product = _product_names().search(lexicon.fold(text))
    if find_indices(text) or (product and {*stems(product[0])} - _PLAIN):
        return ""
    parted = _COMPOUND.sub(r"\1 index", in_english(text))
    match = lexicon.pattern("index_noun").search(lexicon.fold(parted))
    if not match:
        return ""
    before, after = parted[: match.start()].split(), parted[match.end() :].split()
    leads = language_of(text) in ("en", "de")
    near = before[-_AROUND:] if leads else [*before[-_AROUND:], *after[:_AROUND]]
    words = [said for word in near if (said := _index_word(word))]
    if leads and before and not _index_word(before[-1]) and _is_name_part(before[-1]):
        words.append(before[-1])
    return " ".join([*words, "index"]) if {*stems(" ".join(words))} - _PLAIN else ""


def _index_word(word: str) -> str:
    """Give a word in English where the long name of an index has it; empty where none has."""
    found = word if {*stems(word)} & _index_words() else in_english(word)
    return found if {*stems(found)} & _index_words() - {"greennes"} else ""


def _is_name_part(word: str) -> bool:
    return word.isalpha() and word.islower() and not (is_function_word(word, "en") or lexicon.is_cue(word))


def with_long_names(text: str) -> str:
    """Add what the indices in a text stand for, for a search that does not know short names."""
    named = {name: index_long_name(name) for name in find_indices(text) if name != DEFAULT_INDEX}
    longs = [long for long in named.values() if long and long.lower() not in text.lower()]
    return f"{text} ({', '.join(longs)})" if longs else text


def missing_kinds(text: str) -> tuple[str, ...]:
    """Find the kinds of results a text asks for that neither an output nor a tool gives."""
    given = {*get_args(Output), *Toolbox.TOOLS}
    return tuple(kind for kind in KINDS if kind not in given and lexicon.has(text, kind))


def wonders_about_product(text: str) -> bool:
    """Tell whether a question asks why a product is not the one to take: "why not CORINE for hedges?"."""
    from knowledge.refusals import read_why_not

    return bool(read_why_not(text, catalogue())[1])


def is_index_name(word: str) -> bool:
    """Tell whether a word is the short name of an index."""
    return bool(_index_name(word))


def is_product_abbreviation(word: str) -> bool:
    """Tell whether a word is the abbreviation of a CLMS product, spelt as in the catalogue."""
    return word in _abbreviations()


def names_product(text: str) -> bool:
    """Tell whether a text names a CLMS product: its abbreviation as spelt, or a title or alias of several words."""
    short = any(is_product_abbreviation(word) for word in _TOKEN.findall(text))
    return short or bool(_product_names().search(lexicon.fold(text)))


def named_product(text: str) -> str:
    """Give the title of the first product that a text names as `names_product` reads it; empty when it names none."""
    long = _product_names().search(lexicon.fold(text))
    names = [long[0]] if long else [word for word in _TOKEN.findall(text) if is_product_abbreviation(word)]
    found = product_id(names[0]) if names else ""
    return catalogue().get(found).title if found else ""


def names_elsewhere(text: str) -> bool:
    """Tell whether a text names a subject that another service has: ozone, sea level."""
    return bool(_elsewhere().search(lexicon.fold(text)))


def titles_in(text: str) -> tuple[str, ...]:
    """Give the titles of products as spelt in a text, in its order, the longest where one holds another."""
    return tuple(match[0] for match in _titles().finditer(text))


def without_product_names(text: str) -> str:
    """Put bars in place of the titles and long aliases of products in a text; all else keeps its position."""
    for match in _product_names().finditer(lexicon.fold(text)):
        text = text[: match.start()] + "|" * len(match[0]) + text[match.end() :]
    return text


def catalogue_prose() -> tuple[str, ...]:
    """Give the sentences of the catalogue: what products are, whom they serve, how people ask for them."""
    return tuple(
        text
        for one in catalogue().products
        for asked in (one.aliases, one.use_cases, one.choose_when, one.not_for, one.cautions, *one.asked_as.values())
        for text in (*asked, one.summary)
    )


def is_product(name: str) -> bool:
    """Tell whether the catalogue has a product of this name."""
    return bool(product_id(name))


def product_id(name: str) -> str:
    """Give the id of the product that has this name; empty when none has."""
    from knowledge.errors import ProductNotFound

    try:
        return catalogue().get(name).id
    except ProductNotFound:
        return ""


def foreign_product(words: str) -> str:
    """Give the title of the product that words of another language name once put into English; empty when none does."""
    from knowledge.lexicon import to_english

    spoken = frozenset(stems(to_english(words)))
    found = [(len(name), title) for name, title in _stemmed_names() if name <= spoken]
    return max(found)[1] if found else ""


def is_proper_name(name: str) -> bool:
    """Tell whether a name is one that only products bear: a title, an abbreviation, no everyday word."""
    titles = {one.title.lower() for one in catalogue().products}
    return name.lower() in titles or is_product_abbreviation(name) or any(map(str.isupper, name[1:]))


def index_title(name: str) -> str:
    """Give the usual short name of an index, with its long name where it is not computed."""
    if name in indices():
        return get_recipe(name).title
    long = index_long_name(name)
    beyond = " and ".join(needs_beyond(name))
    return f"{name} ({long}; it needs {beyond})" if long else name.upper()


def index_long_name(name: str) -> str:
    """Give what the short name of an index stands for; empty where that is not known."""
    return long_names().get(name) or _spyndex().get(name, "")


def _index_name(word: str) -> str:
    """Give the id of the index a word names; empty when it names none."""
    lower = word.lower()
    if lower == DEFAULT_INDEX:
        return lower
    if is_product_abbreviation(word.upper()):
        return ""
    if word in _spyndex():
        return _id(word)
    spelt = _in_lower_case().get(lower, "") if _LOWER_CASE_INDEX.fullmatch(lower) else ""
    return _id(spelt) if spelt else ""


def _id(name: str) -> str:
    """Give the id of an index that is computed; the name itself of one that is not."""
    return recipe_ids().get(name, name)


@lru_cache(maxsize=1)
def _spyndex() -> Mapping[str, str]:
    """Give the long names of all published indices, and of those of one's own, by short name as spelt."""
    import spyndex

    published = {name: str(index.long_name) for name, index in spyndex.indices.items()}
    return {**published, **{one.title: one.long_name for one in all_recipes()}}


@lru_cache(maxsize=1)
def _in_lower_case() -> Mapping[str, str]:
    """Give the short names by their lower case; of two that differ in nothing else the first."""
    return {name.lower(): name for name in reversed([*_spyndex()])}


@lru_cache(maxsize=1)
def _index_words() -> frozenset[str]:
    """Give the stems of the words in the long names of all indices."""
    return frozenset(stem for one in all_recipes() for stem in stems(one.long_name))


@lru_cache(maxsize=1)
def _long_names() -> Mapping[str, str]:
    """Give lower-case long names of three and more words."""
    spaced = {lexicon.fold(long).replace("-", " "): name for name, long in _spyndex().items()}
    known = {long: name for long, name in spaced.items() if len(long.split()) > 2}
    return {long: _id(name) for long, name in known.items()}


@lru_cache(maxsize=1)
def _abbreviations() -> frozenset[str]:
    names = [part for product in catalogue().products for part in product.abbr.split(" / ")]
    return frozenset(name for name in names if name.isupper()) - {DEFAULT_INDEX.upper()}


@lru_cache(maxsize=1)
def _product_names() -> "re.Pattern[str]":
    names = {lexicon.fold(name) for product in catalogue().products for name in (product.title, *product.aliases)}
    longest = sorted((name for name in names if " " in name), key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")


@lru_cache(maxsize=1)
def _elsewhere() -> "re.Pattern[str]":
    from knowledge.elsewhere import load_elsewhere

    names = {lexicon.fold(name) for one in load_elsewhere().values() for name in (*one.aliases, *one.translations)}
    longest = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")


@lru_cache(maxsize=1)
def _titles() -> "re.Pattern[str]":
    longest = sorted((one.title for one in catalogue().products), key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")


@lru_cache(maxsize=1)
def _stemmed_names() -> tuple[tuple[frozenset[str], str], ...]:
    """Give titles and aliases of several words as word stems, with the title of their product."""
    named = ((frozenset(stems(name)), one.title) for one in catalogue().products for name in (one.title, *one.aliases))
    return tuple((name, title) for name, title in named if len(name) > 1)


@lru_cache(maxsize=1)
def catalogue() -> "Catalogue":
    """Give the products; read once, for reading them takes half a second."""
    from knowledge.catalogue import load_catalogue

    return load_catalogue()
