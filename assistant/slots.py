"""What a question asks for, read by rules: the intent, the place, the periods, and what is to be computed."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from assistant import abilities, layers, lexicon
from assistant.computes import ComputeRequest, find_units, year_meant
from assistant.ground import UNCLEAR, read_ground
from assistant.picks import Pick, of_change, read_pick, without_best_units, without_periods
from assistant.shifts import without_shift
from assistant.spans import find_places, is_known_place
from assistant.times import Ends, When, find_periods
from assistant.yearly import asked_output, asked_periods, names_date_layer, names_mean
from tools.place_radius import without_radius
from tools.selection import Rank

Intent = Literal["greeting", "thanks", "help", "explain", "scenes", "compute", "recommend", "openeo", "out_of_scope"]

SMALL_TALK = ("greeting", "thanks", "help", "out_of_scope")
"""What no later question goes on with."""
EVIDENCE = ("vegetation", "parcels", "scenes", "product", "recommend", "land", "phenology")
"""Words that keep a question in scope although another subject is named, too."""
COMPARED = ("compare", "difference", "change", "increase", "decrease")
"""Words that set two periods against each other."""
SUBJECTS = ("land", "land_state", "vegetation", "phenology")
"""Words that say what a question is about."""
AVERAGE = "the comparison with an average, for it is not clear which"
ONE_END = "a period of which only one end is named"
THRESHOLDS = "the ground of several thresholds, for they are not the two ends of one range"
VALUES, DEVIATION = "values for this subject", "the deviation from other years for this subject"
"""Asked for a value of something that no index stands for."""

_END = re.compile(r"[?.!,;:]")
_TITLE = re.compile(r"[A-Z][\w+-]*(?: [\w+-]+){0,4}")
"""A name that may be that of a product: a few words, the first with a capital."""
_CENTIMETRES = re.compile(r"\d\s?(?:cm|[cz]entim)", re.I)
"""No scene here is so fine: the question is who has such images."""


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
    tool: str = ""
    """The one tool whose call answers it: `classify` or `feature_stack`; empty for all else."""
    rank: int = 0
    """Which one of a ranking is meant: 2 for "the second one"; 0 for all."""
    order: Rank = ""
    """In which order the rows of a layer or of classes are ranked; empty where nothing is picked from them."""
    outside: tuple[str, ...] = ()
    """Parts of it that another service would answer."""
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    """Arguments of that tool beside place and period."""


def is_comparison(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether a question sets things or two periods against each other."""
    if asked_output(question, whens) == "anomaly":
        return False
    between = question[whens[0].end : whens[1].start].strip() if len(whens) == 2 else ""
    two = len(whens) > 1 and lexicon.has(question, "changing")
    return two or lexicon.has(question, *COMPARED) or lexicon.has_only(between, "minus")


def intent_of(question: str, whens: tuple[When, ...]) -> Intent:
    """Tell what a question is after."""
    rest = lexicon.pattern("greeting", "thanks", "courtesy").sub("", lexicon.fold(question)).replace("there", "")
    if not re.search(r"\w", rest):
        return "thanks" if lexicon.has(question, "thanks") else "greeting"
    asks_help = rf"(?:{lexicon.alternatives('help')})(?:\W*(?:{lexicon.alternatives('courtesy')}))?\W*$"
    if re.search(asks_help, lexicon.fold(question)) and not place_of(question, "help"):
        return "help"
    named = abilities.find_indices(question) or abilities.named_in_words(question)
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
    if lexicon.has(question, "scenes") and lexicon.has(question, "ask", "satellite") and not green:
        return "recommend" if lexicon.has(question, "product") or _CENTIMETRES.search(question) else "scenes"
    where = bool(place_of(question, "compute") or is_about_attachment(question))
    wants_value = lexicon.has(question, "compute", "map", "changing", "series", *(("when",) if season else ()))
    # A colour alone is no task: it takes a place and a time, or a word for what to do.
    settled = where or (
        (bool(whens) or lexicon.has(question, "same_year"))
        and (bool(named) or bare or lexicon.has(question, "compute"))
    )
    if green and settled and (named or whens or wants_value) and not asks_for_product(question):
        return "compute"
    explains = explained(question) and not lexicon.has(question, "recommend")
    return "openeo" if _runs_elsewhere(question) else "explain" if explains else "recommend"


def _runs_elsewhere(question: str) -> bool:
    """Tell whether a question is how to run a computation in openEO, or about user-defined processes."""
    if abilities.names_product(question) or lexicon.has(question, "product", "recommend"):
        return False
    return lexicon.has(question, "udp") or (lexicon.has(question, "openeo") and lexicon.has(question, "do", "refers"))


def asks_for_product(question: str) -> bool:
    """Tell whether a question wants a product named; the best districts are no product."""
    return lexicon.has(without_best_units(question), "recommend") or (
        lexicon.has(question, "ask") and bool(_product_asked().search(lexicon.fold(question)))
    )


def _product_asked() -> "re.Pattern[str]":
    """Give the pattern of "which ... product" within one sentence."""
    ask, product = lexicon.alternatives("ask"), lexicon.alternatives("product", "map")
    return re.compile(rf"(?<!\w)(?:{ask})[^?.!]*?(?<!\w)(?:{product})")


def explained(question: str) -> str:
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


def periods_of(question: str) -> tuple[When, ...]:
    """Find the mentions of time, two where the question sets two against each other."""
    cues: tuple[tuple[Ends, tuple[str, ...]], ...] = (
        ("compared", COMPARED),
        ("bounds", ("series",)),
        ("changed", ("changing",)),
    )
    whole = find_periods(question)
    if asked_output(question, whole) == "anomaly":
        return whole  # "compared with 2016 to 2018": the years bound what it is compared with
    return find_periods(question, ends=next((ends for ends, slots in cues if lexicon.has(question, *slots)), "unclear"))


def period_words(question: str, whens: tuple[When, ...]) -> tuple[str, ...]:
    """Give the words of periods, once each; "that year" is the year of the others."""
    found = [when.words for when in whens]
    if lexicon.has(without_shift(question), "same_year"):  # "the year before" is another one
        found.append(year_meant(found))
    return tuple(dict.fromkeys(found))


def place_of(question: str, intent: Intent) -> str:
    """Give the place that a question names; empty where it names none."""
    # Advice does not need a place, so there only a clear one counts.
    names = find_places(without_shift(question), any_name=intent in ("compute", "scenes"))
    left = without_radius(question)
    # Neither an index nor the unit of a radius without a place is one.
    found = [one for one in names if not (abilities.is_index_name(one) or (one.isalpha() and one.lower() not in left))]
    # Beside "this field" a word in lower case is a place only if it is known to be one.
    loose = bool(found) and found[0].islower() and is_about_attachment(question)
    return found[0] if found and not (loose and not is_known_place(found[0].title())) else ""


def missing_of(question: str, intent: Intent, whens: tuple[When, ...]) -> tuple[str, ...]:
    """Find what a question wants computed and no tool computes."""
    if intent not in ("compute", "recommend") or (intent == "recommend" and asks_for_product(question)):
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


def is_open(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether a time has one end only: "before June 2024", "until May"."""
    word = rf"(?<!\w)(?:{lexicon.alternatives('open_time')})\s*(?:(?:{lexicon.alternatives('article')})\s*)?$"
    ahead = (lexicon.fold(question[: when.start]) for when in whens)
    return any(re.search(word, text) for text in ahead)


def _mean_unclear(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether something is set against a mean, and it is not clear against that of what."""
    compared = lexicon.has(question, *COMPARED, "above", "below")
    return compared and len(whens) != 2 and names_mean(question) and asked_output(question, whens) != "anomaly"


def with_layer(found: Slots, question: str) -> Slots:
    """Add the statistics of a layer where a question wants numbers of a place, not a product to make them from."""
    dates = names_date_layer(question) and lexicon.has(question, "when", "amount", "show", "per")
    wonders = abilities.wonders_about_product(question) or asks_for_product(question)
    if wonders or (lexicon.has(question, *layers.BEYOND) and not dates):
        return found
    if dates:
        found = replace(found, periods=tuple(one for one, _ in asked_periods("phenology", found.periods) if one))
    if lexicon.has(question, "changing"):
        # A layer has no curve: its change from one year to another is that of two editions.
        found = replace(found, compares=True, periods=period_words(question, find_periods(question, ends="compared")))
    two = found.compares and len(found.periods) > 1
    units = find_units(question)
    own = units != "any" or is_about_attachment(question)
    whens = find_periods(question)
    ground = read_ground(question, whens)
    if ground == UNCLEAR:
        return replace(found, missing=(THRESHOLDS,))
    pick = read_pick(question, whens, of_layer=True) if own else Pick()
    if ground:
        pick = replace(pick, above=None, below=None)
    amount = lexicon.has(question, "amount", "area") or layers.asks_how_much(question)
    wants = VALUES in found.missing or two or bool(pick) or bool(ground) or amount
    place = found.place or next(filter(is_known_place, [place_of(question, "compute")]), "")
    classes = lexicon.has(question, "area") and lexicon.has(question, "class_noun")
    about = classes or layers.names_land(question) or abilities.names_product(question)
    if not (dates or (wants and about)) or not (place or is_about_attachment(question)):
        return found
    request = layers.LayerRequest(
        place=place,
        period=found.periods[0] if found.periods else "",
        against=found.periods[1] if two else "",
        units="place" if units == "any" else units,
        pick=of_change(pick, question) if two else pick,
        ground=ground,
    )
    given = {VALUES, *(abilities.KINDS[kind] for kind in (*layers.GIVEN, *pick.kinds, *(["threshold"] * bool(ground))))}
    missing = tuple(words for words in found.missing if words not in given)
    return replace(found, place=place, layer=request, missing=missing)


def _wants_values(question: str, somewhere: bool) -> bool:
    """Tell whether a question wants numbers, a curve or a map made, not just the data to make them from."""
    per, units = lexicon.alternatives("per"), lexicon.alternatives(*layers.UNITS)
    per_unit = re.search(rf"(?<!\w)(?:{per})\s+(?:{units})", lexicon.fold(question))
    drawn = lexicon.has(question, "show") and lexicon.has(question, "map", "series")
    return bool(per_unit) or (somewhere and (drawn or lexicon.has(question, "amount")))


def is_about_attachment(question: str) -> bool:
    """Tell whether a question speaks of polygons of the user's own: my fields, this area."""
    mine, thing = lexicon.alternatives("mine"), lexicon.alternatives("parcels", "districts", "communes", "area_noun")
    return bool(re.search(rf"(?<!\w)(?:{mine})\s+(?:\w+\s+)?(?:{thing})", lexicon.fold(question)))


def is_complete(question: str, whens: tuple[When, ...]) -> bool:
    """Tell whether a question names what, where and when by itself."""
    where = place_of(question, "compute") or is_about_attachment(question)
    return bool(whens and where and (abilities.find_indices(question) or lexicon.has(question, "vegetation")))
