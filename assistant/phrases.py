"""The sentences that tools and answers are made of, in five languages: read from `phrases_data/`, matched, put over."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from pydantic import Field, RootModel, model_validator

from knowledge.lexicon import Foreign, Language, likeliest_languages
from tools.schema import Frozen

PART = re.compile(r"\{(\w+)\}|<(\w+)>|\{(n\d?) ([^{}|]+)\|([^{}|]+)\}")
"""A placeholder: {copied}, <put over too where known>, or a number with what follows it: {n scene|scenes}."""
KINDS = {
    "n": r"[-+]?\d[\d.,]*",
    "d": r"\d{4}(?:-\d\d(?:-\d\d)?)?",
    "id": r"[^\s,;()]+",
    "code": r"[-\d][^.]{0,60}",
}
"""What a placeholder stands for by its name, digits left off: a number, a day, an id, a code; others for anything."""
FREE = r".+?"
MAX_RUN = 6
"""Parts of a list that may belong to one phrase: "start, peak and end dates"."""

_MARK = re.compile(r"(\s*(?:[-*] +|\d{1,3}[.)] +)?(?:\*\*(?=[^*]+\*\*$))?)(.*?)((?:(?<!\w\*\*)\*\*)?\s*)$", re.S)
_SENTENCE = re.compile(r"(?<=[.!?”>])(?<!\bincl\.)\s+")
_QUOTED = re.compile(r"“[^”]*”")
_SEPARATOR = re.compile(r"(; |, | and | or |: )")
_END = re.compile(r"[.,;:]$")


class Phrase(Frozen):
    """One sentence or a piece of one, in all languages."""

    en: str = Field(min_length=1)
    fr: str = Field(min_length=1)
    de: str = Field(min_length=1)
    es: str = Field(min_length=1)
    it: str = Field(min_length=1)

    @model_validator(mode="after")
    def _alike(self) -> "Phrase":
        for language in ("fr", "de", "es", "it"):
            if names_in(getattr(self, language)) != names_in(self.en):
                raise ValueError(f"{language} has other placeholders than English: {self.en}")
        return self


class Phrases(RootModel[dict[str, tuple[Phrase, ...]]]):
    """One file: where phrases come from to the phrases."""


@dataclass(frozen=True)
class Put:
    """A text put over, and whether a pattern was known for any of it."""

    text: str
    known: bool


@dataclass(frozen=True)
class _Pattern:
    expression: re.Pattern[str]
    phrase: Phrase
    put_over: frozenset[str]
    """Placeholders whose own words are put over."""
    prefix: str


def names_in(template: str) -> frozenset[str]:
    """Give the names of the placeholders of a template."""
    return frozenset(one[1] or one[2] or one[3] for one in PART.finditer(template))


@lru_cache(maxsize=1)
def load() -> tuple[Phrase, ...]:
    """Read and check the files."""
    import yaml

    paths = (path for path in (files("assistant") / "phrases_data").iterdir() if path.name.endswith(".yaml"))
    texts = [path.read_text(encoding="utf-8") for path in sorted(paths, key=lambda path: path.name)]
    read = (yaml.load(text, Loader=_loader()) for text in texts)  # noqa: S506  # it is a safe loader
    sections = (Phrases.model_validate(one).root for one in read)
    return tuple(phrase for one in sections for phrases in one.values() for phrase in phrases)


def _loader() -> Any:
    """Give the fast loader where the YAML library was built with it."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def translate(text: str, language: Language) -> str:
    """Put the known sentences of an English text into a language; what is not known stays as it is.

    Numbers, dates, names, links and quoted passages are copied character by character.
    """
    if language == "en":
        return text
    return "\n".join(_line(line, language).text for line in text.split("\n"))


def has_english(text: str) -> bool:
    """Tell whether a sentence of a text is in English, be it quoted."""
    pieces = (piece for line in text.splitlines() for piece in _SENTENCE.split(_QUOTED.sub(r"\n\g<0>\n", line)))
    return any(is_english(one) for piece in pieces for one in piece.splitlines())


def is_english(text: str) -> bool:
    """Tell whether a text of some words is in English beyond doubt; names and numbers alone are in no language."""
    return len(text.split()) > 3 and likeliest_languages(text) == ["en"]


def _line(line: str, language: Foreign) -> Put:
    """Put over one line without its list mark and the stars around it; of a table, cell by cell."""
    if line.startswith("| "):
        cells = [_text(cell.strip(), language) for cell in line.strip("|").split("|")]
        return Put(f"| {' | '.join(cell.text for cell in cells)} |", any(cell.known for cell in cells))
    match = _MARK.fullmatch(line)
    if match is None or not match[2]:
        return Put(line, known=False)
    found = _text(match[2], language)
    return Put(f"{match[1]}{found.text}{match[3]}", found.known)


@lru_cache(maxsize=4096)
def _text(text: str, language: Foreign) -> Put:
    """Put over a text sentence by sentence; a sentence as a whole, else the parts of its list."""
    if len(list(_sentences(text))) > 1:
        return _by_sentences(text, language)
    whole = _whole(text, language)
    return Put(whole, known=True) if whole else _parts(text, language)


def _whole(text: str, language: Foreign) -> str:
    """Put over a text that one phrase fits; empty where none does."""
    for pattern in _candidates(text):
        if match := pattern.expression.fullmatch(text):
            return _filled(pattern, match, language)
    if _END.search(text) and len(text) > 1 and (rest := _whole(text[:-1], language)):
        return rest + text[-1]
    return ""


def _filled(pattern: _Pattern, match: "re.Match[str]", language: Foreign) -> str:
    values = {
        name: _text(words, language).text if name in pattern.put_over else words
        for name, words in match.groupdict().items()
    }

    def fill(part: "re.Match[str]") -> str:
        if not part[3]:
            return values[part[1] or part[2]]
        one = values[part[3]] == "1" or (language == "fr" and values[part[3]] == "0")
        return f"{values[part[3]]} {part[4] if one else part[5]}"

    return PART.sub(fill, getattr(pattern.phrase, language))


def _by_sentences(text: str, language: Foreign) -> Put:
    """Put over the shortest runs of sentences that a phrase fits; the others are looked at as lists."""
    pieces = list(_sentences(text))
    told: list[str] = []
    at, known = 0, False
    while at < len(pieces):
        ends = range(at + 1, min(len(pieces), at + MAX_RUN) + 1)
        runs = ((end, "".join(pieces[at:end])) for end in ends)
        found = next(((end, run, put) for end, run in runs if (put := _whole(run.rstrip(), language))), None)
        end, run, put = found or (at + 1, pieces[at], "")
        other = _parts(run.rstrip(), language)
        told.append((put or other.text) + run[len(run.rstrip()) :])
        known = known or bool(put) or other.known
        at = end
    return Put("".join(told), known)


def _sentences(text: str) -> Iterator[str]:
    """Cut a text after its sentences, the spaces kept; what is quoted is not cut."""
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    start = 0
    for match in _SENTENCE.finditer(text):
        if not any(first < match.start() < last for first, last in quoted):
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _parts(text: str, language: Foreign) -> Put:
    """Put over those parts of a list that are known, the longest runs first; between unknown prose nothing is."""
    if "“" in text:
        return Put(text, known=False)
    tokens = _SEPARATOR.split(text)
    told: list[str] = []
    unknown: list[str] = []
    at = 0
    while at < len(tokens):
        ends = range(min(len(tokens), at + 2 * MAX_RUN - 1), at, -2)
        found = next(((end, put) for end in ends if (put := _whole("".join(tokens[at:end]), language))), None)
        end, words = found or (at + 1, tokens[at])
        unknown += [] if found else [words]
        told += [words, *(_JOINTS.get(one, {}).get(language, one) for one in tokens[end : end + 1])]
        at = end + 1
    names = all(one[:1].isupper() or one[:1].isdigit() for one in unknown)
    known = (names or 2 * len(unknown) < len(tokens) + 1) and not is_english(" ".join(unknown))
    return Put("".join(told) if known else text, known and len(tokens) > len(unknown))


_JOINTS: dict[str, dict[Foreign, str]] = {
    " and ": {"fr": " et ", "de": " und ", "es": " y ", "it": " e "},
    " or ": {"fr": " ou ", "de": " oder ", "es": " o ", "it": " o "},
    ": ": {"fr": " : "},
    "; ": {"fr": " ; "},
}


def _candidates(text: str) -> Iterator[_Pattern]:
    """Give the patterns that may fit, those that say most themselves first."""
    first, open_ones = _patterns()
    word = text.split(" ", 1)[0]
    yield from (one for one in first.get(word, ()) if text.startswith(one.prefix))
    yield from open_ones


@cache
def _patterns() -> tuple[dict[str, list[_Pattern]], list[_Pattern]]:
    """Compile all phrases: those that begin with a whole word by that word, the others in one list."""
    phrases = sorted(load(), key=lambda one: -len(PART.sub("", one.en)))
    by_word: dict[str, list[_Pattern]] = defaultdict(list)
    open_ones = []
    for phrase in phrases:
        pattern = _compile(phrase)
        word, space, _ = pattern.prefix.partition(" ")
        if space or pattern.prefix == phrase.en:
            by_word[word].append(pattern)
        else:
            open_ones.append(pattern)
    return dict(by_word), open_ones


def _compile(phrase: Phrase) -> _Pattern:
    made, at = "", 0
    for part in PART.finditer(phrase.en):
        made += re.escape(phrase.en[at : part.start()])
        name = part[1] or part[2] or part[3]
        made += f"(?P<{name}>{KINDS.get(name.rstrip('0123456789'), FREE)})"
        made += f" (?:{re.escape(part[4])}|{re.escape(part[5])})" if part[3] else ""
        at = part.end()
    made += re.escape(phrase.en[at:])
    first = PART.search(phrase.en)
    return _Pattern(
        expression=re.compile(made),
        phrase=phrase,
        put_over=frozenset(part[2] for part in PART.finditer(phrase.en) if part[2]),
        prefix=phrase.en[: first.start()] if first else phrase.en,
    )
