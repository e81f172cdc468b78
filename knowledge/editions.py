"""Turns one product file into a product: shared facts merged into the editions, and what they say together."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from knowledge.errors import SourceInvalid
from knowledge.outlines import joined, one_of
from knowledge.product_files import faults, read_mapping
from knowledge.schema import Bbox, Comparability, Document, Edition, Product
from knowledge.services import CHECKED

HERE = Path(__file__).parent
NOT_ON_CDSE = (
    f"Not on the Copernicus Data Space Ecosystem (CDSE) as of {CHECKED}, so no STAC or openEO collection there yet."
)
ELSEWHERE_ON_OPENEO = (
    f"Not on the Copernicus Data Space Ecosystem (CDSE) as a CLMS data set as of {CHECKED}, so no STAC collection "
    "there yet; openEO collections under other names hold it."
)
SEE = "docs/add-a-product.md lists the fields."
CDSE_UNKNOWN = "Whether the Copernicus Data Space Ecosystem (CDSE) has it has not been verified."


def parse_product(text: str, name: str) -> Product:
    """Turn the YAML of one product file into a product; `name` is used in the error.

    Raises:
        SourceInvalid: the text is not a valid product.
    """
    data = read_mapping(text, name)
    try:
        return _product(data)
    except SourceInvalid as error:
        raise SourceInvalid(f"{name}: {error.message}", error.hint) from error


def licence(name: str) -> str:
    """Say under which terms an edition may be used, from the name in its product file.

    Raises:
        SourceInvalid: there is no such licence.
    """
    return str(_named("licences.yaml", name))


def _product(data: dict[str, Any]) -> Product:
    """Merge the shared facts into the editions, then derive what the editions say together."""
    shared, listed = data.pop("shared", {}), data.pop("editions", None)
    if not isinstance(shared, dict):
        raise SourceInvalid("`shared` must be a mapping of names to values.", hint=SEE)
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise SourceInvalid("There are no editions.", hint="List at least one under `editions`, each a mapping.")
    editions = tuple(_edition({**shared, **edition}) for edition in listed)
    in_use = [e for e in editions if e.status == "current"] or list(editions)
    offered = [e for e in editions if e.status not in ("discontinued", "announced", "retired")] or list(editions)
    facts = {
        "themes": _union(e.themes for e in editions),
        "component": in_use[0].component or "unknown",
        "start": min((e.start for e in offered if e.start), default=None),
        "end": max((e.end for e in offered if e.end), default=None),  # "present" sorts after digits
        "bbox": next((e.bbox for e in in_use if e.bbox), None),
        "boxes": joined_boxes(offered),
        "unverified_boxes": tuple(dict.fromkeys(box for e in offered for box in e.unverified_boxes)),
        **joined_facts(in_use),
        "access": _access(editions),
        "documents": _documents(editions),
        "editions": editions,
    }
    try:
        return Product.model_validate({**facts, **data})
    except ValidationError as error:
        raise SourceInvalid(f"{faults(error, Product)}.", hint=SEE) from error


def joined_facts(editions: Sequence[Edition]) -> dict[str, Any]:
    """Say what editions have together; how often they come is told of maps of states that still go on, if any do."""
    rhythmic = [e for e in reversed(editions) if e.cadence] or editions
    newest = max(rhythmic, key=lambda one: (not one.is_change, one.end or ""))
    return {
        "resolution_m": min((m for one in editions if (m := finest_m(one)) is not None), default=None),
        "cadence": newest.cadence,
        "coverage": "; ".join(_union([e.extent] for e in editions if e.extent)) or "not verified",
        "parts_only": all(e.parts_only for e in editions),
    }


def sizes_m(edition: Edition) -> tuple[float, ...]:
    """Give the sizes of an edition's pixels, metres; none for vector data or where they are not known."""
    return tuple(size for one in edition.resolution if (size := _metres(one)) is not None)


def finest_m(edition: Edition) -> float | None:
    """Give the finest pixel of an edition, metres; None for vector data or where it is not known."""
    return min(sizes_m(edition), default=None)


def joined_boxes(editions: Iterable[Edition]) -> tuple[Bbox, ...]:
    """Join the boxes of the editions; nothing may be ruled out when one of them is unknown."""
    return joined(edition.boxes for edition in editions)


def _edition(data: dict[str, Any]) -> Edition:
    """Put the named encodings and areas in place of their names; a plain box counts only where no area is named."""
    variables = data.get("variables", ())
    if isinstance(variables, list):
        variables = [_with_encoding(one) if isinstance(one, dict) else one for one in variables]
    try:
        edition = Edition.model_validate({**data, "variables": variables})
    except ValidationError as error:
        raise SourceInvalid(f"In edition {data.get('id')}: {faults(error, Edition)}.", hint=SEE) from error
    if edition.bbox and not _is_box(edition.bbox):
        raise SourceInvalid(f"In edition {edition.id}: `bbox` is not west, south, east, north in degrees.", hint=SEE)
    plain = (edition.bbox,) if edition.bbox else ()
    unverified = _area_boxes(edition.unverified_areas)
    boxes = one_of((_area_boxes(edition.areas) or plain) + unverified)
    return edition.model_copy(update={"boxes": boxes, "unverified_boxes": unverified})


def _with_encoding(variable: dict[str, Any]) -> dict[str, Any]:
    name = variable.get("encoding")
    return {**variable, "encoding": _named("encodings.yaml", name)} if isinstance(name, str) else variable


def _is_box(bbox: Bbox) -> bool:
    west, south, east, north = bbox
    return -180 <= west < east <= 180 and -90 <= south < north <= 90


@cache
def _area_boxes(areas: tuple[str, ...]) -> tuple[Bbox, ...]:
    return tuple((w, s, e, n) for area in areas for w, s, e, n in _named("areas.yaml", area))


def derived_rule(one: Edition, other: Edition) -> Comparability | None:
    """Say what the editions' own facts tell of subtracting them, where no rule is written; None: not verified."""
    return _pixels_differ(one, other) or _replaced(one, other) or _replaced(other, one)


def _pixels_differ(one: Edition, other: Edition) -> Comparability | None:
    """Refuse a difference of grids with other pixel sizes: the editions' own metadata say so."""
    finest = [finest_m(one), finest_m(other)]
    if None in finest or finest[0] == finest[1]:
        return None
    sizes = " against ".join(f"{m:g} m" for m in finest)
    return Comparability(
        editions=(one.id, other.id), allowed=False, reason=f"Pixels are {sizes}.", source="resolution of the editions"
    )


def _replaced(old: Edition, new: Edition) -> Comparability | None:
    """Warn of mixing a version with the one that replaces it."""
    if old.superseded_by != new.id:
        return None
    reason = f"{new.id} replaces {old.id}; whether their values agree is not verified: take one version for all dates."
    return Comparability(editions=(old.id, new.id), allowed=None, reason=reason, source="versions of the editions")


def _access(editions: tuple[Edition, ...]) -> tuple[str, ...]:
    """Say where the product is, and openly when it is not on CDSE."""
    absent = [e for e in editions if "cdse" in e.absent_from]
    unknown = [e for e in editions if e not in absent and e.cdse is None and "cdse" not in e.routes]
    lines = []
    if len(absent) == len(editions):
        lines.append(ELSEWHERE_ON_OPENEO if any(e.openeo_elsewhere for e in editions) else NOT_ON_CDSE)
    elif absent:
        lines.append(f"Not on CDSE as of {CHECKED}: {', '.join(e.id for e in absent)}.")
    if unknown:
        lines.append(CDSE_UNKNOWN)
    return (*lines, *(_named("access.yaml", route) for route in _union(e.routes for e in editions)))


def _named(table: str, name: str) -> Any:
    """Look up what a product file names."""
    entries = _table(table)
    if name not in entries:
        raise SourceInvalid(f"{table} has no entry {name!r}.", hint=f"It has: {', '.join(entries)}.")
    return entries[name]


@cache
def _table(name: str) -> dict[str, Any]:
    """Read a small table that lies beside this module."""
    return read_mapping((HERE / name).read_text(encoding="utf-8"), name)


def _documents(editions: Iterable[Edition]) -> tuple[Document, ...]:
    return tuple({document.title: document for e in editions for document in e.documents}.values())


def _union(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for group in groups for item in group))


@cache
def _metres(resolution: str) -> float | None:
    """Read the longest side of a pixel from words like `10 m`, `5 x 20 m (...)` or `12.5 km`."""
    found = re.match(r"\D*(?:[\d.]+ x )?([\d.]+) (m|km)\b", resolution)
    return float(found[1]) * (1000 if found[2] == "km" else 1) if found else None
