"""What a question wants picked from many polygons: those above or below a number, or the first of a ranking."""

import re
from dataclasses import dataclass, replace

from assistant import lexicon
from assistant.spelled import spelled_numbers
from assistant.times import When
from knowledge.lexicon import language_of
from tools.place_radius import without_radius
from tools.selection import Rank

COUNT, ALL_COUNT = 5, 20
"""How many are listed when a question says no number, and when it asks for a ranking of all."""
MAX_COUNT = 1000
MAX_PLAIN = 1
"""A whole number above this is a year, a share or a number of things, not a value of an index."""
_PERCENT = r"(?!\s*(?:%|‰|per ?cent|pour ?cent|prozent|por ciento))"
_NUMBER = r"(?P<number>-?\d{1,4}(?:[.,]\d{1,6})?)(?![\d.,]*\d)"
NUTS_LEVEL = re.compile(r"(?<!\w)nuts[\s-]?([0-3])(?!\w)", re.I)
_WHOLE = re.compile(r"(?<![\w.,-])(\d{1,3})(?![\d.,]*\d|\w|\s*%)")


@dataclass(frozen=True)
class Pick:
    """What to pick."""

    above: float | None = None
    below: float | None = None
    rank: Rank = ""
    count: int = COUNT

    def __bool__(self) -> bool:
        return bool(self.rank) or self.above is not None or self.below is not None

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of results this gives, named as in `abilities.KINDS`."""
        threshold = self.above is not None or self.below is not None
        return frozenset([*(["threshold"] if threshold else []), *(["ranking"] if self.rank else [])])


def read_pick(question: str, whens: tuple[When, ...], *, of_layer: bool = False) -> Pick:
    """Read thresholds and rankings in a question; numbers in its periods count for neither.

    Args:
        question: What is asked.
        whens: Its periods.
        of_layer: The values are percentages: a share is a value, and so is a whole number.
    """
    text = without_radius(NUTS_LEVEL.sub("|", without_periods(question, whens)))
    if inside := _between(text, of_layer=of_layer):
        return Pick(*inside)
    above, rest = _threshold(text, "above", of_layer=of_layer)
    below, rest = _threshold(rest, "below", of_layer=of_layer)
    low, high = (("lowest", "least"), ("highest", "most", "best")) if of_layer else (("lowest",), ("highest",))
    rank: Rank = "lowest" if lexicon.has(rest, *low) else "highest" if lexicon.has(rest, *high) else ""
    if lexicon.has(rest, "ranking"):
        return Pick(above, below, rank or "highest", count_in(rest) or (COUNT if rank else ALL_COUNT))
    return Pick(above, below, rank, count_in(rest) or COUNT)


def without_best_units(question: str) -> str:
    """Leave out the words for the best of units, such as "the three best communes": a ranking of them is meant."""
    best, units = lexicon.alternatives("best"), lexicon.alternatives("nuts", "communes", "districts", "parcels")
    either = rf"(?:{best})\s+(?:\w+\s+)?(?:{units})|(?:{units})\s+(?:{best})"
    return re.sub(rf"(?<!\w)(?:{either})(?!\w)", " ", lexicon.fold(question))


def of_change(pick: Pick, question: str) -> Pick:
    """Turn a pick into one of differences: what fell by more than 0.1 has a difference below -0.1."""
    fell, rose = lexicon.has(question, "decrease"), lexicon.has(question, "increase")
    if fell == rose:
        return pick
    if lexicon.has(question, "most") and not pick.rank:
        pick = replace(pick, rank="highest")
    if not fell:
        return pick
    above, below = (None if value is None else -abs(value) for value in (pick.below, pick.above))
    return replace(pick, above=above, below=below, rank="lowest" if pick.rank else "")


def speaks_of_change(question: str) -> bool:
    """Tell whether a question is about what rose or fell: its numbers are then those of differences."""
    return lexicon.has(question, "decrease", "increase")


def without_periods(question: str, whens: tuple[When, ...]) -> str:
    """Give a question with bars where it speaks of time; everything else keeps its position."""
    for when in whens:
        question = question[: when.start] + "|" * (when.end - when.start) + question[when.end :]
    return question


def _between(text: str, *, of_layer: bool) -> tuple[float, float] | None:
    """Give the two numbers of "between 0.3 and 0.5"."""
    between, joiner = lexicon.alternatives("between"), lexicon.alternatives("joiner")
    number = _NUMBER if of_layer else _NUMBER + _PERCENT
    first, second = (number.replace("<number>", f"<{name}>") for name in ("low", "high"))
    match = re.search(rf"(?<!\w)(?:{between})\s+{first}\s*%?\s+(?:{joiner})\s+{second}", lexicon.fold(text))
    if not match:
        return None
    numbers = [float(match[name].replace(",", ".")) for name in ("low", "high")]
    index_like = of_layer or all(abs(one) <= MAX_PLAIN or one != int(one) for one in numbers)
    return (min(numbers), max(numbers)) if index_like else None


def _threshold(text: str, slot: str, *, of_layer: bool) -> tuple[float | None, str]:
    """Give the number after a word for above or below, and the text without it."""
    cue = re.compile(rf"(?<!\w)(?:{lexicon.alternatives(slot)})\s+{_NUMBER}{'' if of_layer else _PERCENT}")
    for match in cue.finditer(lexicon.fold(text)):
        number = match["number"].replace(",", ".")
        if of_layer or "." in number or abs(float(number)) <= MAX_PLAIN:
            return float(number), text[: match.start()] + "|" * (match.end() - match.start()) + text[match.end() :]
    return None, text


def count_in(text: str) -> int:
    """Give the number of things asked for, in digits or in words; 0 when there is none."""
    digits = [int(one) for one in _WHOLE.findall(text)]
    language = language_of(text)
    words = [int(one.values[0]) for one in spelled_numbers(lexicon.fold(text), language) if not one.percent | one.share]
    return next((number for number in (*digits, *words) if 1 < number <= MAX_COUNT), 0)
