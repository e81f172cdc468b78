"""The catalogue in plain text, for the command line."""

from collections.abc import Iterator

from knowledge.catalogue import Catalogue
from knowledge.schema import Comparability, Edition, Product, Variable
from knowledge.services import services

UNKNOWN = "not verified"


def list_lines(catalogue: Catalogue, theme: str | None = None) -> list[str]:
    """Give one line a product: id, title, finest pixel, period, coverage."""
    products = catalogue.with_theme(theme) if theme else catalogue.products
    width = max((len(p.id) for p in products), default=0)
    lines = [f"{p.id:{width}}  {p.title}; {_pixel(p)}; {_period(p.start, p.end)}; {p.coverage}" for p in products]
    return [*lines, f"{len(products)} products."]


def show_lines(catalogue: Catalogue, name: str) -> list[str]:
    """Give all that is known of a product, or of one edition when `name` is an edition's id.

    Raises:
        ProductNotFound: nothing has this name.
    """
    product = catalogue.get(name)
    editions = [e for e in product.editions if e.id == name] or product.editions
    ids = {e.id for e in editions}
    rules = [_rule(r) for r in product.comparable_with if ids & {*r.editions, *r.against}]
    lines = [f"{product.title} ({product.abbr}) [{product.id}]", product.summary, ""]
    lines += [
        f"Measures: {product.measures or UNKNOWN}",
        f"Pixel: {_pixel(product)}. Period: {_period(product.start, product.end)}. Coverage: {product.coverage}",
    ]
    for title, items in (
        ("Used for", product.use_cases),
        ("Choose when", product.choose_when),
        ("Not for", product.not_for),
        ("Beware", product.cautions),
        ("How to get it", product.access),
        ("May editions be subtracted", rules or [UNKNOWN.capitalize() + "."]),
        ("Documents", tuple(f"{d.title}: {d.url or UNKNOWN}" for d in product.documents)),
    ):
        lines += ["", f"{title}:", *(f"- {item}" for item in items)] if items else []
    for edition in editions:
        lines += ["", *_edition(edition)]
    return lines


def _edition(edition: Edition) -> Iterator[str]:
    yield f"Edition {edition.id} ({edition.status}): {edition.title}"
    if edition.superseded_by:
        yield f"  replaced by {edition.superseded_by}"
    yield f"  pixel {', '.join(edition.resolution) or UNKNOWN}; {_period(edition.start, edition.end)}; " + (
        f"smallest patch {edition.minimum_mapping_unit_ha:g} ha"
        if edition.minimum_mapping_unit_ha
        else f"smallest patch {UNKNOWN}"
    )
    yield f"  DOI {', '.join(edition.dois) or UNKNOWN}; published {edition.timeliness or UNKNOWN}"
    yield from (f"  {_layer(variable)}" for variable in edition.variables)
    for service in services(edition):
        ids = f": {', '.join(service.ids)}" if service.ids else ""
        yield f"  {service.name}: {service.state}{ids} ({service.basis})"


def _layer(variable: Variable) -> str:
    scale = "" if variable.scale is None else f", x {variable.scale:g} + {variable.offset or 0:g}"
    note = f" ({variable.encoding.note})" if variable.encoding and variable.encoding.note else ""
    return f"{variable.name}: {variable.meaning or UNKNOWN}{', ' + variable.unit if variable.unit else ''}{scale}{note}"


def _rule(rule: Comparability) -> str:
    verdict = {True: "yes", False: "no", None: UNKNOWN}[rule.allowed]
    pair = f"{', '.join(rule.editions)}{' against ' + ', '.join(rule.against) if rule.against else ''}"
    years = f" across {rule.break_year}" if rule.break_year else ""
    change = f" Change layer: {rule.change_product}." if rule.change_product else ""
    return f"{pair}{years}: {verdict}. {rule.reason}{change}"


def _pixel(product: Product) -> str:
    return f"{product.resolution_m:g} m" if product.resolution_m else "vector or " + UNKNOWN


def _period(start: str | None, end: str | None) -> str:
    return f"{start} to {end or UNKNOWN}" if start else f"period {UNKNOWN}"
