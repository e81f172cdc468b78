"""How near products are to a subject, and in what order they are given: relevance first, facts next.

Relevance adds four parts, each from 0 to about 1, so that a low sum means that nothing is near: likeness of meaning to
the product's best phrase, share of the question's words that the product's texts hold, the same for its names, and
nearness to what people say for it in everyday words.
"""

import math
import re
from collections.abc import Iterable, Mapping

from knowledge.catalogue import Catalogue
from knowledge.elsewhere import Elsewhere, load_elsewhere
from knowledge.fitness import covers_whole, period_note, shortfalls, suited, surely_covers
from knowledge.ingest import ELSEWHERE, facts_sentence, policy_sentences
from knowledge.matches import Need, ProductMatch
from knowledge.schema import Frozen, Product
from knowledge.words import stems

WEIGHTS = (1.0, 0.5, 0.25, 0.8)
WEIGHTS_WITHOUT_MEANING = (0.0, 1.5, 0.5, 0.8)
"""Weights of likeness, words, names and phrases; the second where there is no encoder."""
NEAR = 0.5
"""A product of the same subject may be taken in place of the nearest one from this share of its relevance on."""
AS_NEAR = 0.75
"""One of another subject from this share on: the words may as well mean that."""
LEAST_RELEVANCE = 0.55
"""What is less near than this to every subject known is not answered; measured with and without an encoder."""
BLOCKED_FACTOR = 0.3
SHORT_FACTORS = {
    "place": 0.9, "units": 0.5, "extent": 0.7, "period": 0.8, "status": 0.8, "cadence": 0.9, "change": 0.7,
    "compare": 1.0, "one year": 0.9, "unverified": 0.8, "size": 0.5, "still": 0.5,
}  # fmt: skip
"""How far a shortfall lowers a product: one that it blocks, and one that can still be used."""


WIDE, REGIONAL, WIDE_FACTOR = ("Global", "Pantropical"), ("EEA", "Europe"), 0.85
"""How coverage begins of products for the world and of those for Europe, which come first where both have the place."""
KIN = 0.5
"""Share of a product's nearness in everyday words that products of its themes get: facts decide between kin."""
MOST = 0.6
NAMED = 0.3
"""Added to the relevance of a product that the question calls by its name."""
SERVES = 0.5
"""Added to the relevance of a product that serves a policy, where the policy makes up most of the question."""
MOSTLY = 0.5
"""A name that makes up this share of a question is what it asks for."""
UNWANTED = 0.5
"""Share of the likeness to what is not wanted that is taken off."""
ALIKE = 0.8
"""Only products from this share of the likeness of the most alike one on lose, in proportion."""
CLEARLY = 1.1
"""A subject that others have is taken to be meant when it is nearer than any product by this factor."""
BY_FAR = 2.0
"""The same where a product near to the question serves a policy that it names."""
THEIRS = 0.75
"""From this relevance on, a thing without its place is taken to be of the subject that others have."""
SURE = 1.0
"""From this relevance on the nearest product has the subject asked for, and nothing else is offered in its place."""


class Findings(Frozen):
    """What search found for a question."""

    matches: tuple[ProductMatch, ...] = ()
    """Products, best first."""
    elsewhere: Elsewhere | None = None
    """Who has the subject, when it is nearer to that than to any product, or no near product answers."""
    relevant: bool = False
    """True when the first product is near enough to the subject to be spoken of."""
    certain: bool = True
    """False when the first product is only the nearest one found: another subject may be meant."""
    told_first: str = ""
    """What is asked of a product by its name: yes or no, or what speaks against it."""
    left_out: tuple[str, ...] = ()
    """What the question does not want, in words: titles of products, sensors, formats, pixels, rhythms."""


def judge(
    matches: list[ProductMatch],
    others: Mapping[str, float],
    *,
    named: frozenset[str],
    limit: int,
    question: str = "",
) -> Findings:
    """Decide between the products, in order, and who else has a subject: nothing is denied on a mere guess.

    A product that is near and serves a policy the question names may be meant, however near another subject is.
    """
    nearest = max((one.relevance for one in matches), default=0.0)
    other = max(others, key=lambda one: others[one])
    known = bool(named.intersection(one.product.id for one in matches if one.relevance >= NEAR * nearest))
    ahead = others[other] >= LEAST_RELEVANCE and others[other] > nearest and not known
    served = any(one.relevance >= LEAST_RELEVANCE and serves(one.product, question) for one in matches)
    clearly = ahead and others[other] > (BY_FAR if served else CLEARLY) * nearest
    if not clearly and matches and not matches[0].fits:
        share = AS_NEAR if nearest >= SURE else NEAR
        able = (one for one in matches if one.fits and one.verified)
        if known:  # in place of a product that is named, only one of its subject is of use, with few subjects beside it
            named_one = matches[0].product
            kin = [one for one in able if akin(one.product, named_one)]
            beside = {one.product.id: len({*one.product.subjects} - {*named_one.subjects}) for one in kin}
            first = min(kin, key=lambda one: (len(one.shortfalls), beside[one.product.id]), default=None)
        else:
            leasts = ((NEAR if akin(one.product, matches[0].product) else share, one) for one in able)
            first = next((one for least, one in leasts if one.relevance >= least * nearest), None)
        if first:
            rest = [one for one in matches if one is not first]
            return Findings(matches=(first, *rest[: limit - 1]), relevant=nearest >= LEAST_RELEVANCE, certain=False)
    unanswered = bool(matches) and not matches[0].fits and others[other] > max(LEAST_RELEVANCE, NEAR * nearest)
    return Findings(
        matches=tuple(matches[:limit]),
        elsewhere=load_elsewhere()[other] if ahead or unanswered else None,
        relevant=known or nearest >= LEAST_RELEVANCE,
        certain=clearly or not ahead,
    )


def is_theirs(near: Mapping[str, float]) -> bool:
    """Tell whether what a thing is nearest to is a subject that others have."""
    nearest = max(near, key=lambda one: near[one], default="")
    return nearest.startswith(ELSEWHERE) and near[nearest] >= THEIRS


def theirs_first(whole: Mapping[str, float], thing: Mapping[str, float]) -> dict[str, float]:
    """Join how near all are to a question and to its thing, of which others have the subject.

    No product is nearer than it is to the thing: pollen in parks is no matter of parks.
    """
    joined = {one: (whole.get(one, 0.0), thing.get(one, 0.0)) for one in {*whole, *thing}}
    return {one: max(both) if one.startswith(ELSEWHERE) else min(both) for one, both in joined.items()}


def without_unwanted(relevance: Mapping[str, float], alike: Mapping[str, float]) -> dict[str, float]:
    """Take off the likeness to a thing that is not wanted, of those that are most like it."""
    most = max(alike.values(), default=0.0)
    least = ALIKE * most
    above = {one: alike[one] - least for one in relevance if alike.get(one, 0.0) > least}
    return {
        one: near - UNWANTED * most * above[one] / (most - least) if one in above else near
        for one, near in relevance.items()
    }


def word_shares(owners_of: Mapping[str, set[str]], total: int) -> dict[str, float]:
    """Give each owner the share of the question's words that it holds, rare words counting more.

    Args:
        owners_of: Word to those whose texts hold it; a word that nobody holds counts in full.
        total: How many owners there are.
    """
    weights = {word: math.log(1 + total / (1 + len(owners))) for word, owners in owners_of.items()}
    shares: dict[str, float] = {}
    for word, owners in owners_of.items():
        for owner in owners:
            shares[owner] = shares.get(owner, 0.0) + weights[word] / sum(weights.values())
    return shares


def name_shares(question: str, names: Mapping[str, Iterable[frozenset[str]]]) -> dict[str, float]:
    """Give each owner the share of the question that one of its names makes up, when all its stems stand there."""
    asked = frozenset(stems(question))
    found = {
        owner: max((len(name) for name in owned if name and name <= asked), default=0) for owner, owned in names.items()
    }
    return {owner: size / len(asked) for owner, size in found.items() if size}


def add_up(
    likeness: Mapping[str, float], words: Mapping[str, float], names: Mapping[str, float], phrases: Mapping[str, float]
) -> dict[str, float]:
    """Add the four parts of relevance."""
    weights = WEIGHTS if likeness else WEIGHTS_WITHOUT_MEANING
    parts = tuple(zip((likeness, words, names, phrases), weights, strict=True))
    return {
        owner: sum(weight * part.get(owner, 0.0) for part, weight in parts)
        for owner in sorted({*likeness, *words, *names, *phrases})
    }


def order(
    relevance: Mapping[str, float], catalogue: Catalogue, need: Need, excluded: frozenset[str]
) -> list[ProductMatch]:
    """Order products: those near to the subject by what their facts lack, then the others."""
    products = [one for one in catalogue.products if one.id in relevance and one.id not in excluded]
    if not products:
        return []
    nearest = max(products, key=lambda one: relevance[one.id])
    # Only a product that has the same subject, or is about as near to the question, may take the nearest one's place.
    near = {
        one.id
        for one in products
        if relevance[one.id] >= (NEAR if one.can_stand_in_for(nearest) else AS_NEAR) * relevance[nearest.id]
    }
    found = [_match(one, relevance[one.id], need, catalogue) for one in products]
    found = [one if one.product is nearest else _behind_the_known(one) for one in found]
    if need.bbox and any(_is_for_region(one, near, need) for one in found):
        found = [_lowered(one) if _is_wide(one.product) else one for one in found]
    return sorted(
        found, key=lambda one: (one.product.id not in near, not _helps(one, nearest), -one.score, one.product.id)
    )


def akin(one: Product, other: Product) -> bool:
    """Tell whether two products have a subject in common, be it that both show it beside their own."""
    return not {*one.subjects, *one.also_shows}.isdisjoint((*other.subjects, *other.also_shows))


def _helps(match: ProductMatch, nearest: Product) -> bool:
    """Tell whether a product fits or has the subject at the place: another year there says more than no data at all."""
    if match.product is not nearest and not (match.verified and _has_place(match)):
        return False
    absent = any(one.blocks and one.kind == "place" for one in match.shortfalls)
    return match.fits or (not absent and match.product.can_stand_in_for(nearest))


def _has_place(match: ProductMatch) -> bool:
    """Tell whether the place lies in it for certain: of cities and sites only, that is not known."""
    return not (match.product.parts_only and any(one.kind == "place" for one in match.shortfalls))


def _is_wide(product: Product) -> bool:
    return product.coverage.startswith(WIDE) and not any(one in product.coverage for one in REGIONAL)


def _is_for_region(match: ProductMatch, near: set[str], need: Need) -> bool:
    product = match.product
    regional = product.coverage.startswith(REGIONAL)
    taken = match.fits and match.verified and product.id in near
    return taken and regional and covers_whole(product.boxes, need)


def _lowered(match: ProductMatch) -> ProductMatch:
    return match.model_copy(update={"score": WIDE_FACTOR * match.score})


def _behind_the_known(match: ProductMatch) -> ProductMatch:
    """Hold a product of which it is not known whether it has the place or the period for one that has not."""
    return match if match.verified else match.model_copy(update={"score": BLOCKED_FACTOR * match.score})


def _match(product: Product, relevance: float, need: Need, catalogue: Catalogue) -> ProductMatch:
    meant = suited(product, need)
    short = shortfalls(product, need, catalogue, meant)
    factor = math.prod(BLOCKED_FACTOR if one.blocks else SHORT_FACTORS[one.kind] for one in short)
    return ProductMatch(
        product=product, relevance=relevance, score=relevance * factor, shortfalls=short, pixel_m=meant.resolution_m
    )


def with_reasons(match: ProductMatch, question: str, need: Need) -> ProductMatch:
    """Add to a match why it was found and what it lacks, in words: only of the few that are told."""
    product, said = match.product, not_for(match.product, question)
    lacks = " ".join((*(one.text for one in match.shortfalls), said)).strip()
    why = _reasons(product, suited(product, need), question, need)
    return match.model_copy(update={"why": why, "lacks": lacks, "not_for": said})


def _reasons(product: Product, meant: Product, question: str, need: Need) -> tuple[str, ...]:
    """Say why: when to choose it, what it is, its facts, and what holds for the period and the place."""
    period = period_note(product, need)
    known = need.bbox is not None and surely_covers(meant, need)
    place = f"It covers the place ({meant.coverage})." if known and covers_whole(meant.boxes, need) else ""
    policies = serves(product, question)
    fit = _closest(product.choose_when, question)
    reasons = (fit, product.summary, *policies, facts_sentence(meant), period, place)
    return tuple(reason for reason in reasons if reason)


def serves(product: Product, question: str) -> list[str]:
    """Say for which policies that the question names a product may be taken."""
    return [text for policy, text in policy_sentences(product).items() if _is_named(policy, question)]


def raised_for_policy(relevance: Mapping[str, float], catalogue: Catalogue, question: str) -> dict[str, float]:
    """Raise the products for a policy that is most of the question; none where others have what stands beside it."""
    if max(relevance, key=lambda one: relevance[one], default="").startswith(ELSEWHERE):
        return {}
    asked = set(stems(question))
    least = max(1.0, MOSTLY * len(asked))
    return {
        one.id: relevance.get(one.id, 0.0) + SERVES
        for one in catalogue.products
        for policy in catalogue.policies[one.id]
        if len(asked.intersection(stems(policy))) >= least and _is_named(policy, question)
    }


def beside_policies(question: str, catalogue: Catalogue) -> str:
    """Give the words of a question beside the policies that it names; empty where it names none."""
    policies = frozenset().union(*catalogue.policies.values())
    named = {stem for policy in policies if _is_named(policy, question) for stem in stems(policy)}
    words = re.findall(r"[\w-]+", question) if named else []
    return " ".join(word for word in words if not word.isdigit() and stems(word) and named.isdisjoint(stems(word)))


def _is_named(policy: str, question: str) -> bool:
    """Tell whether most words of a policy's name, leaving out what it says in brackets, stand in the question."""
    words = set(stems(re.sub(r"\(.*?\)", "", policy)))
    return len(words & set(stems(question))) > MOST * len(words) > 0


def warning(product: Product, question: str) -> str:
    """Give what a product is not for where the question speaks of just that, not only of the product's own subject."""
    own = set(stems(" ".join((product.title, product.summary, product.measures or "", *product.subjects))))
    return not_for(product, " ".join(word for word in stems(question) if word not in own))


def not_for(product: Product, question: str) -> str:
    """Give what a product is not for, where it speaks of what is asked."""
    sentence = _closest(product.not_for, question, any_one=False)
    return f"Not for: {sentence}" if sentence else ""


def _closest(sentences: tuple[str, ...], question: str, *, any_one: bool = True) -> str:
    """Give the sentence that shares most words with the question; the first or nothing when none does."""
    asked = set(stems(question))
    shared = {sentence: len(asked.intersection(stems(sentence))) for sentence in sentences}
    best = max(shared, key=lambda one: shared[one], default="")
    return best if any_one or shared.get(best) else ""
