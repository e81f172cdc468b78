"""What the catalogue does not know: gaps per product, so that unknown is a list and not a surprise."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations_with_replacement

from knowledge.catalogue import Catalogue
from knowledge.schema import Edition, Frozen, Product
from knowledge.services import services

REQUIRED = ("choose_when", "not_for", "aliases", "measures", "subjects", "use_cases", "access")
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
    """How many of its editions, or pairs of them, lack it; 1 for a fact of the product."""


def find_gaps(catalogue: Catalogue) -> tuple[Gap, ...]:
    """List the gaps of all products, in their order."""
    return tuple(gap for product in catalogue.products for gap in _of_product(product, catalogue))


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
    lines += ["", f"{'missing':20} {'products':>8} {'times':>8}"]
    lines += [f"{lacks:20} {count:8d} {editions[lacks]:8d}" for lacks, count in met.most_common()]
    required = sum(gap.required for gap in gaps)
    lines += ["", f"{products} products, {len(by_product)} with gaps; {required} required texts missing."]
    return lines


def _of_product(product: Product, catalogue: Catalogue) -> list[Gap]:
    gaps = [
        Gap(product_id=product.id, lacks=name, required=name in REQUIRED)
        for name in (*REQUIRED, *PRODUCT_FACTS)
        if not getattr(product, name)
    ]
    for name, is_known in EDITION_FACTS.items():
        lacking = sum(not is_known(edition) for edition in product.editions)
        if lacking:
            gaps.append(Gap(product_id=product.id, lacks=name, required=False, count=lacking))
    if unsettled := sum(not _is_settled(*pair, catalogue) for pair in _pairs(product)):
        gaps.append(Gap(product_id=product.id, lacks="settled comparison", required=False, count=unsettled))
    return gaps


def _pairs(product: Product) -> list[tuple[Edition, Edition]]:
    """Give any two editions on offer, and an edition with itself where it has more than one date."""
    offered = [one for one in product.editions if one.status in ("current", "archive", "superseded")]
    pairs = combinations_with_replacement(offered, 2)
    return [(one, other) for one, other in pairs if one is not other or one.start != one.end]


def _is_settled(one: Edition, other: Edition, catalogue: Catalogue) -> bool:
    """Tell whether it is known that two editions may, or may not, be subtracted."""
    rule = catalogue.comparability(one.id, other.id)
    return rule is not None and rule.allowed is not None


def _words(gap: Gap) -> str:
    mark = " (required)" if gap.required else ""
    return f"{gap.lacks}{mark}" if gap.count == 1 else f"{gap.lacks} x{gap.count}"
