"""Questions that want land classified or a feature stack made: which tool, with which arguments, read by rules."""

import re
from typing import Any

from assistant import abilities, computes, follow_ups, lexicon, slots
from assistant.picks import without_periods
from assistant.slots import Slots
from assistant.spans import find_places
from assistant.spelled import spelled_numbers
from assistant.times import find_periods
from knowledge.lexicon import is_function_word, language_of
from tools.place_radius import without_radius

DEFAULT_CLASSES = 5
COLOURS = ("blue", "green", "red", "nir")
"""Bands that are asked for by their common name, each with its words in the lexicon."""
TRUE_COLOUR = {"bands": "red, green, blue", "format": "geotiff", "composite": True}
"""What makes a true-colour image."""
MAX_FOLLOW_UP_WORDS = 8
_FORMATS = {
    "zarr": re.compile(r"\bzarr\b"),
    "netcdf": re.compile(r"net-?cdf|(?<=\.)nc\b"),
    "geotiff": re.compile(r"geo-?tiff?|\btiff?\b"),
}
"""File formats of a stack; of several that are named, the first here is taken."""
_LENGTH = re.compile(r"(?:kilo)?met\w+|chilom\w+|miles?")
_MISSION = re.compile(r"(?:sentinel|landsat)[\s-]?\d?\w?\b")
_FRACTION = re.compile(r"(?<![\w.,])-?[01][.,]\d{1,2}(?![\w%])")
"""A number that a break of an index may be, and a coordinate with its many decimals hardly is."""
_BAND = re.compile(r"\bB(?:\d{1,2}|8A)\b")
_DECIMAL = re.compile(r"(?<![\w.,])-?\d{1,4}(?:[.,]\d{1,6})?(?![\w%])")
_ATTRIBUTE = re.compile(
    r"(?:attribut\w*|atributo|attributo|column|colonne|columna|colonna|spalte)\s+(?P<open>[\"'«„“‘]?)\s*(?P<name>[\w-]{1,40})"
)


def call(task: Slots, default_period: str) -> tuple[str, dict[str, Any]]:
    """Give the tool with its arguments."""
    period = task.periods[0] if task.periods else default_period
    return task.tool, {"place": task.place, "period": period, **task.options}


def read(question: str, before: Slots | None = None) -> Slots | None:
    """Read what task a question sets; None when it is no task of these.

    Args:
        question: What the user asks now.
        before: What the user asked before, as it was read.
    """
    found = _read(question)
    if before is None or not before.tool or (found and found.place and found.periods):
        return found
    if not found:
        return _changed(before, question)
    place = found.place or ("" if slots.is_about_attachment(question) else before.place)
    return _task(found.tool, place, "".join((found.periods or before.periods)[:1]), found.options)


def _task(tool: str, place: str, period: str, options: dict[str, Any]) -> Slots:
    return Slots(
        "compute",
        place=place,
        periods=(period,) if period else (),
        computes=(computes.ComputeRequest("composite", period, "place", place=place),),
        tool=tool,
        options=options,
    )


def _read(question: str) -> Slots | None:
    folded = lexicon.fold(question)
    if lexicon.has(question, "recommend") or _opens_with(folded, "explain"):
        return None
    colour = lexicon.has(question, "true_colour")
    stack = colour or _wants_stack(folded, question)
    options = _stack_options(question, folded) if stack else _class_options(question, folded)
    if colour:
        options = dict(TRUE_COLOUR)
    if options is None:
        return None
    place, period = _where_and_when(question)
    if _opens_with(folded, "ask") and not (place and lexicon.has(question, "kmeans")):
        return None  # it asks for a product that was made so
    if not (place or period or slots.is_about_attachment(question) or lexicon.has(question, "labelled")):
        return None
    return _task("feature_stack" if stack else "classify", place, period, options)


def _opens_with(folded: str, cue: str) -> bool:
    return bool(re.match(rf"\W*(?:{lexicon.alternatives(cue)})", folded))


def _wants_stack(folded: str, question: str) -> bool:
    file = _format(folded)
    learning, bands = lexicon.has(question, "machine_learning"), lexicon.has(question, "band")
    # A map of an index is a GeoTIFF anyway.
    cube = file in ("netcdf", "zarr") and bool(abilities.find_indices(question))
    return bool(
        lexicon.has(question, "stack", "all_bands") or (bands and (learning or file)) or (learning and file) or cube
    )


def _format(folded: str) -> str:
    return next((name for name, pattern in _FORMATS.items() if pattern.search(folded)), "")


def _stack_options(question: str, folded: str) -> dict[str, Any]:
    indices = [abilities.index_title(name) for name in abilities.find_indices(question) if name in abilities.indices()]
    named = list(dict.fromkeys(_BAND.findall(question)))
    colours = [colour for colour in COLOURS if lexicon.has(question, f"{colour}_band")]
    if lexicon.has(question, "band", "stack") or "nir" in colours:  # beside the near infrared, a colour is a band
        named += colours
    whole = lexicon.has(question, "all_bands") or not (named or indices)
    composite = {"composite": True} if lexicon.has(question, "map", "median") else {}
    bands = ", ".join([*(["all"] if whole else []), *named, *indices])
    return {"bands": bands, "format": _format(folded) or "netcdf", **composite}


def _class_options(question: str, folded: str) -> dict[str, Any] | None:
    """Give the arguments of a classification; None when the question wants none."""
    asked = lexicon.has(question, "classify")
    count = _class_count(folded) or (_loose_count(question) if asked or lexicon.has(question, "kmeans") else 0)
    # A classification may also be a product, and a ranking: its noun needs a number of classes beside it.
    asked = asked or bool(count and lexicon.has(question, "classify_noun"))
    if lexicon.has(question, "kmeans"):
        return {"method": "kmeans", "classes": count or DEFAULT_CLASSES}
    if lexicon.has(question, "forest") or (asked and lexicon.has(question, "labelled")):
        return {"method": "random_forest", "label": _attribute(folded, question)}
    named = [name for name in abilities.find_indices(question) if name in abilities.indices()]
    breaks = _breaks(question, folded)
    if named and (asked or count or lexicon.has(question, "breaks")) and (breaks or count):
        return {"method": "thresholds", "index": abilities.index_title(named[0]), "breaks": ", ".join(breaks)}
    if asked and not named and (count or lexicon.has(question, "land", "pixel")):
        return {"method": "kmeans", "classes": count or DEFAULT_CLASSES}
    return None


def _class_count(folded: str) -> int:
    """Give the number of classes a question names, 0 for none; one that no tool takes is given as it is."""
    noun = lexicon.alternatives("class_noun")
    for match in re.finditer(rf"(?<!\w)(?=(?P<number>[^\W_]+)[\s-]+(?:[^\W\d_]+\s)?(?:{noun}))", folded):
        if number := _whole(match["number"], folded):
            return number
    return 0


def _loose_count(question: str) -> int:
    """Give the number of parts of any name that land is to be parted in: "into 3 zones"; 0 for none."""
    text = lexicon.fold(without_radius(without_periods(question, find_periods(question))))
    for match in _loosely_counted().finditer(text):
        if not lexicon.has_only(match["noun"], "band", "pixel", "time_noun") and not _LENGTH.fullmatch(match["noun"]):
            return _whole(match["number"], text)
    return 0


def _loosely_counted() -> "re.Pattern[str]":
    return re.compile(
        rf"(?<!\w)(?:{lexicon.alternatives('into', 'with')})\s+(?P<number>[^\W_]+)\s+(?P<noun>[^\W\d_]{{3,}})"
    )


def _whole(word: str, text: str) -> int:
    """Read a whole number in digits or in the words of the language of a text; 0 where there is none."""
    if word.isdigit():
        return int(word) if len(word) < 4 else 0
    spelled = [one for one in spelled_numbers(word, language_of(text)) if one.values[0].is_integer()]
    return int(spelled[0].values[0]) if spelled else 0


def _breaks(question: str, folded: str) -> list[str]:
    rest = without_periods(folded, find_periods(question))
    counted = re.compile(rf"(?<!\w)\d+[\s-]+(?:{lexicon.alternatives('class_noun')})")
    rest = _loosely_counted().sub(" ", counted.sub(" ", rest))
    return [match[0].replace(",", ".") for match in _DECIMAL.finditer(rest)]


def _attribute(folded: str, question: str) -> str:
    """Give the attribute that holds the classes, as it is written; empty where none is named."""
    for match in _ATTRIBUTE.finditer(folded):
        name = question[match.start("name") : match.end("name")]
        if match["open"] or not is_function_word(match["name"], language_of(question)):
            return name
    return ""


def _where_and_when(question: str) -> tuple[str, str]:
    """Find place and period; the words of the task itself name no place."""
    whens, folded = follow_ups.without_opening(question, find_periods(question)), lexicon.fold(question)
    words = lexicon.pattern(
        "kmeans", "forest", "stack", "true_colour", "all_bands", "machine_learning", "classify", "classify_noun",
        "labelled", "class_noun",
    )  # fmt: skip
    cues = (words, *_FORMATS.values(), _MISSION, _FRACTION)
    spans = [match.span() for cue in cues for match in cue.finditer(folded)]
    spans += [one.span("number") for one in _loosely_counted().finditer(folded) if _whole(one["number"], folded)]
    masked = question
    for start, end in (*spans, *(match.span() for match in _BAND.finditer(question))):
        masked = masked[:start] + ";" * (end - start) + masked[end:]
    attached = slots.is_about_attachment(question) or lexicon.has(question, "forest", "labelled")
    places = find_places(masked, any_name=not attached)
    return (places[0] if places else ""), (whens[0].words if whens else "")


def _changed(before: Slots, question: str) -> Slots | None:
    """Change in a task what a short question after it names: the number of classes, place, period or format."""
    folded = lexicon.fold(question)
    opens = re.match(rf"\s*(?:{lexicon.alternatives('follow_up')})(?!\w)", folded)
    if not opens or len(question.split()) > MAX_FOLLOW_UP_WORDS:
        return None
    if slots.intent_of(question, find_periods(question)) in ("explain", "help"):
        return None
    options, count = dict(before.options), _class_count(folded) or _loose_count(question)
    if count and "classes" in options:
        options["classes"] = count
    if "format" in options:
        options["format"] = _format(folded) or options["format"]
    place, period = _where_and_when(question)
    radius = follow_ups.radius_alone(question, find_periods(question))
    place = place or follow_ups.widened(before.place, radius)
    after = _task(before.tool, place, period or "".join(before.periods[:1]), options)
    return after if after != before and not abilities.find_indices(question) else None
