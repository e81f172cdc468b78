"""The nouns of knowledge: product, edition, passage, citation; those of a search are in `matches.py`."""

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

Bbox = tuple[float, float, float, float]
Boxes = Annotated[SkipValidation[tuple[Bbox, ...]], Field(exclude=True, repr=False)]
"""Many boxes, shared between editions: worked out by the catalogue, never written out."""
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
    page: int | None = None
    """Page of a paged document, from 1."""
    version: str | None = None
    """Version of the document."""
    newer_version: str | None = None
    """Version or date of a later issue of the same document; None when none is known."""
    columns: str | None = None
    """Head of the table, where the quote is one of its rows."""
    own_words: bool = False
    """True for a product card: our words about the product, which `url` leads to but does not hold."""

    @property
    def place(self) -> str:
        """Say where the quote stands, in words."""
        if self.own_words:
            return f"Product card of this catalogue, {self.title}"
        parts = [
            self.title,
            f"version {self.version}" if self.version else "",
            f"page {self.page}" if self.page else "",
            f"newer version: {self.newer_version}" if self.newer_version else "",
            f"columns: {self.columns}" if self.columns else "",
        ]
        return ", ".join(part for part in parts if part)


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
    document_id: str | None = None
    """Document it stands in; None for a passage of a product card."""
    version: str | None = None
    """Version of the document, as it gives it."""
    date: str | None = None
    """ISO date of the document, as it gives it."""
    page: int | None = None
    """Page of a paged document, from 1."""
    newer_version: str | None = None
    """Version or date of a later issue of the same document in the index; None when none is known."""
    product_ids: tuple[str, ...] = ()
    """Products that the document belongs to."""


class Encoding(Frozen):
    """How the stored numbers of a layer are read; `knowledge/decoding.py` applies it."""

    kind: Literal["number", "class", "presence", "date", "bits", "unverified"] = "number"
    """`unverified`: sources disagree or are silent, so it is decoded only with the scale of the file's own header."""
    scale: float | None = None
    """Wins over the variable's published scale where that one misleads."""
    offset: float | None = None
    valid: tuple[float | None, float | None] | None = None
    """Lowest and highest stored value that is a measurement; None: no bound known."""
    special: dict[int, str] = {}
    """Stored codes that are no measurement, with their meaning; those of the legend come on top."""
    constants: dict[int, float] = {}
    """Stored codes that stand for a value of their own, whatever scale and offset say."""
    present: tuple[int, ...] = ()
    """For `presence`: codes that mean yes."""
    absent: tuple[int, ...] = ()
    """For `presence`: codes that mean no, which is not the same as no data."""
    date: Literal["yydoy", "doy"] | None = None
    """`yydoy`: two digits of the year and three of the day; `doy`: day of the product's year."""
    note: str | None = None
    sources: tuple[str, ...] = ()


class Variable(Frozen):
    """One measured layer of an edition."""

    name: str
    meaning: str | None = None
    unit: str | None = None
    scale: float | None = None
    """Physical value = stored value * scale + offset, as published; `encoding` may correct it."""
    offset: float | None = None
    legend: str | None = None
    """Id of the legend with this layer's classes and special codes."""
    encoding: Encoding | None = None
    """In a product file: a name from `encodings.yaml` or the block itself. None: nothing beyond scale and offset."""


class Document(Frozen):
    """A manual or method description."""

    title: str
    kind: str | None = None
    url: str | None = None
    text_url: str | None = None
    """The same document as plain Markdown."""
    repo_path: str | None = None
    """Its source in a public repository, as owner/name:path."""
    in_library: bool | None = None
    """True when the public technical library lists it; None when unknown."""
    note: str | None = None


class OgcService(Frozen):
    """A view service that draws the edition."""

    url: str
    layers: tuple[str, ...] = ()
    basis: str | None = None
    """How far the address is known to be right."""


class Service(Frozen):
    """Whether one service offers an edition."""

    name: str
    """`stac`, `openeo`, `sentinelhub`, `s3`, `odata`, `wekeo`, `wms` or `portal`."""
    state: Literal["available", "absent", "unverified"]
    """`absent`: checked and not there; `unverified`: nobody has checked, or the id was only built by a rule."""
    ids: tuple[str, ...] = ()
    basis: str
    """Where this is known from, with its date."""


class Comparability(Frozen):
    """Which editions may be subtracted from each other."""

    editions: tuple[str, ...]
    """Any two of these; a single one means its own years or dates."""
    own_dates: bool = False
    """When given: two years or dates of any one of these, not two of them."""
    against: tuple[str, ...] = ()
    """When given: each of `editions` with each of these instead."""
    break_year: int | None = None
    """When given: only for a year before this one with a later one."""
    allowed: bool | None
    """None: not verified, but an official change layer may be named."""
    reason: str
    change_product: str | None = None
    """Product or edition that measures the change officially."""
    source: str

    def applies(self, first: str, second: str, years: tuple[int, int] | None = None) -> bool:
        """Tell whether the rule is about these two editions, in either order, and these years if a year matters."""
        if self.break_year is not None and (years is None or not min(years) < self.break_year <= max(years)):
            return False
        if self.against:
            return any(a in self.editions and b in self.against for a, b in ((first, second), (second, first)))
        same = self.own_dates or len(self.editions) == 1
        return first in self.editions and second in self.editions and (first == second) is same


class CdseEntry(Frozen):
    """Ids of an edition on the Copernicus Data Space Ecosystem."""

    dataset_id: str
    product_type: str | None = None
    s3_prefix: str | None = None
    stac_collections: tuple[str, ...] = ()
    stac_basis: str | None = None
    openeo_collection: str | None = None
    openeo_basis: str | None = None
    openeo_bands: tuple[str, ...] = ()
    """Band names seen in public sources."""
    openeo_bands_complete: bool = True
    """False where there may be more bands than were seen."""
    stac_assets: tuple[str, ...] = ()
    """Names of assets seen in public sources."""
    sentinelhub_byoc: dict[str, str] = {}
    sentinelhub_bands: tuple[str, ...] = ()
    browser_date_range: tuple[str, ...] = ()
    sample_product_name: str | None = None
    services: dict[str, bool] = {}
    """Which services held it in August 2026: s3, odata, stac, openeo, shub."""


class Companion(Frozen):
    """A data set of its own on CDSE that goes with an edition."""

    role: Literal["confidence layer", "alternate grid"]
    cdse: CdseEntry


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

    model_config = ConfigDict(coerce_numbers_to_str=True)  # a year need not stand in quotes

    id: str
    title: str
    status: Status
    measures: str | None = None
    """What this edition measures, where it differs from the product."""
    resolution: tuple[str, ...] = ()
    minimum_mapping_unit_ha: float | None = None
    """Smallest patch that is mapped; None when there is none or it is not verified."""
    minimum_mapping_width_m: float | None = None
    mapping_unit_note: str | None = None
    extent: str | None = None
    bbox: Bbox | None = None
    bbox_basis: str | None = None
    areas: tuple[str, ...] = ()
    """Names from `areas.yaml` when the extent is not one box."""
    parts_only: bool = False
    """True when it maps only parts of `areas` whose outlines are not known, such as cities, river belts or sites."""
    sums_up: bool = False
    """True when it tells what is usual over all its years, and nothing of a single one."""
    unverified_areas: tuple[str, ...] = ()
    """Names from `areas.yaml` of places that sources disagree on: not ruled out, and told as not verified."""
    boxes: Boxes = ()
    """Worked out from `areas` or `bbox`: where it has data, or may have; empty when unknown."""
    unverified_boxes: Boxes = ()
    """Those of `boxes` that come from `unverified_areas`."""
    start: str | None = None
    end: str | None = None
    """A date, or `present` while it is still produced."""
    cadence: str | None = None
    timeliness: str | None = None
    """How soon after the date it is published; None: not verified."""
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
    companions: tuple[Companion, ...] = ()
    updates: tuple[str, ...] = ()
    portal_datasets: tuple[str, ...] = ()
    component: str | None = None
    portal_category: str | None = None
    """Heading under which the CLMS portal lists it."""
    themes: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    policies_inferred: tuple[str, ...] = ()
    """Policies it may serve in our reading; no document says so."""
    inspire_themes: tuple[str, ...] = ()
    inspire_basis: str | None = None
    documents: tuple[Document, ...] = ()
    cautions: tuple[str, ...] = ()
    cdse: CdseEntry | None = None
    """None: no entry on CDSE is known; `absent_from` tells whether that was checked."""
    absent_from: tuple[Literal["cdse", "openeo", "wekeo", "wms", "portal"], ...] = ()
    """Services that were checked and do not have it; `cdse` stands for all services of CDSE."""
    openeo_elsewhere: tuple[str, ...] = ()
    """openEO collections of other back-ends that hold the same data; ids seen in public examples."""
    wekeo: tuple[str, ...] = ()
    """WEkEO data set ids."""
    ogc_services: tuple[OgcService, ...] = ()
    other_ids: tuple[str, ...] = ()
    """Ids at eodag, DEDL and the like."""
    routes: tuple[str, ...] = ()
    """Names from `access.yaml`."""
    licence: str = "copernicus-open"
    confidence: Confidence
    sources: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Tell whether it maps the change from its first year to its last one, by its title."""
        return self.start != self.end and _speaks_of_change(self.title)


@lru_cache(maxsize=4096)
def _speaks_of_change(title: str) -> bool:
    return bool(re.search(r"\bchange\b", title, re.IGNORECASE))


class Product(Frozen):
    """What a user chooses: one measured thing, with all its editions."""

    id: str
    title: str
    abbr: str
    family: str
    family_abbr: str | None = None
    themes: tuple[str, ...]
    component: str
    summary: str
    measures: str | None = None
    """What is measured, as a phrase."""
    subjects: tuple[str, ...] = Field(default=(), exclude=True)
    """What it is about, in words that products of the same subject share."""
    also_shows: tuple[str, ...] = Field(default=(), exclude=True)
    """Subjects of other products that can be read from it, for example from its classes."""
    use_cases: tuple[str, ...] = ()
    """What it is typically used for, as phrases."""
    url: str | None = None
    aliases: tuple[str, ...] = ()
    """Words people use for it; search reads them."""
    asked_as: dict[str, tuple[str, ...]] = Field(default_factory=dict, exclude=True)
    """How people ask for it in everyday words, by language; read by the phrasebook, never shown."""
    choose_when: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    resolution_m: float | None = None
    """Finest pixel of the editions in use, metres; None for vector data."""
    parts_only: bool = False
    """True when all editions in use map only parts of their areas, whose outlines are not known."""
    start: str | None = None
    end: str | None = None
    cadence: str | None = None
    coverage: str
    bbox: Bbox | None = None
    boxes: Boxes = ()
    """Where it has data, as far as known; empty when unknown."""
    unverified_boxes: Boxes = ()
    """Those of `boxes` where it may have none."""
    access: tuple[str, ...]
    """How to get it, in sentences; says so when it is not on CDSE."""
    documents: tuple[Document, ...] = ()
    comparable_with: tuple[Comparability, ...] = ()
    """Rules in order: the first that applies counts; no rule means not verified."""
    editions: tuple[Edition, ...]

    def can_stand_in_for(self, other: "Product") -> bool:
        """Tell whether it has what another is about; themes decide where subjects are not known."""
        if not (self.subjects and other.subjects):
            return not set(self.themes).isdisjoint(other.themes)
        return not {*self.subjects, *self.also_shows}.isdisjoint(other.subjects)

    def covers_place(self, bbox: Bbox) -> bool:
        """Tell whether the box touches the product's area; an unknown area counts as covered."""
        return reaches(self.boxes, bbox)


def reaches(boxes: tuple[Bbox, ...], bbox: Bbox) -> bool:
    """Tell whether a box touches one of the boxes; no boxes means unknown and counts as yes."""
    west, south, east, north = bbox
    return not boxes or any(w <= east and e >= west and s <= north and n >= south for w, s, e, n in boxes)
