"""From words to pixels of a product: which product is meant, which collections hold it, and from which years."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from knowledge.catalogue import Catalogue, normalise
from knowledge.editions import sizes_m
from knowledge.errors import ProductNotFound
from knowledge.lexicon import in_english
from knowledge.schema import Edition, Product, Variable
from knowledge.words import stems
from tools.advice import Advice, advise
from tools.errors import ToolInputError
from tools.layers import Layer, Layers, is_vector, read_layers
from tools.schema import Bbox, Period, Scene
from tools.stac import StacService

if TYPE_CHECKING:
    from tools.toolbox import Services

NAMED = 1000
"""A band that is called by its name is nearer than any that is only described."""
LEAST_NAME = 3
"""Shorter names of products stand in too many texts by chance."""


@dataclass(frozen=True)
class Holding:
    """A collection of pixels that holds a layer of a product."""

    layers: Layers
    band: Layer
    product: Product | None
    basis: str
    """How it is known to hold it."""
    names: tuple[str, ...] = ()
    """Its id and what it says that it holds: an edition is known by these."""


@dataclass(frozen=True)
class Release:
    """One reference date of a holding over a place, with its tiles."""

    holding: Holding
    start: date
    end: date
    scenes: tuple[Scene, ...]
    items: tuple[dict[str, Any], ...]

    @property
    def label(self) -> str:
        """Give the year, or the day of a layer that is for a day."""
        whole_year = (self.end - self.start).days > 300 and self.start.year == self.end.year
        return str(self.start.year) if whole_year else self.start.isoformat()

    @property
    def synthetic(self) -> bool:
        """Tell whether its pixels are invented."""
        return self.holding.layers.synthetic or any(scene.synthetic for scene in self.scenes)


def find_product(
    services: "Services", words: str, *, bbox: Bbox, spoken: Sequence[str]
) -> tuple[Product | None, Advice]:
    """Return the product that words mean, by name or by search, with what the catalogue advises.

    A product that is only the nearest one found is none: nothing is computed on a guess. Where none that is published
    for the place is meant, it is the one that is meant anywhere: the archive may hold more than is published.
    """
    catalogue = services.retriever.catalogue
    advice = advise(services.retriever, words, bbox=bbox, spoken=spoken)
    try:
        return catalogue.get(words), advice
    except ProductNotFound:
        return _sure(advice) or _sure(advise(services.retriever, words, spoken=spoken)), advice


def _sure(advice: Advice) -> Product | None:
    sure = advice.recommendation is not None and advice.recommendation.certain
    return advice.matches[0].product if sure and advice.matches else None


def find_holdings(
    catalogue: Catalogue, collections: Iterable[dict[str, Any]], *, product: Product | None, wanted: str
) -> list[Holding]:
    """Return the collections that hold a product, or the one collection that is wanted by its id; real ones first.

    Of a product with several layers, those collections are left whose layer is nearest to the words of `wanted`.
    """
    rasters = [one for one in collections if not is_vector(one)]
    named = [one for one in rasters if one.get("id") == wanted]
    found = []
    for collection in named or rasters:
        owner, basis = identify(catalogue, collection)
        if named or (product is not None and owner is not None and owner.id == product.id):
            layers = read_layers(collection)
            if band := pick_band(layers, owner, wanted):
                names = (layers.collection_id, *_declared(collection))
                found.append(Holding(layers, band, owner, basis, names))
    best = max((_nearness(one.band, one.product, wanted) for one in found), default=0)
    # A band with a name of its own is the product's only layer there: it stays.
    near = [
        one for one in found if not _meanings(one.band, one.product) or _nearness(one.band, one.product, wanted) == best
    ]
    return sorted(near, key=lambda one: one.layers.synthetic)


def identify(catalogue: Catalogue, collection: dict[str, Any]) -> tuple[Product | None, str]:
    """Tell which product a collection holds: as it says itself, by its id, its bands, or the words of its title."""
    declared = _declared(collection)
    for name in (*declared, str(collection.get("id", ""))):
        if name and (owner := _by_id(catalogue, name)):
            return owner, f"property clms:product is {name}" if name in declared else "by its collection id"
    layers = read_layers(collection)
    owners = _variable_owners(catalogue)
    for choose in (_only, _only_by_pixel):
        for band in layers.bands:
            same = [one for one in catalogue.products if one.id in owners.get(band.name.upper(), ())]
            if owner := choose(same, band, collection):
                return owner, f"by its band {band.name}"
    keys = ("id", "title", "description")
    text = f" {normalise(' '.join(str(collection.get(key, '')) for key in keys).replace('_', ' '))} "
    best, name = None, ""
    for product in catalogue.products:
        for one in map(normalise, (product.title, product.abbr, product.id, *product.aliases)):
            if len(one) > max(len(name), LEAST_NAME) and f" {one} " in text:
                best, name = product, one
    return best, f"its title or description says “{name}”" if best else ""


def pick_band(layers: Layers, product: Product | None, words: str = "") -> Layer | None:
    """Return the band whose layer is nearest to the words, else the product's main layer; else the only band."""
    names = [
        variable.name.upper() for edition in (product.editions if product else ()) for variable in edition.variables
    ]
    known = [band for band in layers.bands if band.name.upper() in names]
    if known:
        return min(known, key=lambda band: (-_nearness(band, product, words), names.index(band.name.upper())))
    return layers.bands[0] if len(layers.bands) == 1 else None


def _nearness(band: Layer, product: Product | None, words: str) -> int:
    """Count the words that speak of a band: by its name, or by what its layer means."""
    if re.search(rf"(?<!\w){re.escape(band.name)}(?!\w)", words, re.I):
        return NAMED
    told = set(stems(in_english(words)))
    return max((len({*stems(one)} & told) for one in _meanings(band, product)), default=0)


def _meanings(band: Layer, product: Product | None) -> set[str]:
    """Give what the layers of a band's name mean in the editions of a product; empty for a name of its own."""
    editions = product.editions if product else ()
    same = (one for edition in editions for one in edition.variables if one.name.upper() == band.name.upper())
    return {one.meaning or one.name for one in same}


def find_releases(stac: StacService, holdings: Iterable[Holding], bbox: Bbox) -> list[Release]:
    """Return what the holdings have over a box: real before invented, the latest first, then the finest."""
    found = []
    for holding in holdings:
        by_start: dict[str, list[tuple[Scene, dict[str, Any]]]] = {}
        for scene, item in stac.items(holding.layers.collection_id, bbox):
            by_start.setdefault(scene.datetime[:10], []).append((scene, item))
        for start, pairs in by_start.items():
            ends = [str(item["properties"].get("end_datetime") or start)[:10] for _, item in pairs]
            scenes, items = zip(*pairs, strict=True)
            found.append(Release(holding, date.fromisoformat(start), date.fromisoformat(max(ends)), scenes, items))
    return sorted(found, key=lambda one: (one.synthetic, -one.start.toordinal(), one.holding.band.gsd_m or 0.0))


def choose_release(releases: Sequence[Release], period: Period | None) -> Release | None:
    """Return the latest release, real before invented, within a period where one is given."""
    fit = (one for one in releases if not period or (one.start <= period.end and one.end >= period.start))
    return next(fit, None)


def find_edition(product: Product | None, release: Release) -> tuple[Edition | None, str]:
    """Return the edition by whose encoding a release is read, and its variable: by id, else by year and pixel size."""
    if product is None:
        return None, ""
    band, said = release.holding.band, {normalise(one) for one in release.holding.names}
    named = [one for one in product.editions if said.intersection(map(normalise, _ids(one)))]
    editions = named or product.editions
    having = [(one, name) for one in editions if (name := _variable(one, band))]
    # A band with a name of its own: an edition with one layer leaves no doubt which one it is.
    having = having or [(one, one.variables[0].name) for one in editions if len(one.variables) == 1]
    fit = [pair for pair in having if named or covers_year(pair[0], release.start.year)]
    span = (str(release.start.year), str(release.end.year))
    fit = [pair for pair in fit if ((pair[0].start or "")[:4], (pair[0].end or "")[:4]) == span] or fit
    size = f"{band.gsd_m:g} m" if band.gsd_m else ""
    fit = [pair for pair in fit if size and size in pair[0].resolution] or fit
    if len(fit) > 1 and any(_encoding(*pair) != _encoding(*fit[0]) for pair in fit):
        raise ToolInputError(
            f"{release.holding.layers.collection_id} of {release.label} could be any of "
            f"{', '.join(edition.id for edition, _ in fit)}, whose numbers are stored in different ways.",
            "Name the collection after its edition, or add the files with the years that it is for, as START/END.",
        )
    return min(fit, key=lambda pair: pair[0].status != "current") if fit else (None, "")


def covers_year(edition: Edition, year: int) -> bool:
    """Tell whether an edition is known to have data for a year."""
    if not (edition.start and edition.start[:4].isdigit()):
        return False
    last = edition.end[:4] if edition.end and edition.end[:4].isdigit() else "9999"
    return int(edition.start[:4]) <= year <= int(last)


def _declared(collection: dict[str, Any]) -> list[str]:
    """Read what a collection says of itself: at the top, or in its summaries."""
    summaries = collection.get("summaries")
    places = (collection, summaries if isinstance(summaries, dict) else {})
    said = [place.get("clms:product") for place in places]
    return [str(one) for value in said for one in (value if isinstance(value, list) else [value]) if one]


def _by_id(catalogue: Catalogue, name: str) -> Product | None:
    return _owners(catalogue).get(normalise(name))


@lru_cache(maxsize=4)
def _owners(catalogue: Catalogue) -> dict[str, Product]:
    """Give the products by all ids of theirs and of their editions; the first of several that share one."""
    ids = ((normalise(one), product) for product in catalogue.products for one in _product_ids(product))
    return dict(reversed(list(ids)))


def _product_ids(product: Product) -> tuple[str, ...]:
    return (product.id, *(one for edition in product.editions for one in _ids(edition)))


def _ids(edition: Edition) -> tuple[str, ...]:
    cdse = edition.cdse
    elsewhere = (cdse.dataset_id, cdse.openeo_collection or "", *cdse.stac_collections) if cdse else ()
    grids = [one.cdse.dataset_id for one in edition.companions if one.role == "alternate grid"]
    return (edition.id, *grids, *elsewhere)


def _only(products: Sequence[Product], band: Layer, collection: dict[str, Any]) -> Product | None:
    """Return the product with a band of this name; of several, the one that is called so and reaches the place."""
    if len(products) < 2:
        return products[0] if products else None
    called = [one for one in products if normalise(band.name) in map(normalise, one.abbr.split(" / "))]
    there = _reaching(called, collection)
    return there[0] if len(there) == 1 else None


def _only_by_pixel(products: Sequence[Product], band: Layer, collection: dict[str, Any]) -> Product | None:
    """Return the one of several products that has the band with pixels of its size and reaches the place."""
    there = _reaching((one for one in products if band.gsd_m in _sizes_m(one, band.name)), collection)
    return there[0] if len(there) == 1 else None


def _reaching(products: Iterable[Product], collection: dict[str, Any]) -> list[Product]:
    boxes = ((collection.get("extent") or {}).get("spatial") or {}).get("bbox") or []
    box: Bbox | None = tuple(boxes[0]) if boxes and len(boxes[0]) == 4 else None
    return [one for one in products if box is None or one.covers_place(box)]


def _sizes_m(product: Product, band: str) -> set[float]:
    """Give the sizes of pixels, metres, of the editions with a band of this name."""
    return {
        size
        for edition in product.editions
        if any(one.name.upper() == band.upper() for one in edition.variables)
        for size in sizes_m(edition)
    }


@lru_cache(maxsize=4)
def _variable_owners(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Give the ids of the products that have a variable of a name."""
    owners: dict[str, tuple[str, ...]] = {}
    for product in catalogue.products:
        for name in {variable.name.upper() for edition in product.editions for variable in edition.variables}:
            owners[name] = (*owners.get(name, ()), product.id)
    return owners


def _encoding(edition: Edition, variable: str) -> Variable:
    """Give how a variable is stored, whatever it is said to mean."""
    found = next(one for one in edition.variables if one.name == variable)
    return found.model_copy(update={"meaning": None})


def _variable(edition: Edition, band: Layer) -> str:
    return next((one.name for one in edition.variables if one.name.upper() == band.name.upper()), "")
