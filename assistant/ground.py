"""A number that ground lies above or below, in a question about a layer: hectares with more than 30 % tree cover."""

import re

from assistant import lexicon
from assistant.layers import UNITS
from assistant.picks import without_periods
from assistant.times import When
from tools.place_radius import without_radius

CUES = ("area", "ground")
_NUMBER = r"(?P<number>\d{1,3}(?:[.,]\d{1,3})?)\s*(?:%|percent|per cent|pour ?cent|prozent|por ciento|per cento)"
_SYMBOLS = {">=": "at least", "≥": "at least", "<=": "at most", "≤": "at most", ">": "above", "<": "below"}


def read_ground(question: str, whens: tuple[When, ...]) -> str:
    """Give the values that ground is wanted of, as "> 30", ">= 30" or "30 to 60"; empty where none is.

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
    """Find the first threshold in percent: where it begins, and its bounds."""
    joiner = lexicon.alternatives("joiner")
    low, high = (_NUMBER.replace("<number>", f"<{name}>") for name in ("low", "high"))
    first = low.replace(r"\s*(?:%", r"\s*(?:%|", 1)  # "between 30 and 60 %" says the unit once
    if both := re.search(rf"(?<!\w)(?:{lexicon.alternatives('between')})\s+{first}\s+(?:{joiner})\s+{high}", text):
        return both.start(), f"{_plain(both['low'])} to {_plain(both['high'])}"
    for slot, sign in (("above", ">"), ("below", "<")):
        words = lexicon.alternatives(slot)
        if found := re.search(rf"(?<!\w)(?P<cue>{words})\s+{_NUMBER}", text):
            included = "=" if lexicon.has_only(found["cue"], "included") else ""
            return found.start(), f"{sign}{included} {_plain(found['number'])}"
        if after := re.search(rf"{_NUMBER}\s+(?:{lexicon.alternatives(f'or_{slot}')})(?!\w)", text):
            return after.start(), f"{sign}= {_plain(after['number'])}"
    return 0, ""


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
