"""A product as a card: what it is, why, why not the others, editions, how to get it; and two side by side."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from assistant.phrases import translate
from assistant.schema import Answer, ToolCall
from knowledge.errors import ProductNotFound
from knowledge.lexicon import Language
from knowledge.schema import Document, Edition, Product
from tools.schema import Recommendation
from ui.page_words import say
from ui.panels import bullets, folded

if TYPE_CHECKING:
    from knowledge.catalogue import Catalogue

_MANUAL_KINDS = ("manual", "guide", "specification")


def _card_calls(answer: Answer) -> list[ToolCall]:
    """Give the steps of an answer that are about certain products."""
    return [call for call in answer.tool_calls if call.name in ("compare_products", "explain_product")]


def cards_html(answer: Answer, catalogue: Callable[[], "Catalogue"], language: Language) -> str:
    """Give the cards of the products that an answer is about; nothing when it is about none."""
    calls = _card_calls(answer)
    if not calls and not answer.recommendation:
        return ""
    known = catalogue()
    pairs = [tuple(map(str, call.args.values()))[:2] for call in calls if call.name == "compare_products"]
    compared = [_pair(*pair, known, language, opened=True) for pair in pairs if len(pair) == 2 and all(pair)]
    if answer.recommendation:
        return "".join([*compared, product_card(answer.recommendation, known, language)])
    explained = [str(call.args.get("product_id", "")) for call in calls if call.name == "explain_product"]
    found = [_find(name, known) for name in dict.fromkeys(explained)]
    return "".join([*compared, *(_card(one, None, known, language) for one in found if one)])


def product_card(recommendation: Recommendation, catalogue: "Catalogue", language: Language) -> str:
    """Give the card of the product to use, with the reasons."""
    return _card(_find(recommendation.product_id, catalogue), recommendation, catalogue, language)


def _card(
    product: Product | None, reasons: Recommendation | None, catalogue: "Catalogue", language: Language
) -> str:  # fmt: skip
    title = reasons.title if reasons else product.title if product else ""
    parts = [f"<h4>{escape(title)}</h4>"]
    if reasons and not reasons.certain:
        parts.append(f'<p class="quiet">{say(language, "nearest")}</p>')
    parts += [_facts(product, language) if product else "", _reasons(reasons, language) if reasons else ""]
    if product and not reasons:
        parts += [_part("use_when", product.choose_when, language), _part("not_for", product.not_for, language)]
    parts.append(_links(product, reasons, language))
    access = reasons.access if reasons and reasons.access else product.access if product else ()
    cautions = reasons.cautions if reasons and reasons.cautions else product.cautions if product else ()
    parts += [_editions(product.editions, language) if product else ""]
    told = {"access": access, "cautions": cautions}
    parts += [folded(say(language, key), [translate(one, language) for one in lines]) for key, lines in told.items()]
    if product and reasons:
        others = [one.product_id for one in reasons.alternatives]
        parts += [_pair(product.id, other, catalogue, language) for other in others]
    name = say(language, "product")
    return f'<section class="card" aria-label="{name}"><h3>{name}</h3>{"".join(parts)}</section>'


def _facts(product: Product, language: Language) -> str:
    years = _years(product, language)
    told = {
        "detail": f"{product.resolution_m:g} m" if product.resolution_m else "",
        "years": years,
        "rhythm": product.cadence or "",
        "coverage": product.coverage,
    }
    lines = "".join(
        f"<div><dt>{say(language, key)}</dt><dd>{escape(translate(value, language))}</dd></div>"
        for key, value in told.items()
        if value
    )
    return f"<p>{escape(translate(product.summary, language))}</p><dl>{lines}</dl>"


def _years(one: Product | Edition, language: Language) -> str:
    ends = (say(language, "present") if end == "present" else end for end in (one.start, one.end) if end)
    return " – ".join(dict.fromkeys(ends))


def _reasons(reasons: Recommendation, language: Language) -> str:
    others = [f"{other.title}: {translate(other.lacks, language)}" for other in reasons.alternatives]
    lacks = (reasons.lacks,) if reasons.lacks else ()
    return "".join(
        _part(key, lines, language) for key, lines in (("why", reasons.why), ("why_not", others), ("lacks", lacks))
    )


def _part(key: str, lines: Sequence[str], language: Language) -> str:
    told = [translate(line, language) for line in lines]
    return f"<h5>{say(language, key)}</h5>{bullets(told)}" if lines else ""


def _links(product: Product | None, reasons: Recommendation | None, language: Language) -> str:
    page = (reasons.url if reasons else None) or (product.url if product else None) or ""
    links = [(say(language, "product_page"), page)]
    links += [(_named("manual", one.title, language), one.url or "") for one in _manuals(product)]
    shown = "".join(
        f'<a class="chip" href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(words)}</a>'
        for words, url in links
        if url.startswith("https://")
    )
    return f'<p class="chips">{shown}</p>' if shown else ""


def _manuals(product: Product | None) -> list[Document]:
    documents = product.documents if product else ()
    manuals = [one for one in documents if any(kind in (one.kind or one.title).lower() for kind in _MANUAL_KINDS)]
    return (manuals or list(documents))[:2]


def _editions(editions: Sequence[Edition], language: Language) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(one.title)}</th>'
        f"<td>{escape(_years(one, language))}</td>"
        f"<td>{escape(', '.join(one.resolution))}</td><td>{escape(translate(one.status, language))}</td></tr>"
        for one in editions
    )
    name = f"{say(language, 'editions')} ({len(editions)})"
    heads = ("product", "years", "detail", "status")
    head = "".join(f'<th scope="col">{say(language, key)}</th>' for key in heads)
    return (
        f'<details><summary>{name}</summary><div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _pair(
    first: str, second: str, catalogue: "Catalogue", language: Language, *, opened: bool = False
) -> str:  # fmt: skip
    """Put two products side by side; nothing where one is not in the catalogue."""
    from tools.product_compare import ASPECTS

    one, other = _find(first, catalogue), _find(second, catalogue)
    if one is None or other is None:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(translate(aspect, language))}</th>'
        + "".join(f"<td>{escape(translate(tell(product, catalogue), language))}</td>" for product in (one, other))
        + "</tr>"
        for aspect, tell in ASPECTS.items()
    )
    name = _named("side_by_side", f"{one.title} | {other.title}", language)
    head = f'<td></td><th scope="col">{escape(one.title)}</th><th scope="col">{escape(other.title)}</th>'
    label = escape(name, quote=True)
    return (
        f"<details{' open' if opened else ''}><summary>{label}</summary>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table class="pair">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _named(key: str, rest: str, language: Language) -> str:
    return say(language, "named", head=say(language, key), rest=rest)


def _find(name: str, catalogue: "Catalogue") -> Product | None:
    try:
        return catalogue.get(name)
    except ProductNotFound:
        return None
