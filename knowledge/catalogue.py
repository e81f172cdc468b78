"""The catalogue: reads `products/*.yaml`, checks them, and finds a product by id, edition id, abbreviation or alias."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from knowledge.errors import ProductNotFound, SourceInvalid
from knowledge.product_files import faults, read_mapping
from knowledge.schema import Bbox, Comparability, Document, Edition, Legend, Product
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


SIZED = re.compile(r"\d k?m$")
"""Ends the plain name of a product that is told by its pixels from others of its kind."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All products and legends; known by identity, so that what is worked out for one can be kept."""

    products: tuple[Product, ...]
    legends: tuple[Legend, ...] = ()

    @cached_property
    def _by_name(self) -> dict[str, Product]:
        names: dict[str, Product] = {}
        # Ids win over abbreviations, abbreviations over aliases; among aliases the first file wins.
        for product in self.products:
            names[normalise(product.id)] = product
        for product in self.products:
            for edition in product.editions:
                names.setdefault(normalise(edition.id), product)
        for product in self.products:
            for name in (product.abbr, product.title):
                names.setdefault(normalise(name), product)
        for product in self.products:
            for alias in product.aliases:
                names.setdefault(normalise(alias), product)
        return names

    @cached_property
    def proper_names(self) -> dict[str, list[str]]:
        """Give names such as CORINE, EGMS or Natura 2000 with the products that bear them.

        A name that others use too, such as NDVI, is that of a variable and left out.
        """
        names: dict[str, list[str]] = {}
        for product in self.products:
            words = {word for text in (product.title, product.abbr) for word in re.findall(r"[\w+-]+", text)}
            capital = {word for word in words if len(word) > 2 and sum(char.isupper() for char in word) > 1}
            numbered = {product.id.replace("-", " ")} if re.search(r"\d{4}$", product.id) else set()
            for name in {*capital, *numbered} - {product.component, product.family_abbr, "HRL"}:
                names.setdefault(name, []).append(product.id)
        return {name: bearers for name, bearers in names.items() if self._users(name) <= set(bearers)}

    @cached_property
    def plain_names(self) -> dict[str, str]:
        """Give all aliases in plain words, with the product that an alias names: "imperviousness", "clc", "burnt area".

        An alias names a product when its title or abbreviation begins with it and no other's holds it but that of a
        layer of change, or when it ends in a size of pixels; of others (empty here) several products may be meant.
        """
        heads = {product.id: (_head(product.title), normalise(product.abbr)) for product in self.products}
        aliases = [(normalise(alias), product.id) for product in self.products for alias in product.aliases]
        names = {name: bearer if SIZED.search(name) else "" for name, bearer in reversed(aliases)}
        for product in self.products:
            for name in {heads[product.id][0], *map(normalise, product.aliases)}:
                others = {one for one, texts in heads.items() if any(f" {name} " in f" {text} " for text in texts)}
                others -= {product.id, *(one for one in others if one.endswith("-change"))}
                if not others and any(f"{text} ".startswith(f"{name} ") for text in heads[product.id]):
                    names[name] = product.id
        return names

    @cached_property
    def telling_names(self) -> frozenset[str]:
        """Give the proper names that can be known in any spelling: of several words, or as people write them."""
        aliases = {alias for product in self.products for alias in product.aliases}
        plain = {name: normalise(name) for name in self.proper_names}
        return frozenset(name for name, words in plain.items() if len(words.split()) > 1 or words in aliases)

    def _users(self, name: str) -> set[str]:
        """Give the products that use a word for themselves."""
        word = re.compile(rf"(?<![\w-]){re.escape(normalise(name))}(?![\w-])")
        return {
            product.id
            for product in self.products
            if any(word.search(normalise(text)) for text in (product.title, product.abbr, *product.aliases))
        }

    def get(self, id_or_alias: str) -> Product:
        """Give the product of an id, edition id, abbreviation, title or alias.

        Raises:
            ProductNotFound: nothing has this name.
        """
        product = self._by_name.get(normalise(id_or_alias))
        if product is None:
            raise ProductNotFound(
                f"No product or edition is called {id_or_alias!r}.", hint="Search for it in words to see what exists."
            )
        return product

    def legend(self, legend_id: str) -> Legend:
        """Give a legend by id."""
        for legend in self.legends:
            if legend.id == legend_id:
                return legend
        raise ProductNotFound(f"No legend is called {legend_id!r}.", hint="Editions name their legends in `legends`.")

    def edition(self, edition_id: str) -> Edition:
        """Give an edition by its id.

        Raises:
            ProductNotFound: no edition has this id.
        """
        for edition in self.get(edition_id).editions:
            if edition.id == edition_id:
                return edition
        raise ProductNotFound(
            f"No edition is called {edition_id!r}.", hint="`catalogue show` lists a product's editions."
        )

    def comparability(self, first: str, second: str, years: tuple[int, int] | None = None) -> Comparability | None:
        """Tell whether two editions (or two years of one, named twice) may be subtracted; None: not verified.

        Raises:
            ProductNotFound: an edition does not exist.
        """
        one, other = self.edition(first), self.edition(second)
        products = dict.fromkeys((self.get(first).id, self.get(second).id))
        rules = (rule for product_id in products for rule in self.get(product_id).comparable_with)
        derived = _pixels_differ(one, other) or _replaced(one, other) or _replaced(other, one)
        return next((rule for rule in rules if rule.applies(first, second, years)), derived)

    def with_theme(self, theme: str) -> tuple[Product, ...]:
        """Give the products of a theme, for example `forest`.

        Raises:
            ProductNotFound: no product has this theme.
        """
        wanted = normalise(theme)
        found = tuple(p for p in self.products if wanted in {normalise(t) for t in p.themes})
        if not found:
            themes = sorted({t for p in self.products for t in p.themes})
            raise ProductNotFound(f"No product has the theme {theme!r}.", hint=f"Themes: {', '.join(themes)}.")
        return found


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Read and check all product files; `folder` holds one YAML file a product.

    Raises:
        SourceInvalid: a file is not a valid product, two products share an id, or a name in it does not exist.
    """
    products = tuple(_read_product(path) for path in sorted((folder or HERE / "products").glob("*.yaml")))
    legends = tuple(_read_legend(path) for path in sorted((HERE / "legends").glob("*.yaml")))
    if not products:
        raise SourceInvalid(f"There are no product files in {folder}.", hint="One YAML file a product.")
    _check_unique((p.id, p.id) for p in products)
    _check_unique((e.id, p.id) for p in products for e in p.editions)
    known = {legend.id for legend in legends}
    ids = {p.id for p in products} | {e.id for p in products for e in p.editions}
    for product in products:
        named = {name for e in product.editions for name in e.legends}
        named |= {v.legend for e in product.editions for v in e.variables if v.legend}
        _check_known(product, "legends", named - known)
        rules = product.comparable_with
        compared = {e for rule in rules for e in (*rule.editions, *rule.against)}
        compared |= {r.change_product for r in rules if r.change_product}
        compared |= {e.superseded_by for e in product.editions if e.superseded_by}
        _check_known(product, "editions", (compared | {old for e in product.editions for old in e.supersedes}) - ids)
    return Catalogue(products, legends)


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


def _head(title: str) -> str:
    """Give the words of a title that are its own: no name of a family before it, nothing behind a comma."""
    return normalise(re.sub(r"^(?:HRL|HR-WSI)\s|[,(].*$", "", title))


@lru_cache(maxsize=16_384)
def normalise(name: str) -> str:
    """Reduce a name to lower-case words, so that `HR-VPP` and `hr vpp` are the same."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9.+]+", plain))


def _read_product(path: Path) -> Product:
    product = parse_product(_read_text(path), path.name)
    if product.id != path.stem:
        raise SourceInvalid(f"{path.name} holds the product {product.id!r}.", hint="Name the file after the id.")
    return product


def _read_legend(path: Path) -> Legend:
    try:
        return Legend.model_validate(read_mapping(_read_text(path), path.name))
    except ValidationError as error:
        raise SourceInvalid(f"{path.name} is not a valid legend: {faults(error, Legend)}.") from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SourceInvalid(f"{path.name} is not text in UTF-8.", hint="Save it as UTF-8.") from error


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


def finest_m(edition: Edition) -> float | None:
    """Give the finest pixel of an edition, metres; None for vector data or where it is not known."""
    return min((m for r in edition.resolution if (m := _metres(r)) is not None), default=None)


def joined_boxes(editions: Iterable[Edition]) -> tuple[Bbox, ...]:
    """Join the boxes of the editions; nothing may be ruled out when one of them is unknown."""
    boxes = [edition.boxes for edition in editions]
    return tuple(dict.fromkeys(box for part in boxes for box in part)) if all(boxes) else ()


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
    return edition.model_copy(update={"boxes": _area_boxes(edition.areas) or plain})


def _with_encoding(variable: dict[str, Any]) -> dict[str, Any]:
    name = variable.get("encoding")
    return {**variable, "encoding": _named("encodings.yaml", name)} if isinstance(name, str) else variable


def _is_box(bbox: Bbox) -> bool:
    west, south, east, north = bbox
    return -180 <= west < east <= 180 and -90 <= south < north <= 90


@cache
def _area_boxes(areas: tuple[str, ...]) -> tuple[Bbox, ...]:
    return tuple((w, s, e, n) for area in areas for w, s, e, n in _named("areas.yaml", area))


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


def _metres(resolution: str) -> float | None:
    """Read the longest side of a pixel from words like `10 m`, `5 x 20 m (...)` or `12.5 km`."""
    found = re.match(r"\D*(?:[\d.]+ x )?([\d.]+) (m|km)\b", resolution)
    return float(found[1]) * (1000 if found[2] == "km" else 1) if found else None


def _check_known(product: Product, what: str, missing: set[str]) -> None:
    if missing:
        raise SourceInvalid(f"Product {product.id} names unknown {what}: {', '.join(sorted(missing))}.")


def _check_unique(ids: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for one, holder in ids:
        if one in seen:
            files = " and ".join(dict.fromkeys((f"{seen[one]}.yaml", f"{holder}.yaml")))
            raise SourceInvalid(f"The id {one!r} is used twice, in {files}.", hint="Give each an id of its own.")
        seen[one] = holder
