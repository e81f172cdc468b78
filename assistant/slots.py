"""What a question asks for, read by rules: the intent, the place, the periods, and what is to be computed."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from assistant import abilities, layers, lexicon
from assistant.comparison import compared_products
from assistant.computes import ComputeRequest, find_computes, find_units, output_of, still_missing, year_meant
from assistant.follow_ups import (
    SHORT_WORDS,
    base_period,
    has_subject,
    only_demands,
    opening,
    radius_alone,
    ranked_again,
    refers_back,
    second_period,
    set_against,
    settled_place,
    told_product,
    widened,
    without_opening,
)
from assistant.picks import read_pick, without_periods
from assistant.shifts import find_shift, without_shift
from assistant.spans import Ends, When, find_periods, find_places, is_known_place
from assistant.yearly import asked_output, asked_periods, names_date_layer, names_mean
from tools.place_radius import without_radius

Intent = Literal["greeting", "thanks", "help", "explain", "scenes", "compute", "recommend", "out_of_scope"]

SMALL_TALK = ("greeting", "thanks", "help", "out_of_scope")
"""What no later question goes on with."""
EVIDENCE = ("vegetation", "parcels", "scenes", "product", "recommend", "land", "phenology")
"""Words that keep a question in scope although another subject is named, too."""
COMPARED = ("compare", "difference", "change", "increase", "decrease")
"""Words that set two periods against each other."""
SUBJECTS = ("land", "land_state", "vegetation", "phenology")
"""Words that say what a question is about."""
AVERAGE = "the comparison with an average, for it is not clear which"
VALUES, DEVIATION = "values for this subject", "the deviation from other years for this subject"
"""Asked for a value of something that no index stands for."""

_END = re.compile(r"[?.!,;:]")
_TITLE = re.compile(r"[A-Z][\w+-]*(?: [\w+-]+){0,4}")
"""A name that may be that of a product: a few words, the first with a capital."""


@dataclass(frozen=True)
class Slots:
    """A question, read."""

    intent: Intent
    place: str = ""
    periods: tuple[str, ...] = ()
    product: str = ""
    computes: tuple[ComputeRequest, ...] = ()
    missing: tuple[str, ...] = ()
    """What it asks for and no tool computes, in words."""
    compares: bool = False
    layer: layers.LayerRequest | None = None
    """Statistics of a product layer that it asks for."""
    subject: str = ""
    """The earlier question whose subject this one goes on with; empty when it names its own."""
    text: str = ""
    """The question itself."""


def read(question: str, earlier: tuple[str, ...] = (), told: tuple[str, ...] = ()) -> Slots:
    """Read a question; place and period that it leaves open come from the latest earlier question that has them.

    Args:
        question: What the user asks now.
        earlier: What the user asked before in this conversation, oldest first.
        told: Titles of the products that the last answer told of, in its order.
    """
    return _read(question, _all_read(earlier), told)


@lru_cache(maxsize=256)
def _all_read(questions: tuple[str, ...]) -> tuple[Slots, ...]:
    """Read the questions of a conversation, each with those before it; small talk is left out."""
    if not questions:
        return ()
    before = _all_read(questions[:-1])
    one = _read(questions[-1], before)
    return before if one.intent in SMALL_TALK else (*before, one)


def _read(question: str, before: tuple[Slots, ...], told: tuple[str, ...] = ()) -> Slots:
    if before and (ordered := told_product(question, before[-1], told)):
        return Slots("explain", product=ordered, text=question)
    if before and (ranked := ranked_again(question, before[-1])):
        return replace(before[-1], computes=(ranked,), text=question)
    last = next((one for one in reversed(before) if one.intent != "explain"), before[-1] if before else None)
    whens = without_opening(question, _periods(question)) if last else _periods(question)
    shift, base = find_shift(question), base_period(last)
    if shift and base:
        whens = tuple(one for one in whens if one.end <= shift.start or shift.end <= one.start)
    shifted = shift.of(base) if shift and base and not whens else ""
    intent = _intent(question, whens)
    leans = last is not None and _is_follow_up(question, whens, last, shifted=bool(shifted))
    if intent == "recommend" and last and leans and last.intent in ("compute", "scenes"):
        intent = last.intent
    found = Slots(
        intent,
        text=question,
        place=settled_place(_place(question, intent), before),
        periods=(shifted,) if shifted and leans else _words(question, whens),
        product=_explained(question) if intent == "explain" else "",
        missing=_missing(question, intent, whens),
        compares=_compares(question, whens),
    )
    if last and leans and last.intent in ("compute", "recommend") and not lexicon.has(question, *SUBJECTS):
        found = replace(found, subject=last.subject or last.text)
    found = _demanding_more(found, question, last, before)
    if intent in ("compute", "scenes"):
        found = _filled_in(found, question, before)
    if intent == "compute":
        against = second_period(question, found.periods, base) if last and last.computes and leans else ""
        request = _before(question, whens, last, leans=leans)
        computes = find_computes(question, whens, found, request)
        if request and against:
            computes = (set_against(request, against, question),)
        found = replace(found, computes=computes, missing=still_missing(found.missing, computes))
    if intent == "recommend":
        found = _with_layer(found, question)
        if not found.layer and last and last.layer and leans:
            found = _next_layer(found, question, replace(last.layer, words=last.layer.words or last.text))
        if not found.layer and before:
            found = _of_product(found, question, before, told)
    return found


def _compares(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether a question sets things or two periods against each other."""
    if asked_output(question, whens) == "anomaly":
        return False
    between = question[whens[0].end : whens[1].start].strip() if len(whens) == 2 else ""
    two = len(whens) > 1 and lexicon.has(question, "changing")
    return two or lexicon.has(question, *COMPARED) or lexicon.has_only(between, "minus")


def _demanding_more(found: Slots, question: str, last: Slots | None, before: tuple[Slots, ...]) -> Slots:
    """Go on with the subject, place and period before where a question only says what a product must be, or not be."""
    if last is None or not found.intent == last.intent == "recommend":
        return found
    if only_demands(question):
        found = replace(found, subject=f"{last.subject or last.text} {question}")
    return _filled_in(found, question, before) if found.subject else found


def _intent(question: str, whens: tuple[When, ...]) -> Intent:
    rest = lexicon.pattern("greeting", "thanks", "courtesy").sub("", lexicon.fold(question)).replace("there", "")
    if not re.search(r"\w", rest):
        return "thanks" if lexicon.has(question, "thanks") else "greeting"
    asks_help = rf"(?:{lexicon.alternatives('help')})(?:\W*(?:{lexicon.alternatives('courtesy')}))?\W*$"
    if re.search(asks_help, lexicon.fold(question)) and not _place(question, "help"):
        return "help"
    named = abilities.find_indices(question)
    if not named and lexicon.has(question, "elsewhere") and not lexicon.has(question, *EVIDENCE):
        return "out_of_scope"
    # Two periods to compare and no subject at all: the subject is what can be computed.
    bare = len(whens) > 1 and lexicon.has(question, "compare", "difference")
    bare = bare and not (lexicon.has(question, *EVIDENCE[2:]) or abilities.names_product(question))
    # Parcels above 0.6 and no other subject: a value of an index is meant.
    threshold = "threshold" in read_pick(question, whens).kinds and lexicon.has(question, "parcels")
    bare |= threshold and not lexicon.has(question, "land", "land_state", *EVIDENCE[2:])
    season = asked_output(question, whens) == "phenology"
    green = bool(named) or lexicon.has(question, "vegetation") or bare or season
    if lexicon.has(question, "scenes") and lexicon.has(question, "ask") and not green:
        return "scenes"
    where = bool(_place(question, "compute") or is_about_attachment(question))
    wants_value = lexicon.has(question, "compute", "map", "changing", "series", *(("when",) if season else ()))
    # A colour alone is no task: it takes a place and a time, or a word for what to do.
    settled = where or (
        (bool(whens) or lexicon.has(question, "same_year"))
        and (bool(named) or bare or lexicon.has(question, "compute"))
    )
    if green and settled and (named or whens or wants_value) and not _asks_for_product(question):
        return "compute"
    return "explain" if _explained(question) and not lexicon.has(question, "recommend") else "recommend"


def _asks_for_product(question: str) -> bool:
    return lexicon.has(question, "recommend") or (
        lexicon.has(question, "ask") and bool(_product_asked().search(lexicon.fold(question)))
    )


def _product_asked() -> "re.Pattern[str]":
    """Give the pattern of "which ... product" within one sentence."""
    ask, product = lexicon.alternatives("ask"), lexicon.alternatives("product", "map")
    return re.compile(rf"(?<!\w)(?:{ask})[^?.!]*?(?<!\w)(?:{product})")


def _explained(question: str) -> str:
    """Give the name of the product that a question wants explained; empty when it wants something else."""
    folded = lexicon.fold(question)
    lead = re.match(rf"\W*(?:{lexicon.alternatives('explain')})\s*", folded)
    if not lead:
        return ""
    start = lead.end()
    if article := lexicon.pattern("article").match(folded, start):
        start = article.end()
    name = _END.split(question[start:].strip())[0].strip()
    known = abilities.is_product(name) or bool(_TITLE.fullmatch(name))
    return name if known and 1 < len(name) <= 80 else ""


def _periods(question: str) -> tuple[When, ...]:
    cues: tuple[tuple[Ends, tuple[str, ...]], ...] = (
        ("compared", COMPARED),
        ("bounds", ("series",)),
        ("changed", ("changing",)),
    )
    whole = find_periods(question)
    if asked_output(question, whole) == "anomaly":
        return whole  # "compared with 2016 to 2018": the years bound what it is compared with
    return find_periods(question, ends=next((ends for ends, slots in cues if lexicon.has(question, *slots)), "unclear"))


def _words(question: str, whens: tuple[When, ...]) -> tuple[str, ...]:
    found = [when.words for when in whens]
    if lexicon.has(question, "same_year"):
        found.append(year_meant(found))
    return tuple(dict.fromkeys(found))


def _place(question: str, intent: Intent) -> str:
    # Advice does not need a place, so there only a clear one counts.
    names = find_places(without_shift(question), any_name=intent in ("compute", "scenes"))
    left = without_radius(question)
    # Neither an index nor the unit of a radius without a place is one.
    found = [one for one in names if not (abilities.is_index_name(one) or (one.isalpha() and one.lower() not in left))]
    # Beside "this field" a word in lower case is a place only if it is known to be one.
    loose = bool(found) and found[0].islower() and is_about_attachment(question)
    return found[0] if found and not (loose and not is_known_place(found[0].title())) else ""


def _missing(question: str, intent: Intent, whens: tuple[When, ...]) -> tuple[str, ...]:
    """Find what a question wants computed and no tool computes."""
    if intent not in ("compute", "recommend") or (intent == "recommend" and _asks_for_product(question)):
        return ()
    indices = [name for name in abilities.find_indices(question) if name not in abilities.indices()]
    kinds = abilities.missing_kinds(question)
    if "threshold" not in abilities.missing_kinds(without_radius(without_periods(question, whens))):
        kinds = tuple(kind for kind in kinds if kind != "threshold")  # "over 2025" is no threshold
    somewhere = bool(whens or find_places(question, any_name=False) or is_about_attachment(question))
    values = intent == "recommend" and not indices and _wants_values(question, somewhere)
    return (
        *(abilities.index_title(name) for name in indices),
        *((VALUES,) if values else ()),
        *((DEVIATION,) if intent == "recommend" and somewhere and asked_output(question, whens) == "anomaly" else ()),
        *((AVERAGE,) if intent == "compute" and _mean_unclear(question, whens) else ()),
        *(abilities.KINDS[kind] for kind in kinds if intent == "compute" or somewhere),
    )


def _mean_unclear(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether something is set against a mean, and it is not clear against that of what."""
    compared = lexicon.has(question, *COMPARED, "above", "below")
    return compared and len(whens) != 2 and names_mean(question) and asked_output(question, whens) != "anomaly"


def _with_layer(found: Slots, question: str) -> Slots:
    """Add the statistics of a layer where a question wants numbers of a place, not a product to make them from."""
    dates = names_date_layer(question) and lexicon.has(question, "when", "amount", "show", "per")
    wonders = abilities.wonders_about_product(question) or _asks_for_product(question)
    if wonders or (lexicon.has(question, *layers.BEYOND) and not dates):
        return found
    if dates:
        found = replace(found, periods=tuple(one for one, _ in asked_periods("phenology", found.periods) if one))
    if lexicon.has(question, "changing"):
        # A layer has no curve: its change from one year to another is that of two editions.
        found = replace(found, compares=True, periods=_words(question, find_periods(question, ends="compared")))
    two = found.compares and len(found.periods) > 1
    wants = VALUES in found.missing or two or lexicon.has(question, "amount") or layers.asks_how_much(question)
    place = found.place or next(filter(is_known_place, [_place(question, "compute")]), "")
    if not (dates or (wants and layers.names_land(question))) or not (place or is_about_attachment(question)):
        return found
    units = find_units(question)
    request = layers.LayerRequest(
        place=place,
        period=found.periods[0] if found.periods else "",
        against=found.periods[1] if two else "",
        units="place" if units == "any" else units,
    )
    given = {VALUES, *(abilities.KINDS[kind] for kind in layers.GIVEN)}
    missing = tuple(words for words in found.missing if words not in given)
    return replace(found, place=place, layer=request, missing=missing)


def _next_layer(found: Slots, question: str, before: layers.LayerRequest) -> Slots:
    """Change in the layer asked for before what a follow-up names: the place, the year or the units."""
    units, against = find_units(question), second_period(question, found.periods, before.period)
    request = replace(
        before,
        place=_place(question, "compute") or before.place,
        period=found.periods[0] if found.periods and not against else before.period,
        against=against or (found.periods[1] if len(found.periods) > 1 else "" if found.periods else before.against),
        units=before.units if units == "any" else units,
    )
    return replace(found, place=request.place, layer=request, missing=())


def _of_product(found: Slots, question: str, before: tuple[Slots, ...], told: tuple[str, ...]) -> Slots:
    """Compute the layer of the product that was told before, where a question says no more than "compute it"."""
    last = before[-1]
    if not refers_back(question, ()) or has_subject(question):
        return found
    product = told[0] if told else last.product or last.subject or last.text
    place = found.place or _place(question, "compute") or last.place
    if not lexicon.has(question, "do") or not (place or is_about_attachment(question)):
        return replace(found, subject=f"{question} ({product})") if not found.subject else found
    units = find_units(question)
    request = layers.LayerRequest(
        place=place,
        period=found.periods[0] if found.periods else "",
        against=found.periods[1] if len(found.periods) > 1 else "",
        units="place" if units == "any" else units,
        words=product,
    )
    return replace(found, place=place, layer=request, missing=(), subject="")


def _wants_values(question: str, somewhere: bool) -> bool:
    """Tell whether a question wants numbers, a curve or a map made, not just the data to make them from."""
    per, units = lexicon.alternatives("per"), lexicon.alternatives("parcels", "districts")
    per_unit = re.search(rf"(?<!\w)(?:{per})\s+(?:{units})", lexicon.fold(question))
    drawn = lexicon.has(question, "show") and lexicon.has(question, "map", "series")
    return bool(per_unit) or (somewhere and (drawn or lexicon.has(question, "amount")))


def is_about_attachment(question: str) -> bool:
    """Tell whether a question speaks of polygons of the user's own: my fields, this area."""
    mine, thing = lexicon.alternatives("mine"), lexicon.alternatives("parcels", "districts", "area_noun")
    return bool(re.search(rf"(?<!\w)(?:{mine})\s+(?:\w+\s+)?(?:{thing})", lexicon.fold(question)))


def _is_complete(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether a question names what, where and when by itself."""
    where = _place(question, "compute") or is_about_attachment(question)
    return bool(whens and where and (abilities.find_indices(question) or lexicon.has(question, "vegetation")))


def _before(question: str, whens: tuple[When, ...], last: Slots | None, *, leans: bool) -> ComputeRequest | None:
    """Give the request that a question goes on with: all of it in a follow-up, else the index where words are left out.

    The last request counts, as the last one told.
    """
    request = last.computes[-1] if last and last.computes else None
    if request is None or leans:
        return request
    return None if _is_complete(question, whens) else replace(request, output="composite", units="parcels")


def _is_follow_up(question: str, whens: tuple[When, ...], last: Slots, *, shifted: bool = False) -> bool:
    """Tell whether a question changes one thing of the question before."""
    opened = opening(question)
    if _asks_for_product(question[opened:]) or compared_products(question) or _is_complete(question, whens):
        return False
    leads = bool(opened) or len(question.split()) <= SHORT_WORDS or is_known_place(question)
    leads = leads and not abilities.names_elsewhere(question)
    leans = not has_subject(question) and (refers_back(question, whens) or shifted)
    changes = bool(shifted or whens or _place(question, "compute") or output_of(question))
    changes |= lexicon.has(question, "compare")
    changes |= bool(asked_output(question, whens) or abilities.find_indices(question) or radius_alone(question, whens))
    picks = any(one.output == "per_polygon" for one in last.computes) and bool(read_pick(question, whens))
    bare = not (has_subject(question) or _place(question, "compute") or abilities.find_indices(question))
    leans |= bare and (
        picks or bool((last.computes or last.layer) and whens and lexicon.has(question, *COMPARED, "changing"))
    )
    changes |= picks or bool(last.layer and lexicon.has(question, "area"))
    if any(one.output == "phenology" for one in last.computes):
        changes |= lexicon.has(question, "season_part")
    return bool((leads or leans) and changes)


def _filled_in(found: Slots, question: str, before: tuple[Slots, ...]) -> Slots:
    """Take place and period from earlier questions where this one has none.

    "My parcels" are those attached, else the ones that values were computed for before.
    """
    place, periods = found.place, found.periods
    known = any(one.output == "per_polygon" for slots in before for one in slots.computes)
    if not place and (known or not is_about_attachment(question)):
        place = next((slots.place for slots in reversed(before) if slots.place), "")
        place = widened(place, radius_alone(question, find_periods(question)))
    if not periods:
        periods = next((slots.periods for slots in reversed(before) if slots.periods), ())
    return replace(found, place=place, periods=periods)
