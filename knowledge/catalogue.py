"""The catalogue: reads `products/*.yaml`, checks them, and finds a product by id, edition id, abbreviation or alias."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from pydantic import ValidationError

from knowledge.editions import derived_rule, parse_product, sizes_m
from knowledge.errors import ProductNotFound, SourceInvalid
from knowledge.product_files import faults, read_mapping
from knowledge.schema import Comparability, Edition, Legend, Product

HERE = Path(__file__).parent

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
    def policies(self) -> dict[str, frozenset[str]]:
        """Give the policies that each product serves, or may serve, by its id."""
        return {
            product.id: frozenset(name for one in product.editions for name in (*one.policies, *one.policies_inferred))
            for product in self.products
        }

    @cached_property
    def sizes_m(self) -> frozenset[float]:
        """Give the pixel sizes that some edition has, metres."""
        return frozenset(size for product in self.products for one in product.editions for size in sizes_m(one))

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
        return next((rule for rule in rules if rule.applies(first, second, years)), derived_rule(one, other))

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
    return _load(folder) if folder else _load_bundled()


@cache
def _load_bundled() -> Catalogue:
    """Read the own files once a process: that takes most of a second, and they hold many objects."""
    return _load(HERE / "products")


def _load(folder: Path) -> Catalogue:
    products = tuple(_read_product(path) for path in sorted(folder.glob("*.yaml")))
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


def _head(title: str) -> str:
    """Give the words of a title that are its own: no name of a family before it, nothing behind a comma."""
    return normalise(re.sub(r"^(?:HRL|HR-WSI)\s|[,(].*$", "", title))


@lru_cache(maxsize=16_384)
def normalise(name: str) -> str:
    """Reduce a name to lower-case words, so that `HR-VPP` and `hr vpp` are the same."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("&", " and ")).encode("ascii", "ignore").decode()
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
