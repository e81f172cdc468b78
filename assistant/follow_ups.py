"""What a question takes from the ones before it: a product, a period to set against, a place settled once."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from assistant import abilities, choices, lexicon
from assistant.computes import ComputeRequest, find_units
from assistant.layers import names_land
from assistant.picks import Pick, count_in, without_periods
from assistant.sentences import ordinal_before, ordinals, word_pattern
from assistant.spelled import spelled_numbers
from assistant.times import When
from knowledge.lexicon import LANGUAGES, is_function_word, language_of
from tools.period_words import CANONICAL
from tools.place_radius import radius_around, split_radius
from tools.selection import Rank

if TYPE_CHECKING:
    from assistant.slots import Slots

SHORT_WORDS = 5
"""A question of so few words may lean on the one before."""
SUBJECTS = ("product", "scenes", "phenology", "elsewhere")
"""Words that give a question a subject of its own, beside kinds of land."""
PICKING = (
    "least", "most", "lowest", "highest", "ask", "show", "follow_up", "refers", "courtesy", "parcels", "districts",
    "communes", "class_noun",
    "foremost", "hindmost", "cancel", "other_one",
)  # fmt: skip
"""Words in which rows of what was told are picked: which class has the least."""
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
    rows = last.order or (last.layer and (last.layer.pick or last.layer.units != "place"))
    if not told or last.computes or rows or has_subject(question):
        return ""
    if says_no_more(question) and lexicon.has(question, "other_one"):
        return told[(told.index(last.product) + 1 if last.product in told else 1) % len(told)]
    rank = choices.rank_in(question)
    return told[rank - 1] if 0 < rank <= len(told) else ""


def picked_again(question: str, last: "Slots") -> "Slots | None":
    """Give the question before with what a few words pick of its rows: "the second one", "which has the least?".

    None where nothing is picked, or the question before had no rows.
    """
    request = last.computes[-1] if last.computes else None
    rows = last.layer or last.tool == "classify" or (request and request.output == "per_polygon")
    rank, order = choices.rank_in(question), order_in(question)
    if not rank and order and says_no_more(question):
        rank = _rank_before_order(question)
    elif not rank:
        return None
    if not rows or has_subject(question):
        return None
    found = replace(last, rank=rank, subject=last.subject or last.text, text=question, missing=())
    asked = last.layer or request
    before = asked.pick if asked else Pick()
    count = count_in(question) or before.count
    pick = replace(before, rank=order or before.rank or "highest", count=max(rank, count))
    if last.layer or last.tool or request is None:
        named = last.layer and replace(last.layer, words=last.layer.words or last.text)
        if named and before:
            return replace(found, layer=replace(named, pick=pick))
        return replace(found, layer=named, order=order or last.order or "highest")
    return replace(found, computes=(replace(request, pick=pick),))


def order_in(question: str) -> Rank:
    """Tell which end of a ranking a question names: the least, the highest; empty where it names none."""
    text = lexicon.fold(question)
    least = word_pattern("lowest").search(text) or lexicon.has(question, "least", "lowest", "hindmost")
    most = word_pattern("highest").search(text) or lexicon.has(question, "most", "highest", "foremost")
    return "lowest" if least else "highest" if most else ""


def _rank_before_order(question: str) -> int:
    """Give the place in a ranking that stands before the word for its order: 2 for "the second largest"."""
    text = lexicon.fold(question)
    ends = (*word_pattern("lowest").finditer(text), *word_pattern("highest").finditer(text))
    return next((rank for end in ends if (rank := ordinal_before(text, end.start()))), 0)


def says_no_more(question: str) -> bool:
    """Tell whether a question names nothing but an order and what is ranked: which parcel has the least."""
    rest = lexicon.fold(question)
    for known in (lexicon.pattern(*PICKING), *map(word_pattern, ("lowest", "highest", "one")), re.compile(ordinals())):
        rest = known.sub(" ", rest)
    for number in spelled_numbers(rest, language_of(question)):
        rest = rest[: number.start] + " " * (number.end - number.start) + rest[number.end :]
    words = re.findall(r"[^\W\d_]+", rest)
    return all(any(is_function_word(word, language) for language in LANGUAGES) for word in words)


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
