"""Read from a text what can be checked: numbers in digits and in words, shares, dates, links, names with digits.

Doubt goes to the reader of the check, not to the writer: what may be read in two ways gives two readings.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from assistant.numerals import numerals
from assistant.spelled import PER_MILLE, PERCENT, multipliers, sign_words, spelled_numbers
from knowledge.lexicon import fold
from tools.periods import MONTHS, WORDS

TEXTS_KEPT = 4096
"""So many sentences are kept as they were read."""
_DATA = Path(__file__).with_name("number_words.yaml")

_MONTH_NUMBERS = {
    word: number for number, name in enumerate(MONTHS, start=1) for word in (name, *WORDS.get(name, "").split())
}
_MONTH = "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True))
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?:[t ]\d\d:\d\d(?::[\d.]+)?z?)?(?![\w])")
_NUMERIC = re.compile(r"(?<![\d./])(\d{1,2})([./])(\d{1,2})\2(\d{4})(?![\d/])")
_DAY_FIRST = re.compile(
    rf"(?<![\w.,])(\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?\s+(?:of\s+|de\s+|d['’])?({_MONTH})\b\.?,?(?:\s+(?:de\s+|del\s+)?(\d{{4}})\b)?"
)
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?(?![\d%.,]*\d)")
_MONTH_ALONE = re.compile(rf"(?<![\w.])(?<!\d )(?<!\d\. )(?<!\d de )(?<!\d of )({_MONTH})\b(?:\s+(?:de\s+)?(\d{{4}}))?")
_MONTH_OF_YEAR = re.compile(r"(?<![\d./])(?:0?[1-9]|1[0-2])[/.](?=(?:19|20)\d\d(?!\d))")
_TWO_YEARS = re.compile(r"(?<!\d)((?:19|20)\d\d)/(\d\d)(?!\d)")

_UNIT = r"(?:\s?(?:" + "|".join(re.escape(word).replace(r"\ ", r"\s?") for word in PERCENT) + r")(?![a-z]))"
_FRACTION = re.compile(r"(?<![\d/.,])(\d+)\s?[/⁄∕]\s?(\d+)(?![\d/]|[.,]\d)")
_NUMBER = re.compile(
    r"([-+]?)(\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,'’]\d+)*|(?<![\w.,])\.\d+)(e[-+]?\d+\x1f*(?![a-z\d]))?"
    rf"({_UNIT})?"
)
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s<>\"“”|\\^`{}\[\]]+", re.I)
_GLUED = re.compile(r"[^\W_]+(?:[-_.:/+#@][^\W_]+)*")
_PARTS = re.compile(r"([-_:/+#@])")
_MIXED = re.compile(r"(?=.*\d)(?=.*[^\W\d_])")
_SIZED = re.compile(r"\d[\d.,]*(?:-[a-z]+|[a-zµ°]{1,3}[23]?)")
_LOOSE_MINUS = re.compile(r"(?<![\d)]\s)−\s(?=\.?\d)")
_GAP_AT_MARK = re.compile(r"(?<=\d)[^\S\n]+[.,][^\S\n]*(?=\d)|(?<=\b0)\.[^\S\n]+(?=\d)")
_SINGLE_DIGITS = re.compile(r"(?<![\w.,/-])\d(?:[.,]\d+)?(?: \d)+(?![\w/]|[.,-]\d)")
_TAG = re.compile(r"</?[a-zA-Z]+\s*/?>")  # none that could hide a number or a link
_LIST_MARK = re.compile(r"([\s>]*)(?:#+\s+|[-*+]\s+|\*\*)?(\d{1,3})[.)](?=\s|\*)")
_SAME = str.maketrans(
    {"−": "-", "‐": "-", "‑": "-", "‒": "-", "·": ".", "•": ".", "∙": ".", "⋅": ".", "٫": ".", "٬": ","}
)


@dataclass(frozen=True)
class Reading:
    """One way to read a number."""

    value: float
    tolerance: float
    """How far it may have been rounded: half of its last digit."""


@dataclass(frozen=True)
class Number:
    """A number as written, with its possible readings."""

    words: str
    readings: tuple[tuple[Reading, ...], ...]
    """Alternatives; all numbers of one alternative belong together ("1,2" may be two numbers)."""
    percent: bool = False
    share: bool = False
    """A fraction such as 17/20 or "half"; its readings are between 0 and 1 or above."""
    start: int = 0
    end: int = 0
    """Where it stands in `Claims.text`."""


@dataclass(frozen=True)
class Day:
    """A date as written; the year is None when the text does not say it."""

    words: str
    readings: tuple[tuple[int | None, int, int], ...]
    start: int = 0
    end: int = 0
    """Where it stands in `Claims.text`."""


@dataclass(frozen=True)
class Claims:
    """All that one text claims."""

    numbers: tuple[Number, ...]
    days: tuple[Day, ...]
    links: tuple[str, ...]
    names: tuple[str, ...]
    """Words with both letters and digits, in lower case."""
    text: str = ""
    """The text without links and markup, to which all positions refer."""


def read_claims(text: str, *, language: str, known_names: frozenset[str] | set[str] | None = None) -> Claims:
    """Read a text.

    Args:
        text: One line or more; list marks are numbers here, see `without_list_marks`.
        language: Of the whole text; settles words such as "once".
        known_names: Names whose digits say nothing. None: the text is a source, and all its names are known.
    """
    known = None if known_names is None else frozenset(known_names & _names_and_parts(text))
    return _read(text, language, known)


@lru_cache(maxsize=TEXTS_KEPT)
def _read(text: str, language: str, known_names: frozenset[str] | None) -> Claims:
    """Keep what was read: facts of the catalogue are told again and again."""
    plain, links = _without_links(_plain(text) if known_names is None else _without_gaps(_plain(text)))
    lower = _folded(plain)
    names = tuple(_names(lower))
    lower = _without_names(lower, known_names)
    shown = "".join(" " if gone == " " else char for char, gone in zip(plain, lower, strict=True))
    lower = _blank(_names_pattern(), shown, lower)
    days, lower = _days(plain, lower)
    return Claims(tuple(_numbers(plain, lower, language)), days, links, names, plain)


@lru_cache(maxsize=TEXTS_KEPT)
def _names_and_parts(text: str) -> frozenset[str]:
    """Give all that can be a name with digits in a text: what it claims depends on which of these are known."""
    names = list(_names(_folded(_without_links(_without_gaps(_plain(text)))[0])))
    return frozenset([*names, *(part for name in names for part in _PARTS.split(name))])


def _without_links(plain: str) -> tuple[str, tuple[str, ...]]:
    return _LINK.sub(" ", plain), tuple(dict.fromkeys(_trimmed(match[0]) for match in _LINK.finditer(plain)))


def _names(lower: str) -> Iterator[str]:
    return (match[0] for match in _GLUED.finditer(lower) if _MIXED.match(match[0]))


def without_list_marks(text: str) -> list[tuple[str, str]]:
    """Cut each line into its list mark and the rest; a number is a mark only where it follows the one before."""
    last: dict[int, int] = {}
    lines = []
    for line in text.splitlines():
        match = _LIST_MARK.match(line)
        indent = len(match[1].expandtabs()) if match else 0
        if match and int(match[2]) in (1, last.get(indent, 0) + 1):
            last = {deep: number for deep, number in last.items() if deep < indent} | {indent: int(match[2])}
            lines.append((line[: match.end()], line[match.end() :]))
        else:
            lines.append(("", line))
    return lines


def is_month(word: str) -> bool:
    """Tell whether a word names a month in one of the five languages."""
    return fold(word).strip(".,;:") in _MONTH_NUMBERS


def month_number(word: str) -> int:
    """Give the number of a month by its name."""
    return _MONTH_NUMBERS[fold(word)]


def months_in(text: str) -> Iterator["re.Match[str]"]:
    """Find months named without a day, with their year where one follows; "may" in lower case is none."""
    for match in _MONTH_ALONE.finditer(_folded(text)):
        if text[match.start()].isupper() or match[1] not in ("may", "march"):
            yield match


def remove_links(text: str, links: tuple[str, ...]) -> str:
    """Take links out of a text; what a link was laid on stays."""
    for link in links:
        at = re.escape(link)
        text = re.sub(rf"\[([^\]]*)\]\(<?{at}[^)\s]*>?[^)]*\)", r"\1", text)
        text = re.sub(rf"<?{at}/?>?", "(link removed)", text)
    return text


def _without_gaps(plain: str) -> str:
    """Close the gaps that cut one number into several: "0 . 7 1"."""
    plain = _GAP_AT_MARK.sub(lambda match: match[0].strip(), plain)
    return _SINGLE_DIGITS.sub(lambda match: match[0].replace(" ", ""), plain)


def _plain(text: str) -> str:
    """Undo what hides a number: entities, markup, invisible characters, other scripts' digits and marks."""
    text = re.sub(r"[*`\u00ad]+", "", _TAG.sub("", html.unescape(text)))
    text = _LOOSE_MINUS.sub("-", text)
    if text.isascii():
        return text
    out: list[str] = []
    for char in text:
        if unicodedata.category(char) == "Cf":
            continue
        form = unicodedata.decomposition(char).partition(">")[0].lstrip("<")
        if form == "fraction" and out and out[-1][-1:].isdigit():
            out.append(" ")
        out.append(str(unicodedata.digit(char)) if char.isdigit() else unicodedata.normalize("NFKC", char))
    return unicodedata.normalize("NFC", "".join(out)).translate(_SAME)


def _folded(text: str) -> str:
    """Fold letter by letter, so that places in the text stay the same."""
    return text.lower() if text.isascii() else "".join(map(_folded_letter, text))


@lru_cache(maxsize=4096)
def _folded_letter(char: str) -> str:
    return folded if len(folded := fold(char)) == 1 else char


def _trimmed(link: str) -> str:
    link = link.rstrip(".,;:!?'’*_")
    return link.rstrip(")") if link.count(")") > link.count("(") else link


def _blank(pattern: re.Pattern[str], text: str, into: str) -> str:
    for match in pattern.finditer(text):
        into = into[: match.start()] + " " * len(match[0]) + into[match.end() :]
    return into


def _without_names(lower: str, known: frozenset[str] | set[str] | None) -> str:
    """Blank the names whose digits are no claim."""

    def blank(match: re.Match[str]) -> str:
        name = match[0]
        if not _MIXED.match(name):
            return name
        if known is None:
            return name if name[0].isdigit() and _SIZED.fullmatch(name) else _numeric_parts(name)
        if name in known:
            return " " * len(name)
        parts = _PARTS.split(name)
        return "".join(" " * len(part) if part in known and _MIXED.match(part) else part for part in parts)

    return _GLUED.sub(blank, lower)


def _numeric_parts(name: str) -> str:
    """Keep of a source's name only what stands for itself: the value in `ndvi:0.62`."""
    parts = re.split(r"([:/])", name)
    return "".join(part if re.fullmatch(r"\d+(?:\.\d+)?", part) else " " * len(part) for part in parts)


def _days(plain: str, lower: str) -> tuple[tuple[Day, ...], str]:
    found: list[Day] = []

    def take(pattern: re.Pattern[str], read: Any) -> None:
        nonlocal lower
        for match in pattern.finditer(lower):
            found.append(Day(plain[match.start() : match.end()].strip(), read(match), *match.span()))
        lower = _blank(pattern, lower, lower)

    take(_ISO, lambda m: ((int(m[1]), int(m[2]), int(m[3])),))
    take(_NUMERIC, lambda m: ((int(m[4]), int(m[3]), int(m[1])), (int(m[4]), int(m[1]), int(m[3]))))
    take(_DAY_FIRST, lambda m: ((int(m[3]) if m[3] else None, _MONTH_NUMBERS[m[2]], int(m[1])),))
    take(_MONTH_FIRST, lambda m: ((int(m[3]) if m[3] else None, _MONTH_NUMBERS[m[1]], int(m[2])),))
    return tuple(found), _TWO_YEARS.sub(r"\1 \2", _blank(_MONTH_OF_YEAR, lower, lower))


def _numbers(plain: str, lower: str, language: str) -> Iterator[Number]:
    """Give shares, spelled numbers and digits, each place of the text once."""
    for match in _FRACTION.finditer(lower):
        above, below = int(match[1]), int(match[2])
        if 0 < above <= below:
            share = ((Reading(above / below, 0.0005),),)
            yield Number(plain[match.start() : match.end()], share, False, True, *match.span())
            lower = lower[: match.start()] + " " * len(match[0]) + lower[match.end() :]
    lower = sign_words().sub(lambda match: "-".rjust(len(match[0])), _times(lower))
    for spelled in (*numerals(plain), *spelled_numbers(lower, language)):
        readings = tuple((Reading(value, spelled.tolerance),) for value in spelled.values)
        kind = (spelled.percent, spelled.share)
        yield Number(plain[spelled.start : spelled.end], readings, *kind, spelled.start, spelled.end)
        lower = lower[: spelled.start] + " " * (spelled.end - spelled.start) + lower[spelled.end :]
    for match in _NUMBER.finditer(lower):
        yield _number(match, lower, plain[_with_sign_word(plain, match.start()) : match.end()].strip())


def _with_sign_word(plain: str, start: int) -> int:
    """Give where a number begins as written: with its "minus"."""
    return plain.rfind(" ", 0, len(plain[:start].rstrip())) + 1 if plain[start].isspace() else start


def _times(lower: str) -> str:
    """Write "1.2 million" as `1.2e6`, in the same room."""

    def written(match: re.Match[str]) -> str:
        zeros = len(str(multipliers()[match[2]])) - 1
        return f"{match[1]}e{zeros}".ljust(len(match[0]), "\x1f")

    return _times_pattern().sub(written, lower)


@cache
def _times_pattern() -> re.Pattern[str]:
    return re.compile(rf"(\d)\s({'|'.join(multipliers())})(?![a-z])")


def _number(match: re.Match[str], text: str, words: str) -> Number:
    sign, body, unit = match[1], match[2], (match[4] or "").strip()
    exponent = (match[3] or "").strip("\x1f")
    before = text[match.start() - 1] if match.start() else " "
    # In "1-3", "2018-2020" and "NDVI-0.85" the hyphen is a dash.
    sign = "-" if sign == "-" and not before.isalnum() else ""
    per_mille = re.sub(r"\s+", " ", unit) in PER_MILLE
    shift = -1 if per_mille else 0
    readings: list[tuple[Reading, ...]] = [(_reading(f"{sign}{one}{exponent}", shift),) for one in _values(body)]
    if not exponent and len(parts := re.split(r"[ ,'’]", body)) > 1 and all(parts):
        readings.append(tuple(_reading(part, shift) for part in parts if part.count(".") < 2))
    if body.count(".") > 1:
        readings.append(tuple(_reading(part, shift) for part in re.split(r"[.,]", body)))
    return Number(words, tuple(readings), bool(unit), False, *match.span())


def _reading(written: str, shift: int) -> Reading:
    value = Decimal(written).scaleb(shift)
    return Reading(float(value), 0.5 * 10.0 ** int(value.as_tuple().exponent))


def _values(body: str) -> Iterator[str]:
    """Give the numbers a run of digits and separators may stand for, written with a point."""
    body = re.sub(r"[ '’](?=\d{3}(?!\d))", "", body)
    marks = re.findall(r"[.,'’ ]", body)
    if not marks:
        yield body
    elif len(marks) == 1:
        yield re.sub(r"[,'’]", ".", body)
        if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", body):
            yield re.sub(r"[.,]", "", body)
    elif re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:(?!\1)[.,]\d+)?", body):
        last = marks[-1] if marks[-1] != marks[0] else ""
        whole, _, rest = body.rpartition(last) if last else (body, "", "")
        yield re.sub(r"[.,]", "", whole) + (f".{rest}" if last else "")


@cache
def _names_pattern() -> re.Pattern[str]:
    names = yaml.safe_load(_DATA.read_text(encoding="utf-8"))["names"]
    return re.compile(r"(?<![A-Za-z])(?:" + "|".join(names) + r")(?![A-Za-z0-9])")
