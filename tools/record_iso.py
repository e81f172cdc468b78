"""A result as an ISO 19139 record with the elements that INSPIRE asks of a data set.

The elements and their order are those of the technical guidance for data sets, version 2:
https://inspire.ec.europa.eu/id/document/tg/metadata-iso19139
"""

from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any

from tools.records import Record, raster_of

_GMD, _GCO = "http://www.isotc211.org/2005/gmd", "http://www.isotc211.org/2005/gco"
_GML, _XLINK = "http://www.opengis.net/gml", "http://www.w3.org/1999/xlink"
_GMX = "http://www.isotc211.org/2005/gmx"
_CODES = "http://standards.iso.org/iso/19139/resources/gmxCodelists.xml#"
_OPEN = (
    "no limitations to public access",
    "http://inspire.ec.europa.eu/metadata-codelist/LimitationsOnPublicAccess/noLimitations",
)
_NOT_KNOWN = ("not known", "")
THEMES = {
    "Agricultural and aquaculture facilities": "af",
    "Atmospheric conditions": "ac",
    "Buildings": "bu",
    "Elevation": "el",
    "Environmental monitoring facilities": "ef",
    "Geology": "ge",
    "Habitats and biotopes": "hb",
    "Hydrography": "hy",
    "Land cover": "lc",
    "Land use": "lu",
    "Meteorological geographical features": "mf",
    "Natural risk zones": "nz",
    "Orthoimagery": "oi",
    "Protected sites": "ps",
    "Soil": "so",
}
"""Names of INSPIRE themes, as the catalogue has them, to their codes in https://inspire.ec.europa.eu/theme."""
_LAW = "Commission Regulation (EU) No 1089/2010 of 23 November 2010 implementing Directive 2007/2/EC"


def iso_record(record: Record) -> bytes:
    """Give the record as XML; what nobody has told, such as a contact, is marked as missing."""
    from lxml import etree

    day = f"{record.made_at:%Y-%m-%d}"
    parts = [
        _text("fileIdentifier", f"clms-{record.plan.fingerprint}"),
        _node("language", _code("LanguageCode", "eng")),
        _node("characterSet", _code("MD_CharacterSetCode", "utf8")),
        _node("hierarchyLevel", _code("MD_ScopeCode", "dataset")),
        _node("contact", _party(record.contact, "pointOfContact")),
        _node("dateStamp", _gco("Date", day)),
        _text("metadataStandardName", "ISO 19115"),
        _text("metadataStandardVersion", "2003/Cor.1:2006"),
        *_reference_system(record),
        _node("identificationInfo", _identification(record, day)),
        _node("distributionInfo", _distribution(record)),
        _node("dataQualityInfo", _quality(record)),
    ]
    return bytes(
        etree.tostring(_node("MD_Metadata", *parts), pretty_print=True, xml_declaration=True, encoding="UTF-8")
    )


def _node(name: str, *children: Any, **attributes: str) -> Any:
    from lxml import etree

    space = {"gmd": _GMD, "gco": _GCO, "gml": _GML, "xlink": _XLINK}
    made = etree.Element(f"{{{_GMD}}}{name}", attributes, nsmap=space)
    made.extend(children)
    return made


def _gco(kind: str, value: str) -> Any:
    from lxml import etree

    made = etree.Element(f"{{{_GCO}}}{kind}")
    # Names come from people: what XML cannot hold is left out.
    made.text = "".join(sign for sign in value if sign.isprintable())
    return made


def _text(name: str, value: str) -> Any:
    if value:
        return _node(name, _gco("CharacterString", value))
    return _node(name, **{f"{{{_GCO}}}nilReason": "missing"})


def _code(name: str, value: str) -> Any:
    return _node(name, codeList=f"{_CODES}{name}", codeListValue=value)


def _party(contact: str, role: str) -> Any:
    name, mail = parseaddr(contact)
    address = _node("address", _node("CI_Address", _text("electronicMailAddress", mail)))
    return _node(
        "CI_ResponsibleParty",
        _text("organisationName", name or mail),
        _node("contactInfo", _node("CI_Contact", address)),
        _node("role", _code("CI_RoleCode", role)),
    )


def _reference_system(record: Record) -> list[Any]:
    import rasterio

    path = raster_of(record.files)
    code = None
    if path:
        with rasterio.open(path) as source:
            code = source.crs.to_epsg() if source.crs else None
        if code is None:  # a grid of a system without a code: none is better than another one's
            return []
    # Tables and outlines have longitudes and latitudes.
    address = f"http://www.opengis.net/def/crs/EPSG/0/{code or 4326}"
    identifier = _node("RS_Identifier", _text("code", address))
    return [_node("referenceSystemInfo", _node("MD_ReferenceSystem", _node("referenceSystemIdentifier", identifier)))]


def _identification(record: Record, day: str) -> Any:
    return _node(
        "MD_DataIdentification",
        _node("citation", _citation(record, day)),
        _text("abstract", record.abstract),
        _node("pointOfContact", _party(record.contact, "pointOfContact")),
        _node("descriptiveKeywords", _keywords(record.themes)),
        _node("resourceConstraints", _legal("accessConstraints", *(_OPEN if record.has_terms else _NOT_KNOWN))),
        _node("resourceConstraints", _legal("useConstraints", record.licence, "")),
        _node("spatialRepresentationType", _code("MD_SpatialRepresentationTypeCode", _representation(record))),
        *_resolution(record),
        _node("language", _code("LanguageCode", "eng")),
        _node("characterSet", _code("MD_CharacterSetCode", "utf8")),
        _node("topicCategory", _topic()),
        _node("extent", _extent(record)),
    )


def _citation(record: Record, day: str, title: str = "") -> Any:
    date = _node("CI_Date", _node("date", _gco("Date", day)), _node("dateType", _code("CI_DateTypeCode", "creation")))
    identifier = _node("MD_Identifier", _text("code", f"urn:clms-assistant:plan:{record.plan.fingerprint}"))
    return _node(
        "CI_Citation", _text("title", title or record.title), _node("date", date), _node("identifier", identifier)
    )


def _keywords(themes: Sequence[str]) -> Any:
    date = _node(
        "CI_Date", _node("date", _gco("Date", "2008-06-01")), _node("dateType", _code("CI_DateTypeCode", "publication"))
    )
    thesaurus = _node("CI_Citation", _text("title", "GEMET - INSPIRE themes, version 1.0"), _node("date", date))
    return _node(
        "MD_Keywords",
        *(_linked("keyword", one, f"http://inspire.ec.europa.eu/theme/{THEMES[one]}") for one in themes),
        _node("type", _code("MD_KeywordTypeCode", "theme")),
        _node("thesaurusName", thesaurus),
    )


def _linked(name: str, value: str, address: str) -> Any:
    """Give words with the address of what they mean, where there is one."""
    from lxml import etree

    if not address:
        return _text(name, value)
    anchor = etree.Element(f"{{{_GMX}}}Anchor", {f"{{{_XLINK}}}href": address}, nsmap={"gmx": _GMX})
    anchor.text = value
    return _node(name, anchor)


def _legal(kind: str, words: str, address: str) -> Any:
    return _node(
        "MD_LegalConstraints",
        _node(kind, _code("MD_RestrictionCode", "otherRestrictions")),
        _linked("otherConstraints", words, address),
    )


def _representation(record: Record) -> str:
    return "grid" if raster_of(record.files) else "vector"


def _resolution(record: Record) -> list[Any]:
    import rasterio

    path = raster_of(record.files)
    if path is None:
        return []
    with rasterio.open(path) as source:
        if not source.crs or not source.crs.is_projected:
            return []
        metres = abs(source.transform.a) * source.crs.linear_units_factor[1]
    distance = _gco("Distance", f"{metres:g}")
    distance.set("uom", "m")
    return [_node("spatialResolution", _node("MD_Resolution", _node("distance", distance)))]


def _topic() -> Any:
    made = _node("MD_TopicCategoryCode")
    made.text = "imageryBaseMapsEarthCover"
    return made


def _extent(record: Record) -> Any:
    from lxml import etree

    west, south, east, north = record.bbox
    sides = {
        "westBoundLongitude": west,
        "eastBoundLongitude": east,
        "southBoundLatitude": south,
        "northBoundLatitude": north,
    }
    box = _node("EX_GeographicBoundingBox", *(_node(name, _gco("Decimal", f"{at:.6f}")) for name, at in sides.items()))
    times = []
    for number, period in enumerate(one for one in (record.plan.period, record.plan.against) if one):
        span = etree.Element(f"{{{_GML}}}TimePeriod", {f"{{{_GML}}}id": f"period-{number}"})
        for name, at in (("beginPosition", period.start), ("endPosition", period.end)):
            etree.SubElement(span, f"{{{_GML}}}{name}").text = str(at)
        times.append(_node("temporalElement", _node("EX_TemporalExtent", _node("extent", span))))
    return _node("EX_Extent", _text("description", record.plan.place.name), _node("geographicElement", box), *times)


def _distribution(record: Record) -> Any:
    formats = dict.fromkeys(one.media_type for one in record.files if one.kind in ("raster", "table", "vector"))
    told = [
        _node("distributionFormat", _node("MD_Format", _text("name", one), _text("version", ""))) for one in formats
    ]
    return _node("MD_Distribution", *told)


def _quality(record: Record) -> Any:
    scope = _node("DQ_Scope", _node("level", _code("MD_ScopeCode", "dataset")))
    law = _node(
        "CI_Date", _node("date", _gco("Date", "2010-12-08")), _node("dateType", _code("CI_DateTypeCode", "publication"))
    )
    result = _node(
        "DQ_ConformanceResult",
        _node("specification", _node("CI_Citation", _text("title", _LAW), _node("date", law))),
        _text("explanation", "Not evaluated."),
        # No value means, by the guidance, that nobody has evaluated it.
        _node("pass", **{f"{{{_GCO}}}nilReason": "unknown"}),
    )
    made = f"Computed by CLMS Assistant: plan {record.plan.fingerprint}, {len(record.scenes)} scenes."
    lineage = f"{record.source} {made} The provenance file tells all."
    return _node(
        "DQ_DataQuality",
        _node("scope", scope),
        _node("report", _node("DQ_DomainConsistency", _node("result", result))),
        _node("lineage", _node("LI_Lineage", _text("statement", lineage))),
    )
