"""What the catalogue does not know: gaps per product, so that unknown is a list and not a surprise."""

from collections import Counter
from collections.abc import Callable, Iterable

from knowledge.catalogue import Catalogue
from knowledge.schema import Edition, Frozen, Product
from knowledge.services import services

REQUIRED = ("choose_when", "not_for", "aliases", "measures", "use_cases", "access")
"""Texts every product must have; without them it is not recommended well."""
PRODUCT_FACTS = ("cautions", "documents", "comparable_with", "boxes")
"""Facts of a product that may be unknown."""
EDITION_FACTS: dict[str, Callable[[Edition], bool]] = {
    "DOI": lambda e: bool(e.dois),
    "timeliness": lambda e: e.timeliness is not None,
    "period": lambda e: e.start is not None,
    "variables": lambda e: bool(e.variables),
    "encodings": lambda e: all(v.encoding is not None or v.scale for v in e.variables),
    "access route": lambda e: bool(set(e.routes) - {"unverified"}),
    "checked ids": lambda e: not any(s.ids and s.state == "unverified" and s.name != "wms" for s in services(e)),
    "STAC id seen": lambda e: e.cdse is None or not e.cdse.stac_collections or "seen" in (e.cdse.stac_basis or ""),
    "sure source": lambda e: e.confidence != "low",
}
"""Facts of an edition that may be unknown: the name, and whether it is there."""


class Gap(Frozen):
    """Something a product lacks."""

    product_id: str
    lacks: str
    required: bool
    count: int = 1
    """How many of its editions lack it; 1 for a fact of the product."""


def find_gaps(catalogue: Catalogue) -> tuple[Gap, ...]:
    """List the gaps of all products, in their order."""
    return tuple(gap for product in catalogue.products for gap in _of_product(product))


def gap_lines(gaps: Iterable[Gap], products: int) -> list[str]:
    """Give the gaps as a table: one line a product, then how often each is met."""
    gaps = tuple(gaps)
    by_product: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_product.setdefault(gap.product_id, []).append(gap)
    width = max((len(name) for name in by_product), default=0)
    lines = [f"{name:{width}}  {', '.join(map(_words, found))}" for name, found in by_product.items()]
    met = Counter(gap.lacks for gap in gaps)
    editions = Counter[str]()
    for gap in gaps:
        editions[gap.lacks] += gap.count
    lines += ["", f"{'missing':20} {'products':>8} {'places':>8}"]
    lines += [f"{lacks:20} {count:8d} {editions[lacks]:8d}" for lacks, count in met.most_common()]
    required = sum(gap.required for gap in gaps)
    lines += ["", f"{products} products, {len(by_product)} with gaps; {required} required texts missing."]
    return lines


def _of_product(product: Product) -> list[Gap]:
    gaps = [
        Gap(product_id=product.id, lacks=name, required=name in REQUIRED)
        for name in (*REQUIRED, *PRODUCT_FACTS)
        if not getattr(product, name)
    ]
    for name, is_known in EDITION_FACTS.items():
        lacking = sum(not is_known(edition) for edition in product.editions)
        if lacking:
            gaps.append(Gap(product_id=product.id, lacks=name, required=False, count=lacking))
    return gaps


def _words(gap: Gap) -> str:
    mark = " (required)" if gap.required else ""
    return f"{gap.lacks}{mark}" if gap.count == 1 else f"{gap.lacks} x{gap.count}"
