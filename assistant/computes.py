"""The computations a question asks for, still in words: which index, where, when, in which form."""

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from assistant import abilities, lexicon
from assistant.picks import NUTS_LEVEL, Pick, of_change, read_pick, speaks_of_change
from assistant.spans import compared_places
from assistant.times import When, is_day
from assistant.yearly import Yearly, asked_output, asked_periods
from tools.schema import Output, UnitKind

if TYPE_CHECKING:
    from assistant.slots import Slots

NUTS_KINDS: tuple[UnitKind, ...] = ("nuts0", "nuts1", "nuts2", "nuts3")
MAX_COMPUTES = 4
DIFFERENCE_KINDS = ("difference", "change")
"""Kinds of results that the difference of two periods gives."""
_SENTENCE = re.compile(r"[.?!;]\s+")


@dataclass(frozen=True)
class ComputeRequest:
    """One computation a question asks for, still in words."""

    output: Output
    period: str
    units: UnitKind
    index: str = abilities.DEFAULT_INDEX
    place: str = ""
    against: str = ""
    """Second period, for the difference of the two."""
    pick: Pick = field(default_factory=Pick)
    """What to pick from the polygons."""


def find_units(text: str) -> UnitKind | Literal["any"]:
    """Tell of which units a text speaks; of NUTS regions only where it tells their level."""
    if (level := NUTS_LEVEL.search(text)) and not lexicon.has(text, "parcels"):
        return NUTS_KINDS[int(level[1])]
    if lexicon.has(text, "communes"):
        return "communes"
    if lexicon.has(text, "districts"):
        return "districts"
    return "parcels" if lexicon.has(text, "parcels") else "any"


def year_meant(periods: list[str]) -> str:
    """Give the year that "the year" means: the last one named."""
    years = re.findall(r"(?:19|20)\d\d", " ".join(periods))
    return years[-1] if years else "this year"


def find_computes(
    question: str, whens: tuple[When, ...], found: "Slots", before: ComputeRequest | None
) -> tuple[ComputeRequest, ...]:
    """Make one request for each index, place, output and period; a part without a period takes the question's first.

    Args:
        question: What is asked now.
        whens: Its periods.
        found: What was read of it so far.
        before: The request that it goes on with; None where it stands alone.
    """
    if parts := _mixed(question, whens):
        asked = (
            (text, own, replace(found, periods=tuple(when.words for when in own) or found.periods[:1], compares=False))
            for text, own in parts
        )
        return tuple(one for text, own, part in asked for one in find_computes(text, own, part, before))[:MAX_COMPUTES]
    named, in_words = abilities.find_indices(question), abilities.named_in_words(question)
    usual = before.index if before and not lexicon.has(question, "vegetation") else abilities.DEFAULT_INDEX
    indices = [name for name in named if name in abilities.indices()] if named else [in_words or usual]
    pair = compared_places(question) if found.compares else ()
    places = pair if len(pair) > 1 else (found.place,)
    kept = _kept(question, whens, before)
    if kind := asked_output(question, whens) or kept:
        units = find_units(question)
        usual_units = before.units if before and kept else "place"
        usual_years = before.against if before and kept else ""
        return tuple(
            ComputeRequest(kind, period, usual_units if units == "any" else units, index, place, against or usual_years)
            for index in indices
            for place in places
            for period, against in asked_periods(kind, found.periods)
        )[:MAX_COMPUTES]
    requests = [
        ComputeRequest(output, period, _units(question, before), index, place)
        for index in indices
        for place in places
        for output, period in _asked(question, whens, found.periods, before)
    ]
    distinct = list(dict.fromkeys(requests))
    paired = _paired(distinct) if found.compares else distinct
    return tuple(_picked(one, question, whens, before) for one in paired)[:MAX_COMPUTES]


def _kept(question: str, whens: tuple[When, ...], before: ComputeRequest | None) -> Yearly:
    """Give the output about the course of the year that a follow-up goes on with; empty for any other."""
    if before is None or before.output not in ("phenology", "anomaly"):
        return ""
    part = before.output == "phenology" and lexicon.has(question, "season_part")
    other = output_of(question) in ("series", "composite") and not part
    return "" if other or (whens and abilities.find_indices(question)) else before.output


def _mixed(question: str, whens: tuple[When, ...]) -> list[tuple[str, tuple[When, ...]]]:
    """Part a question that wants season dates and values, too; empty where it wants one of them."""
    if asked_output(question, whens) != "phenology":
        return []
    parts = []
    for start, end in _clauses(question, whens):
        own = [replace(one, start=one.start - start, end=one.end - start) for one in whens if start <= one.start < end]
        parts.append((question[start:end], tuple(own)))
    dates = [part for part in parts if asked_output(*part)]
    values = [part for part in parts if part not in dates and part[1] and abilities.find_indices(part[0])]
    return [part for part in parts if part in dates or part in values] if dates and values else []


def _paired(requests: list[ComputeRequest]) -> list[ComputeRequest]:
    """Make one request of two that differ in their period alone: the difference is then computed, too."""
    groups: dict[ComputeRequest, list[str]] = {}
    for one in requests:
        groups.setdefault(replace(one, period=""), []).append(one.period)
    return [
        request
        for group, periods in groups.items()
        for request in (
            [replace(group, period=periods[0], against=periods[1])]
            if len(periods) == 2 and group.output in ("composite", "per_polygon") and all(periods)
            else [replace(group, period=period) for period in periods]
        )
    ]


def _picked(
    request: ComputeRequest, question: str, whens: tuple[When, ...], before: ComputeRequest | None
) -> ComputeRequest:
    """Pick from the polygons where there are any, else as before; a change by so much is no value of one period."""
    if request.output != "per_polygon" or (not request.against and speaks_of_change(question)):
        return request
    pick = read_pick(question, whens)
    if not pick and before and before.output == "per_polygon" and before.against == request.against:
        return replace(request, pick=before.pick)
    return replace(request, pick=of_change(pick, question) if request.against else pick)


def still_missing(missing: tuple[str, ...], computes: tuple[ComputeRequest, ...]) -> tuple[str, ...]:
    """Leave out what the requests do give."""
    given = {kind for one in computes for kind in (*one.pick.kinds, *(DIFFERENCE_KINDS if one.against else ()))}
    return tuple(words for words in missing if words not in {abilities.KINDS[kind] for kind in given})


def _asked(
    question: str, whens: tuple[When, ...], periods: tuple[str, ...], before: ComputeRequest | None
) -> list[tuple[Output, str]]:
    """Pair the outputs and the periods that the parts of a question name."""
    kept: Output = before.output if before and before.output not in ("phenology", "anomaly") else "composite"
    usual: Output = output_of(question, [when.words for when in whens]) or kept
    output: Output | None = None
    asked: list[tuple[Output, str]] = []
    for start, end in _clauses(question, whens):
        words = [when.words for when in whens if start <= when.start < end]
        clause = question[start:end]
        cued = _outputs_of(clause, words)
        if not (cued or words):
            continue
        output = cued[0] if cued else output or usual
        own = [year_meant(list(periods))] if lexicon.has(clause, "same_year") else words or list(periods[:1]) or [""]
        asked += [(one, period) for one in cued or (output,) for period in own]
    return asked or [(usual, period) for period in periods or ("",)]


def _clauses(question: str, whens: tuple[When, ...]) -> list[tuple[int, int]]:
    """Part a question where a new thing is asked for, never inside the words of a period."""
    folded = lexicon.fold(question)
    joiner, start = lexicon.alternatives("joiner"), lexicon.alternatives("clause_start")
    joined = re.compile(rf"(?<!\w)(?:{joiner})\s+(?=(?:{start}))")
    cuts = [match.end() for pattern in (_SENTENCE, joined) for match in pattern.finditer(folded)]
    cuts = [cut for cut in sorted(cuts) if not any(when.start < cut < when.end for when in whens)]
    return list(zip([0, *cuts], [*cuts, len(question)], strict=True))


def _outputs_of(clause: str, periods: list[str]) -> tuple[Output, ...]:
    """Give the forms in which a part of a question wants results: two for "map and curve"."""
    folded, joiner = lexicon.fold(clause), lexicon.alternatives("joiner")
    drawn, line = lexicon.alternatives("map"), lexicon.alternatives("series")
    pairs = ((drawn, line), (line, drawn))
    if any(re.search(rf"(?<!\w)(?:{a})\s+(?:{joiner})\s+(?:{b})", folded) for a, b in pairs):
        return "composite", "series"
    output = output_of(clause, periods)
    return (output,) if output else ()


def output_of(clause: str, periods: list[str] | None = None) -> Output | None:
    """Tell in which form a text wants results; None where it does not say."""
    if lexicon.has(clause, "series"):
        return "series"
    if lexicon.has(clause, "map"):
        return "composite"
    # Change between single days or between two periods is a comparison, not a curve.
    one = periods is None or (len(periods) < 2 and not any(is_day(words) for words in periods))
    if lexicon.has(clause, "changing") and one:
        return "series"
    return "per_polygon" if find_units(clause) != "any" else None


def _units(question: str, before: ComputeRequest | None) -> UnitKind:
    units = find_units(question)
    if units != "any":
        return units
    return before.units if before else "parcels"
