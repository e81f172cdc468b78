"""The catalogue in plain text, for the command line: no line is longer than a terminal is wide, links aside."""

import textwrap
from collections.abc import Iterable, Iterator

from knowledge.catalogue import Catalogue
from knowledge.schema import Comparability, Edition, Encoding, Legend, Product, Variable
from knowledge.services import services

UNKNOWN = "not verified"
WIDTH = 100
MANY = 4
"""A rule about more editions than this names their number."""


def list_lines(catalogue: Catalogue, theme: str | None = None) -> list[str]:
    """Give each product: id and title, then finest pixel, period and coverage."""
    products = catalogue.with_theme(theme) if theme else catalogue.products
    lines: list[str] = []
    for product in products:
        facts = f"{_pixel(product)}; {_period(product.start, product.end)}; {product.coverage}"
        lines += [*_wrap(f"{product.id}  {product.title}", "", "  "), *_wrap(facts, "    ", "    ")]
    return [*lines, f"{len(products)} products."]


def show_lines(catalogue: Catalogue, name: str) -> list[str]:
    """Give what is known of a product, or all that is known of one edition when `name` is an edition's id.

    Raises:
        ProductNotFound: nothing has this name.
    """
    product = catalogue.get(name)
    editions = [e for e in product.editions if e.id == name] or list(product.editions)
    ids = {e.id for e in editions}
    rules = [_rule(r) for r in product.comparable_with if ids & {*r.editions, *r.against}]
    lines = [*_wrap(f"{product.title} ({product.abbr}) [{product.id}]"), *_wrap(product.summary), ""]
    lines += _wrap(f"Measures: {product.measures or UNKNOWN}")
    lines += _wrap(
        f"Pixel: {_pixel(product)}. Period: {_period(product.start, product.end)}. Coverage: {product.coverage}"
    )
    for title, items in (
        ("Used for", product.use_cases),
        ("Choose when", product.choose_when),
        ("Not for", product.not_for),
        ("Beware", product.cautions),
        ("How to get it", product.access),
        ("May editions be subtracted", rules or [UNKNOWN.capitalize() + "."]),
        ("Documents", tuple(f"{d.title}: {d.url or d.repo_path or UNKNOWN}" for d in product.documents)),
    ):
        lines += ["", f"{title}:", *_bullets(items)] if items else []
    if len(editions) == 1:
        return [*lines, "", *_brief(editions[0]), *_details(editions[0]), *_legends(catalogue, editions[0])]
    for edition in editions:
        lines += ["", *_brief(edition), *_offers(edition)]
    return [*lines, "", *_wrap("All facts of one edition: clms-assistant catalogue show EDITION")]


def _brief(edition: Edition) -> Iterator[str]:
    yield from _wrap(f"Edition {edition.id} ({edition.status}): {edition.title}", "", "  ")
    if edition.superseded_by:
        yield f"  replaced by {edition.superseded_by}"
    pixel, when = ", ".join(edition.resolution) or UNKNOWN, _period(edition.start, edition.end)
    patch = f"{edition.minimum_mapping_unit_ha:g} ha" if edition.minimum_mapping_unit_ha else UNKNOWN
    yield from _wrap(f"pixel {pixel}; {when}; smallest patch {patch}", "  ")
    yield from _wrap(f"DOI {', '.join(edition.dois) or UNKNOWN}; published {edition.timeliness or UNKNOWN}", "  ")


def _offers(edition: Edition) -> Iterator[str]:
    for state in ("available", "absent", "unverified"):
        if names := [one.name for one in services(edition) if one.state == state]:
            yield from _wrap(f"{UNKNOWN if state == 'unverified' else state}: {', '.join(names)}", "  ")


def _details(edition: Edition) -> Iterator[str]:
    """Give all other facts of an edition, and what is not known of it."""
    facts: dict[str, str] = {
        "area": edition.extent or "",
        "how often": edition.cadence or "",
        "sensors": ", ".join(edition.sensors),
        "formats": ", ".join(edition.formats),
        "reference system": ", ".join(edition.crs),
        "valid range": edition.valid_range or "",
        "no data": edition.no_data or "",
        "smallest width": f"{edition.minimum_mapping_width_m:g} m" if edition.minimum_mapping_width_m else "",
        "page": edition.url or "",
        "policies": "; ".join(edition.policies),
    }
    also = {
        "patches": edition.mapping_unit_note or "",
        "replaces": ", ".join(edition.supersedes),
        "version": edition.version_note or "",
        "updates": "; ".join(edition.updates),
        "policies, in our reading": "; ".join(edition.policies_inferred),
        "INSPIRE themes": f"{', '.join(edition.inspire_themes)} ({edition.inspire_basis})",
        "record": edition.metadata_uuid or "",
        "resource": edition.resource_id or "",
        "other ids": "; ".join(edition.other_ids),
        "licence": edition.licence,
        "confidence": edition.confidence,
    }
    for name, text in (facts | also).items():
        if text:
            yield from _wrap(f"{name}: {text}", "  ")
    if unknown := [name for name, text in facts.items() if not text]:
        yield from _wrap(f"{UNKNOWN}: {', '.join(unknown)}", "  ")
    yield from (line for variable in edition.variables for line in _wrap(_layer(variable), "  "))
    for service in services(edition):
        ids = f": {', '.join(service.ids)}" if service.ids else ""
        yield from _wrap(f"{service.name}: {service.state}{ids} ({service.basis})", "  ")
    for companion in edition.companions:
        yield from _wrap(f"{companion.role}: {companion.cdse.dataset_id}", "  ")
    for title, items in (("Beware", edition.cautions), ("Sources", edition.sources)):
        yield from (f"  {title}:", *_bullets(items, "  ")) if items else ()


def _legends(catalogue: Catalogue, edition: Edition) -> Iterator[str]:
    """Give the codes of an edition's layers, with their official colours."""
    names = (*edition.legends, *(one.legend for one in edition.variables if one.legend))
    for legend in (catalogue.legend(name) for name in dict.fromkeys(names)):
        yield from ("", *_wrap(f"Legend {legend.id}: {legend.title}"), *_codes(legend))


def _codes(legend: Legend) -> Iterator[str]:
    for one in (*legend.classes, *legend.special_values):
        grid = f" (grid code {one.grid_code})" if one.grid_code is not None else ""
        yield from _wrap(f"{one.code:>6}  {one.color or '       '}  {one.label}{grid}", "", " " * 17)


def _layer(variable: Variable) -> str:
    encoding = variable.encoding or Encoding()
    scale = variable.scale if encoding.scale is None else encoding.scale
    offset = (variable.offset if encoding.offset is None else encoding.offset) or 0
    parts = [variable.meaning or UNKNOWN, variable.unit or ""]
    parts += [
        f"stored x {scale:g} {'-' if offset < 0 else '+'} {abs(offset):g}"
        if scale is not None and encoding.kind != "unverified"
        else ""
    ]
    parts += [f"valid {' to '.join('any' if end is None else f'{end:g}' for end in encoding.valid or ())}".rstrip()]
    parts += [f"flag {code}: {meaning}" for code, meaning in encoding.special.items()]
    told = ", ".join(part for part in parts if part and part != "valid")
    return f"{variable.name}: {told}{f' ({encoding.note})' if encoding.note else ''}"


def _rule(rule: Comparability) -> str:
    verdict = {True: "yes", False: "no", None: UNKNOWN}[rule.allowed]
    pair = _named(rule.editions) + (f" against {_named(rule.against)}" if rule.against else "")
    alone = not rule.against and (rule.own_dates or len(rule.editions) == 1)
    years = f" across {rule.break_year}" if rule.break_year else ""
    change = f" Change layer: {rule.change_product}." if rule.change_product else ""
    return f"{'two dates of ' if alone else ''}{pair}{years}: {verdict}. {rule.reason}{change} Source: {rule.source}"


def _named(editions: tuple[str, ...]) -> str:
    more = f" and {len(editions) - MANY} more" if len(editions) > MANY else ""
    return ", ".join(editions[:MANY]) + more


def _bullets(items: Iterable[str], indent: str = "") -> list[str]:
    return [line for item in items for line in _wrap(item, f"{indent}- ", f"{indent}  ")]


def _wrap(text: str, first: str = "", then: str | None = None) -> list[str]:
    """Break a text at spaces; an id or a link stays whole."""
    then = f"{first}  " if then is None else then
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )


def _pixel(product: Product) -> str:
    return f"{product.resolution_m:g} m" if product.resolution_m else "vector or " + UNKNOWN


def _period(start: str | None, end: str | None) -> str:
    return f"{start} to {end or UNKNOWN}" if start else f"period {UNKNOWN}"
