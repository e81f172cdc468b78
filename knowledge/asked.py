"""Facts of a product that a question asks for by their kind: DOI, scale, smallest patch, class codes, versions, ids."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from knowledge.asked_codes import code_lines, codes_in, no_data_lines
from knowledge.catalogue import Catalogue, licence, normalise
from knowledge.errors import ProductNotFound
from knowledge.ingest import policy_sentences, stems
from knowledge.lexicon import fold, in_english
from knowledge.refusals import product_at
from knowledge.schema import Document, Edition, Encoding, Product, Variable
from knowledge.services import CDSE_SERVICES, services

MOST_EDITIONS = 6
MOST_CODES = 5
MOST_DOCUMENTS = 2
MOST_SOURCES = 2
UNKNOWN, NOT_STATED = ": not verified.", "not stated in this catalogue"
_CUES = {
    "doi": r"doi|cit(?:ed|ation|are|azione)|(?:to|i|we|you|should) cite|citer|citar|zitier\w*|reference for a paper",
    "decoding": r"(?<!at the )(?<!on the )scale (?:factors?|of)|scal(?:ing|ed)|(?<!carbon )offset|digital numbers?|dn|"
    r"decod\w*|dekodier\w*|raw (?:values?|numbers?)|stored values?|pixel values?|my pixels|valid range|"
    r"(?:what|which|its|physical) units?|(?<!mapping )units? of|convert\b.*\b(?:values?|numbers?|pixels?)|"
    r"(?:values?|numbers?|pixels?)\b.*\bconvert\w*|skalier\w*|umrechn\w*|(?:welche[rn]?) einheit\w*|einheit von|"
    r"pixelwerte?|"
    r"facteurs? (?:d.echelle|de conversion)|quelles? unites?|unite (?:de|du|des) (?!carto)|"
    r"factor(?:es)? de (?:escala|conversion)|que unidad(?:es)?|unidad(?:es)? de (?!carto)|"
    r"fattor[ei] di (?:scala|conversione)|(?:che|quale) unita",
    "no data": r"no.?data|fill values?|missing values?|keine daten|fehlwert\w*|valeurs? (?:manquantes?|de remplissage)|"
    r"(?:sans|pas de) donnees?|sin datos|valor(?:es)? nulos?|(?:senza|nessun) dat[io]",
    "patch": r"mmu|minimum mapping|mapping unit|"
    r"smallest (?:\w+ ){0,2}(?:patch|area|object|feature|unit|size|polygon)\w*|"
    r"how small|too small|small enough|smaller than \d+|(?:small|tiny) (?:patch|feature|object|polygon|area)\w*|"
    r"mindest(?!ens\b)\w+|(?:zu|wie) klein\w*|kleinste\w*|unite minimale|surface minimale|(?:trop|plus) petite?s?|"
    r"unidad minima|superficie minima|(?:demasiado|mas) pequen[oa]s?|unita minima|(?:troppo|piu) piccol[oaie]",
    "classes": r"class(?:es)?|codes?|legend|nomenclature|klassen?|schlussel|legende|nomenklatur|codigos?|clases?|"
    r"leyenda|codic[ei]|classi|legenda|(?:what|which|how many) (?:\w+ )?types|(?:welche|wie viele) (?:arten|typen)|"
    r"quels types|(?:que|cuantos) tipos|(?:che|quali|quanti) tipi",
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
    "versions": r"latest|newest|newer|most recent|replac\w*|updates?|versions?|editions?|(?:which|what) years|"
    r"reference years?|last one|neuer|neueste\w*|neue (?:version|ausgabe)|ersetz\w*|aktuellste\w*|"
    r"version(?:en)?|ausgaben?|"
    r"welche jahre|remplac\w*|derniere (?:edition|version)|mise a jour|quelles annees|sustituy\w*|actualiza\w*|"
    r"ultima (?:edicion|version)|nueva (?:edicion|version)|que anos|versione|sostitui\w*|aggiorna\w*|edizion[ei]|"
    r"quali anni|"
    r"ultima (?:edizione|versione)",
    "policies": r"(?<!data )polic(?:y|ies)|directives?|regulations?|legislation|politiques?|reglements?|"
    r"(?:eu.)?richtlinien?|verordnung\w*|politicas?|directivas?|reglamentos?|politiche|direttiv[ae]|regolament[oi]",
    "status": r"still (?:being )?(?:produced|updated|made|published|continued|maintained)|discontinued|supersed\w*|"
    r"obsolete|outdated|noch (?:produziert|aktualisiert|hergestellt|veroffentlicht)|eingestellt|veraltet|abgelost|"
    r"uberholt|(?:encore|toujours) (?:produite?|mise? a jour|publiee?)s?|obsoletes?|perimee?s?|todavia se \w+|"
    r"sigue\w* \w+|obsolet[oa]s?|descontinuad[oa]s?|ancora (?:prodott|aggiornat|pubblicat)\w*|superat[oaie]",
    "services": r"stac|openeo|wms|wmts|sentinel hub|byoc|s3|odata|wekeo|cdse|data space|collections?|api|identifier|id",
}
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
CUES = {kind: re.compile(rf"\b(?:{words})\b") for kind, words in _CUES.items()}


@dataclass(frozen=True)
class _Asked:
    """What a fact is looked up in."""

    editions: tuple[Edition, ...]
    question: str
    catalogue: Catalogue
    documents: tuple[Document, ...]
    """Those of all editions."""
    product: Product

    @property
    def told_apart(self) -> list[Edition]:
        """Editions of the product that the question speaks of more than of the others; all where it speaks of none."""
        return _ranked(self.product, self.question)[1]


def asked_facts(
    product: Product, question: str, catalogue: Catalogue, start: date | None = None, end: date | None = None
) -> tuple[str, ...]:
    """Give the facts whose kind a question names, of the editions of a period where it names one.

    Unknown facts are said to be not verified; a question that names no kind gets none.
    """
    text = _without_name(product, normalise(question))
    asked = _Asked(tuple(_meant(product, question, start, end)), question, catalogue, product.documents, product)
    kinds = ["codes"] * bool(codes_in(text)) + [kind for kind, cue in CUES.items() if cue.search(text)]
    said = [one for one in product.cautions if any(CUES[kind].search(normalise(one)) for kind in kinds if kind in CUES)]
    told = [line for kind in kinds for line in _TELL[kind](asked)]
    sources = dict.fromkeys(source for one in asked.editions for source in one.sources)
    known = sources and not all(is_unknown(line) for line in told)
    source = [f"Source of these facts: {'; '.join([*sources][:MOST_SOURCES])}."] if known else []
    return tuple(dict.fromkeys([*told, *said, *source]))


def products_named(question: str, catalogue: Catalogue) -> list[Product]:
    """Give the products that a question calls by title, abbreviation or alias, the longest name at each place."""
    found: dict[str, Product] = {}
    text = fold(question)
    while text:
        name, bearers = product_at(text, catalogue)
        if name:
            with suppress(ProductNotFound):
                one = catalogue.get(name)
                found |= {one.id: one} if one.id in bearers else {}
        text = text.lstrip()[len(name) :] if name else text.lstrip().partition(" ")[2]
    return [*found.values()]


def is_unknown(fact: str) -> bool:
    """Tell whether a line of `asked_facts` says that the catalogue does not hold the fact."""
    return any(said in fact for said in (UNKNOWN, NOT_STATED, "not verified: "))


def _without_name(product: Product, text: str) -> str:
    """Take the product's own name out: who names Small Woody Features asks for nothing small."""
    for name in (normalise(product.title), normalise(product.id)):
        text = re.sub(rf"\b{re.escape(name)}\b", " ", text)
    return text


def _meant(product: Product, question: str, start: date | None, end: date | None) -> list[Edition]:
    """Give the editions of a period, those first that a question tells from the others, then the newest in use."""
    editions, _ = _ranked(product, question)
    if start and end:
        ids = {
            one.id for one in editions if _years(one) and _years(one)[0] <= end.year and _years(one)[1] >= start.year
        }
        editions = [one for one in editions if one.id in ids] or editions
    return editions[:MOST_EDITIONS]


def _ranked(product: Product, question: str) -> tuple[list[Edition], list[Edition]]:
    """Give all editions, those first whose own words a question holds, and those of them that hold most of these."""
    words = {one.id: _telling(f"{one.id} {one.title}") for one in product.editions}
    shared = set.intersection(*words.values())
    said = _telling(_without_name(product, normalise(f"{question} {in_english(question)}")))
    held = {one.id: len((words[one.id] - shared) & said) for one in product.editions}
    ranked = sorted(
        product.editions, key=lambda one: (held[one.id], one.status == "current", one.start or ""), reverse=True
    )
    return ranked, [one for one in ranked if held[one.id] == max(held.values())]


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
    """Tell the earliest start: of the editions that the question tells apart, else of all."""
    dated = [one for one in asked.told_apart if one.start]
    first = min(dated, key=lambda one: one.start or "", default=None)
    return [
        f"First year: {first.start} ({first.id})." if first else f"First year of {asked.editions[0].id}: not verified."
    ]


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
    for legend in [asked.catalogue.legend(name) for name in names][:3]:
        if not legend.classes:
            continue
        lines.append(f"{legend.title}: {len(legend.classes)} classes.")
        hits = [one for one in legend.classes if (words := set(stems(one.label))) and words <= words_asked]
        lines += [f"Code {one.code}: {one.label} ({legend.title})." for one in hits[:MOST_CODES]]
    return lines


def _status(asked: _Asked) -> list[str]:
    """Say whether data of the edition meant still come, or whether another replaces it."""
    one, text = asked.told_apart[0], normalise(asked.question)
    goes_on = one.end == "present" and one.status == "current"
    if _PRODUCED.search(text) or _STOPPED.search(text):
        if not goes_on and (one.end in (None, one.start) or one.end == "present"):
            return [f"Production of {one.id} today{UNKNOWN}", *_versions(asked)]
        yes = goes_on == bool(_PRODUCED.search(text))
        told = f"Data of {one.id} go on to today." if goes_on else f"Data of {one.id} end in {one.end}."
    else:
        if one.status not in ("current", "superseded") and not one.superseded_by:
            return [f"Replacement of {one.id}{UNKNOWN}", *_versions(asked)]
        yes = one.status == "superseded" or bool(one.superseded_by)
        by = f"replaced by {one.superseded_by}" if one.superseded_by else "superseded"
        told = f"{one.id} is {by}." if yes else f"{one.id} is not superseded."
    return [f"{'Yes' if yes else 'No'}. {told}" if _YES_OR_NO.match(text) else told]


def _versions(asked: _Asked) -> list[str]:
    told = []
    for one in asked.editions:
        end = {None: "", one.start: "", "present": " to today"}.get(one.end, f" to {one.end}")
        state = f", replaced by {one.superseded_by}" if one.superseded_by else ""
        told.append(f"{one.id} ({one.start or 'years not verified'}{end}, {one.status}{state})")
    updates = dict.fromkeys(text for one in asked.editions for text in (*one.updates, one.version_note or "") if text)
    return [f"Editions: {'; '.join(told)}.", *(f"{text.rstrip('.')}." for text in [*updates][-4:])]


def _policies(asked: _Asked) -> list[str]:
    told = sorted(policy_sentences(asked.product).values(), key=lambda text: "our reading" in text)
    return told or ["Policies it serves: not verified."]


def _services(asked: _Asked) -> list[str]:
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
    "status": _status,
    "policies": _policies,
    "services": _services,
}
