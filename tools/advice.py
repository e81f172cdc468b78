"""From found products to a recommendation with reasons, alternatives and quotes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from knowledge.asked import asked_facts, products_named
from knowledge.asked_service import service_facts
from knowledge.elsewhere import Elsewhere
from knowledge.fitness import differences
from knowledge.lexicon import in_english
from knowledge.matches import Need, ProductMatch
from knowledge.ranking import akin, warning
from knowledge.schema import Bbox, Citation, Product
from tools.schema import Alternative, Period, Polygons, Recommendation

if TYPE_CHECKING:
    from knowledge.ranking import Findings
    from knowledge.retrieval import Retriever

CANDIDATES = 8
"""Products looked at for one recommendation and two alternatives."""
MOST_REASONS = 2
"""Reasons against an alternative: what it lacks for the question first, then how it differs."""
UNIT_M = {"parcels": 100.0, "districts": 1000.0, "communes": 1000.0}
"""Side of a usual unit of each kind, metres: a field of one hectare, a quarter of a town of one square kilometre."""


@dataclass(frozen=True)
class Advice:
    """What the catalogue says to one question."""

    text: str = ""
    """The answer in a few lines; says so when no product answers, and who has the subject instead."""
    matches: tuple[ProductMatch, ...] = ()
    """The product to take first, or the nearest ones when none is to be taken."""
    recommendation: Recommendation | None = None
    elsewhere: Elsewhere | None = None
    citations: tuple[Citation, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    """Of the service as a whole or of a family of products, where these were asked for."""


def advise(
    retriever: "Retriever",
    question: str,
    *,
    bbox: Bbox | None = None,
    period: Period | None = None,
    unit_m: float | None = None,
    place_m: float | None = None,
    points: tuple[tuple[float, float], ...] = (),
    spoken: Sequence[str] = (),
) -> Advice:
    """Find the product for a question, or say that there is none.

    Args:
        retriever: The catalogue and its index.
        question: What is asked, in words.
        bbox: Box that must be covered, degrees.
        period: Period in which there must be data.
        unit_m: Side of the smallest units that must be told apart, metres.
        place_m: Side of the place itself, metres.
        points: Points within the place, longitude and latitude in degrees.
        spoken: The question's own words for place and period: they say nothing about the subject.

    Raises:
        IndexMissing: the index has not been built.
    """
    start, end = (period.start, period.end) if period else (None, None)
    need = Need(bbox=bbox, points=points, start=start, end=end, unit_m=unit_m, place_m=place_m)
    found = retriever.find(question, need, limit=CANDIDATES, spoken=spoken)
    if not products_named(question, retriever.catalogue) and (told := service_facts(question, retriever.catalogue)):
        return Advice("\n".join(told), facts=told)
    matches = tuple(comparable(found.matches, keep_second=not found.certain))
    if matches and not found.relevant and not found.elsewhere:
        return _unclear(retriever, found, matches)
    if not matches or (found.elsewhere and found.certain) or not matches[0].fits:
        return _no_product(retriever, found, matches)
    best, *others = matches
    # A fact is told of products that the question names; the nearest one found may not be what is meant.
    named = products_named(question, retriever.catalogue)
    meant = [best.product] * (best.product.id in retriever.named(question))
    meant += [one.product for one in others if best.product in named and one.product in named]
    facts = tuple(fact for one in meant for fact in asked_facts(one, question, retriever.catalogue, start, end))
    recommendation = recommend(matches, facts=facts, certain=found.certain)
    lacks = f"{recommendation.lacks} {warning(best.product, in_english(question))}".strip()
    said = {"lacks": lacks, "left_out": left_out_text(found), "told_first": found.told_first}
    recommendation = recommendation.model_copy(update=said)
    if not found.certain and found.elsewhere:
        recommendation = recommendation.model_copy(
            update={"lacks": f"{recommendation.lacks} {_or_else(found.elsewhere)}".strip()}
        )
    quotes = cite(retriever, best.product, [*best.why, *best.product.access, *best.product.cautions])
    quotes += tuple(
        quote for one in others for quote in cite(retriever, one.product, [one.not_for, one.product.measures or ""])
    )
    return Advice(recommendation_text(recommendation), matches, recommendation, None, quotes)


def _or_else(other: Elsewhere) -> str:
    return f"If you mean {other.subject[:1].lower()}{other.subject[1:]}, ask: {other.provider}."


def left_out_text(found: "Findings") -> str:
    """Say what was not considered because the question does not want it."""
    return f"Left out, as you asked: {'; '.join(found.left_out)}." if found.left_out else ""


def _unclear(retriever: "Retriever", found: "Findings", near: tuple[ProductMatch, ...]) -> Advice:
    """Ask what is meant: that words lead to no product is no proof that there is none."""
    lines = [
        *([found.told_first] if found.told_first else []),
        "I could not tell which product you mean. Name the subject in other words: what is to be mapped or measured.",
        "Nearest found, not certain:",
        *(f"- {one.product.title} (id {one.product.id}): {one.product.summary}" for one in near),
        *([left_out_text(found)] if found.left_out else []),
    ]
    quotes = tuple(quote for one in near for quote in cite(retriever, one.product, [one.product.summary]))
    return Advice("\n".join(lines), near, None, None, quotes)


def _no_product(retriever: "Retriever", found: "Findings", matches: tuple[ProductMatch, ...]) -> Advice:
    """Say that no product answers, what the nearest ones lack, and who has the subject."""
    # A product that fits but was not taken shares words with the question, not its subject.
    near = tuple(one for one in matches if found.relevant and not one.fits)
    if near:
        lines = [" ".join(("No CLMS product answers this.", *_finest(found), "Nearest, with what it lacks:"))]
        lines += [f"- {one.product.title} (id {one.product.id}): {one.lacks}" for one in near]
    elif found.elsewhere:
        lines = ["No CLMS product is about this: the service maps and measures the land surface."]
    else:
        # That nothing is near may be due to the wording: nothing is said about what the service holds.
        lines = ["No CLMS product was found for these words. Name the subject, for example 'tree cover' or 'snow'."]
    lines = [found.told_first, *lines] if found.told_first else lines
    lines += [left_out_text(found)] if found.left_out else []
    if found.elsewhere:
        url = f" <{found.elsewhere.url}>" if found.elsewhere.url else ""
        lines.append(f"{found.elsewhere.subject}. Who has it: {found.elsewhere.provider}.{url}")
    quotes = tuple(quote for one in near for quote in cite(retriever, one.product, [one.not_for, one.product.summary]))
    return Advice("\n".join(lines), near, None, found.elsewhere, quotes)


def _finest(found: "Findings") -> list[str]:
    """Say how fine the finest product of the kind is, where its pixels are all that it lacks."""
    nearest = max(found.matches, key=lambda one: one.relevance)
    coarse = [
        (one.pixel_m, one.product.title)
        for one in found.matches
        if {short.kind for short in one.shortfalls if short.blocks} == {"pixel"}
        and one.pixel_m
        and one.product.can_stand_in_for(nearest.product)
    ]
    if not coarse:
        return []
    pixel, title = min(coarse, key=lambda one: one[0])
    return [f"None of this kind is that fine: the finest is {title}, with pixels of {pixel:g} m."]


def unit_size_m(area: Polygons | None) -> float | None:
    """Give the side of the middle polygon of an area file, metres; None without polygons."""
    from pyproj import Geod
    from shapely.geometry import shape

    if area is None:
        return None
    geod = Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(shape(one["geometry"]))[0]) for one in area.collection["features"]]
    return math.sqrt(median(areas)) if areas else None


def comparable(matches: Sequence[ProductMatch], *, keep_second: bool = False) -> list[ProductMatch]:
    """Keep the best match and the two nearest that share a subject or a theme with it; others are no alternative.

    Beside one that fits, those with its subject that can answer, too, come first; where none fits, those that have
    the very subject.
    `keep_second`: the second one is nearer to the subject and was passed over, which must be told.
    """
    if not matches:
        return []
    best, *others = matches
    themes = set(best.product.themes)
    second = others[:1] if keep_second else []
    kin = [one for one in others if akin(one.product, best.product) or themes.intersection(one.product.themes)]
    kin.sort(key=lambda one: -one.relevance)
    if best.fits:
        kin.sort(key=lambda one: not (one.fits and akin(one.product, best.product)))
        nearest = max(matches, key=lambda one: one.relevance)
        kin.sort(key=lambda one: one is not nearest)  # it was passed over: say why
    else:
        kin.sort(key=lambda one: not one.product.can_stand_in_for(best.product))
    return [best, *second, *(one for one in kin if one not in second)][:3]


def recommend(matches: Sequence[ProductMatch], *, facts: Sequence[str] = (), certain: bool = True) -> Recommendation:
    """Recommend the first of at least one match, with the facts asked for, and name the others with what they lack."""
    best, *others = matches
    return Recommendation(
        product_id=best.product.id,
        title=best.product.title,
        why=best.why,
        facts=tuple(facts),
        certain=certain,
        lacks=" ".join(one.text for one in best.shortfalls),
        alternatives=tuple(
            Alternative(product_id=one.product.id, title=one.product.title, lacks=_why_not(one, best)) for one in others
        ),
        access=best.product.access,
        cautions=best.product.cautions,
        url=best.product.url,
    )


def _why_not(match: ProductMatch, best: ProductMatch) -> str:
    """Say what a product lacks for the question, or in what it differs from the one that was chosen."""
    short = [one.text for one in match.shortfalls]
    differs = differences(match.product, best.product)[: max(1, MOST_REASONS - len(short))]
    return " ".join(one for one in (*short, *differs, match.not_for) if one)


def cite(retriever: "Retriever", product: Product, sentences: Sequence[str]) -> tuple[Citation, ...]:
    """Quote each sentence from the passage of the product in which it stands; what stands in none is not quoted.

    A quote is verified when the index, not the catalogue it was built from, holds it in that passage.
    """
    from knowledge.ingest import ALIASES, product_entries

    entries = [entry for entry in product_entries(product) if entry.section != ALIASES]
    backed = [(one, entry) for one in dict.fromkeys(sentences) for entry in entries if one and one in entry.text]
    stored = retriever.stored(entry.id for _, entry in backed)
    return tuple(
        Citation(
            passage_id=entry.id,
            title=entry.title,
            url=entry.url,
            quote=sentence,
            verified=entry.id in stored and sentence in stored[entry.id].text,
            own_words=True,
        )
        for sentence, entry in backed
    )


def recommendation_text(advice: Recommendation) -> str:
    """Tell a recommendation in a few lines."""
    lead = "Recommended product" if advice.certain else "Nearest product found, not certain"
    lines = [advice.told_first] if advice.told_first else []
    lines += [f"{lead}: {advice.title} (id {advice.product_id})."]
    lines += [f"Facts asked for: {' '.join(advice.facts)}"] if advice.facts else []
    lines += [f"It falls short: {advice.lacks}"] if advice.lacks else []
    lines += [advice.left_out] if advice.left_out else []
    lines += [f"Why: {' '.join(one.rstrip('.') + '.' for one in advice.why)}"] if advice.why else []
    lines += [f"Alternative: {one.title} (id {one.product_id}): {one.lacks}" for one in advice.alternatives]
    lines += [f"Access: {' '.join(advice.access)}"] if advice.access else []
    lines += [f"Caution: {' '.join(advice.cautions)}"] if advice.cautions else []
    return "\n".join(lines)


def product_text(product: Product) -> str:
    """Tell what a product is, in a few lines."""
    resolution = f"{product.resolution_m:g} m" if product.resolution_m else "not a raster, or resolution not given"
    lines = [
        f"{product.title} (id {product.id}): {product.summary}",
        f"Resolution: {resolution}. Years: {product.start or 'unknown'} to {product.end or 'today'}.",
        f"Cadence: {product.cadence or 'unknown'}. Coverage: {product.coverage}.",
    ]
    lines += [f"Choose it when: {' '.join(product.choose_when)}"] if product.choose_when else []
    lines += [f"Not for: {' '.join(product.not_for)}"] if product.not_for else []
    lines += [f"Caution: {' '.join(product.cautions)}"] if product.cautions else []
    lines += [f"Access: {' '.join(product.access)}"] if product.access else []
    return "\n".join(lines)
