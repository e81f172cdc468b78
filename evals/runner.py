"""Asks the cases, one after the other, and turns scores into a card."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from statistics import median
from time import perf_counter
from typing import Literal

from assistant.agent import Assistant
from assistant.schema import Answer
from evals.schema import Case, Result, Score
from evals.scorers import World, mean, offered, score, score_found
from knowledge.errors import ClmsError
from knowledge.retrieval import Ranking, Retriever
from knowledge.schema import Frozen

TODAY = date(2026, 9, 1)
"""What "this summer" is relative to, so that a run next year asks the same."""

Retrieval = Literal["hybrid", "dense", "keyword"]
USE: dict[Retrieval, tuple[Ranking, ...]] = {
    "hybrid": ("keyword", "dense", "names", "phrases"),
    "dense": ("dense",),
    "keyword": ("keyword",),
}
TOLERANCE = 0.02
"""How far a score may fall below the baseline."""

OnCase = Callable[[Result], None]


class Baseline(Frozen):
    """The scores that were last accepted."""

    mind: str
    cases: int
    scores: dict[str, float]
    """Mean of each scorer over all cases that ask for it, and `all right` over all cases."""


def ask_all(cases: Iterable[Case], assistant: Assistant, on_case: OnCase, *, trials: int = 1) -> list[Result]:
    """Put each question to the assistant, each in a conversation of its own, and score the answer.

    With more trials than one, the first is scored, and `stable` tells whether all gave the same text.
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
    first, *more = [await _asked(case, assistant, world) for _ in range(trials)]
    if not more:
        return first
    same = all(one.text == first.text for one in more)
    stable = Score(value=1 if same else 0, reason=f"{trials} times the same" if same else "not the same each time")
    return first.model_copy(update={"scores": {**first.scores, "stable": stable}})


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
    )


def baseline(results: Sequence[Result], mind: str) -> Baseline:
    """Sum a run up to what the next one is held against."""
    scores = {name: value for name in _scorers(results) if (value := mean(_of(results, name))[0]) is not None}
    right = sum(result.all_right for result in results) / len(results)
    rounded = {name: round(value, 4) for name, value in {**scores, "all right": right}.items()}
    return Baseline(mind=mind, cases=len(results), scores=rounded)


def fallen(accepted: Baseline, now: Baseline) -> list[str]:
    """Name the scores that fell too far; one that is no longer measured has fallen."""
    lines = []
    for name, before in accepted.scores.items():
        value = now.scores.get(name)
        if value is None or value < before - TOLERANCE:
            lines.append(f"{name}: {before:.3f} before, {'not measured' if value is None else f'{value:.3f}'} now")
    return lines


def card(results: Sequence[Result]) -> str:
    """Draw a Markdown table: all cases, then by style, split, language and group; each score with its count."""
    names = [name for name in _scorers(results) if _of(results, name) and mean(_of(results, name))[1]]
    head = ["cases", "n", "all right", *names, "median s", "p95 s"]
    lines = [_row(head), _row(["---"] * len(head)), _line("all", results, names)]
    for key in ("style", "split", "kind", "language", "group"):
        kinds = sorted({str(getattr(result.case, key)) for result in results})
        if len(kinds) > 1:
            lines += [_line(kind, _with(results, key, kind), names) for kind in kinds]
    return "\n".join(lines)


def misses(results: Iterable[Result]) -> list[str]:
    """List what went wrong with cases that are not held back."""
    return [
        f"{result.case.id} [{result.case.language}] {name}: {score.reason} | {result.case.question}"
        for result in results
        if result.case.split == "dev"
        for name, score in result.scores.items()
        if score.value == 0
    ]


def percentile_95(seconds: Sequence[float]) -> float:
    """Give the time that 95 of 100 questions stay below."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def _with(results: Iterable[Result], key: str, kind: str) -> list[Result]:
    return [result for result in results if str(getattr(result.case, key)) == kind]


def _line(title: str, results: Sequence[Result], names: Sequence[str]) -> str:
    right = sum(result.all_right for result in results) / len(results)
    cells = []
    for name in names:
        value, count = mean(_of(results, name))
        cells.append("" if value is None else f"{value:.2f} ({count})")
    seconds = [result.seconds for result in results]
    times = [f"{median(seconds):.2f}", f"{percentile_95(seconds):.2f}"]
    return _row([title, str(len(results)), f"{right:.2f}", *cells, *times])


def _of(results: Iterable[Result], name: str) -> list[Score]:
    return [result.scores[name] for result in results if name in result.scores]


def _scorers(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.scores))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
