"""Facts of a product that a question asks for by their kind: DOI, scale, smallest patch, class codes, versions, ids."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from knowledge.asked_codes import code_lines, codes_in, no_data_lines
from knowledge.catalogue import Catalogue, licence, normalise
from knowledge.ingest import stems
from knowledge.lexicon import in_english
from knowledge.schema import Document, Edition, Encoding, Product, Variable
from knowledge.services import services

MOST_EDITIONS = 6
MOST_CODES = 5
MOST_DOCUMENTS = 2
MOST_SOURCES = 2
UNKNOWN, NOT_STATED = ": not verified.", "not stated in this catalogue"
_CUES = {
    "doi": r"doi|cit(?:e|es|ed|ation|er|ons|ar|o|are|azione)|zitier\w*|reference for a paper",
    "decoding": r"scal(?:e|ing)\w*|offset|digital numbers?|dn|decod\w*|dekodier\w*|raw (?:values?|numbers?)|"
    r"stored values?|pixel values?|unit|units|skalier\w*|umrechn\w*|einheit\w*|facteurs?|echelle|unites?|convert\w*|"
    r"my pixels|factor(?:es)?|escala|unidad(?:es)?|fattor[ei]|scala|unita|valid range|pixelwerte?",
    "no data": r"no.?data|fill values?|missing values?|keine daten|fehlwert\w*|valeurs? (?:manquantes?|de remplissage)|"
    r"(?:sans|pas de) donnees?|sin datos|valor(?:es)? nulos?|(?:senza|nessun) dat[io]",
    "patch": r"mmu|minimum mapping|small(?:est)?|tiny|mapping unit|mindest\w*|kleinste?n?|klein|unite minimale|"
    r"surface minimale|petite?s?|unidad minima|superficie minima|pequen[oa]s?|unita minima|"
    r"piccol[oaie]",
    "classes": r"class(?:es)?|codes?|legend|nomenclature|types|klassen?|schlussel|legende|nomenklatur|codigos?|clases?|"
    r"leyenda|codic[ei]|classi|legenda|tipos|tipi|typen|arten",
    "licence": r"licen[cs]\w*|lizenz\w*|terms of use|nutzungsbedingungen|commercial\w*|kommerziell\w*|attribution|"
    r"copyright|conditions d.utilisation|condiciones de uso|condizioni d.uso",
    "accuracy": r"accura\w+|genauigkeit\w*|wie genau|exactitude|fiabilite|precision(?! (?:agricult|farming))|"
    r"exactitud|fiabilidad|precisione|precis[ae]?|attendibilita|affidabilita|uncertaint\w+|validat\w+|error rates?",
    "crs": r"crs|epsg|(?:re)?project(?:ion|ed)|(?:coordinate|reference|koordinaten)[ -]?systems?|"
    r"\w*bezugssystem\w*|koordinatensystem\w*|projektion\w*|systeme de (?:reference|coordonnees|projection)|proyeccion|"
    r"sistema de (?:referencia|coordenadas)|sistema di (?:riferimento|coordinate)|proiezione",
    "format": r"(?:file )?formats?|\w*formate?|formatos?|formati?|geotiffs?|netcdf|shapefiles?|geopackage",
    "resolution": r"(?:what|which|its|pixel|spatial) resolution|resolution of|pixel sizes?|pixelgrosse|"
    r"(?:welche|raumliche) auflosung|quelle resolution|(?:que|cual es la) resolucion|"
    r"(?:che|quale|qual e la) risoluzione",
    "sensors": r"sensors?|sensoren|sensor[ei]s?|capteurs?|(?:which|what) satellites?|welche[rn]? satellit\w*|"
    r"quels? satellites?|(?:que|cual) satelites?|quali? satellit[ei]",
    "since": r"since when|how far back|(?:since|from) which year|seit wann|wie weit zuruck|depuis quand|desde cuando|"
    r"desde que ano|da quando|da che anno",
    "rhythm": r"how (?:often|frequently|regularly)\b.*\b(?:updated?|published|produced|released|made|come out)|"
    r"wie (?:oft|haufig|regelmassig)\b.*\b(?:aktualisiert|veroffentlicht|produziert|erscheint|erneuert)|"
    r"frequence\b.*\b(?:mise?s? a jour|publiee?s?|produite?s?)|"
    r"frecuencia\b.*\b(?:actualiza\w*|publica\w*|produce\w*|sale)|"
    r"frequenza\b.*\b(?:aggiorna\w*|pubblica\w*|prodott[oaie]|esce|escono)",
    "timeliness": r"how (?:soon|quickly|fast)|timeliness|latency|publication delay|wie schnell|verzogerung\w*|"
    r"sous quel delai|delai|retraso|con que rapidez|ritardo|quanto tempo dopo",
    "versions": r"latest|newest|newer|replac\w*|updates?|versions?|editions?|which years|reference years?|recent|"
    r"last one|neue[rsn]?|neueste\w*|ersetz\w*|aktuell\w*|version(?:en)?|ausgaben?|remplac\w*|dernier\w*|mise a jour|"
    r"annees|sustituy\w*|actualiza\w*|ultim[oa]s?|nuev[oa]s?|versione|sostitui\w*|aggiorna\w*|edizion[ei]|quand|years|anos",
    "services": r"stac|openeo|wms|wmts|sentinel hub|byoc|s3|odata|wekeo|cdse|data space|collections?|api|identifier|id",
}
CODED = {"class": "class codes", "presence": "codes for yes and no", "date": "dates", "bits": "bit flags"}
"""Kinds of layers whose stored numbers are no quantities."""
STRICT_PATCH = re.compile(r"\b(?:mmu|(?:mapping|kartier|cartografi|cartograph|mappatura)\w*)\b")
"""Asks for the minimum mapping unit itself, not for small things."""
CUES = {kind: re.compile(rf"\b(?:{words})\b") for kind, words in _CUES.items()}


@dataclass(frozen=True)
class _Asked:
    """What a fact is looked up in."""

    editions: tuple[Edition, ...]
    question: str
    catalogue: Catalogue
    documents: tuple[Document, ...]
    """Those of all editions."""


def asked_facts(
    product: Product, question: str, catalogue: Catalogue, start: date | None = None, end: date | None = None
) -> tuple[str, ...]:
    """Give the facts whose kind a question names, of the editions of a period where it names one.

    Unknown facts are said to be not verified; a question that names no kind gets none.
    """
    text = _without_name(product, normalise(question))
    asked = _Asked(tuple(_meant(product, question, start, end)), question, catalogue, product.documents)
    kinds = ["codes"] * bool(codes_in(text)) + [kind for kind, cue in CUES.items() if cue.search(text)]
    said = [one for one in product.cautions if any(CUES[kind].search(normalise(one)) for kind in kinds if kind in CUES)]
    told = [line for kind in kinds for line in _TELL[kind](asked)]
    sources = dict.fromkeys(source for one in asked.editions for source in one.sources)
    known = sources and not all(is_unknown(line) for line in told)
    source = [f"Source of these facts: {'; '.join([*sources][:MOST_SOURCES])}."] if known else []
    return tuple(dict.fromkeys([*told, *said, *source]))


def is_unknown(fact: str) -> bool:
    """Tell whether a line of `asked_facts` says that the catalogue does not hold the fact."""
    return UNKNOWN in fact or NOT_STATED in fact


def _without_name(product: Product, text: str) -> str:
    """Take the product's own name out: who names Small Woody Features asks for nothing small."""
    for name in (normalise(product.title), normalise(product.id)):
        text = re.sub(rf"\b{re.escape(name)}\b", " ", text)
    return text


def _meant(product: Product, question: str, start: date | None, end: date | None) -> list[Edition]:
    """Give the editions of a period, those first that a question tells from the others, then the newest in use."""
    words = {one.id: _telling(f"{one.id} {one.title}") for one in product.editions}
    shared = set.intersection(*words.values())
    said = _telling(_without_name(product, normalise(f"{question} {in_english(question)}")))

    def rank(one: Edition) -> tuple[int, bool, str]:
        return len((words[one.id] - shared) & said), one.status == "current", one.start or ""

    editions = sorted(product.editions, key=rank, reverse=True)
    if start and end:
        ids = {
            one.id for one in editions if _years(one) and _years(one)[0] <= end.year and _years(one)[1] >= start.year
        }
        editions = [one for one in editions if one.id in ids] or editions
    return editions[:MOST_EDITIONS]


def _telling(text: str) -> set[str]:
    """Give the stems of a text, and its words with digits such as v4 or 300."""
    plain = normalise(text)
    return {*stems(plain), *(word for word in plain.split() if any(char.isdigit() for char in word))}


def _years(edition: Edition) -> tuple[int, ...]:
    found = [re.match(r"\d{4}", text or "") for text in (edition.start, edition.end)]
    return (int(found[0][0]), int(found[1][0]) if found[1] else 9999) if found[0] else ()


def _doi(asked: _Asked) -> list[str]:
    known = [f"{one.id}: {', '.join(one.dois)}" for one in asked.editions if one.dois]
    return [f"DOI: {'; '.join(known)}." if known else f"DOI of {asked.editions[0].id}: not verified."]


def _decoding(asked: _Asked) -> list[str]:
    said = _telling(asked.question)
    layers = [one for edition in asked.editions if edition.status == "current" for one in edition.variables]
    layers.sort(key=lambda one: -len(_telling(f"{one.name} {one.meaning or ''}") & said))
    lines = dict.fromkeys(line for one in layers if (line := _rule(one)))
    ranges = dict.fromkeys(f"Valid range: {one.valid_range}." for one in asked.editions if one.valid_range)
    return [*lines][:MOST_CODES] + [*ranges][:1]


def _no_data(asked: _Asked) -> list[str]:
    return no_data_lines(asked.editions, asked.catalogue)


def _codes(asked: _Asked) -> list[str]:
    return code_lines(asked.editions, codes_in(normalise(asked.question)), asked.catalogue)


def _licence(asked: _Asked) -> list[str]:
    return [f"Licence: {licence(name)}" for name in dict.fromkeys(one.licence for one in asked.editions)]


def _accuracy(asked: _Asked) -> list[str]:
    """Say that the catalogue holds none, and which documents may."""
    documents = [one for edition in asked.editions for one in edition.documents] or asked.documents
    titles = dict.fromkeys(f"{one.title}{f' <{one.url}>' if one.url else ''}" for one in documents)
    where = f" Where it may be told: {'; '.join([*titles][:MOST_DOCUMENTS])}." if titles else ""
    return [f"Accuracy of {asked.editions[0].id}: {NOT_STATED}.{where}"]


def _crs(asked: _Asked) -> list[str]:
    return _per_edition(asked, "Coordinate reference system", lambda one: ", ".join(one.crs))


def _format(asked: _Asked) -> list[str]:
    return _per_edition(asked, "Format", lambda one: ", ".join(one.formats))


def _resolution(asked: _Asked) -> list[str]:
    return _per_edition(asked, "Resolution", lambda one: ", ".join(one.resolution))


def _sensors(asked: _Asked) -> list[str]:
    return _per_edition(asked, "Sensors", lambda one: ", ".join(one.sensors))


def _since(asked: _Asked) -> list[str]:
    return _per_edition(asked, "First year", lambda one: one.start or "")


def _rhythm(asked: _Asked) -> list[str]:
    return _per_edition(asked, "Production rhythm", lambda one: one.cadence or "")


def _timeliness(asked: _Asked) -> list[str]:
    return _per_edition(asked, "Time until published", lambda one: one.timeliness or "")


def _per_edition(asked: _Asked, what: str, told: Callable[[Edition], str]) -> list[str]:
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


def _patch(asked: _Asked) -> list[str]:
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


def _classes(asked: _Asked) -> list[str]:
    names = dict.fromkeys(
        name for one in asked.editions for name in (*one.legends, *(v.legend for v in one.variables)) if name
    )
    lines: list[str] = []
    words_asked = set(stems(in_english(asked.question)))
    codes = set(re.findall(r"(?<![\d.,-])(?!(?:19|20)\d\d\b)\d{1,4}(?![\d.,]*\d)", asked.question))
    for legend in [asked.catalogue.legend(name) for name in names][:3]:
        if not legend.classes:
            continue
        lines.append(f"{legend.title}: {len(legend.classes)} classes.")
        hits = [
            one
            for one in legend.classes
            if codes & {str(one.code), str(one.grid_code)}
            or ((words := set(stems(one.label))) and words <= words_asked)
        ]
        lines += [
            f"{f'Grid code {one.grid_code}, code' if str(one.grid_code) in codes else 'Code'} {one.code}: {one.label} "
            f"({legend.title})."
            for one in hits[:MOST_CODES]
        ]
    return lines


def _versions(asked: _Asked) -> list[str]:
    told = []
    for one in asked.editions:
        end = {None: "", one.start: "", "present": " to today"}.get(one.end, f" to {one.end}")
        state = f", replaced by {one.superseded_by}" if one.superseded_by else ""
        told.append(f"{one.id} ({one.start or 'years not verified'}{end}, {one.status}{state})")
    updates = dict.fromkeys(text for one in asked.editions for text in (*one.updates, one.version_note or "") if text)
    return [f"Editions: {'; '.join(told)}.", *(f"{text.rstrip('.')}." for text in [*updates][-4:])]


def _services(asked: _Asked) -> list[str]:
    edition = asked.editions[0]
    told = []
    for one in services(edition):
        ids = f" {', '.join(one.ids)}" if one.ids else ""
        told.append(f"{one.name}: {one.state}{ids}")
    return [f"Services of {edition.id}: {'; '.join(told)}."]


_TELL: dict[str, Callable[[_Asked], list[str]]] = {
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
    "services": _services,
}
