"""Asks the cases, one after the other, and scores the answers."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import date
from statistics import median
from time import perf_counter
from typing import Literal

from assistant.agent import Assistant
from assistant.schema import Answer
from evals.schema import Case, Result
from evals.scorers import World, offered, score, score_found
from knowledge.errors import ClmsError
from knowledge.retrieval import RANKINGS, Ranking, Retriever

TODAY = date(2026, 9, 1)
"""What "this summer" is relative to, so that a run next year asks the same."""

Retrieval = Literal["hybrid", "dense", "keyword"]
USE: dict[Retrieval, tuple[Ranking, ...]] = {
    "hybrid": RANKINGS,
    "dense": ("dense",),
    "keyword": ("keyword",),
}

OnCase = Callable[[Result], None]


def ask_all(cases: Iterable[Case], assistant: Assistant, on_case: OnCase, *, trials: int = 1) -> list[Result]:
    """Put each question to the assistant, each in a conversation of its own, and score the answer.

    Of several trials the first one counts that ended as most of them did.
    """
    retriever = assistant.services().retriever
    world = World(retriever.catalogue, retriever.stored, TODAY, assistant.settings.hub_dir)

    async def run() -> list[Result]:
        results = []
        for case in cases:
            results.append(await _tried(case, assistant, world, trials))
            on_case(results[-1])
        return results

    return asyncio.run(run())


def search_all(cases: Iterable[Case], retriever: Retriever, on_case: OnCase) -> list[Result]:
    """Put each question that has a right product to the search alone."""
    results = []
    for case in cases:
        if not case.products:
            continue
        started = perf_counter()
        found = tuple(match.product.id for match in retriever.products(case.question, limit=3))
        seconds = perf_counter() - started
        first = found[0] if found else None
        scores = score_found(case, found)
        results.append(Result(case=case, scores=scores, recommended=first, found=found, seconds=seconds))
        on_case(results[-1])
    return results


async def _tried(case: Case, assistant: Assistant, world: World, trials: int) -> Result:
    made = [await _asked(case, assistant, world) for _ in range(trials)]
    rights = tuple(one.all_right for one in made)
    usual = 2 * sum(rights) > trials
    first = next(one for one in made if one.all_right == usual)
    about = {"trials": rights, "texts": len({one.text for one in made})}
    middle = {"seconds": median(one.seconds for one in made), "tokens": round(median(one.tokens for one in made))}
    return first.model_copy(update={**about, **middle})


async def _asked(case: Case, assistant: Assistant, world: World) -> Result:
    session_id = None
    started = perf_counter()
    try:
        for turn in case.turns:
            session_id = (await assistant.ask(turn, today=TODAY, session_id=session_id)).session_id
        started = perf_counter()
        answer = await assistant.ask(case.question, today=TODAY, session_id=session_id)
    except ClmsError as error:
        answer = Answer(text=str(error), session_id="", outcome="failed", model="none", seconds=0.0)
    seconds = perf_counter() - started
    advice = answer.recommendation
    return Result(
        case=case,
        scores=score(case, answer, world),
        recommended=advice.product_id if advice else None,
        found=offered(answer),
        text=answer.text,
        seconds=seconds,
        tokens=answer.usage.get("total_tokens", 0),
        model=answer.model,
    )
