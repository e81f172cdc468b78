"""Where a question speaks of places."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from assistant import lexicon
from assistant.times import find_periods
from knowledge.lexicon import Language, is_function_word, language_of

if TYPE_CHECKING:
    from assistant.known_places import Named

_DEGREES = r"-?\d{1,3}(?:\.\d+)?"
# Without a space, "0,5" is a decimal number.
_COORDINATES = re.compile(rf"{_DEGREES}(?:\s*,\s+{_DEGREES}){{1,3}}|-?\d{{1,3}}\.\d+(?:,-?\d{{1,3}}\.\d+){{1,3}}")
# A point belongs to a short word only: "St. Malo", but "Madrid. Which".
_WORD = r"[A-ZÀ-ÖØ-ÞŁŚŻŠŽČ](?:\w{0,2}\.(?=\s?\w)|[\w'’\-]*)"
_CONNECTOR = r"de|du|des|del|della|di|la|le|les|sur|am|an der|im|of|the|and|et|und|y|e"
_NAME = re.compile(rf"{_WORD}(?:(?:,?\s+|\s+(?:{_CONNECTOR})\s+){_WORD}){{0,5}}")
_MAX_NAME_WORDS = 8
_NEAR = 40
"""Characters around a name in which a word such as "province" can stand."""
_LOOSE_ENDS = re.compile(rf"^(?:(?:{_CONNECTOR})\s+)+|(?:\s+(?:{_CONNECTOR}))+$")
_AND = re.compile(r"\s+(?:and|et|und|y|e)\s+")
_ABSTRACT = re.compile(r"\w+(?:ung|heit|keit|schaft|tion|tat|ismus)(?:en)?")
"""German nouns that name no place, folded."""
_INFINITIVE = re.compile(r"\bto\s*$", re.I)
"""What comes after it in lower case is a verb rather than a place: "to know"."""
_MISSION_NUMBER = re.compile(r"-?\d\w?$")
"""What follows the name of a mission: Sentinel-2, Landsat 8."""
_POSSESSIVE = re.compile(r"['’]s$")
_ONE_BY_ONE = re.compile(r"\W*(\w+) (?:by|par|fur|por|per|a) \1(?!\w)")
"""Parts of a place, not what the place is: "Rennes district by district"; folded."""
_LOWER_NAME = re.compile(r"[^\W\d_][\w'’\-]+(?:[ ]+[^\W\d_][\w'’\-]+)?")


@lru_cache(maxsize=64)
def find_places(text: str, *, any_name: bool = True) -> tuple[str, ...]:
    """Find the names that say where, in order.

    Args:
        text: A question.
        any_name: When no name follows a preposition and none is known, take any name, one with a capital first;
            without it a name that nobody knows counts after words such as "in", not after "of" or "for".
    """
    from assistant.abilities import without_product_names
    from assistant.known_places import find_named

    if is_known_place(text):
        return (text.strip(),)
    rest = text
    years = [match.span() for match in lexicon.pattern("same_year").finditer(lexicon.fold(text))]
    for start, end in [*years, *((when.start, when.end) for when in find_periods(text))]:
        rest = rest[:start] + "|" * (end - start) + rest[end:]
    if pair := _COORDINATES.search(rest):
        return (_widened(rest, pair[0].strip()),)
    after = _after_prepositions(rest)
    # German writes all nouns with a capital.
    ending = 2 if language_of(text) == "de" else 0
    named = find_named(rest)
    unnamed = without_product_names(rest)
    starts = [(end, match) for end in after if (match := _NAME.match(unnamed, end))]
    if not any_name:
        starts = [
            (end, match) for end, match in starts if _is_within(rest, end) or is_known_place(match[0].strip(" .,'’-"))
        ]
    found = [_named_there(rest, match, ending, named) for _, match in starts]
    if not any(found):
        found = [one.words for one in named]
    if any_name and not any(found):
        found = [_place_name(words, ending) for words in _names_inside(rest)]
    if any_name and not any(found):
        language = language_of(text)
        there = [end for end in after if not _INFINITIVE.search(rest[:end])]
        found = [_lower_name(match[0], language) for end in there if (match := _LOWER_NAME.match(rest, end))]
    if any_name and not any(found) and rest != text:
        found = _names_left(rest)
    return tuple(dict.fromkeys(_widened(rest, name) for name in dict.fromkeys(found) if name))


def is_known_place(text: str) -> bool:
    """Tell whether a text is nothing but a place, such as an option of a question that was asked back."""
    from tools.errors import ToolInputError
    from tools.places import find_places as known_places

    words = text.strip()
    if len(words.split()) > _MAX_NAME_WORDS or not (words[:1].isupper() or words.startswith("lon ")):
        return False
    if "," not in words and any(lexicon.is_cue(one, ending=2) for one in words.split()):
        return False  # "Wald in Bayern": forest, though a village has the name
    try:
        return bool(known_places(words, limit=1))
    except ToolInputError:  # coordinates that cannot be: whoever looks them up tells why
        return True


def _named_there(text: str, match: "re.Match[str]", ending: int, named: "tuple[Named, ...]") -> str:
    """Give the name that follows a preposition, whole: "Horn of Africa", "Lake Victoria", "lac Victoria"."""
    from assistant.known_places import Named, with_feature

    name = _with_kind(text, match, ending)
    around = [one.words for one in named if one.start <= match.start() < one.end and len(one.words) > len(name)]
    if not name or around:
        return around[0] if name else name
    # "the Po delta" is not Po, of which the list of larger places says nothing.
    start = text.find(name, match.start(), match.end())
    return with_feature(text, Named(name, start, start + len(name))).words if start >= 0 else name


def _with_kind(text: str, match: "re.Match[str]", ending: int) -> str:
    """Give a name with the words that tell it from another: "province of Luxembourg"."""
    from tools.place_words import kind_around

    name = _place_name(match[0], ending)
    if not name:
        return ""
    ahead = text[max(0, match.start() - _NEAR) : match.start()]
    behind = text[match.end() :][:_NEAR]
    before, after = kind_around(ahead, "" if _ONE_BY_ONE.match(lexicon.fold(behind)) else behind)
    each = rf"(?<!\w)(?:{lexicon.alternatives('per', 'ask')})\s+{re.escape(lexicon.fold(before))}\s*$"
    if before and re.search(each, lexicon.fold(ahead)):
        before = ""  # "each district of Rennes": parts of the place, not what the place is
    return f"{before} {name} {after}".strip()


def _widened(text: str, name: str) -> str:
    """Give a name with the radius around it that a text speaks of: "3 km around Rennes"."""
    from tools.place_radius import radius_around

    spots = [match.span() for match in re.finditer(re.escape(name), text)]
    near = (radius_around(text[max(0, start - _NEAR) : start], text[end:][:_NEAR]) for start, end in spots)
    radius = next((one for one in near if one), "")
    return f"{radius} around {name}" if radius else name


def compared_places(text: str) -> tuple[str, ...]:
    """Find two places that a question sets against each other: "Rennes and Cayenne", "greener than in Cayenne"."""
    found = find_places(text)
    if not found:
        return ()
    parts = tuple(_AND.split(found[0]))
    link, before = lexicon.alternatives("compare", "with", "joiner"), lexicon.alternatives("before_place")
    lead = rf"(?<!\w)(?:{link})\s+(?:(?:{before})\s*)?"
    second = next(
        (name for name in found[1:] if re.search(lead + re.escape(lexicon.fold(name)), lexicon.fold(text))), ""
    )
    return parts if len(parts) > 1 else (found[0], second) if second else found[:1]


def _after_prepositions(text: str) -> list[int]:
    """Give the positions at which a name may begin: after a preposition, and after its article."""
    before, article = lexicon.pattern("before_place"), lexicon.pattern("article")
    folded = lexicon.fold(text)
    found = []
    for match in before.finditer(folded):
        end = _skip_space(folded, match.end())
        more = article.match(folded, end)
        found += [end, _skip_space(folded, more.end())] if more else [end]
    return found


def _is_within(text: str, position: int) -> bool:
    """Tell whether what stands before a name says that it holds something."""
    within, article = lexicon.alternatives("within_place"), lexicon.alternatives("article")
    before = lexicon.fold(text[max(0, position - _NEAR) : position])
    return bool(re.search(rf"(?<!\w)(?:{within})\s*(?:(?:{article})\s*)?$", before))


def _skip_space(text: str, position: int) -> int:
    return len(text) - len(text[position:].lstrip())


def _names_inside(text: str) -> list[str]:
    """Give all capitalised names; the first word of a sentence has its capital from there."""
    found = []
    for match in _NAME.finditer(text):
        opens = re.search(r"(?:^|[.?!:|¿¡])\s*$", text[: match.start()])
        found.append(match[0].partition(" ")[2] if opens else match[0])
    return [words for words in found if words[:1].isupper()]


def _names_left(text: str) -> list[str]:
    """Give the one word of a note such as "ndvi rennes 2024" that means nothing else; none when several are left."""
    known = lexicon.pattern(*lexicon.load().root)
    words = re.findall(r"[^\W\d_][\w'’-]+", text)
    language = language_of(text)
    left = [
        word
        for word in words
        if not (_is_idle(word, language) or known.fullmatch(lexicon.fold(word)) or _is_term(word))
    ]
    return [_POSSESSIVE.sub("", left[0])] if len(left) == 1 else []


def _is_idle(word: str, language: Language) -> bool:
    """Tell whether a word is made of function words: qu'est-ce."""
    parts = [part for part in re.split(r"['’-]", word) if len(part) > 2 or part == word]
    return all(is_function_word(part, language) for part in parts)


def _place_name(words: str, ending: int) -> str:
    """Leave out terms of the trade; empty when nothing is left that can be a name."""
    parts = [part for part in words.strip(" .,'’-").split() if not _is_term(part.strip(",."))]
    if all(_is_noun(part.strip(",."), ending) or not part[:1].isupper() for part in parts):
        return ""
    return _POSSESSIVE.sub("", _LOOSE_ENDS.sub("", " ".join(parts)).strip(" ,"))


@lru_cache(maxsize=4096)
def _is_noun(word: str, ending: int) -> bool:
    return lexicon.is_cue(word, ending=ending) or (ending > 0 and bool(_ABSTRACT.fullmatch(lexicon.fold(word))))


@lru_cache(maxsize=4096)
def _is_term(word: str) -> bool:
    from assistant.abilities import is_index_name, is_product_abbreviation

    acronym = any(len(part) > 2 and part.isupper() for part in (word, *word.split("-")))
    mission = _MISSION_NUMBER.sub("", word)
    return acronym or lexicon.has_only(mission, "trade") or is_index_name(word) or is_product_abbreviation(word)


def _lower_name(words: str, language: Language) -> str:
    from assistant.known_places import is_ordinary

    kept: list[str] = []
    for word in words.split():
        idle = is_function_word(word, language) or _is_term(word) or is_ordinary(lexicon.fold(word))
        if idle or lexicon.is_cue(word) or lexicon.pattern("before_place", "article").fullmatch(lexicon.fold(word)):
            break
        kept.append(_POSSESSIVE.sub("", word))
        if kept[-1] != word:
            break
    return " ".join(kept)
