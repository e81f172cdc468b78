"""Entry point: `python -m evals` asks the cases and prints a score card."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

import click
from pydantic import ValidationError

from assistant.agent import Assistant
from assistant.settings import Settings
from evals.runner import TODAY, TOLERANCE, USE, Baseline, Retrieval, ask_all, baseline, card, fallen, misses, search_all
from evals.schema import GROUPS, Case, Result, load_cases
from knowledge.catalogue import load_catalogue
from knowledge.errors import ClmsError, SourceInvalid
from knowledge.retrieval import Retriever
from tools.hub.demo import ensure_demo

BASELINE = Path(__file__).with_name("baseline.json")
SAMPLED = 10
"""Each so many-th case is asked three times for the score card."""
INTRO = """# Scores

Made by `python -m evals --score-card docs/scores.md`; how scoring works is in [evals/README.md](../evals/README.md).
Each cell is the share of right answers, with the number of cases that ask for it.
"""


@click.command()
@click.option("--group", type=click.Choice(GROUPS), help="Only this group of cases.")
@click.option("--split", type=click.Choice(["dev", "held", "all"]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases.")
@click.option("--every", type=click.IntRange(min=1), default=1, help="Only each n-th case: a sample of all groups.")
@click.option("--trials", type=click.IntRange(min=1), default=1, help="Ask each question so often: is it stable?")
@click.option("--mind", type=click.Choice(["offline", "retrieval"]), default="offline", show_default=True)
@click.option("--retrieval", type=click.Choice(get_args(Retrieval)), default="hybrid", show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write every result here.")
@click.option(
    "--score-card",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the card, each kind of search included.",
)
@click.option("--misses", "show_misses", is_flag=True, help="List what went wrong, held-back cases left out.")
@click.option("--check", is_flag=True, help=f"Fail when a score fell by more than {TOLERANCE} below the baseline.")
@click.option("--accept", is_flag=True, help="Make this run's scores the baseline.")
def main(
    group: str | None,
    split: str,
    limit: int | None,
    every: int,
    trials: int,
    mind: str,
    retrieval: Retrieval,
    json_path: Path | None,
    score_card: Path | None,
    show_misses: bool,
    check: bool,
    accept: bool,
) -> None:
    """Ask the cases and print a score card."""
    if (check or accept or score_card) and (group or limit or every > 1 or split != "all" or mind != "offline"):
        raise click.UsageError("--check, --accept and --score-card are for all cases and the offline mind.")
    try:
        cases = load_cases(catalogue=load_catalogue())
        cases = tuple(c for c in cases if group in (None, c.group) and split in ("all", c.split))[:limit:every]
        results = run(cases, mind, retrieval, trials)
        if score_card:
            write_score_card(score_card, cases, results)
        _finish(results, json_path, show_misses=show_misses, check=check, accept=accept)
    except ClmsError as error:
        raise click.ClickException(str(error)) from error


def run(cases: Sequence[Case], mind: str, retrieval: Retrieval, trials: int = 1) -> list[Result]:
    """Ask all cases of one mind.

    Raises:
        ClmsError: There are no cases, or what the assistant stands on cannot be made ready.
    """
    if not cases:
        raise SourceInvalid("No case fits.", "Take another group or split.")
    settings = Settings(llm_base_url=None)
    with closing(Assistant(settings)) as assistant, click.progressbar(length=len(cases), label=mind) as bar:
        assistant.prepare()
        ensure_demo(settings.hub_dir, today=TODAY)
        if mind == "offline":
            assistant.warm_up()
            return ask_all(cases, assistant, lambda _: bar.update(1), trials=trials)
        retriever = Retriever(settings.index_dir, embedding_model=settings.embedding_model, use=USE[retrieval])
        retriever.warm_up()
        return search_all(cases, retriever, lambda _: bar.update(1))


def write_score_card(path: Path, cases: Sequence[Case], results: Sequence[Result]) -> None:
    """Ask a sample three times and run each kind of search too, and write one page."""
    parts = [INTRO, "## Offline mind, end to end", card(results), f"## Each {SAMPLED}th question, three times"]
    parts.append(card(run(cases[::SAMPLED], "offline", "hybrid", 3)))
    for retrieval in USE:
        parts += [f"## Search alone: {retrieval}", card(run(cases, "retrieval", retrieval))]
    path.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def _finish(results: list[Result], json_path: Path | None, *, show_misses: bool, check: bool, accept: bool) -> None:
    click.echo(card(results))
    if show_misses:
        click.echo("\n".join(misses(results)))
    if json_path:
        rows = [result.model_dump(mode="json") for result in results]
        json_path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    now = baseline(results, "offline")
    if check and (lines := fallen(_accepted(), now)):
        raise click.ClickException("Scores fell: " + "; ".join(lines) + ".")
    if accept:
        BASELINE.write_text(now.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _accepted() -> Baseline:
    try:
        return Baseline.model_validate_json(BASELINE.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise SourceInvalid(f"{BASELINE.name} cannot be read.", "Make one with `python -m evals --accept`.") from error


if __name__ == "__main__":
    main()
