"""Facts of editions in sentences, one function a kind of fact; what is not in the catalogue is said to be unknown."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from knowledge.asked_codes import code_lines, codes_in, no_data_lines
from knowledge.catalogue import Catalogue, normalise
from knowledge.editions import licence
from knowledge.fitness import NOT_OFFERED
from knowledge.ingest import policy_sentences
from knowledge.lexicon import in_english
from knowledge.schema import Document, Edition, Encoding, Product, Variable
from knowledge.services import CDSE_SERVICES, services
from knowledge.words import stems

MOST_CODES = 5
MOST_DOCUMENTS = 2
UNKNOWN, NOT_STATED = ": not verified.", "not stated in this catalogue"
SERVICES = {
    "stac": "STAC",
    "openeo": "openEO",
    "sentinelhub": "Sentinel Hub",
    "s3": "S3",
    "odata": "OData",
    "wekeo": "WEkEO",
    "wms": "WMS",
    "portal": "CLMS portal",
}
ANSWER = {"available": "Yes", "absent": "No"}
_YES_OR_NO = re.compile(
    r"(?:is|are|was|has|have|does|do|can|ist|sind|gibt|kann|est|est-ce|peut-on|puis-je|esta|estan|hay|se puede|puedo|"
    r"e|sono|c e|posso|si puo)\b"
)
_PRODUCED = re.compile(r"\b(?:still|noch|encore|toujours|todavia|sigue\w*|ancora)\b")
_STOPPED = re.compile(r"\b(?:discontinued|eingestellt|descontinuad[oa]s?)\b")
CODED = {"class": "class codes", "presence": "codes for yes and no", "date": "dates", "bits": "bit flags"}
"""Kinds of layers whose stored numbers are no quantities."""
STRICT_PATCH = re.compile(r"\b(?:mmu|(?:mapping|kartier|cartografi|cartograph|mappatura)\w*)\b")
"""Asks for the minimum mapping unit itself, not for small things."""


@dataclass(frozen=True)
class Asked:
    """What a fact is looked up in."""

    editions: tuple[Edition, ...]
    question: str
    catalogue: Catalogue
    documents: tuple[Document, ...]
    """Those of all editions."""
    product: Product
    told_apart: tuple[Edition, ...]
    """Editions of the product that the question speaks of more than of the others; all where it speaks of none."""


def telling_words(text: str) -> set[str]:
    """Give the stems of a text, and its words with digits such as v4 or 300."""
    plain = normalise(text)
    return {*stems(plain), *(word for word in plain.split() if any(char.isdigit() for char in word))}


def _doi(asked: Asked) -> list[str]:
    known = [f"{one.id}: {', '.join(one.dois)}" for one in asked.editions if one.dois]
    return [f"DOI: {'; '.join(known)}." if known else f"DOI of {asked.editions[0].id}: not verified."]


def _decoding(asked: Asked) -> list[str]:
    said = telling_words(asked.question)
    layers = [one for edition in asked.editions if edition.status == "current" for one in edition.variables]
    layers.sort(key=lambda one: -len(telling_words(f"{one.name} {one.meaning or ''}") & said))
    lines = dict.fromkeys(line for one in layers if (line := _rule(one)))
    ranges = dict.fromkeys(f"Valid range: {one.valid_range}." for one in asked.editions if one.valid_range)
    return [*lines][:MOST_CODES] + [*ranges][:1]


def _no_data(asked: Asked) -> list[str]:
    return no_data_lines(asked.editions, asked.catalogue)


def _codes(asked: Asked) -> list[str]:
    return code_lines(asked.editions, codes_in(normalise(asked.question)), asked.catalogue)


def _licence(asked: Asked) -> list[str]:
    return [f"Licence: {licence(name)}" for name in dict.fromkeys(one.licence for one in asked.editions)]


def _accuracy(asked: Asked) -> list[str]:
    """Say that the catalogue holds none, and which documents may."""
    documents = [one for edition in asked.editions for one in edition.documents] or asked.documents
    titles = dict.fromkeys(f"{one.title}{f' <{one.url}>' if one.url else ''}" for one in documents)
    where = f" Where it may be told: {'; '.join([*titles][:MOST_DOCUMENTS])}." if titles else ""
    return [f"Accuracy of {asked.editions[0].id}: {NOT_STATED}.{where}"]


def _crs(asked: Asked) -> list[str]:
    return _per_edition(asked, "Coordinate reference system", lambda one: ", ".join(one.crs))


def _format(asked: Asked) -> list[str]:
    return _per_edition(asked, "Format", lambda one: ", ".join(one.formats))


def _resolution(asked: Asked) -> list[str]:
    return _per_edition(asked, "Resolution", lambda one: ", ".join(one.resolution))


def _sensors(asked: Asked) -> list[str]:
    return _per_edition(asked, "Sensors", lambda one: ", ".join(one.sensors))


def _since(asked: Asked) -> list[str]:
    """Tell the earliest start: of the editions that the question tells apart, else of all, those on offer first."""
    dated = [one for one in asked.told_apart if one.start]
    dated = [one for one in dated if one.status not in NOT_OFFERED] or dated
    first = min(dated, key=lambda one: one.start or "", default=None)
    return [
        f"First year: {first.start} ({first.id})." if first else f"First year of {asked.editions[0].id}: not verified."
    ]


def _rhythm(asked: Asked) -> list[str]:
    return _per_edition(asked, "Production rhythm", lambda one: one.cadence or "")


def _timeliness(asked: Asked) -> list[str]:
    return _per_edition(asked, "Time until published", lambda one: one.timeliness or "")


def _per_edition(asked: Asked, what: str, told: Callable[[Edition], str]) -> list[str]:
    """Tell one fact of each edition, those that share it together; not verified where none has it."""
    ids: dict[str, list[str]] = {}
    for one in asked.editions:
        if text := told(one):
            ids.setdefault(text, []).append(one.id)
    return [f"{what}: {text} ({', '.join(ids[text])})." for text in ids] or [
        f"{what} of {asked.editions[0].id}: not verified."
    ]


def _rule(variable: Variable) -> str:
    """Tell how stored values of a layer become physical ones; empty where nothing is known."""
    encoding = variable.encoding or Encoding()
    unit = f" in {variable.unit}" if variable.unit else ""
    note = f" ({encoding.note.rstrip('.')})" if encoding.note else ""
    scale = variable.scale if encoding.scale is None else encoding.scale
    if encoding.kind in CODED:
        return f"{variable.name}: {CODED[encoding.kind]}, never to be scaled{note}."
    if scale is None or encoding.kind == "unverified":
        return f"{variable.name}: values{unit}; scale and offset not verified{note}." if variable.unit or note else ""
    offset = (variable.offset if encoding.offset is None else encoding.offset) or 0.0
    shift = f" {'-' if offset < 0 else '+'} {abs(offset):g}" if offset else ""
    numbers = f"scale {scale:g}, offset {offset:g}"
    return f"{variable.name}{unit}: stored value x {scale:g}{shift} ({numbers}){note}."


def _patch(asked: Asked) -> list[str]:
    lines: dict[str, Edition] = {}
    for one in asked.editions:
        size = f"{one.minimum_mapping_unit_ha:g} ha" if one.minimum_mapping_unit_ha else ""
        width = f"minimum width {one.minimum_mapping_width_m:g} m" if one.minimum_mapping_width_m else ""
        told = "; ".join(part for part in (size, width, one.mapping_unit_note or "") if part)
        if told:
            lines.setdefault(f"Minimum mapping unit: {told.rstrip('.')}", one)
    if not lines and STRICT_PATCH.search(normalise(asked.question)):
        return [f"Minimum mapping unit of {asked.editions[0].id}: not verified."]
    return [f"{told} ({one.id})." for told, one in lines.items()][:2]


def _classes(asked: Asked) -> list[str]:
    names = dict.fromkeys(
        name for one in asked.editions for name in (*one.legends, *(v.legend for v in one.variables)) if name
    )
    lines: list[str] = []
    words_asked = set(stems(in_english(asked.question)))
    for legend in [asked.catalogue.legend(name) for name in names][:3]:
        if not legend.classes:
            continue
        lines.append(f"{legend.title}: {len(legend.classes)} classes.")
        hits = [one for one in legend.classes if (words := set(stems(one.label))) and words <= words_asked]
        lines += [f"Code {one.code}: {one.label} ({legend.title})." for one in hits[:MOST_CODES]]
    return lines


def _status(asked: Asked) -> list[str]:
    """Say whether data of the edition meant still come, or whether another replaces it."""
    one, text = asked.told_apart[0], normalise(asked.question)
    goes_on = one.end == "present" and one.status == "current"
    if _PRODUCED.search(text) or _STOPPED.search(text):
        stopped = one.status in ("discontinued", "retired")
        if not goes_on and not stopped and (one.end in (None, one.start) or one.end == "present"):
            return [f"Production of {one.id} today{UNKNOWN}", *_versions(asked)]
        yes = goes_on == bool(_PRODUCED.search(text))
        ended = f"{one.id} is {one.status}." if stopped else f"Data of {one.id} end in {one.end}."
        told = f"Data of {one.id} go on to today." if goes_on else ended
        told += f" {one.id} is replaced by {after}." if (after := successor(one, asked.catalogue)) else ""
    else:
        if one.status not in ("current", "superseded") and not one.superseded_by:
            return [f"Replacement of {one.id}{UNKNOWN}", *_versions(asked)]
        yes = one.status == "superseded" or bool(one.superseded_by)
        by = f"replaced by {successor(one, asked.catalogue)}" if one.superseded_by else "superseded"
        told = f"{one.id} is {by}." if yes else f"{one.id} is not superseded."
    return [f"{'Yes' if yes else 'No'}. {told}" if _YES_OR_NO.match(text) else told]


def _versions(asked: Asked) -> list[str]:
    told = dict.fromkeys(
        text for one in asked.editions for text in (_told(one), successor(one, asked.catalogue)) if text
    )
    updates = dict.fromkeys(text for one in asked.editions for text in (*one.updates, one.version_note or "") if text)
    return [f"Editions: {'; '.join(told)}.", *(f"{text.rstrip('.')}." for text in [*updates][-4:])]


def successor(edition: Edition, catalogue: Catalogue) -> str:
    """Tell the years and the state of what took the place of an edition in the end; empty where nothing did."""
    after = edition
    while after.superseded_by:
        after = catalogue.edition(after.superseded_by)
    return _told(after) if after is not edition else ""


def _told(edition: Edition) -> str:
    end = {None: "", edition.start: "", "present": " to today"}.get(edition.end, f" to {edition.end}")
    state = f", replaced by {edition.superseded_by}" if edition.superseded_by else ""
    return f"{edition.id} ({edition.start or 'years not verified'}{end}, {edition.status}{state})"


def _policies(asked: Asked) -> list[str]:
    told = sorted(policy_sentences(asked.product).values(), key=lambda text: "our reading" in text)
    return told or ["Policies it serves: not verified."]


def _services(asked: Asked) -> list[str]:
    """Tell by which services the edition can be had: those that the question names, else all."""
    edition, text = asked.editions[0], normalise(asked.question)
    every = services(edition)
    named = [one for one in every if re.search(rf"\b{normalise(SERVICES[one.name])}\b", text)]
    told: dict[str, list[str]] = {}
    for one in named or every:
        ids = f" ({', '.join(one.ids)})" if one.ids else ""
        told.setdefault(one.state, []).append(f"{SERVICES[one.name]}{' on CDSE' * (one.name in CDSE_SERVICES)}{ids}")
    lines = {
        "available": f"Available for {edition.id}: {'; '.join(told.get('available', ()))}.",
        "absent": f"Not available for {edition.id}: {'; '.join(told.get('absent', ()))}.",
        "unverified": f"Services for {edition.id}, not verified: {'; '.join(told.get('unverified', ()))}.",
    }
    found = [lines[state] for state in lines if state in told]
    if len(named) == 1 and _YES_OR_NO.match(text):
        return [f"{ANSWER[named[0].state]}. {found[0]}"] if named[0].state in ANSWER else found
    return found


def _account(asked: Asked) -> list[str]:
    return [*asked.product.access]


def _contact(asked: Asked) -> list[str]:
    page = asked.product.url
    return [f"An address or a form for questions{UNKNOWN}", *([f"Its own page: <{page}>"] if page else [])]


TELL: dict[str, Callable[[Asked], list[str]]] = {
    "doi": _doi,
    "decoding": _decoding,
    "no data": _no_data,
    "codes": _codes,
    "licence": _licence,
    "accuracy": _accuracy,
    "crs": _crs,
    "format": _format,
    "resolution": _resolution,
    "sensors": _sensors,
    "since": _since,
    "rhythm": _rhythm,
    "timeliness": _timeliness,
    "patch": _patch,
    "classes": _classes,
    "versions": _versions,
    "status": _status,
    "policies": _policies,
    "services": _services,
    "account": _account,
    "contact": _contact,
}
"""How each kind of fact is told."""
