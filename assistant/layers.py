"""What a question wants to know of a product layer: the mean or the areas for a place or its units."""

import re
from dataclasses import dataclass
from typing import Literal

from assistant import lexicon
from assistant.times import find_periods

GIVEN = ("difference", "change", "area", "ranking")
"""Kinds of results, named as in `abilities.KINDS`, that statistics of a layer give."""
BEYOND = ("forecast", "phenology", "anomaly")
"""Kinds that need more than a layer: with them no layer is asked for."""


@dataclass(frozen=True)
class LayerRequest:
    """Statistics of one layer, still in words; the layer itself is looked up by the question."""

    place: str
    period: str
    against: str
    units: Literal["place", "parcels", "districts"]
    words: str = ""
    """The earlier question that names the layer, where this one only changes it; empty: the question itself."""


def asks_how_much(question: str) -> bool:
    """Tell whether a question asks to what degree land is something: how sealed, wie bewaldet."""
    degree, land = lexicon.alternatives("degree"), lexicon.alternatives("land_state")
    return bool(re.search(rf"(?<!\w)(?:{degree})\s+(?:\S+\s+){{0,2}}(?:{land})", lexicon.fold(question)))


def names_land(question: str) -> bool:
    """Tell whether a question speaks of a kind of land; parts of a town are none, though some are called Stadtteile."""
    return lexicon.has(_without(question, "districts", "parcels"), "land", "land_state")


def subject(question: str) -> str:
    """Leave out the words for how much and for which units: they name no layer and lead the search astray."""
    return _without(question, "amount", "area", "per", "districts", "parcels")


def status_subject(question: str, wanted: LayerRequest) -> str:
    """Leave out that it changed, where and when: two status layers are meant, and change products have those words."""
    text = _without(question, "changing", "compare", "difference", "change", "increase", "decrease")
    for words in (wanted.place, *(when.words for when in find_periods(question))):
        text = text.replace(words, " ") if words else text
    return " ".join(text.split()) or question


def _without(question: str, *slots: str) -> str:
    folded = lexicon.fold(question)
    kept, end = [], 0
    for match in lexicon.pattern(*slots).finditer(folded):
        kept.append(question[end : match.start()])
        end = match.end()
    return " ".join(" ".join((*kept, question[end:])).split()) or question
