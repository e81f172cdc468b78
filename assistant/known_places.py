"""Places that a question names with no word such as "in" before them: its words are looked up in the gazetteer."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, pairwise

from assistant import abilities, lexicon
from knowledge.lexicon import load_lexicon
from tools.gazetteer import CLMS_COUNTRIES, Entry
from tools.place_words import FEATURES, FEATURES_AFTER

LONGEST = 4
"""Words of the longest name looked for."""
SMALL_TOWN, TOWN, LARGE_TOWN, METROPOLIS = 15_000, 50_000, 100_000, 300_000
"""People of the smallest town that counts by its name alone: in the CLMS countries; elsewhere; where another language
calls it so or a sentence begins with it; and written in lower case."""
SMALL_REGION = 500_000
"""People of the smallest region that counts when written in lower case."""
LEAST_LETTERS = 4
MOST = 10
"""Names looked for in one text."""
_NEAR = 40
"""Characters before a name that are looked at."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SMALL = re.compile(r"(?<![\w{</.@-])(?![^\W\d_]*[A-Z])[^\W\d_]{3,}(?![\w}>/.@])")
"""A word in small letters; no part of an address."""
_GAP = re.compile(r"[\s'’]+")
_OPENING = re.compile(r"(?:^|[.?!:|¿¡])\W*\Z")
_FEATURE = rf"(?:{'|'.join(sorted(FEATURES, key=len, reverse=True))})"
_FEATURE_AFTER = rf"(?:{'|'.join(sorted(FEATURES_AFTER, key=len, reverse=True))})"
_LINK = re.compile(r"(?:(?:of|de|du|des|del|della|di|do|der)\s+(?:the\s+|la\s+|les\s+)?|d['’]|l['’]|dell['’])*", re.I)


@dataclass(frozen=True)
class Named:
    """A place named in a text, and where it stands."""

    words: str
    start: int
    end: int


@lru_cache(maxsize=64)
def find_named(text: str) -> tuple[Named, ...]:
    """Find the known countries, regions and larger towns of a text, the longest name first at each position.

    Words of the catalogue and everyday words are no places, as little as the names of products.
    """
    text = abilities.without_product_names(text)
    words, found, end = list(_WORD.finditer(text)), list[Named](), 0
    for position, word in enumerate(words):
        if word.start() < end:
            continue
        if len(found) == MOST:
            break
        for run in _runs(text, words[position : position + LONGEST]):
            name = Named(text[word.start() : run.end()], word.start(), run.end())
            if _is_place(text, name):
                found.append(with_feature(text, name))
                end = found[-1].end
                break
    return tuple(found)


def _runs(text: str, words: "list[re.Match[str]]") -> "list[re.Match[str]]":
    """Give the last words of the names that may begin with the first one, the longest first: only spaces part them."""
    apart = (
        n for n, (one, other) in enumerate(pairwise(words), 1) if not _GAP.fullmatch(text, one.end(), other.start())
    )
    return words[: next(apart, len(words))][::-1]


def _is_place(text: str, name: Named) -> bool:
    from knowledge.regions import named_region

    if named_region(name.words):
        return True
    if len(name.words) < LEAST_LETTERS and name.words.isupper():  # the UK, the USA
        return any(entry.kind == "country" for entry, _ in _entries(name.words))
    parts = re.findall(r"[^\W\d_]+", name.words)
    if all(len(one) < LEAST_LETTERS for one in parts) or all(is_ordinary(lexicon.fold(one)) for one in parts):
        return False
    written = name.words[0].isupper() and name.words.split()[-1][0].isupper()
    opens = not name.start or bool(_OPENING.search(" " + text[: name.start][-_NEAR:]))
    return any(_counts(entry, main=main, written=written, opens=opens) for entry, main in _entries(name.words))


def _counts(entry: Entry, *, main: bool, written: bool, opens: bool) -> bool:
    """Tell whether a place is known well enough for a name that nothing introduces."""
    if entry.kind == "country":
        return True
    near = entry.country in CLMS_COUNTRIES
    if not written:
        return entry.population >= (SMALL_REGION if entry.kind == "region" and near else METROPOLIS) and main
    if entry.kind == "region":
        return True
    least = (SMALL_TOWN if near else TOWN) if main and not opens else LARGE_TOWN
    return entry.population >= least


@lru_cache(maxsize=4096)
def _entries(words: str) -> tuple[tuple[Entry, bool], ...]:
    from tools.gazetteer import named
    from tools.names import fold

    return tuple(named(fold(words)))


@lru_cache(maxsize=4096)
def is_ordinary(word: str) -> bool:
    """Tell whether a folded word is one of the trade, of asking or of everyday language."""
    return lexicon.is_cue(word, ending=2) or word in FEATURES or word in _everyday()


@cache
def _everyday() -> frozenset[str]:
    """Give the folded words that the lexicons, the catalogue and the answers write with a small letter."""
    trade = load_lexicon()
    cues = (word for slot in lexicon.load().root.values() for words in slot.values() for word in words)
    terms = (word for languages in trade.terms.values() for words in languages.values() for word in words)
    texts = chain(trade.function_words.values(), cues, terms, abilities.catalogue_prose())
    return frozenset(lexicon.fold(word) for text in texts for word in _SMALL.findall(text))


def with_feature(text: str, name: Named) -> Named:
    """Give a name with the lake, river or mountain that it is a part of: "Lake Victoria" is not Victoria."""
    before = re.search(rf"(?<!\w){_FEATURE}\s+{_LINK.pattern}$", text[: name.start][-_NEAR:], re.I)
    after = re.match(rf"\s+{_FEATURE_AFTER}(?!\w)", text[name.end :], re.I)
    start = name.start - len(before[0]) if before else name.start
    end = name.end + after.end() if after else name.end
    if start == name.start and end == name.end:
        return name
    return name if any(one.kind == "country" for one, _ in _entries(name.words)) else Named(text[start:end], start, end)
