"""The nouns of the tools: place, period, plan, estimate, statistics, artifact, tool result."""

import hashlib
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge.schema import Citation

Bbox = tuple[float, float, float, float]
"""West, south, east, north in EPSG:4326 degrees."""

Outcome = Literal["ok", "no_data", "not_covered", "not_run", "failed"]
"""How a computation ended. A computed zero is `ok`; the other four never carry a number."""

Output = Literal["composite", "series", "per_polygon", "phenology", "anomaly"]
"""Median map over the period, one mean per date, one mean per polygon, season dates, or other years."""

UnitKind = Literal["place", "parcels", "districts", "communes", "nuts0", "nuts1", "nuts2", "nuts3"]
"""Units of a result: the place as a whole, its parcels, its districts, its communes, or its NUTS regions of a level."""

ArtifactKind = Literal[
    "map", "chart", "raster", "table", "vector", "notebook", "script", "graph", "provenance", "metadata"
]


class Frozen(BaseModel):
    """Base of all nouns: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Place(Frozen):
    """Where."""

    name: str
    kind: str
    """City, region, country, demo area, uploaded area."""
    bbox: Bbox
    geometry: dict[str, Any] | None = None
    """GeoJSON geometry in EPSG:4326; absent when only the box is known."""
    area_km2: float
    source: str
    """Which data the place came from, with its licence."""


class Period(Frozen):
    """When: both ends included."""

    start: date
    end: date
    label: str
    """The words it was read from."""

    @property
    def days(self) -> str:
        """Words that mean the same on every day."""
        return str(self.start) if self.start == self.end else f"{self.start} to {self.end}"


class Polygons(Frozen):
    """The units a per-polygon result is for: parcels, districts, an uploaded field."""

    name: str
    source: str
    """File name or hub collection id."""
    synthetic: bool = False
    """True for the invented demo units."""
    collection: dict[str, Any]
    """GeoJSON FeatureCollection in EPSG:4326; each feature has a string `id` and a `properties.name`."""
    warnings: tuple[str, ...] = ()
    """What was repaired or dropped while reading, per feature."""

    @property
    def names(self) -> list[str]:
        """Names of the features, in order."""
        return [str(feature["properties"]["name"]) for feature in self.collection["features"]]

    @property
    def bbox(self) -> Bbox:
        """Bounds of all features, degrees."""
        wests, souths, easts, norths = zip(
            *(geometry_bounds(feature["geometry"]) for feature in self.collection["features"]), strict=True
        )
        return min(wests), min(souths), max(easts), max(norths)


def geometry_bounds(geometry: dict[str, Any]) -> Bbox:
    """Return the bounds of a GeoJSON geometry; of polygons without building them, for there may be many corners."""
    import numpy
    from shapely.geometry import shape

    if geometry["type"] not in {"Polygon", "MultiPolygon"}:
        return tuple(shape(geometry).bounds)
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    rings = [numpy.array(rings[0], dtype=float)[:, :2] for rings in polygons]
    west, south = numpy.min([ring.min(axis=0) for ring in rings], axis=0)
    east, north = numpy.max([ring.max(axis=0) for ring in rings], axis=0)
    return float(west), float(south), float(east), float(north)


class Scene(Frozen):
    """One STAC item, as far as a plan needs it."""

    id: str
    collection_id: str
    datetime: str
    cloud_cover_percent: float | None = None
    bbox: Bbox
    synthetic: bool = False
    version: str = ""
    """Changes when the item does: when it was updated, else a hash of where its files lie."""


class LayerChoice(Frozen):
    """Which layer of a product a plan reads, and from when it is."""

    title: str
    """Name of what is computed, for titles and sentences."""
    unit: str
    """Of the values: `%` for a density, `ha` for the areas of classes."""
    product_id: str | None = None
    edition_id: str | None = None
    """Edition whose encoding the numbers are read by; None: no product is known, the file's own header alone."""
    variable: str | None = None
    band: str
    reference: str
    """Year or day that the layer is for."""
    earlier_collection_id: str | None = None
    """Collection of the earlier year of a change, where it is another one."""


MAX_CLOUD_PERCENT = 80.0
"""Scenes with more cloud are left out unless told otherwise."""


class Plan(Frozen):
    """One filled-in recipe. Pure data: the same plan gives the same numbers."""

    recipe_id: str
    """For example `ndvi`."""
    collection_id: str
    """STAC and openEO collection the back-end knows, for example `sentinel-2-l2a`."""
    output: Output
    place: Place
    polygons: Polygons | None = None
    """Set when output is `per_polygon`, or when series or season dates are for polygons."""
    period: Period
    against: Period | None = None
    """Set for a difference: the earlier period, whose values are subtracted from those of `period`."""
    reference: tuple[Period, ...] = ()
    """Set for an anomaly: the same days of other years."""
    max_cloud_cover_percent: float = MAX_CLOUD_PERCENT
    layer: LayerChoice | None = None
    """Set for statistics of a product layer; `recipe_id` then names no index."""

    parameters: dict[str, str | float | list[str] | list[float]] = Field(default_factory=dict)
    """Further settings of what is more than one index: the number of classes, the bands of a stack."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name the cache entry and the files."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Estimate(Frozen):
    """What a plan will cost, known before it runs."""

    scenes: int
    pixels: int
    """Pixels of one date in the computed box."""
    megabytes: float
    """Uncompressed bytes read, in 10^6."""
    seconds: float
    slowness: float = 1.0
    """How many times longer the last runs took than expected; `seconds` holds it."""
    allowed: bool
    reason: str
    """Why not, or what the figures rest on."""


class StatisticsRow(Frozen):
    """One polygon, one date or one whole area."""

    label: str
    date: str | None = None
    value: float | None
    """None unless outcome is `ok`."""
    valid_pixels: int
    total_pixels: int
    outcome: Outcome

    @property
    def valid_share(self) -> float:
        """Valid pixels over all pixels, 0 to 1; 0 when there are no pixels."""
        return self.valid_pixels / self.total_pixels if self.total_pixels else 0.0


class Statistics(Frozen):
    """Numbers of one run."""

    rows: tuple[StatisticsRow, ...]
    unit: str
    method: str


class Artifact(Frozen):
    """A file made by a run; reached by id, never by path from a user."""

    id: str
    kind: ArtifactKind
    title: str
    media_type: str
    path: str
    size_bytes: int
    sha256: str
    plan_fingerprint: str


class Alternative(Frozen):
    """A product that is near but was not chosen."""

    product_id: str
    title: str
    lacks: str
    """What it lacks for this question."""


class Recommendation(Frozen):
    """The product to use, with reasons."""

    product_id: str
    title: str
    why: tuple[str, ...]
    lacks: str = ""
    """What even this product does not give; empty when nothing is known to be missing."""
    facts: tuple[str, ...] = ()
    """Facts that the question asks for by their kind, with where they are known from."""
    told_first: str = ""
    """What the question asks of a product by its name: yes or no, or what speaks against it."""
    left_out: str = ""
    """What was not considered because the question does not want it; empty when it refuses nothing."""
    certain: bool = True
    """False when it is only the nearest product found: the question may mean something else."""
    alternatives: tuple[Alternative, ...] = ()
    access: tuple[str, ...] = ()
    """How to get it."""
    cautions: tuple[str, ...] = ()
    url: str | None = None
    computable: str = ""
    """What can be computed here towards the question, or what it would take; empty when that is not known."""
    compute_question: str = ""
    """The question that starts this computation; empty where nothing can be started."""


class Question(Frozen):
    """Something only the user can settle, with options to click."""

    text: str
    options: tuple[str, ...]
    approves: tuple[str, ...] = ()
    """Fingerprints of the plans that the first option lets run; empty where nothing is to be approved."""
    changes: dict[str, dict[str, str]] = {}
    """For options that make the call smaller: the arguments they replace."""
    link: str = ""
    """Page to open for a login; empty where there is none."""
    code: str = ""
    """Code to enter there."""


class ToolResult(Frozen):
    """What one tool call gives: `text` goes to the model, the rest to the event stream."""

    text: str
    outcome: Outcome = "ok"
    data: dict[str, Any] = Field(default_factory=dict)
    """JSON-able details; every number an answer may quote is in `text`, `data` or `statistics`."""
    plan: Plan | None = None
    estimate: Estimate | None = None
    statistics: Statistics | None = None
    recommendation: Recommendation | None = None
    question: Question | None = None
    artifacts: tuple[Artifact, ...] = ()
    citations: tuple[Citation, ...] = ()
    warnings: tuple[str, ...] = ()
