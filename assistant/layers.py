"""What a question wants to know of a product layer: the mean or the areas for a place or its units."""

import re
from dataclasses import dataclass, field

from assistant import lexicon
from assistant.picks import Pick
from assistant.times import find_periods
from tools.schema import UnitKind

GIVEN = ("difference", "change", "area", "ranking")
"""Kinds of results, named as in `abilities.KINDS`, that statistics of a layer give."""
UNITS = ("nuts", "communes", "districts", "parcels")
"""Words for the parts of a place."""
BEYOND = ("forecast", "phenology", "anomaly")
"""Kinds that need more than a layer: with them no layer is asked for."""


@dataclass(frozen=True)
class LayerRequest:
    """Statistics of one layer, still in words; the layer itself is looked up by the question."""

    place: str
    period: str
    against: str
    units: UnitKind
    words: str = ""
    """The earlier question that names the layer, where this one only changes it; empty: the question itself."""
    pick: Pick = field(default_factory=Pick)
    """What to pick from the polygons."""
    ground: str = ""
    """Values whose ground is wanted, as "> 30"; empty for all."""


def asks_how_much(question: str) -> bool:
    """Tell whether a question asks to what degree land is something: how sealed, wie bewaldet."""
    degree, land = lexicon.alternatives("degree"), lexicon.alternatives("land_state")
    return bool(re.search(rf"(?<!\w)(?:{degree})\s+(?:\S+\s+){{0,2}}(?:{land})", lexicon.fold(question)))


def names_land(question: str) -> bool:
    """Tell whether a question speaks of a kind of land; parts of a town are none, though some are called Stadtteile."""
    return lexicon.has(_without(question, *UNITS), "land", "land_state")


def subject(question: str) -> str:
    """Leave out the words for how much, which rank and which units: they name no layer and lead the search astray."""
    return _without(
        question, "amount", "area", "per", "threshold", "most", "least", "above", "below", "or_above", "ground", *UNITS
    )


def without_regions(question: str) -> str:
    """Leave out the NUTS regions that values are wanted for: no product is about them."""
    return _without(question, "nuts")


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
