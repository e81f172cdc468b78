"""Two products side by side, from the catalogue's facts alone: what each measures, how, when, and which to take."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from knowledge.fineness import is_vector
from knowledge.schema import Edition, Product
from tools.errors import ToolInputError
from tools.schema import ToolResult

if TYPE_CHECKING:
    from knowledge.catalogue import Catalogue
    from knowledge.retrieval import Retriever

UNKNOWN = "not verified"
ALIKE = 4
"""Products listed as most like another one."""


def compare_products(retriever: "Retriever", first: str, second: str) -> ToolResult:
    """Put two products side by side; with no second one, list those most like the first.

    Raises:
        ProductNotFound: the catalogue has no product of that name.
        ToolInputError: both names are of one product.
    """
    from tools.advice import cite

    catalogue = retriever.catalogue
    if not second.strip():
        return products_like(retriever, catalogue.get(first))
    one, other = catalogue.get(first), catalogue.get(second)
    if one.id == other.id:
        raise ToolInputError(
            f"{first!r} and {second!r} are both {one.title}.", "Name two products, or two years of the one to compare."
        )
    rows = [(aspect, tell(one, catalogue), tell(other, catalogue)) for aspect, tell in ASPECTS.items()]
    table = [f"| | {one.title} | {other.title} |", "| --- | --- | --- |"]
    table += [f"| {aspect} | {left} | {right} |" for aspect, left, right in rows if left != right or left != UNKNOWN]
    together = f"**One against the other:** {told_together(one, other, catalogue)}"
    said = [(product, (product.summary, *product.choose_when, *product.not_for)) for product in (one, other)]
    return ToolResult(
        text="\n".join([*table, "", together]),
        data={"products": [{"id": product.id, "title": product.title} for product in (one, other)]},
        citations=tuple(quote for product, sentences in said for quote in cite(retriever, product, sentences)),
        warnings=tuple(dict.fromkeys((*one.cautions[:2], *other.cautions[:2]))),
    )


def products_like(retriever: "Retriever", product: Product) -> ToolResult:
    """List the products whose descriptions are nearest to what one measures."""
    from tools.advice import cite

    found = retriever.products(f"{product.measures or ''} {product.summary}", limit=ALIKE + 1)
    near = [match.product for match in found if match.product.id != product.id][:ALIKE]
    lines = [f"Products most like {product.title}, by what the catalogue says of them:"]
    lines += [f"- {one.title}: {one.summary}" for one in near]
    return ToolResult(
        text="\n".join(lines),
        data={"products": [{"id": one.id, "title": one.title} for one in near]},
        citations=tuple(quote for one in near for quote in cite(retriever, one, (one.summary,))),
    )


def _current(product: Product) -> tuple[Edition, ...]:
    """Give the editions in use; all of them where none is."""
    return tuple(one for one in product.editions if one.status == "current") or product.editions


def _listed(found: list[str], *, most: int = 4) -> str:
    told = list(dict.fromkeys(one for one in found if one))
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return f"{'; '.join(told[:most])}{more}" if told else UNKNOWN


def _detail(product: Product, _: "Catalogue") -> str:
    if product.resolution_m:
        return f"pixels of {product.resolution_m:g} m"
    return "vector data" if is_vector(product) else UNKNOWN


def _smallest(product: Product, _: "Catalogue") -> str:
    units = [one.minimum_mapping_unit_ha for one in _current(product) if one.minimum_mapping_unit_ha]
    return _listed([f"{unit:g} ha" for unit in units])


def _years(product: Product, _: "Catalogue") -> str:
    years = [
        one.start if one.start == one.end or not one.end else f"{one.start} to {one.end}" for one in _current(product)
    ]
    return _listed(sorted({one for one in years if one}), most=6)


def _classes(product: Product, catalogue: "Catalogue") -> str:
    editions = _current(product)
    names = [name for one in editions for name in (*one.legends, *(v.legend for v in one.variables)) if name]
    legends = [catalogue.legend(name) for name in dict.fromkeys(names)]
    return _listed([f"{one.title}: {len(one.classes)}" for one in legends if one.classes], most=3)


def _sensors(product: Product, _: "Catalogue") -> str:
    return _listed([sensor for one in _current(product) for sensor in one.sensors])


ASPECTS: dict[str, Callable[[Product, "Catalogue"], str]] = {
    "What it measures": lambda product, _: product.summary,
    "Detail": _detail,
    "Smallest unit mapped": _smallest,
    "Years": _years,
    "How often": lambda product, _: product.cadence or UNKNOWN,
    "Where": lambda product, _: product.coverage,
    "Classes": _classes,
    "Sensors": _sensors,
    "Choose it when": lambda product, _: " ".join(product.choose_when) or UNKNOWN,
    "Not for": lambda product, _: " ".join(product.not_for) or UNKNOWN,
}
"""Facts that are told of each product, in this order."""


def told_together(one: Product, other: Product, catalogue: "Catalogue") -> str:
    """Tell whether editions of the two may be subtracted from each other."""
    first, second = ([e for e in _current(p) if not e.is_change] or _current(p) for p in (one, other))
    pairs = sorted(((a, b) for a in first for b in second), key=lambda pair: pair[0].start == pair[1].start)
    alike = [(a, b) for a, b in pairs if set(a.resolution) & set(b.resolution)]
    ruled = [(catalogue.comparability(a.id, b.id), a, b) for a, b in alike or pairs]
    forbidden = [(rule, a, b) for rule, a, b in ruled if rule and rule.allowed is False]
    # Two editions of the same pixels that no rule forbids leave it open; told of two of the same year, if there are.
    if forbidden and (not alike or len(forbidden) == len(ruled)):
        rule, a, b = forbidden[-1]
        take = f" Take {rule.change_product} for change." if rule.change_product else ""
        return f"do not subtract the one from the other ({a.id}, {b.id}): {rule.reason}{take}"
    if any(rule and rule.allowed for rule, _, _ in ruled):
        return "editions of the two may be compared where the catalogue says so; ask for two years to see which."
    return "whether their values may be compared has not been verified; differing classes, pixels or methods forbid it."
