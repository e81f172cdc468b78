"""The nouns of knowledge: product, edition, passage, citation."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

Bbox = tuple[float, float, float, float]
Status = Literal["current", "archive", "superseded", "announced", "discontinued", "retired"]
Confidence = Literal["high", "medium", "low"]


class Frozen(BaseModel):
    """Base of all nouns: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Citation(Frozen):
    """Where a claim comes from."""

    passage_id: str
    title: str
    url: str | None = None
    quote: str
    verified: bool
    """True when code found the quote in the passage."""


class Passage(Frozen):
    """A piece of text that can be found and quoted."""

    id: str
    source_id: str
    """Product id or document id."""
    title: str
    url: str | None = None
    section: str = ""
    text: str
    score: float = 0.0


class Variable(Frozen):
    """One measured layer of an edition."""

    name: str
    meaning: str | None = None
    unit: str | None = None
    scale: float | None = None
    """Physical value = stored value * scale + offset."""
    offset: float | None = None


class Document(Frozen):
    """A manual or method description."""

    title: str
    kind: str | None = None
    url: str | None = None
    text_url: str | None = None
    """The same document as plain Markdown."""
    note: str | None = None


class OgcService(Frozen):
    """A view service that draws the edition."""

    url: str
    layers: tuple[str, ...] = ()
    basis: str | None = None
    """How far the address is known to be right."""


class CdseEntry(Frozen):
    """Ids of an edition on the Copernicus Data Space Ecosystem."""

    dataset_id: str
    product_type: str | None = None
    s3_prefix: str | None = None
    stac_collections: tuple[str, ...] = ()
    stac_basis: str | None = None
    openeo_collection: str | None = None
    openeo_basis: str | None = None
    sentinelhub_byoc: dict[str, str] = {}
    sentinelhub_bands: tuple[str, ...] = ()
    browser_date_range: tuple[str, ...] = ()
    sample_product_name: str | None = None
    services: dict[str, bool] = {}
    """Which services held it in August 2026: s3, odata, stac, openeo, shub."""


class LegendClass(Frozen):
    """One code of a classified layer."""

    code: int
    label: str
    color: str | None = None
    """Official colour as #rrggbb."""
    grid_code: int | None = None
    group: str | None = None
    level1: str | None = None
    level2: str | None = None


class Legend(Frozen):
    """Codes, labels and official colours of a layer."""

    id: str
    title: str
    band: str | None = None
    value_type: str
    classes: tuple[LegendClass, ...] = ()
    special_values: tuple[LegendClass, ...] = ()
    """No data, clouds, outside and the like: never part of a statistic."""
    notes: tuple[str, ...] = ()
    confidence: Confidence = "medium"
    sources: tuple[str, ...] = ()


class Edition(Frozen):
    """One published data set: a reference year or a version of a product."""

    id: str
    title: str
    status: Status
    resolution: tuple[str, ...] = ()
    extent: str | None = None
    bbox: Bbox | None = None
    bbox_basis: str | None = None
    areas: tuple[str, ...] = ()
    """Names from `areas.yaml` when the extent is not one box."""
    start: str | None = None
    end: str | None = None
    """A date, or `present` while it is still produced."""
    cadence: str | None = None
    sensors: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    crs: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    legends: tuple[str, ...] = ()
    """Ids of legends; the first is the main one."""
    valid_range: str | None = None
    no_data: str | None = None
    dois: tuple[str, ...] = ()
    metadata_uuid: str | None = None
    resource_id: str | None = None
    url: str | None = None
    superseded_by: str | None = None
    supersedes: tuple[str, ...] = ()
    version_note: str | None = None
    related: tuple[str, ...] = ()
    auxiliary_ids: tuple[str, ...] = ()
    alternate_ids: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()
    portal_datasets: tuple[str, ...] = ()
    component: str | None = None
    themes: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    policies_inferred: tuple[str, ...] = ()
    """Policies it may serve in our reading; no document says so."""
    inspire_themes: tuple[str, ...] = ()
    inspire_basis: str | None = None
    documents: tuple[Document, ...] = ()
    cautions: tuple[str, ...] = ()
    cdse: CdseEntry | None = None
    """None: not on CDSE when this was written."""
    ogc_services: tuple[OgcService, ...] = ()
    other_ids: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    """Names from `access.yaml`."""
    licence: str = "copernicus-open"
    confidence: Confidence
    sources: tuple[str, ...] = ()


class Product(Frozen):
    """What a user chooses: one measured thing, with all its editions."""

    id: str
    title: str
    abbr: str
    family: str
    themes: tuple[str, ...]
    component: str
    summary: str
    url: str | None = None
    aliases: tuple[str, ...] = ()
    """Words people use for it; search reads them."""
    choose_when: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    resolution_m: float | None = None
    """Finest pixel of the editions in use, metres; None for vector data."""
    start: str | None = None
    end: str | None = None
    cadence: str | None = None
    coverage: str
    bbox: Bbox | None = None
    boxes: tuple[Bbox, ...] = ()
    """Where it has data, as far as known; empty when unknown."""
    access: tuple[str, ...]
    """How to get it, in sentences; says so when it is not on CDSE."""
    documents: tuple[Document, ...] = ()
    editions: tuple[Edition, ...]

    def covers_place(self, bbox: Bbox) -> bool:
        """Tell whether the box touches the product's area; an unknown area counts as covered."""
        west, south, east, north = bbox
        return not self.boxes or any(w <= east and e >= west and s <= north and n >= south for w, s, e, n in self.boxes)

    def covers_time(self, start: date, end: date) -> bool:
        """Tell whether any edition has data between two dates; an unknown period counts as covered."""
        return any(_overlaps(edition, start, end) for edition in self.editions)


class Shortfall(Frozen):
    """One thing a question asks for that a product's facts do not give."""

    kind: Literal["status", "place", "period", "pixel"]
    text: str
    blocks: bool
    """True when the product cannot answer the question because of it."""


class ProductMatch(Frozen):
    """A product found for a question."""

    product: Product
    score: float
    why: tuple[str, ...]
    """Reasons taken from the product's own facts and texts."""
    lacks: str
    """What it lacks for the question; empty when nothing is known to be missing."""
    shortfalls: tuple[Shortfall, ...] = ()
    """Facts behind `lacks`; empty where `lacks` comes from the product's own `not_for`."""

    @property
    def fits(self) -> bool:
        """Tell whether nothing is known that keeps the product from answering."""
        return not any(one.blocks for one in self.shortfalls)


def _overlaps(edition: Edition, start: date, end: date) -> bool:
    """Compare years only: editions give their period by year."""
    if edition.start is None or not edition.start[:4].isdigit():
        return True
    last = edition.end[:4] if edition.end and edition.end[:4].isdigit() else "9999"
    return int(edition.start[:4]) <= end.year and int(last) >= start.year
