"""What a question takes from the ones before it: a product, a period to set against, a place settled once."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from assistant import abilities, choices, lexicon
from assistant.computes import ComputeRequest, find_units
from assistant.layers import names_land
from assistant.picks import without_periods
from assistant.times import When
from tools.period_words import CANONICAL
from tools.place_radius import radius_around, split_radius

if TYPE_CHECKING:
    from assistant.slots import Slots

SHORT_WORDS = 5
"""A question of so few words may lean on the one before."""
SUBJECTS = ("product", "scenes", "phenology", "elsewhere")
"""Words that give a question a subject of its own, beside kinds of land."""
_CLITIC = re.compile(r"\w-l(?:e|a|es)(?!\w)")
"""A French pronoun behind its verb: calcule-le."""


def opening(question: str) -> int:
    """Give where the words end by which a question goes on: "and", "ok, then", "no map"; 0 where it has none."""
    polite = lexicon.alternatives("courtesy", "approve", "greeting", "thanks", "cancel")
    leads = lexicon.alternatives("follow_up", "without")
    match = re.match(rf"\W*(?:(?:{polite})[\s,.!-]+)*(?:{leads})", lexicon.fold(question))
    return match.end() if match else 0


def refers_back(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether a question points at what was told before: it, the same, instead."""
    rest = without_periods(question, whens)
    return lexicon.has(rest, "refers") or bool(_CLITIC.search(lexicon.fold(rest)))


def has_subject(question: str) -> bool:
    """Tell whether a question says itself what it is about."""
    named = abilities.names_product(question) or abilities.names_elsewhere(question)
    return named or names_land(question) or lexicon.has(question, *SUBJECTS)


def only_demands(question: str) -> bool:
    """Tell whether a question names no subject, only what a product must or must not be: "but not CORINE"."""
    if not opening(question) and len(question.split()) > SHORT_WORDS:
        return False
    from knowledge.wording import read_wording

    asked = read_wording(question, abilities.catalogue())
    demands = asked.excluded or asked.unwanted or asked.refused.told or asked.pixel_m
    return bool(demands) and not has_subject(asked.subject)


def base_period(last: "Slots | None") -> str:
    """Give the period of the question before, in its words; empty where it named none."""
    if last is None:
        return ""
    if last.layer:
        return last.layer.period
    return last.computes[-1].period if last.computes else last.periods[0] if last.periods else ""


def second_period(question: str, periods: tuple[str, ...], base: str) -> str:
    """Give the one period that a follow-up sets against the one before; empty where it sets none against it."""
    if len(periods) != 1 or not base:
        return ""
    since = without_since(periods[0])
    changed = since != periods[0] and lexicon.has(question, "changing", "difference", "increase", "decrease")
    return since if changed or lexicon.has(question, "compare", "difference") else ""


def without_since(words: str) -> str:
    """Leave out the word for "since" before a period."""
    first, _, rest = words.partition(" ")
    return rest if rest and CANONICAL.get(lexicon.fold(first), first.lower()) == "since" else words


def set_against(request: ComputeRequest, against: str, question: str) -> ComputeRequest:
    """Set a second period against that of a request; curves and dates are compared as values."""
    units = find_units(question)
    kept = request.output if request.output in ("composite", "per_polygon") else "composite"
    if units == "any":
        return replace(request, against=against, output=kept)
    return replace(request, against=against, output="per_polygon", units=units)


def settled_place(place: str, settled: Sequence[str]) -> str:
    """Give a name in full where the conversation has settled which place it is: Valencia, Spain."""
    name = lexicon.fold(place)
    full = (one for one in settled if re.match(rf"{re.escape(name)}\s*[,(]", lexicon.fold(one)))
    return next(full, place) if name else place


def told_products(answer: str) -> tuple[str, ...]:
    """Give the titles of the products that an answer puts in bold or lists, in its order."""
    lines = (line.strip() for line in answer.splitlines())
    named = (one for line in lines if line.startswith(("**", "- ")) for one in abilities.titles_in(line))
    return tuple(dict.fromkeys(named))


def told_product(question: str, last: "Slots", told: Sequence[str]) -> str:
    """Give the product that "the second one" means after an answer with several; empty where it means none."""
    if not told or last.computes or has_subject(question):
        return ""
    rank = choices.rank_in(question)
    return told[rank - 1] if 0 < rank <= len(told) else ""


def ranked_again(question: str, last: "Slots") -> ComputeRequest | None:
    """Give the ranking before, long enough for the one that "the second one" means; None where none is meant."""
    request = last.computes[-1] if last.computes else None
    if request is None or request.output != "per_polygon" or has_subject(question):
        return None
    rank = choices.rank_in(question)
    pick = replace(request.pick, rank=request.pick.rank or "highest", count=max(rank, request.pick.count))
    return replace(request, pick=pick) if rank else None


def without_opening(question: str, whens: tuple[When, ...]) -> tuple[When, ...]:
    """Leave out a time that only opens a further request: "now with 6 classes"."""
    return tuple(
        one
        for one in whens
        if re.search(r"\w", lexicon.pattern("courtesy", "thanks").sub("", lexicon.fold(question[: one.start])))
        or not re.search(r"\w", question[one.end :])
        or not lexicon.has_only(question[one.start : one.end], "follow_up")
    )


def radius_alone(question: str, whens: tuple[When, ...]) -> str:
    """Give the radius that a question without a place speaks of: "and within 5 km?"; empty where it speaks of none."""
    return radius_around(without_periods(question, whens).partition("|")[0].rstrip(" ?.!,"), "")


def widened(place: str, radius: str) -> str:
    """Give a place with another radius around it."""
    inner = split_radius(place)
    return f"{radius} around {inner[0] if inner else place}" if place and radius else place
