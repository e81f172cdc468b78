"""Numbers written as words in five languages: "zero point eight five", "fünfundachtzig", "a third of"."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from knowledge.lexicon import fold

PER_MILLE = ("‰", "per mille", "per mil", "pour mille", "promille", "por mil")
PERCENT = (*PER_MILLE, "%", "per cent", "percent", "pour cent", "prozent", "por ciento", "per cento")
"""Words and signs after a percentage, folded."""

SHARE_TOLERANCE = 0.025
"""How far from it a thing may be that is called half or a third."""


@dataclass(frozen=True)
class Spelled:
    """A number in words at one place of a text."""

    start: int
    end: int
    values: tuple[float, ...]
    """Its value in each language that reads it so."""
    tolerance: float = 0.5
    """How far it may have been rounded."""
    percent: bool = False
    share: bool = False


@dataclass(frozen=True)
class _Grammar:
    language: str
    run: re.Pattern[str]
    share: re.Pattern[str]
    piece: re.Pattern[str]
    values: dict[str, int]
    joiners: frozenset[str]
    decimal: frozenset[str]
    elsewhere: frozenset[str]
    parts: dict[str, int]
    factors: dict[str, float]
    factor: re.Pattern[str]
    plenty: dict[str, int]
    many: re.Pattern[str]
    sign: re.Pattern[str]
    needed: frozenset[str]
    """One word of each phrase with a number: a text that has none of them holds no number in this language."""
    compound_ends: tuple[str, ...]
    """What a number written together ends with, in a language that writes them so."""


def spelled_numbers(text: str, language: str) -> list[Spelled]:
    """Find numbers in words.

    Args:
        text: Folded: lower case, no accents.
        language: Of the whole text; everyday words that are numbers in another language count only there.
    """
    found: list[Spelled] = []
    spoken = {one for word in set(re.findall("[a-z]+", text)) for one in _may_count_in(word)}
    for grammar in _grammars():
        if grammar.language not in spoken:
            continue
        shares = list(_shares(text, grammar))
        found += [*shares, *_factors(text, grammar, language), *_many(text, grammar, language)]
        for match in grammar.run.finditer(text):
            if not any(one.start < match.end() and match.start() < one.end for one in shares):
                found += _read_run(match, text, grammar, language)
    return _longest(found)


@lru_cache(maxsize=8192)
def _may_count_in(word: str) -> tuple[str, ...]:
    """Give the languages in which a word may be of a number: most are of none, and patterns take long to search for."""
    return tuple(one.language for one in _grammars() if word in one.needed or word.endswith(one.compound_ends))


def _longest(found: list[Spelled]) -> list[Spelled]:
    """Of readings that overlap keep the longest; languages that read the same place give alternatives."""
    kept: list[Spelled] = []
    for one in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        rival = next((other for other in kept if one.start < other.end and other.start < one.end), None)
        if rival is None:
            kept.append(one)
        elif (rival.start, rival.end, rival.tolerance) == (one.start, one.end, one.tolerance):
            values = tuple(dict.fromkeys((*rival.values, *one.values)))
            kept[kept.index(rival)] = Spelled(
                one.start, one.end, values, one.tolerance, one.percent or rival.percent, one.share or rival.share
            )
    return sorted(kept, key=lambda one: one.start)


def _shares(text: str, grammar: _Grammar) -> Iterator[Spelled]:
    for match in grammar.share.finditer(text):
        if match["half"]:
            yield Spelled(match.start("half"), match.end("half"), (0.5,), SHARE_TOLERANCE, share=True)
        else:
            above, below = grammar.values.get(match["above"], 1), grammar.parts[match["below"]]
            # "A third of the parcels" is a share, "a third parcel" is not.
            if 1 < above < below or (above == 1 and (match["of"] or match["by"])):
                yield Spelled(match.start("above"), match.end("below"), (above / below,), SHARE_TOLERANCE, share=True)


def _factors(text: str, grammar: _Grammar, language: str) -> Iterator[Spelled]:
    """Read "doubled" as 200 %, "halved" as 50 %."""
    for match in grammar.factor.finditer(text):
        if match[0] not in grammar.elsewhere or language == grammar.language:
            percent = 100 * grammar.factors[match[0]]
            yield Spelled(match.start(), match.end(), (percent,), percent * 2 * SHARE_TOLERANCE, percent=True)


def _many(text: str, grammar: _Grammar, language: str) -> Iterator[Spelled]:
    """Read "hundreds" as anything from 100 to 1000."""
    for match in grammar.many.finditer(text):
        if match[0] not in grammar.elsewhere or language == grammar.language:
            value = grammar.plenty[match[0]]
            yield Spelled(match.start(), match.end(), (5.5 * value,), 4.5 * value)


def _read_run(match: re.Match[str], text: str, grammar: _Grammar, language: str) -> Iterator[Spelled]:
    """Cut a run of number words into numbers: "five and ten" is two, "twenty-five" is one."""
    pieces = [(one.start(), one.end(), one[0]) for one in grammar.piece.finditer(text, match.start(), match.end())]
    unit = _UNIT.match(text, match.end())
    begin = 0
    while begin < len(pieces):
        value, decimals, end = _read_number(pieces, begin, grammar)
        if end == begin:
            begin += 1
            continue
        last = end == len(pieces)
        percent = bool(unit) and last
        words = [word for _, _, word in pieces[begin:end]]
        if percent or decimals or not _is_everyday(words, value, grammar, language):
            shift = 0.1 if unit and last and re.sub(r"\s+", " ", unit[1]) in PER_MILLE else 1.0
            stop = unit.end() if unit and last else pieces[end - 1][1]
            signed = -value if begin == 0 and grammar.sign.search(text, 0, pieces[0][0]) else value
            yield Spelled(pieces[begin][0], stop, (signed * shift,), 0.5 * 10.0**-decimals * shift, percent)
        begin = end


def _is_everyday(words: Sequence[str], value: float, grammar: _Grammar, language: str) -> bool:
    """Tell a word that need not be a number here: an article, or a word of another language."""
    if len(words) > 1:
        return False
    return value == 1 or (words[0] in grammar.elsewhere and language != grammar.language)


def _read_number(pieces: Sequence[tuple[int, int, str]], begin: int, grammar: _Grammar) -> tuple[float, int, int]:
    """Read one number from a place on; gives its value, its decimals, and where it ends."""
    whole, end = _read_whole(pieces, begin, grammar)
    if end == begin or end >= len(pieces) or pieces[end][2] not in grammar.decimal:
        return float(whole), 0, end
    digits, at = "", end + 1
    while at < len(pieces) and (value := grammar.values.get(pieces[at][2])) is not None:
        if value < 10 and (at + 1 == len(pieces) or not _goes_on(pieces, at, grammar)):
            digits, at = f"{digits}{value}", at + 1
            continue
        rest, stop = _read_whole(pieces, at, grammar)
        digits, at = f"{digits}{rest}", stop
    return (float(f"{whole}.{digits}"), len(digits), at) if digits else (float(whole), 0, end)


def _goes_on(pieces: Sequence[tuple[int, int, str]], at: int, grammar: _Grammar) -> bool:
    """Tell whether a digit goes on as a larger number: quatre-vingt, fünfundachtzig."""
    following = pieces[at + 1][2]
    return following in grammar.joiners or grammar.values.get(following, 0) >= 20


def _read_whole(pieces: Sequence[tuple[int, int, str]], begin: int, grammar: _Grammar) -> tuple[int, int]:
    """Join what belongs to one whole number."""
    total, current, at, started = 0, 0, begin, False
    while at < len(pieces):
        word = pieces[at][2]
        joined = started and word in grammar.joiners and at + 1 < len(pieces)
        value = grammar.values.get(pieces[at + 1][2] if joined else word)
        if value is None:
            break
        added = _join(current, value, joined=joined, started=started)
        if added is None:
            break
        total, current = (total + added, 0) if value >= 1000 else (total, added)
        at, started = at + 1 + joined, True
    return total + current, at


def _join(current: int, value: int, *, joined: bool, started: bool) -> int | None:
    """Give what the next word makes of a number so far; None when it begins another number."""
    rest = current % 100
    if not started or (current == 0 and value):
        return value
    if (value == 100 and current < 100) or value >= 1000:
        return current * value
    if value == 20 and rest == 4:  # quatre-vingt
        return current + 76
    if value and _adds(rest, value, joined=joined):
        return current + value
    return current * 100 + value if current in (18, 19, 20, 21) and 10 <= value < 100 else None  # twenty eighteen


def _adds(rest: int, value: int, *, joined: bool) -> bool:
    """Tell whether a word fills the zeros before it: 100 + 20, 20 + 5; and soixante-dix, fünf-und-achtzig."""
    return (
        (rest == 0 and value < 100)
        or (rest % 10 == 0 and value < 10)
        or (rest in (60, 80) and value < 20)
        or (joined and 0 < rest < 10 and value in range(20, 100, 10))
    )


@cache
def sign_words() -> re.Pattern[str]:
    """Give a pattern for "minus" before a number in digits; "au moins 3" is at least three, "5 minus 3" a sum."""
    return re.compile("|".join(rf"(?:{grammar.sign.pattern[:-1]}(?=\.?\d))" for grammar in _grammars()))


@cache
def multipliers() -> dict[str, int]:
    """Give the words that stand after digits and multiply them: "1.2 million"."""
    return {word: value for grammar in _grammars() for word, value in grammar.values.items() if value >= 1000}


_UNIT = re.compile(r"\s?(" + "|".join(re.escape(word).replace(r"\ ", r"\s?") for word in PERCENT) + r")(?![a-z])")


@cache
def _grammars() -> tuple[_Grammar, ...]:
    text = Path(__file__).with_name("number_words.yaml").read_text(encoding="utf-8")
    return tuple(_grammar(language, data) for language, data in yaml.safe_load(text)["languages"].items())


def _grammar(language: str, data: dict[str, Any]) -> _Grammar:
    atoms = {fold(word): value for word, value in data["atoms"].items()}
    stems = {fold(word): value for word, value in data.get("stems", {}).items()}
    joiners, decimal = (frozenset(fold(word) for word in data[name]) for name in ("joiners", "decimal"))
    atom = _any(atoms)
    # Written together, a number has a whole word at its end: "vent" alone is wind.
    word = rf"(?:{_any([*atoms, *stems])})*(?:{atom})" if data.get("compound") else rf"(?:{atom})"
    gap = rf"(?:[\s-]+(?:(?:{_any(joiners)})[\s-]+)?|[\s-]+(?:{_any(decimal)})[\s-]+)"
    parts = {fold(word): value for word, value in data["parts"].items()}
    numerators = [*atoms, *map(fold, data.get("numerators", ()))]
    of, by = (_any(map(fold, data[name])) for name in ("of", "by"))
    ends = rf"(?=\s*(?:$|[^\w\s])|\s+(?:{_any(map(fold, data['goes_on']))})\b)"
    factors, plenty = ({fold(word): value for word, value in data[name].items()} for name in ("factors", "plenty"))
    not_sign = "".join(rf"(?<!\b{re.escape(fold(word))}\s)" for word in data["no_sign_after"])
    after = "".join(rf"(?<!\b{re.escape(fold(word))}\s)" for word in data["half_not_after"])
    return _Grammar(
        language=language,
        run=re.compile(rf"(?<![a-z])(?<!per )(?<!por )(?<!pour ){word}(?:{gap}{word})*(?![a-z])"),
        share=re.compile(
            rf"{after}(?<![\w-])(?P<half>{_any(map(fold, data['half']))})(?![\w-])"
            rf"|(?<![\w-])(?P<by>(?:{by})[\s'’](?=\w+[\s-]\w+{ends}))?"
            rf"(?P<above>{_any(numerators)})[\s-](?P<below>{_any(parts)})(?![\w-])(?P<of>\s+(?:{of})\b)?"
        ),
        piece=re.compile(_any([*atoms, *stems, *joiners, *decimal])),
        values={**{word: value for word, value in stems.items() if word not in joiners}, **atoms},
        joiners=joiners,
        decimal=decimal,
        elsewhere=frozenset(map(fold, data.get("elsewhere", ()))),
        parts=parts,
        factors=factors,
        factor=re.compile(rf"(?<![\w-])(?:{_any(factors)})(?![\w-])"),
        plenty=plenty,
        many=re.compile(rf"(?<![\w-])(?:{_any(plenty)})(?![\w-])"),
        sign=re.compile(rf"(?<!\d\s){not_sign}(?<![\w-])(?:{_any(data['minus'])})\s+$"),
        needed=frozenset(
            max(re.findall("[a-z]+", one), key=len)
            for one in (*atoms, *parts, *factors, *plenty, *map(fold, data["half"]))
        ),
        compound_ends=tuple(atoms) if data.get("compound") else (),
    )


def _any(words: Any) -> str:
    """Give a pattern for any of the words, longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))
