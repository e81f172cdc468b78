"""A question read within its conversation, and what a conversation has settled: typed, and kept with each turn."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from assistant import abilities, computes, layers, lexicon, slots, tasks
from assistant.choices import chosen, offered
from assistant.comparison import compared_products
from assistant.follow_ups import (
    SHORT_WORDS,
    base_period,
    has_subject,
    only_demands,
    opening,
    picked_again,
    radius_alone,
    refers_back,
    second_period,
    set_against,
    settled_place,
    told_product,
    told_products,
    widened,
    without_opening,
)
from assistant.ground import UNCLEAR, other_ground
from assistant.pending import is_reply
from assistant.picks import read_pick
from assistant.roles import users_words
from assistant.scope import parted
from assistant.shifts import find_shift, spelled_out
from assistant.slots import Slots
from assistant.spans import is_known_place
from assistant.times import When, find_periods, in_year_of
from assistant.tongue import says_only_language
from assistant.translation import language_asked
from assistant.yearly import asked_output
from knowledge.lexicon import Language
from tools.area_text import take_area
from tools.errors import AreaInvalid
from tools.schema import Frozen, Polygons

MOST_REPLAYED = 40
"""Latest turns that are read again where no state was kept: a client that sends its messages, an old conversation."""
MOST_PLACES = 20
DETOURS = ("explain", "openeo")
"""What a later question does not go on with where another one was asked before."""


class ConversationState(Frozen):
    """What the user's words have settled; what a model wrote has no part in it, but for the products it told."""

    latest: Slots | None = None
    """The last question that was no small talk, as it was read: product, plan in words, units."""
    last: Slots | None = None
    """The last one that asked for more than what something is."""
    place: str = ""
    area: str = ""
    """Polygons that a question had in its words, as JSON: where that is, as long as `place` is empty."""
    periods: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    """Names of places in full, the latest first: Valencia, Spain."""
    per_polygon: bool = False
    """True once values of polygons were asked for."""
    products: tuple[str, ...] = ()
    """Titles that the last answer told of, in its order."""
    language: Language | None = None
    """In which the user asks."""
    before: "ConversationState | None" = None
    """The state before the last question that changed it, to which "undo" goes back; it has none of its own."""

    def after(
        self, question: str, answer: str, area: Polygons | None = None, told_in: Language | None = None
    ) -> "ConversationState":
        """Give the state after a question and its answer; small talk, a yes and a no change nothing.

        Args:
            question: What the user asked.
            answer: What was told.
            area: Polygons that were written into the question.
            told_in: The answer's language, where the question does not tell it.
        """
        found = read(question, self)
        language = told_in or language_asked(question, self.language)
        if found.intent in slots.SMALL_TALK or is_reply(question) or says_only_language(question):
            return self.model_copy(update={"language": language})
        detour = found.intent in DETOURS and self.last is not None and self.last.intent not in DETOURS
        named = [found.place] if {",", "("} & set(found.place) else []
        return ConversationState(
            latest=found,
            last=self.last if detour else found,
            place=found.place or ("" if area else self.place),
            area=area.model_dump_json() if area else self.area,
            periods=found.periods or self.periods,
            places=tuple(dict.fromkeys([*named, *self.places]))[:MOST_PLACES],
            per_polygon=self.per_polygon or any(one.output == "per_polygon" for one in found.computes),
            products=self.products if found.product in self.products else told_products(answer),
            language=language,
            before=self.model_copy(update={"before": None}),
        )


START = ConversationState()


def replayed(told: Iterable[tuple[str, str]]) -> ConversationState:
    """Give the state that turns lead to, each as (role, text), oldest first.

    A question that only says which option of the answer before is meant is read as that option.
    """
    state, options, asked = START, tuple[str, ...](), list[list[str]]()
    for role, text in told:
        if role == "user":
            asked.append([text, ""])
        elif role == "assistant" and asked:
            asked[-1][1] = text
    for question, answer in asked[-MOST_REPLAYED:]:
        area, words = _with_area(users_words(question))
        state = state.after(chosen(question, options) or words, answer, area)
        options = offered(answer)
    return state


def _with_area(question: str) -> tuple[Polygons | None, str]:
    try:
        return take_area(question)
    except AreaInvalid:  # it was told when it was asked
        return None, question


@lru_cache(maxsize=256)
def read(question: str, state: ConversationState = START) -> Slots:
    """Read a question; what it leaves open comes from what the conversation has settled.

    Args:
        question: What the user asks now.
        state: What was settled before.
    """
    inside, outside = parted(question)
    picked = _picked(inside, state.latest, state.products) if state.latest else None
    task = None if picked else tasks.read(inside, state.latest)
    found = picked or (replace(task, text=inside) if task else _read(inside, state))
    if (found.computes or found.layer or found.intent == "scenes") and slots.is_open(inside, find_periods(inside)):
        found = replace(found, missing=(slots.ONE_END, *found.missing))
    return replace(found, outside=outside)


def _picked(question: str, latest: Slots, products: tuple[str, ...]) -> Slots | None:
    """Read which product or row of what was told last a question means; None where it means none."""
    if ordered := told_product(question, latest, products):
        return Slots("explain", product=ordered, text=question)
    shifted = find_shift(question) and base_period(latest)  # the 15th is a day
    return None if shifted else picked_again(question, latest)


def _read(question: str, state: ConversationState) -> Slots:
    last = state.last
    question = spelled_out(question) if lexicon.has(question, *slots.COMPARED) else question
    whens = without_opening(question, slots.periods_of(question)) if last else slots.periods_of(question)
    shift, base = find_shift(question), base_period(last)
    if shift and base:
        whens = tuple(one for one in whens if one.end <= shift.start or shift.end <= one.start)
    shifted = shift.of(base) if shift and base and not whens else ""
    intent = slots.intent_of(question, whens)
    leans = last is not None and _is_follow_up(question, whens, last, shifted=bool(shifted))
    if leans:
        whens = tuple(replace(one, words=in_year_of(base, one.words)) for one in whens)
    if intent == "recommend" and last and leans and last.intent in ("compute", "scenes"):
        intent = last.intent
    found = Slots(
        intent,
        text=question,
        place=settled_place(slots.place_of(question, intent), state.places),
        periods=(shifted,) if shifted and leans else slots.period_words(question, whens),
        product=slots.explained(question) if intent == "explain" else "",
        missing=slots.missing_of(question, intent, whens),
        compares=slots.is_comparison(question, whens),
    )
    if last and leans and last.intent in ("compute", "recommend") and not lexicon.has(question, *slots.SUBJECTS):
        found = replace(found, subject=last.subject or last.text)
    return _completed(found, question, whens, state, leans=leans)


def _completed(found: Slots, question: str, whens: tuple[When, ...], state: ConversationState, *, leans: bool) -> Slots:
    """Add what the conversation has settled, and what is to be computed."""
    latest, last = state.latest, state.last
    intent, base = found.intent, base_period(last)
    found = _demanding_more(found, question, state)
    if intent == "openeo" and last:
        return replace(found, place=last.place, periods=last.periods, computes=last.computes)
    if intent in ("compute", "scenes"):
        found = _filled_in(found, question, state)
    if intent == "compute":
        against = second_period(question, found.periods, base) if last and last.computes and leans else ""
        request = _before(question, whens, last, leans=leans)
        wanted = computes.find_computes(question, whens, found, request)
        if request and against:
            wanted = (set_against(request, against, question),)
        found = replace(found, computes=wanted, missing=computes.still_missing(found.missing, wanted))
    if intent == "recommend":
        found = slots.with_layer(found, question)
        if not found.layer and last and last.layer and leans and slots.THRESHOLDS not in found.missing:
            found = _next_layer(found, question, replace(last.layer, words=last.layer.words or last.text))
        if not found.layer and latest:
            found = _of_product(found, question, latest, state.products)
    return found


def _demanding_more(found: Slots, question: str, state: ConversationState) -> Slots:
    """Go on with the subject, place and period before where a question only says what a product must be, or not be."""
    last = state.last
    if last is None or not found.intent == last.intent == "recommend":
        return found
    if only_demands(question):
        found = replace(found, subject=f"{last.subject or last.text} {question}")
    return _filled_in(found, question, state) if found.subject else found


def _next_layer(found: Slots, question: str, before: layers.LayerRequest) -> Slots:
    """Change in the layer asked for before what a follow-up names: the place, the year or the units."""
    units, against = computes.find_units(question), second_period(question, found.periods, before.period)
    ground = (other_ground(question, ()) or before.ground) if before.ground else ""
    if ground == UNCLEAR:
        return replace(found, missing=(slots.THRESHOLDS,))
    request = replace(
        before,
        place=slots.place_of(question, "compute") or before.place,
        period=found.periods[0] if found.periods and not against else before.period,
        against=against or (found.periods[1] if len(found.periods) > 1 else "" if found.periods else before.against),
        units=before.units if units == "any" else units,
        ground=ground,
    )
    return replace(found, place=request.place, layer=request, missing=())


def _of_product(found: Slots, question: str, last: Slots, told: tuple[str, ...]) -> Slots:
    """Compute the layer of the product that was told before, where a question says no more than "compute it"."""
    if not refers_back(question, ()) or has_subject(question):
        return found
    product = told[0] if told else last.product or last.subject or last.text
    place = found.place or slots.place_of(question, "compute") or last.place
    if not lexicon.has(question, "do") or not (place or slots.is_about_attachment(question)):
        return replace(found, subject=f"{question} ({product})") if not found.subject else found
    units = computes.find_units(question)
    request = layers.LayerRequest(
        place=place,
        period=found.periods[0] if found.periods else "",
        against=found.periods[1] if len(found.periods) > 1 else "",
        units="place" if units == "any" else units,
        words=product,
    )
    return replace(found, place=place, layer=request, missing=(), subject="")


def _before(
    question: str, whens: tuple[When, ...], last: Slots | None, *, leans: bool
) -> computes.ComputeRequest | None:
    """Give the request that a question goes on with: all of it in a follow-up, else the index where words are left out.

    The last request counts, as the last one told.
    """
    request = last.computes[-1] if last and last.computes else None
    if request is None or leans:
        return request
    return None if slots.is_complete(question, whens) else replace(request, output="composite", units="parcels")


def _is_follow_up(question: str, whens: tuple[When, ...], last: Slots, *, shifted: bool = False) -> bool:
    """Tell whether a question changes one thing of the question before."""
    opened = opening(question)
    if slots.asks_for_product(question[opened:]) or compared_products(question) or slots.is_complete(question, whens):
        return False
    leads = bool(opened) or len(question.split()) <= SHORT_WORDS or is_known_place(question)
    leads = leads and not abilities.names_elsewhere(question)
    leans = not has_subject(question) and (refers_back(question, whens) or shifted)
    changes = bool(shifted or whens or slots.place_of(question, "compute") or computes.output_of(question))
    changes |= lexicon.has(question, "compare")
    changes |= bool(asked_output(question, whens) or abilities.find_indices(question) or radius_alone(question, whens))
    picks = any(one.output == "per_polygon" for one in last.computes) and bool(read_pick(question, whens))
    bare = not (has_subject(question) or slots.place_of(question, "compute") or abilities.find_indices(question))
    leans |= bare and (
        picks or bool((last.computes or last.layer) and whens and lexicon.has(question, *slots.COMPARED, "changing"))
    )
    changes |= picks or bool((last.layer or last.computes) and lexicon.has(question, "area"))
    changes |= bool(last.layer and lexicon.has(question, "share"))
    changes |= bool(last.layer and last.layer.ground and other_ground(question, whens))
    if any(one.output == "phenology" for one in last.computes):
        changes |= lexicon.has(question, "season_part")
    return bool((leads or leans) and changes)


def _filled_in(found: Slots, question: str, state: ConversationState) -> Slots:
    """Take place and period from earlier questions where this one has none.

    "My parcels" are those attached, else the ones that values were computed for before.
    """
    place = found.place
    if not place and (state.per_polygon or not slots.is_about_attachment(question)):
        place = widened(state.place, radius_alone(question, find_periods(question)))
    return replace(found, place=place, periods=found.periods or state.periods)
