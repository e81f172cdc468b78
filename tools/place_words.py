"""Words around a place name in five languages: "near", "province of", "Landkreis", "(country)"."""

import re

from tools.gazetteer import Entry
from tools.names import fold

LEAD_WORDS = """
around near in at of on the within across environs
autour pres dans a au aux en chez
um rund bei nahe im zu in
cerca alrededor en
vicino intorno attorno in a
"""
KIND_WORDS = {
    "country": "country pays staat pais paese nation",
    "region": "region regione comunidad communaute comunita autonomous community autonoma autonome",
    "state": "state land bundesland estado etat stato",
    "province": "province provincia provinz provincie",
    "department": "department departement departamento dipartimento",
    "county": "county comte condado contea grafschaft",
    "canton": "canton kanton cantone",
    "district": "district landkreis kreis bezirk distrito distretto arrondissement",
    "city": "city town village commune municipality ville commune village municipalite stadt gemeinde dorf ciudad "
    "pueblo municipio citta comune paesino",
    "area": "area zone zona gebiet raum umgebung surroundings alentours environs entorno dintorni "
    "metropole metropolitan agglomeration grossraum",
}
CANONICAL = {word: kind for kind, words in KIND_WORDS.items() for word in words.split()}
LINK_WORDS = "of the de du des d la le les l del della dello dei di der von el los las il"
LINKS = frozenset(LINK_WORDS.split())
LEADS = LINKS | frozenset(LEAD_WORDS.split())
SPECIFIC = frozenset({"province", "department", "county", "canton", "district"})
"""Kinds of region that a user names only when the region is meant: a city of the name is then no answer."""
TELLING = SPECIFIC | {"country"}
"""Kinds that tell a region or country from the city of its name."""
KIND_BEFORE = re.compile(rf"(?<!\w)(\w+)\s+(?:(?:{'|'.join(LINK_WORDS.split())})\s+|d['’]|l['’])*$", re.I)
KIND_AFTER = re.compile(r"\s+\(?(\w+)\)?(?!\w)")
MUNICIPAL = frozenset({"municipality", "commune", "city"})

AFTER_WORDS = """
lake river sea gulf bay mount mountain mountains range ranges basin catchment watershed valley delta estuary glacier
see fluss meer golf bucht berg gebirge becken einzugsgebiet tal ästuar gletscher
"""
FEATURE_WORDS = """
lac riviere rivière fleuve mer golfe baie mont monts montagne massif bassin vallee vallée estuaire delta detroit détroit
lago rio río mar golfo bahia bahía monte montaña sierra cuenca valle estuario glaciar
fiume mare baia montagna bacino estuario ghiacciaio
"""
FEATURES_AFTER = frozenset(AFTER_WORDS.split())
"""Those of languages that may put them after the name."""
FEATURES = FEATURES_AFTER | frozenset(FEATURE_WORDS.split())
"""What is called after a place and lies elsewhere or reaches far beyond it: Lake Victoria, the Danube basin."""


def strip_lead(text: str) -> str:
    """Drop words that only lead to a name: "near Rennes", "autour de Rennes"."""
    words = text.split()
    while len(words) > 1 and fold(words[0]) in LEADS:
        words = words[1:]
    return " ".join(words)


def split_kind(text: str) -> tuple[str, str]:
    """Part a name from the word that says what it is; the kind is empty where no word does."""
    bracket = re.search(r"\(([^()]*)\)\s*$", text)
    if bracket and (kind := _kind(fold(bracket[1]).split())):
        return text[: bracket.start()].strip(), kind
    head, comma, tail = text.partition(",")
    words = _without_links(fold(head).split())
    for kind_words, rest in ((words[:1], words[1:]), (words[-1:], words[:-1])):
        kind = _kind(kind_words)
        if kind and rest:
            # "the autonomous community of Madrid" has two such words.
            name = _without_links(rest)
            name = _without_links(name[1:]) if len(name) > 1 and _kind(name[:1]) else name
            return " ".join(name) + comma + tail, kind
    return text, ""


def _kind(words: list[str]) -> str:
    kinds = [CANONICAL[word] for word in words if word in CANONICAL]
    return kinds[-1] if kinds and all(word in CANONICAL or word in LINKS for word in words) else ""


def _without_links(words: list[str]) -> list[str]:
    start, end = 0, len(words)
    while start < end - 1 and words[start] in LINKS:
        start += 1
    while end - 1 > start and words[end - 1] in LINKS:
        end -= 1
    return words[start:end]


def kind_around(before: str, after: str) -> tuple[str, str]:
    """Return the words around a name that say which of two places it is: "province of", "(country)"; else nothing."""
    lead = KIND_BEFORE.search(before)
    tail = KIND_AFTER.match(after)
    return (
        lead[0].strip() if lead and CANONICAL.get(fold(lead[1])) in TELLING else "",
        tail[0].strip() if tail and CANONICAL.get(fold(tail[1])) in TELLING else "",
    )


def fits(entry: Entry, kind: str) -> bool:
    """Tell whether an entry is of the kind that the words say."""
    if kind in {"", "area"}:
        return True
    if kind == "country":
        return entry.kind == "country"
    if kind == "city":
        return entry.kind == "city" or entry.type in MUNICIPAL
    return entry.kind == "region" and (kind == "region" or kind in entry.type)
