"""A number that ground lies above or below, in a question about a layer: hectares with more than 30 % tree cover."""

import re
from dataclasses import dataclass
from functools import cache

from assistant import lexicon
from assistant.layers import UNITS
from assistant.picks import without_periods
from assistant.times import When
from knowledge.lexicon import LANGUAGES, is_function_word
from tools.place_radius import without_radius

CUES = ("area", "ground")
_NUMBER = r"(?P<number>\d{1,3}(?:[.,]\d{1,3})?)\s*(?:%|percent|per cent|pour ?cent|prozent|por ciento|per cento)"
_SYMBOLS = {">=": "at least", "≥": "at least", "<=": "at most", "≤": "at most", ">": "above", "<": "below"}

UNCLEAR = "unclear"
"""More than one threshold, and not the two ends of one range."""
NEAR_LETTERS = 40
"""A "not" further ahead of a threshold is none of its own."""


@dataclass(frozen=True)
class _Bound:
    """A threshold: where it stands, its number, and it in signs; a range has both ends in its signs."""

    start: int
    end: int
    number: float
    words: str


def read_ground(question: str, whens: tuple[When, ...]) -> str:
    """Give the values that ground is wanted of, as "> 30", "30 to 60"; empty where none is, `UNCLEAR` for several.

    "Which districts have more than 30 %" and "hectares in districts with more than 30 %" pick districts, not ground.
    """
    text = _plain_text(question, whens)
    start, bounds = _bounds(text)
    return bounds if bounds and lexicon.has(text, *CUES) and not _is_of_units(text[:start]) else ""


def other_ground(question: str, whens: tuple[When, ...]) -> str:
    """Give the values that a follow-up changes ground to: "and above 90 %?"; empty where it names none."""
    return _bounds(_plain_text(question, whens))[1]


def _plain_text(question: str, whens: tuple[When, ...]) -> str:
    """Fold a question, with symbols in words, and bars where its numbers are periods or radii."""
    text = lexicon.fold(without_radius(without_periods(question, whens)))
    for symbol, words in _SYMBOLS.items():
        text = text.replace(symbol, f" {words} ")
    return text


def _bounds(text: str) -> tuple[int, str]:
    """Find what is said of numbers in percent: where it begins, and the one range that it makes, or `UNCLEAR`."""
    found, rest = list[_Bound](), text
    for pattern in _patterns():
        for match in pattern.finditer(rest):
            found += _read(match, text)
            rest = rest[: match.start()] + "|" * (match.end() - match.start()) + rest[match.end() :]
    found.sort(key=lambda one: one.start)
    if not found:
        return 0, ""
    start, words = found[0].start, [one.words for one in found]
    if UNCLEAR in words or re.search(_NUMBER, rest) or len(found) > 2:
        return start, UNCLEAR
    if len(found) == 1:
        return start, words[0]
    between = text[found[0].end : found[1].start].replace(",", " ").strip()
    joined = lexicon.has_only(between, "joiner", "but")
    low, high = sorted(found, key=lambda one: one.words[0] == "<")
    ranged = low.words[0] == ">" and high.words[0] == "<" and low.number < high.number
    return start, f"{low.words} and {high.words}" if joined and ranged else UNCLEAR


@cache
def _patterns() -> tuple["re.Pattern[str]", ...]:
    """Give the patterns of ranges, of numbers behind a cue, and of numbers before one, in the order to look for."""
    low, high = (_NUMBER.replace("<number>", f"<{name}>") for name in ("low", "high"))
    first = low.replace(r"\s*(?:%", r"\s*(?:%|", 1)  # "between 30 and 60 %" says the unit once
    joiner, until = lexicon.alternatives("joiner"), lexicon.alternatives("until")
    cues = rf"(?P<above>{lexicon.alternatives('above')})|(?P<below>{lexicon.alternatives('below')})"
    behind = rf"(?P<above>{lexicon.alternatives('or_above')})|(?P<below>{lexicon.alternatives('or_below')})"
    negated, article = lexicon.alternatives("negated"), lexicon.alternatives("article")
    return (
        re.compile(rf"(?<!\w)(?:{lexicon.alternatives('between')})\s+{first}\s+(?:{joiner})\s+{high}"),
        re.compile(rf"(?<![\w.,]){first}\s*(?:[-–]|(?<!\w)(?:{until}))\s*{high}"),
        re.compile(rf"(?<!\w)(?P<cue>{cues})\s+(?P<late>(?:{negated})\s+)?(?:(?:{article})\s+)?{_NUMBER}"),
        re.compile(rf"(?<![\w.,]){_NUMBER}\s+(?P<or>{behind})(?!\w)"),
    )


def _read(match: "re.Match[str]", text: str) -> list["_Bound"]:
    """Give the bound that a match of one of the patterns says; "no more than" is at most."""
    said = match.groupdict()
    if "low" in said:
        low, high = (_plain(said[end]) for end in ("low", "high"))
        return [_Bound(match.start(), match.end(), 0.0, f"{low} to {high}" if float(low) <= float(high) else UNCLEAR)]
    number, above = _plain(said["number"]), bool(said["above"])
    included = "or" in said or lexicon.has_only(said["cue"], "included")
    start, negated = (match.start(), False) if "or" in said else _negated(text, match.start())
    if negated is None:
        return [_Bound(start, match.end(), float(number), UNCLEAR)]
    if negated or said.get("late"):
        above, included = not above, not included
    words = f"{'>' if above else '<'}{'=' if included else ''} {number}"
    return [_Bound(start, match.end(), float(number), words)]


def _negated(text: str, start: int) -> tuple[int, bool | None]:
    """Tell where a threshold begins with its negation, and whether it has one; None where "not" may be another's.

    Between "not" and "more than" stand verbs such as "have" at most: "not sealed, more than 30 %" is something else.
    """
    found = list(lexicon.pattern("negated").finditer(text, max(0, start - NEAR_LETTERS), start))
    if not found or re.search(r"[\d|.;:?!]", text[found[-1].end() : start]):
        return start, False
    between = re.findall(r"[^\W\d_]+", text[found[-1].end() : start])
    own = not lexicon.has(" ".join(between), "relative", "joiner", "but")
    own = own and all(any(is_function_word(one, language) for language in LANGUAGES) for one in between)
    return found[-1].start(), True if own else None


def _is_of_units(before: str) -> bool:
    """Tell whether the words before a threshold lead to units that have it: which districts, districts with."""
    units = list(lexicon.pattern(*UNITS).finditer(before))
    if not units:
        return False
    ahead, behind = before[: units[-1].start()], before[units[-1].end() :]
    own = re.search(rf"(?<!\w)(?:{lexicon.alternatives('per')})\W+$", ahead)
    if own or any(not lexicon.has_only(cue[0], "relative") for cue in lexicon.pattern(*CUES).finditer(behind)):
        return False
    asked = re.search(rf"(?<!\w)(?:{lexicon.alternatives('ask')})\W+$", ahead)
    return bool(asked or lexicon.has(behind, "relative") or not lexicon.has(before, *CUES))


def _plain(number: str) -> str:
    return number.replace(",", ".")
