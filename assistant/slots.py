"""What a question asks for, read by rules: the intent, the place, the periods and the outputs."""

import re
from dataclasses import dataclass
from typing import Literal

from tools.schema import Output

Intent = Literal["greeting", "help", "explain", "scenes", "compute", "recommend", "out_of_scope"]

_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|janvier|février|mars|avril|mai|juin|juillet|août|septembre|"
    "octobre|novembre|décembre|januar|februar|märz|juni|juli|oktober|dezember"
)
_SEASONS = "spring|summer|autumn|fall|winter|printemps|été|automne|hiver|frühling|sommer|herbst"
_YEAR = r"(?:19|20|21)\d\d"
_DAY = (
    rf"\d{{1,2}}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?:{_MONTHS})\.?,?\s+{_YEAR}"
    rf"|(?:{_MONTHS})\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+{_YEAR}"
    rf"|{_YEAR}-\d\d-\d\d"
)
_ONE = (
    rf"(?:{_DAY}|{_YEAR}-\d\d(?!\d)|(?:early\s+|late\s+|mid-?)?(?:{_MONTHS})\s+(?:of\s+)?{_YEAR}"
    rf"|(?:{_SEASONS})\s+(?:of\s+)?{_YEAR}"
    rf"|(?:this|last|next|past|current|previous|cet|cette|dieser|diesen|letzten)\s+"
    rf"(?:{_SEASONS}|{_MONTHS}|year|month|week|année)"
    rf"|{_YEAR}|today|yesterday|tomorrow)"
)
_LAST_N = r"(?:the\s+)?(?:last|past)\s+(?:\d+|two|three|four|five|six|twelve)\s+(?:day|week|month|year)s"
_PERIOD = re.compile(
    rf"\b(?:between\s+{_ONE}\s+and\s+{_ONE}"
    rf"|(?:from\s+)?(?:{_ONE}|(?:{_MONTHS}))\s*(?:to|until|till|through|[-–—/])\s*{_ONE}"
    rf"|since\s+{_ONE}|{_LAST_N}|{_ONE})",
    re.IGNORECASE,
)
_SAME_YEAR = re.compile(r"\b(?:the|that|the same|the whole|the full|all)\s+year\b(?!\s+\d)", re.IGNORECASE)
_BARE_SEASON = re.compile(rf"\b(?:in|during)\s+(?:the\s+)?({_SEASONS})\b", re.IGNORECASE)
_ON_DAY = re.compile(rf"\b(?:on|at|le|am)\s+(?:the\s+)?(?:{_DAY})", re.IGNORECASE)

_COORDINATES = re.compile(r"-?\d{1,3}(?:\.\d+)?\s*,\s*-?\d{1,3}(?:\.\d+)?(?:\s*,\s*-?\d{1,3}(?:\.\d+)?){0,2}")
_WORD = r"[A-ZÀ-ÖØ-ÞŁŚŻ][\w'’\-.]*"
_NAME = rf"{_WORD}(?:(?:,?\s+|\s+(?:de|du|des|la|le|les|sur|am|an der|of|the|and)\s+){_WORD})*"
_AFTER = (
    r"(?:in|at|around|near|for|of|over|across|within|inside|outside|about|to|from|on|à|autour de|de|dans|en|um|"
    r"bei|von)"
)
_PLACE_AFTER = re.compile(
    rf"\b{_AFTER}\s+(?:the\s+(?:city|town|region|area|parcels|fields|districts)\s+(?:of|around|in)\s+)?({_NAME})"
)
_ANY_NAME = re.compile(rf"(?<![.?!]\s)(?<!^)\b({_NAME})")
_LOWER_PLACE = re.compile(
    r"\b(?:in|around|near|across|of|for)\s+"
    r"((?!the\b|this\b|my\b|that\b|these\b|a\b|an\b|its\b|our\b|time\b)[^\W\d_][\w'’\-]+(?:\s+(?!in\b|on\b|"
    r"during\b|for\b)[^\W\d_][\w'’\-]+)?)"
    r"(?=\s*(?:[|?.,!]|$|\s(?:in|on|during|for|from|over|between)\b))"
)
_NOT_PLACES = {
    "ndvi", "evi", "savi", "ndwi", "ndmi", "lai", "fapar", "clms", "copernicus", "sentinel", "sentinel-2",
    "sentinel-1", "landsat",
    "esa", "eea", "eu", "stac", "openeo", "geojson", "csv", "i", "land", "monitoring", "service", "please", "and",
    "compute", "show",
    "map", "what", "how", "which", "give", "plot", "clc", "clc+", "hrl", "vpp", "egms", "lst", "ssm", "swi",
    "corine", "urban",
    "atlas", "natura", "hr-vpp", "backbone", "natura 2000", "corine land cover", "urban atlas", "high",
    "resolution", "layer",
}  # fmt: skip

_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|good (?:morning|afternoon|evening)|bonjour|salut|hallo|guten tag|hola|"
    r"ciao)\b[\s!.,]*(?:there|you)?[\s!.]*$",
    re.I,
)
_HELP = re.compile(
    r"\b(?:help|what can you do|how do (?:you|i use)|who are you|what are you|aide|hilfe)\b\s*[?!.]*\s*$", re.I
)
_EXPLAIN = re.compile(
    r"^\s*(?:please\s+)?(?:what(?:'s| is| are| does)|tell me (?:more )?about|explain|describe|qu'est-ce que|"
    r"was ist)\s+"
    r"(?:the\s+|a\s+)?(?P<name>[^?.!]{2,80}?)(?:\s+(?:product|dataset|data set|layer|mean|good for))?\s*[?.!]*\s*$",
    re.I,
)
_PRODUCT_NAME = re.compile(
    r"[A-Z]{2,}|\+|\d|land cover|atlas|layer|product|density|index|backbone|riparian|coastal|grassland|egms|service",
    re.I,
)
_SCENES = re.compile(r"\b(?:scenes?|images?|imagery|acquisitions?|overpass(?:es)?|cloud[- ]free)\b", re.I)
_SCENES_ASK = re.compile(r"\b(?:which|what|list|find|how many|search|show|are there|available|any)\b", re.I)
_INDEX = re.compile(
    r"\b(?:ndvi|green(?:er|est|ness|ing)?|vegetation (?:index|vigou?r|health)|vigou?r|verts?|vertes?|verdure|"
    r"grün|vegetation|végétation)\b",
    re.I,
)
_VALUE = re.compile(
    r"\b(?:how (?:has|have|green|much|many|has|is|are|does|did|do|was|were)|compute|calculate|mean|average|"
    r"median|map|curve|plot|chart|value|values|"
    r"show|series|trend|statistics?|per|compare|greener|greenest|this|last|my|evolution|change[sd]?|since|on|"
    r"between|wie|mittlere|moyen(?:ne)?)\b",
    re.I,
)
_ADVICE = re.compile(
    r"\b(?:which|what|recommend|suggest|best|suitable|should i use)\b[^?]*\b(?:products?|data ?sets?|data|"
    r"layers?|maps?|service)\b|\brecommend\b|\bshould i use\b",
    re.I,
)
_UNITS = re.compile(
    r"\b(?:parcels?|fields?|plots?|polygons?|farms?|paddocks?|districts?|municipalit(?:y|ies)|communes?|zones?|"
    r"units?|parcelles?|champs?)\b",
    re.I,
)
_DISTRICTS = re.compile(r"\b(?:districts?|municipalit(?:y|ies)|communes?|neighbou?rhoods?|quartiers?)\b", re.I)
_SERIES = re.compile(
    r"\b(?:curves?|series|over time|through time|trends?|profiles?|evolution|evolve[sd]?|develop(?:s|ed|ment)?|"
    r"time ?line|chang(?:e[sd]?|ing)|"
    r"since|over the (?:last|past|year|season|months|years)|month by month|monthly|seasonal(?:ity)?|courbe|"
    r"évolution|verlauf)\b",
    re.I,
)
_MAP = re.compile(r"\b(?:maps?|composite|carte|karte|image of)\b", re.I)
_DOMAIN = re.compile(
    r"land|soil|grün|forest|tree|wood|veget|crop|agri|farm|field|parcel|grass|pasture|meadow|wetland|water|lake|"
    r"river|snow|ice|glacier|glaci|"
    r"urban|city|cities|built|imperv|seal|build|green|ndvi|evi|lai\b|fapar|phenolog|season|harvest|drought|"
    r"moist|temperature|heat|lst|"
    r"burn|fire|flood|coast|shore|riparian|habitat|biodivers|natura|ground motion|subsid|deform|egms|insar|"
    r"copernicus|clms|corine|clc|"
    r"sentinel|satellite|product|data ?set|hectare|map|vpp|biomass|evapo|albedo|carbon|lulucf|erosion|mining|"
    r"solar|vineyard|olive|"
    r"orchard|hedge|population|street|park|nature|ecosystem|climate|environment|degrad|desert|yield|irrigat|sow|"
    r"plant|dieback|"
    r"beetle|deforest|reservoir|productiv|plasticul|mow|plough|peat|tundra|alpine|bare|rock|sand|emission|"
    r"raster|resolution",
    re.I,
)
_CLAUSES = re.compile(
    r"\s*(?:;|,?\s+and\s+(?:also\s+)?(?=its\b|their\b|the\b|a\b|show\b|also\b|plot\b|map\b|how\b|compare\b|"
    r"draw\b)|,?\s+as well as\s+|,?\s+plus\s+|[.?!]\s+)\s*"
)


@dataclass(frozen=True)
class ComputeRequest:
    """One computation a question asks for, still in words."""

    output: Output
    period: str
    units: Literal["parcels", "districts"]


@dataclass(frozen=True)
class Slots:
    """A question, read."""

    intent: Intent
    place: str = ""
    periods: tuple[str, ...] = ()
    product: str = ""
    computes: tuple[ComputeRequest, ...] = ()


def read(question: str, earlier: tuple[str, ...] = ()) -> Slots:
    """Read a question; place and period that it leaves open come from the latest earlier question that has them.

    Args:
        question: What the user asks now.
        earlier: What the user asked before in this conversation, oldest first.
    """
    intent = _intent(question)
    before = [read(text) for text in earlier]
    last = before[-1] if before else None
    if (
        intent in ("out_of_scope", "recommend")
        and last
        and last.intent in ("compute", "scenes")
        and _is_follow_up(question)
    ):
        intent = last.intent
    place = find_place_words(question)
    periods = find_periods(question)
    if intent in ("compute", "scenes"):
        if not place and not _is_about_attachment(question):
            place = next((slots.place for slots in reversed(before) if slots.place), "")
        if not periods:
            periods = next((slots.periods for slots in reversed(before) if slots.periods), ())
    named = _EXPLAIN.match(question) if intent == "explain" else None
    product = named["name"].strip() if named else ""
    computes = _computes(question, periods, last) if intent == "compute" else ()
    return Slots(intent, place, periods, product, computes)


def find_periods(text: str) -> tuple[str, ...]:
    """Find all words in a text that say when, in order."""
    found = [match.group(0).strip() for match in _PERIOD.finditer(text)]
    years = re.findall(_YEAR, " ".join(found))
    if _SAME_YEAR.search(text):
        found.append(years[-1] if years else "this year")
    if not found and (season := _BARE_SEASON.search(text)):
        found.append(f"this {season[1].lower()}")
    return tuple(dict.fromkeys(found))


def find_place_words(text: str) -> str:
    """Find the words that say where; empty when the text names no place."""
    rest = _ON_DAY.sub(" ", text)
    if pair := _COORDINATES.search(_PERIOD.sub(" ", rest)):
        return pair.group(0)
    rest = _PERIOD.sub(" | ", rest)
    for pattern in (_PLACE_AFTER, _ANY_NAME):
        for match in pattern.finditer(rest):
            if name := _place_name(match[1]):
                return name
    lowers = (match[1] for match in _LOWER_PLACE.finditer(rest))
    return next((words for words in lowers if words.lower() not in _NOT_PLACES and not _DOMAIN.search(words)), "")


def find_units(text: str) -> Literal["any", "parcels", "districts"]:
    """Tell how small the units are that a text speaks of."""
    if _DISTRICTS.search(text):
        return "districts"
    return "parcels" if _UNITS.search(text) else "any"


def _place_name(words: str) -> str:
    name = words.strip(" .,'’-")
    parts = [part for part in re.split(r"\s+", name) if part.strip(",").lower() not in _NOT_PLACES]
    name = re.sub(r"^(?:the|of|and)\s+|\s+(?:the|of|and)$", "", " ".join(parts).strip(" ,"), flags=re.I)
    return "" if not name or name.lower() in _NOT_PLACES or (name.isupper() and _PRODUCT_NAME.fullmatch(name)) else name


def _intent(question: str) -> Intent:
    if _GREETING.match(question):
        return "greeting"
    if _HELP.search(question) and not find_place_words(question):
        return "help"
    if _SCENES.search(question) and _SCENES_ASK.search(question) and not _INDEX.search(question):
        return "scenes"
    where_when = bool(find_periods(question) or find_place_words(question) or _is_about_attachment(question))
    wants_value = _VALUE.search(question) or re.search(r"\bndvi\b", question, re.I)
    if _INDEX.search(question) and wants_value and where_when and not _ADVICE.search(question):
        return "compute"
    named = _EXPLAIN.match(question)
    if named and _PRODUCT_NAME.search(named["name"]) and (_DOMAIN.search(question) or _is_abbreviation(named["name"])):
        return "explain"
    return "recommend" if _DOMAIN.search(question) else "out_of_scope"


def _is_abbreviation(name: str) -> bool:
    return bool(re.search(r"\b[A-Z]{2,}", name))


def _is_about_attachment(question: str) -> bool:
    return bool(
        re.search(
            r"\b(?:this|my|these|our|the attached|the uploaded)\s+(?:\w+\s+)?(?:"
            + _UNITS.pattern[5:-4]
            + r"|area|file)",
            question,
            re.I,
        )
    )


def _is_follow_up(question: str) -> bool:
    return (
        bool(re.match(r"\s*(?:and|what about|how about|now|same|also|et|und|show|as|per|on)\b", question, re.I))
        or len(question.split()) <= 5
    )


def _computes(question: str, periods: tuple[str, ...], last: Slots | None) -> tuple[ComputeRequest, ...]:
    """Make one request for each output and period; a clause without a period takes the question's first."""
    clauses = [clause for clause in _CLAUSES.split(question) if clause.strip()]
    cued = [clause for clause in clauses if _output(clause) or find_periods(clause)] or [question]
    years = re.findall(_YEAR, " ".join(periods))
    inherited = last.computes[-1] if last and last.computes else None
    requests: list[ComputeRequest] = []
    output: Output | None = None
    for clause in cued:
        output = _output(clause) or output or _output(question) or (inherited.output if inherited else "composite")
        own = find_periods(clause) or periods[:1] or ("",)
        if _SAME_YEAR.search(clause) and years:
            own = (years[-1],)
        for period in own:
            requests.append(ComputeRequest(output, period, _units(question, inherited)))
    return tuple(dict.fromkeys(requests))[:4]


def _output(clause: str) -> Output | None:
    if _SERIES.search(clause) and not _ON_DAY.search(clause):
        return "series"
    if _MAP.search(clause):
        return "composite"
    return "per_polygon" if _UNITS.search(clause) else None


def _units(question: str, inherited: ComputeRequest | None) -> Literal["parcels", "districts"]:
    units = find_units(question)
    if units != "any":
        return units
    return inherited.units if inherited else "parcels"
