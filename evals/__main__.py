"""Entry point: `python -m evals` asks the cases and prints a score card."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import TypeAdapter, ValidationError

from assistant.agent import Assistant
from assistant.models import get_chat_models, model_name
from assistant.settings import Settings
from evals.ablations import ABLATIONS, WHOLE, changed
from evals.card import TOLERANCE, Baseline, baseline, card, fallen, misses, side_by_side, write_section
from evals.runner import TODAY, USE, OnCase, Retrieval, ask_all, search_all
from evals.schema import GROUPS, Case, Result, load_cases
from knowledge.catalogue import load_catalogue
from knowledge.errors import ClmsError, SourceInvalid
from knowledge.retrieval import Retriever
from tools.hub.demo import ensure_demo

BASELINE = Path(__file__).with_name("baseline.json")
SAMPLED = 10
"""Each so many-th case is asked three times for the score card."""
ALL = "all"
NO_MODEL = "no model"
INTRO = """# Scores

Made by `python -m evals --score-card docs/scores.md`; how scoring works is in [evals/README.md](../evals/README.md).
Each cell is the share of right answers, with the number of cases that ask for it.
"""
PATH = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--group", "groups", type=click.Choice(GROUPS), multiple=True, help="Only this group; may be repeated.")
@click.option("--split", type=click.Choice(["dev", "held", "all"]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases.")
@click.option("--every", type=click.IntRange(min=1), default=1, help="Only each n-th case: a sample of all groups.")
@click.option("--trials", type=click.IntRange(min=1), default=1, help="Ask each question so often: is it stable?")
@click.option(
    "--mind",
    type=click.Choice(["offline", "model", "retrieval"]),
    default="offline",
    show_default=True,
    help="`model`: the language model of the settings, and the offline mind beside it.",
)
@click.option("--retrieval", type=click.Choice(get_args(Retrieval)), default="hybrid", show_default=True)
@click.option(
    "--ablate",
    multiple=True,
    type=click.Choice([ALL, *(name for name in ABLATIONS if name != WHOLE)]),
    help="Leave this part out and show the run beside the whole; may be repeated.",
)
@click.option("--json", "json_path", type=PATH, help="Write every result here.")
@click.option("--score-card", type=PATH, help="Write the section of this run into a page; of all cases, each kind.")
@click.option("--misses", "show_misses", is_flag=True, help="List what went wrong, held-back cases left out.")
@click.option("--check", is_flag=True, help=f"Fail when a score fell by more than {TOLERANCE} below the baseline.")
@click.option("--accept", is_flag=True, help="Make this run's scores the baseline.")
def main(
    split: str, limit: int | None, every: int, mind: str, retrieval: Retrieval, ablate: tuple[str, ...], **told: Any
) -> None:
    """Ask the cases and print a score card."""
    part = bool(told["groups"] or limit or every > 1 or split != "all" or mind != "offline" or ablate)
    beside = bool(ablate) or mind == "model"
    if part and (told["check"] or told["accept"] or (told["score_card"] and not beside)):
        raise click.UsageError("This is for all cases and the offline mind; --score-card also for models and --ablate.")
    try:
        cases = load_cases(catalogue=load_catalogue())
        cases = tuple(c for c in cases if c.group in (told["groups"] or GROUPS) and split in ("all", c.split))
        cases = cases[:limit:every]
        if beside:
            _compare(cases, mind, ablate, split, told)
            return
        results = run(cases, mind, retrieval, told["trials"])
        _tell(card(results), results, told)
        if told["score_card"]:
            write_score_card(told["score_card"], cases, results)
        _hold_against_baseline(results, check=told["check"], accept=told["accept"])
    except ClmsError as error:
        raise click.ClickException(str(error)) from error


def run(cases: Sequence[Case], mind: str, retrieval: Retrieval, trials: int = 1) -> list[Result]:
    """Ask all cases of one mind.

    Raises:
        ClmsError: There are no cases, or what the assistant stands on cannot be made ready.
    """
    settings = Settings(llm_base_url=None, llm_model=None)
    with _ready(settings, cases) as assistant, _bar(cases, mind) as on_case:
        if mind == "offline":
            return ask_all(cases, assistant, on_case, trials=trials)
        retriever = Retriever(settings.index_dir, embedding_model=settings.embedding_model, use=USE[retrieval])
        retriever.warm_up()
        return search_all(cases, retriever, on_case)


def run_beside(cases: Sequence[Case], mind: str, ablate: Collection[str], trials: int = 1) -> dict[str, list[Result]]:
    """Ask all cases of the whole mind and of it with parts left out; of a model also without any model.

    Raises:
        ClmsError: As for `run`, or no language model is set.
    """
    settings = Settings()
    models = get_chat_models(settings) if mind == "model" else ()
    if mind == "model" and not models:
        raise SourceInvalid("No language model is set.", "Name one with CLMS_LLM_BASE_URL and CLMS_LLM_MODEL.")
    bare = Settings(llm_base_url=None, llm_model=None, llm_fallback_base_url=None, llm_fallback_model=None)
    runs = {}
    with _ready(bare, cases) as offline:
        whole = Assistant(settings, services=offline.services()) if models else offline
        variants = {NO_MODEL: offline} if models else {}
        variants[model_name(models[0]) if models else WHOLE] = whole
        # Without a language model there is little to check.
        chosen = [one for one in ABLATIONS if one in ablate or (ALL in ablate and (one != "grounding" or models))]
        chosen = [one for one in chosen if one != WHOLE]
        variants |= {
            one if one.endswith("-only") else f"without {one}": changed(whole, ABLATIONS[one]) for one in chosen
        }
        for name, assistant in variants.items():
            assistant.warm_up()
            with _bar(cases, name) as on_case:
                runs[name] = ask_all(cases, assistant, on_case, trials=trials)
    return runs


@contextmanager
def _ready(settings: Settings, cases: Sequence[Case]) -> Iterator[Assistant]:
    if not cases:
        raise SourceInvalid("No case fits.", "Take another group or split.")
    with closing(Assistant(settings)) as assistant:
        assistant.prepare()
        ensure_demo(settings.hub_dir, today=TODAY)
        assistant.warm_up()
        yield assistant


@contextmanager
def _bar(cases: Sequence[Case], label: str) -> Iterator[OnCase]:
    with click.progressbar(length=len(cases), label=label) as bar:
        yield lambda _: bar.update(1)


def write_score_card(path: Path, cases: Sequence[Case], results: Sequence[Result]) -> None:
    """Ask a sample three times and run each kind of search too, and write their sections."""
    if not path.exists():
        path.write_text(INTRO, encoding="utf-8")
    write_section(path, "Offline mind, end to end", card(results))
    sample = side_by_side({"offline": run(cases[::SAMPLED], "offline", "hybrid", 3)})
    write_section(path, f"Each {SAMPLED}th question, three times", sample)
    for retrieval in USE:
        write_section(path, f"Search alone: {retrieval}", card(run(cases, "retrieval", retrieval)))


def _compare(cases: Sequence[Case], mind: str, ablate: Collection[str], split: str, told: Mapping[str, Any]) -> None:
    runs = run_beside(cases, mind, ablate, told["trials"])
    table = side_by_side(runs)
    _tell(table, [result for results in runs.values() for result in results], told, runs)
    if told["score_card"]:
        title = f"Language model {list(runs)[1]}" if mind == "model" else "What each part buys"
        groups = ", ".join(told["groups"]) or "all groups"
        chosen = f"{len(cases)} cases ({split}; {groups}), {told['trials']} trial(s) each."
        write_section(told["score_card"], title, f"{chosen}\n\n{table}")


def _tell(
    table: str, results: Sequence[Result], told: Mapping[str, Any], runs: Mapping[str, Any] | None = None
) -> None:
    click.echo(table)
    if told["show_misses"]:
        click.echo("\n".join(misses(results)))
    if told["json_path"]:
        rows = TypeAdapter(Any).dump_python(runs or results, mode="json")
        told["json_path"].write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")


def _hold_against_baseline(results: Sequence[Result], *, check: bool, accept: bool) -> None:
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
