"""From found products to a recommendation with reasons, alternatives and quotes."""

import re
from collections.abc import Sequence

from knowledge.schema import Citation, Passage, Product, ProductMatch
from tools.schema import Alternative, Recommendation

QUOTE_CHARS = 240
CANDIDATES = 8
"""Products looked at for one recommendation and two alternatives."""


def comparable(matches: Sequence[ProductMatch]) -> list[ProductMatch]:
    """Keep the best match and the two next that share a theme with it; others are no alternative to it."""
    if not matches:
        return []
    best, *others = matches
    themes = set(best.product.themes)
    return [best, *[one for one in others if themes.intersection(one.product.themes)][:2]]


def recommend(matches: Sequence[ProductMatch]) -> Recommendation | None:
    """Recommend the first match and name the others with what they lack; None when nothing was found."""
    if not matches:
        return None
    best, *others = matches
    return Recommendation(
        product_id=best.product.id,
        title=best.product.title,
        why=tuple(best.why),
        alternatives=tuple(
            Alternative(product_id=one.product.id, title=one.product.title, lacks=one.lacks) for one in others
        ),
        access=tuple(best.product.access),
        cautions=tuple(best.product.cautions),
        url=best.product.url,
    )


def cite(passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """Quote the opening of each passage."""
    quotes = [(passage, _opening(passage.text)) for passage in passages]
    return tuple(
        Citation(
            passage_id=passage.id, title=passage.title, url=passage.url, quote=quote, verified=quote in passage.text
        )
        for passage, quote in quotes
        if quote
    )


def recommendation_text(advice: Recommendation) -> str:
    """Tell a recommendation in a few lines."""
    lines = [f"Recommended product: {advice.title} (id {advice.product_id})."]
    lines += [f"Why: {' '.join(one.rstrip('.') + '.' for one in advice.why)}"] if advice.why else []
    lines += [f"Alternative: {one.title} (id {one.product_id}): {one.lacks}" for one in advice.alternatives]
    lines += [f"Access: {' '.join(advice.access)}"] if advice.access else []
    lines += [f"Caution: {' '.join(advice.cautions)}"] if advice.cautions else []
    return "\n".join(lines)


def _opening(text: str) -> str:
    """Return the first whole sentences that fit, word for word as they stand."""
    text = text.strip()
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", text) if match.end() <= QUOTE_CHARS]
    if ends:
        return text[: ends[-1]]
    return text if len(text) <= QUOTE_CHARS else text[:QUOTE_CHARS].rpartition(" ")[0]


def product_text(product: Product) -> str:
    """Tell what a product is, in a few lines."""
    resolution = f"{product.resolution_m:g} m" if product.resolution_m else "not a raster, or resolution not given"
    lines = [
        f"{product.title} (id {product.id}): {product.summary}",
        f"Resolution: {resolution}. Years: {product.start or 'unknown'} to {product.end or 'today'}.",
        f"Cadence: {product.cadence or 'unknown'}. Coverage: {product.coverage}.",
    ]
    lines += [f"Choose it when: {_joined(product.choose_when)}"] if product.choose_when else []
    lines += [f"Caution: {_joined(product.cautions)}"] if product.cautions else []
    lines += [f"Access: {_joined(product.access)}"] if product.access else []
    return "\n".join(lines)


def _joined(words: str | Sequence[str]) -> str:
    return words if isinstance(words, str) else " ".join(words)
