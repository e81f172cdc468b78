"""Tells which products a document belongs to, by the addresses and titles that the product files give."""

import re
from urllib.parse import urlsplit

from knowledge.catalogue import Catalogue, normalise
from knowledge.schema import Product

FEWEST_LETTERS = 3
"""Of an abbreviation that tells a product in the title of a document."""


class ProductLinks:
    """Looks documents up among the products."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._urls: dict[str, set[str]] = {}
        self._titles: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}
        for product in catalogue.products:
            self._add(product)

    def _add(self, product: Product) -> None:
        editions = product.editions
        documents = [*product.documents, *(document for edition in editions for document in edition.documents)]
        urls = [product.url, *(edition.url for edition in editions)]
        urls += [url for document in documents for url in (document.url, document.text_url)]
        for url in urls:
            if url:
                self._urls.setdefault(_place(url), set()).add(product.id)
        for document in documents:
            self._titles.setdefault(normalise(document.title), set()).add(product.id)
        names = [product.title, product.title.partition(",")[0], *(one for one in product.aliases if " " in one)]
        names += [product.abbr] if len(product.abbr) >= FEWEST_LETTERS else []
        for name in names:
            self._names.setdefault(normalise(name), product.id)

    def products_of(self, title: str, address: str, url: str | None) -> tuple[str, ...]:
        """Give the products whose files name this address or title; else the one whose name is in the title."""
        found = self._urls.get(_place(address), set()) | (self._urls.get(_place(url), set()) if url else set())
        found = found | self._titles.get(normalise(title), set())
        if not found:
            words = f" {normalise(title)} "
            names = [name for name in self._names if f" {name} " in words]
            found = {self._names[max(names, key=len)]} if names else set()
        return tuple(sorted(found))


def _place(url: str) -> str:
    """Give host and path alone, without the suffix that tells a page from its plain text."""
    parts = urlsplit(url)
    return parts.netloc.lower() + re.sub(r"(\.llms)?\.(html|md)$", "", parts.path.rstrip("/"))
