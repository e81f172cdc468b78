"""What a stored number stands for, and which numbers of a layer are no measurement."""

import re
from collections.abc import Sequence

from knowledge.catalogue import Catalogue
from knowledge.decoding import OUTSIDE, decode, decode_dates
from knowledge.errors import NotDecodable
from knowledge.schema import Edition, Legend, Variable

MOST_LAYERS = 3
MOST_CODES = 12
"""A longer list of codes is counted, not told."""
_THING = (
    r"(?:codes?|values?|class(?:es)?|numbers?|flags?|dn|pixels?|werte?|zahl|klasse|valeurs?|classe|nombre|valor(?:es)?|"
    r"clase|numero|valore|codice|codigo|pixelwerte?)"
)
_MEANS = (
    r"(?:mean\w*|stands?|bedeute\w*|heisst|signifi\w*|veut dire|vuol dire|quiere decir|indicat\w*|represent\w*|steht)"
)
_NUMBER = r"(?P<number>\d{1,5})(?![.,]?\d)(?!\s?(?:m|km|ha|cm|%|percent|days?|metres?|meters?)\b)"
_NEXT = re.compile(rf"\W+(?:(?:and|or|und|oder|et|ou|y|o|e)\W+)?(?!(?:19|20)\d\d\b){_NUMBER}")
_CODES = (
    re.compile(rf"\b{_THING}\W{{0,3}}(?:of |is |de |di |von |= ?|el |le |la |der )?{_NUMBER}"),
    re.compile(rf"(?<![\w.]){_NUMBER}(?=\W+{_MEANS}\b)"),
    re.compile(rf"\b{_MEANS}\W+(?:(?:of|the|a|der|die|das|den|le|la|el|il|un|una)\W+)*(?:{_THING}\W+)?{_NUMBER}"),
)


def codes_in(question: str) -> list[int]:
    """Give the numbers of a question, without accents and in lower case, that it asks the meaning of."""
    found = []
    for match in (match for pattern in _CODES for match in pattern.finditer(question)):
        one: re.Match[str] | None = match
        while one:
            found.append(one["number"])
            one = _NEXT.match(question, one.end())
    return [int(one) for one in dict.fromkeys(found)]


def names_class(question: str, editions: Sequence[Edition], catalogue: Catalogue) -> bool:
    """Tell whether a question holds a number of three digits or more, no year, that is a class of some editions."""
    layers = [layer for edition in editions for layer in edition.variables]
    names = {name for one in editions for name in one.legends} | {one.legend for one in layers if one.legend}
    codes = {one.code for name in names for one in catalogue.legend(name).classes if one.code > 99}
    said = {int(match["number"]) for match in re.finditer(rf"(?<![\w.]){_NUMBER}", question)}
    return any(one in codes and not 1900 <= one < 2100 for one in said)


def code_lines(editions: Sequence[Edition], codes: Sequence[int], catalogue: Catalogue) -> list[str]:
    """Say what each stored number stands for in the layers of some editions; what no table holds is not verified."""
    layers = _layers(editions)
    lines: list[str] = []
    for code in codes:
        told = [line for edition, layer in layers if (line := _meaning(edition, layer, code, catalogue))]
        told = [line for line in told if OUTSIDE not in line] or told
        tables = [table for edition, layer in layers if (table := _table(edition, layer, catalogue))]
        known = f" Known codes of {layers[0][1].name}: {tables[0]}." if tables else ""
        lines += list(dict.fromkeys(told))[:MOST_LAYERS] or [f"Meaning of {code}: not verified.{known}"]
    return lines


def no_data_lines(editions: Sequence[Edition], catalogue: Catalogue) -> list[str]:
    """Tell the codes of layers that are no measurement; unknown ones are said to be not verified."""
    gaps = dict.fromkeys(f"No data: {one.no_data}." for one in editions if one.no_data)
    tables: dict[str, list[str]] = {}
    for edition, layer in _layers(editions):
        special = _special(edition, layer, catalogue)
        if special:
            tables.setdefault(_listed(special), []).append(layer.name)
    lines = [
        f"Codes of {', '.join(names[:MOST_LAYERS])} that are no measurement: {told}." for told, names in tables.items()
    ]
    found = [*[*gaps][:1], *lines[:MOST_LAYERS]]
    return found or [f"No-data value of {editions[0].id}: not verified."]


def _layers(editions: Sequence[Edition]) -> list[tuple[Edition, Variable]]:
    """Give the layers of the editions in use, each name once."""
    current = [one for one in editions if one.status == "current"] or list(editions)
    return list({layer.name: (edition, layer) for edition in reversed(current) for layer in edition.variables}.values())


def _meaning(edition: Edition, layer: Variable, code: int, catalogue: Catalogue) -> str:
    """Say what a number is in one layer: a class, a code, or a value; empty where that is not known."""
    legend = _legend(edition, layer, catalogue)
    known = (*legend.classes, *legend.special_values) if legend else ()
    for one in known:
        if legend and one.code == code:
            return f"Code {code}: {one.label} ({legend.title})."
    for one in known:
        if legend and one.grid_code == code:
            return f"Grid code {code}, code {one.code}: {one.label} ({legend.title})."
    special = _special(edition, layer, catalogue)
    if code in special:
        return f"Code {code}: {special[code]} ({layer.name})."
    return "" if legend else _value(edition, layer, code, catalogue)


def _value(edition: Edition, layer: Variable, code: int, catalogue: Catalogue) -> str:
    """Decode a number as the layer's values are decoded."""
    encoding = layer.encoding
    if encoding is None or encoding.valid is None or encoding.kind not in ("number", "date"):
        return ""
    try:
        if encoding.kind == "date":
            day = decode_dates(catalogue, edition.id, layer.name, [code]).iso()[0]
            return f"Code {code}: {day} ({layer.name})." if day else ""
        found = decode(catalogue, edition.id, layer.name, [code])
    except NotDecodable:
        return ""
    if found.flags[0]:
        return f"Code {code}: {OUTSIDE} ({layer.name})."
    unit = f" {layer.unit}" if layer.unit else ""
    return f"Code {code}: {found.values[0]:g}{unit} ({layer.name})."


def _legend(edition: Edition, layer: Variable, catalogue: Catalogue) -> Legend | None:
    """Give the legend of a layer, or of its edition where that is made for this band."""
    if layer.legend:
        return catalogue.legend(layer.legend)
    legends = [catalogue.legend(name) for name in edition.legends]
    return next((one for one in legends if one.band == layer.name), None)


def _special(edition: Edition, layer: Variable, catalogue: Catalogue) -> dict[int, str]:
    legend = _legend(edition, layer, catalogue)
    labels = {one.code: one.label for one in legend.special_values} if legend else {}
    return labels | (dict(layer.encoding.special) if layer.encoding else {})


def _table(edition: Edition, layer: Variable, catalogue: Catalogue) -> str:
    legend = _legend(edition, layer, catalogue)
    told = {one.code: one.label for one in legend.classes} if legend else {}
    told |= _special(edition, layer, catalogue)
    return _listed(told) if 0 < len(told) <= MOST_CODES else ""


def _listed(codes: dict[int, str]) -> str:
    return "; ".join(f"{code} {label}" for code, label in sorted(codes.items()))
