"""Five languages, one catalogue in English: which language a question is in, and its terms in English.

The bundled encoder and the product texts are English, so a question in another language finds little by itself.
`lexicon.yaml` holds the words of the trade; docs/performance.md tells what they bring and what they do not.
"""

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError

from knowledge.errors import SourceInvalid
from knowledge.schema import Frozen

Language = Literal["en", "fr", "de", "es", "it"]
Foreign = Literal["fr", "de", "es", "it"]
Word = Annotated[str, StringConstraints(pattern=r"^\*?[^\W_][\w'’-]*\*?(?: \*?[\w'’-]+\*?)*$", max_length=40)]

LANGUAGES: tuple[Language, ...] = ("en", "fr", "de", "es", "it")
FOREIGN: tuple[Foreign, ...] = ("fr", "de", "es", "it")
FILE = Path(__file__).with_name("lexicon.yaml")
MANUALS = Path(__file__).with_name("manual_words.yaml")
PART_LETTERS = 4
"""Parts of a German compound are looked up from this length on: shorter ones are endings."""
_INFLECTIONS: dict[Foreign, tuple[tuple[str, str], ...]] = {
    "fr": ((r"$", r"(?:e?s?|x)"),),
    "de": ((r"$", r"(?:e[nrsm]?|n|s)?"),),
    "es": ((r"[oa]$", r"[oa]s?"), (r"$", r"(?:e?s)?")),
    "it": ((r"(?<=[cg])[oa]$", r"h?[aoei]"), (r"[aoei]$", r"[aoei]"), (r"$", r"")),
}
"""Endings a word may take, by language: the first rule whose left side fits."""


class Lexicon(Frozen):
    """What `lexicon.yaml` holds."""

    function_words: dict[Language, str] = Field(default_factory=dict)
    asking_words: dict[Foreign, str] = Field(default_factory=dict)
    setting_words: dict[Language, str] = Field(default_factory=dict)
    """Words before a place, which tell where something is, not what, parted by commas."""
    noun_words: str = ""
    """Articles and the like of all languages, which stand between such a word and its noun."""
    terms: dict[str, dict[Foreign, Annotated[tuple[Word, ...], Field(min_length=1)]]]
    """English term of the catalogue -> language -> words for it; a star stands for any beginning or ending."""


@lru_cache(maxsize=4096)
def language_of(text: str) -> Language:
    """Tell the language of a text by its function words; English when nothing speaks for another."""
    return likeliest_languages(text)[0]


def is_function_word(word: str, language: Language) -> bool:
    """Tell whether a word is an article, pronoun, preposition or the like, which names nothing."""
    return fold(word) in _function_words()[language]


def to_english(question: str) -> str:
    """Give the English terms for the words of a question, in its order; empty for English and for unknown words."""
    return " ".join(dict.fromkeys(term for term, _ in _found(question) if term))


def in_english(question: str) -> str:
    """Put a question into words to search by: known terms in English, unknown words as they are, the rest left out.

    English stays as it is.
    """
    parts = _found(question)
    if not any(term for term, _ in parts):
        return question
    return " ".join(dict.fromkeys(term or words for term, words in parts))


def in_manual_words(question: str) -> list[tuple[str, ...]]:
    """Put a question into what to look for in English manuals, in its order; each is met by any of its words.

    Words that manuals use stand alone, as do unknown ones and those of an English question; a term of the catalogue,
    which is written in several words, stays together.
    """
    if _language_of_search(question) == "en":
        return [(word,) for word in question.split()]
    alone = load_lexicon(MANUALS).terms
    found: list[tuple[str, ...]] = []
    for term, words in _found(question, manuals=True):
        parts = (term or words).split()
        found += [(one,) for one in parts] if words or term in alone else [tuple(parts)]
    return list(dict.fromkeys(found))


def settings_in(text: str) -> tuple[str, ...]:
    """Give where something is, in the words of a question: of "fine particles in the streets" the last three."""
    return tuple(match[0] for match in _setting(language_of(text)).finditer(_plain(text).replace("’", "'")))


def without_function_words(text: str) -> str:
    """Lower a text, take its accents off and leave out the function words of its language."""
    idle = _function_words()[language_of(text)]
    return " ".join(word for word in re.findall(r"\w(?:[\w-]*\w)?\+?", _even(text)) if word not in idle)


def fold(text: str) -> str:
    """Lower a text and take its accents off: `Forêts` and `forets` are the same word."""
    return text.lower() if text.isascii() else _plain(text.casefold())


def _plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


@cache
def load_lexicon(path: Path = FILE) -> Lexicon:
    """Read and check the lexicon.

    Raises:
        SourceInvalid: the file does not hold what it should.
    """
    try:
        return Lexicon.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} is not a lexicon: {error}") from error


@cache
def _terms(*, manuals: bool) -> dict[str, dict[Foreign, tuple[str, ...]]]:
    """Give the terms of the catalogue, or before them those that manuals add; words for one term are joined."""
    terms: dict[str, dict[Foreign, tuple[str, ...]]] = dict(load_lexicon(MANUALS).terms) if manuals else {}
    for term, words in load_lexicon().terms.items():
        had = terms.get(term, {})
        terms[term] = {one: (*had.get(one, ()), *words.get(one, ())) for one in FOREIGN}
    return terms


@lru_cache(maxsize=256)
def _found(question: str, *, manuals: bool = False) -> tuple[tuple[str, str], ...]:
    """Cut a question into (English term, "") and ("", unknown word); function words and words of asking are gone."""
    language = _language_of_search(question)
    if language == "en":
        return ()
    text = _even(question)
    pattern, terms = _pattern(language, manuals=manuals)
    parts = []
    for match in pattern.finditer(text):
        term, stem = terms[int(str(match.lastgroup)[1:])]
        parts.append((match.start(), term, ""))
        parts += _rest_of_compound(match, stem, pattern, terms) if language == "de" else []
    text = pattern.sub(lambda match: " " * len(match[0]), text)
    for match in re.finditer(r"\w(?:[\w-]*\w)?\+?", text):
        asking = _asking(language, manuals=manuals)
        parted = match[0].split("-")  # est-elle, y a-t-il
        if not asking.fullmatch(match[0]) and not all(
            one in _function_words()[language] or (manuals and asking.fullmatch(one)) for one in parted
        ):
            parts.append((match.start(), "", match[0]))
    return tuple((term, words) for _, term, words in sorted(parts))


def _rest_of_compound(
    match: re.Match[str], stem: str, pattern: re.Pattern[str], terms: list[tuple[str, str]]
) -> list[tuple[int, str, str]]:
    """Read the other parts of a German compound: of "Weizenpreis" the price is asked, not the wheat alone."""
    at = match[0].find(stem)
    ends = ((0, match[0][: max(at, 0)]), (at + len(stem), match[0][at + len(stem) :] if at >= 0 else ""))
    found = ((start, pattern.fullmatch(part)) for start, part in ends if len(part) >= PART_LETTERS)
    return [(match.start() + start, terms[int(str(one.lastgroup)[1:])][0], "") for start, one in found if one]


def _even(text: str) -> str:
    return fold(text).replace("’", "'")


def count_function_words(text: str) -> dict[Language, int]:
    """Count for each language the words of a text that are its function words."""
    words = re.findall(r"[^\W\d_]+", fold(text))
    return {language: sum(word in known for word in words) for language, known in _function_words().items()}


def likeliest_languages(text: str) -> list[Language]:
    """Give the languages that share most function words with a text."""
    counts = count_function_words(text)
    return [language for language in LANGUAGES if counts[language] == max(counts.values())]


def _language_of_search(question: str) -> Language:
    """Settle a few bare words, where function words do not decide, by how far terms cover them; else English."""
    best = likeliest_languages(question)
    if len(best) == 1:
        return best[0]
    terms = set(" ".join(load_lexicon().terms).split())
    text = _even(question)
    counts = {one: sum(len(match[0]) for match in _pattern(one)[0].finditer(text)) for one in FOREIGN if one in best}
    english = sum(len(word) for word in text.split() if word in terms)
    return max(best, key=lambda one: english if one == "en" else counts[one])


@cache
def _function_words() -> dict[Language, frozenset[str]]:
    return {language: frozenset(fold(words).split()) for language, words in load_lexicon().function_words.items()}


@cache
def _setting(language: Language) -> re.Pattern[str]:
    """Give the pattern of a word of place with its noun, which two words may make up, and nouns that hang on that.

    A German noun has a capital letter, so that what stands behind it is no part of it.
    """
    known = load_lexicon()
    before = "|".join(r"\s+".join(one.split()) for one in fold(known.setting_words[language]).split(","))
    joining = rf"(?:(?i:{'|'.join(fold(known.noun_words).split())})\b[\s']*)"
    noun = rf"(?:(?!(?i:{'|'.join(sorted(_function_words()[language]))})\b)\w[\w-]*)"
    two = rf"(?:(?=[a-z]){noun}\s+)?{noun}" if language == "de" else rf"{noun}(?:\s+{noun})?"
    return re.compile(rf"(?<![\w'-])(?i:{before})\b[\s']+{joining}*{two}(?:\s+{joining}+{noun})*")


@cache
def _asking(language: Foreign, *, manuals: bool = False) -> re.Pattern[str]:
    words = [load_lexicon(file).asking_words[language] for file in ((FILE, MANUALS) if manuals else (FILE,))]
    return re.compile("|".join(_expression(word, language) for word in fold(" ".join(words)).split()))


@cache
def _pattern(language: Foreign, *, manuals: bool = False) -> tuple[re.Pattern[str], list[tuple[str, str]]]:
    """Give one pattern for all words of a language, the longest first; the group's number leads to term and word."""
    words = [(fold(word), term) for term, languages in _terms(manuals=manuals).items() for word in languages[language]]
    words.sort(key=lambda pair: -len(pair[0].strip("*")))
    by_letter: dict[str, list[str]] = {}
    for place, (word, _) in enumerate(words):
        by_letter.setdefault(word[0], []).append(f"(?P<t{place}>{_expression(word, language)})")
    # A look at the first letter spares most of the words.
    groups = [
        f"(?:{'|'.join(names)})" if letter == "*" else f"(?={letter})(?:{'|'.join(names)})"
        for letter, names in sorted(by_letter.items(), key=lambda item: item[0] == "*")
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(groups)})(?!\w)"), [(term, word.strip("*")) for word, term in words]


def _expression(word: str, language: Foreign) -> str:
    """Give the pattern of a word: stars stand for anything, other words take the endings of their language."""
    return r"[\s-]+".join(_one(part, language) for part in _even(word).split())


def _one(word: str, language: Foreign) -> str:
    before, bare, after = word.startswith("*"), word.strip("*"), word.endswith("*")
    if not after:
        ending, tail = next((left, right) for left, right in _INFLECTIONS[language] if re.search(left, bare))
        bare = re.sub(ending, "", bare)
        return (r"\w*" if before else "") + re.escape(bare) + tail
    return (r"\w*" if before else "") + re.escape(bare) + r"\w*"
