"""Turns results into what is read: a score card, a table of runs side by side, and the baseline for the next run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from assistant.models import OFFLINE
from evals.schema import Result, Score
from evals.scorers import mean
from knowledge.schema import Frozen

TOLERANCE = 0.02
"""How far a score may fall below the baseline."""


class Baseline(Frozen):
    """The scores that were last accepted."""

    mind: str
    cases: int
    scores: dict[str, float]
    """Mean of each scorer over all cases that ask for it, and `all right` over all cases."""


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
    columns = {"all right": _right, **_scores(results), **_TIMES}
    parts = {"all": list(results)}
    for key in ("style", "split", "kind", "language", "group"):
        kinds = sorted({str(getattr(result.case, key)) for result in results})
        if len(kinds) > 1:
            parts |= {kind: [one for one in results if str(getattr(one.case, key)) == kind] for kind in kinds}
    return _table("cases", parts, columns)


def side_by_side(runs: Mapping[str, Sequence[Result]]) -> str:
    """Draw a Markdown table of runs over the same cases, a line each: what a model or a part is worth."""
    everything = [one for results in runs.values() for one in results]
    columns = {"all right": _right, "precise": _precise, "loose": _loose, "gap": _gap}
    columns |= _TRIALS if any(len(one.trials) > 1 for one in everything) else {}
    columns |= _scores(everything)
    columns |= _OF_MODELS if any(one.tokens for one in everything) else {}
    return _table("run", runs, {**columns, **_TIMES})


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


def write_section(path: Path, title: str, body: str) -> None:
    """Write one section of a Markdown page in the place of the one with the same title, else at its end."""
    head, *sections = f"\n{path.read_text(encoding='utf-8') if path.exists() else ''}".split("\n## ")
    texts = {one.partition("\n")[0]: one.partition("\n")[2].strip() for one in sections} | {title: body.strip()}
    parts = [head.strip(), *(f"## {name}\n\n{text}" for name, text in texts.items())]
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


Column = Callable[[Sequence[Result]], str]
"""What stands in one column for some results."""


def _share(rights: Sequence[bool]) -> str:
    return f"{sum(rights) / len(rights):.2f}" if rights else ""


def _right(results: Sequence[Result]) -> str:
    return _share([one.all_right for one in results])


def _precise(results: Sequence[Result]) -> str:
    return _right([one for one in results if one.case.style == "precise"])


def _loose(results: Sequence[Result]) -> str:
    return _right([one for one in results if one.case.style == "loose"])


def _gap(results: Sequence[Result]) -> str:
    precise, loose = _precise(results), _loose(results)
    return f"{float(precise) - float(loose):.2f}" if precise and loose else ""


_TRIALS: dict[str, Column] = {
    "flap": lambda results: _share([one.flapped for one in results]),
    "same text": lambda results: _share([one.texts == 1 for one in results]),
}
_OF_MODELS: dict[str, Column] = {
    "by the planner": lambda results: _share([one.model == OFFLINE for one in results]),
    "median tokens": lambda results: f"{median(one.tokens for one in results):.0f}",
}
_TIMES: dict[str, Column] = {
    "median s": lambda results: f"{median(one.seconds for one in results):.2f}",
    "p95 s": lambda results: f"{percentile_95([one.seconds for one in results]):.2f}",
}


def _scores(results: Sequence[Result]) -> dict[str, Column]:
    asked = [name for name in _scorers(results) if mean(_of(results, name))[1]]
    return {name: partial(_scored, name=name) for name in asked}


def _scored(results: Sequence[Result], *, name: str) -> str:
    value, count = mean(_of(results, name))
    return "" if value is None else f"{value:.2f} ({count})"


def _table(title: str, lines: Mapping[str, Sequence[Result]], columns: Mapping[str, Column]) -> str:
    rows = [[name, str(len(results)), *(one(results) for one in columns.values())] for name, results in lines.items()]
    head = [title, "n", *columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _of(results: Iterable[Result], name: str) -> list[Score]:
    return [result.scores[name] for result in results if name in result.scores]


def _scorers(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.scores))
