"""The runner asks every case, the card tells every score, the check fails when it must."""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from assistant import Assistant, Settings
from assistant.schema import Answer
from evals import __main__ as entry
from evals.ablations import ABLATIONS, Unchecked, changed
from evals.card import Baseline, baseline, card, fallen, misses, percentile_95, side_by_side, write_section
from evals.runner import ask_all, search_all
from evals.schema import GROUPS, Case, Result, Score, load_cases
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.scored import TINY, make_answer, make_case, make_result
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import SmallToolbox, small_assistant
from tools.toolbox import Context, Toolbox

QUESTION = "How green are the parcels around Rennes this summer?"
COMPUTE = ("compute", {"index": "ndvi", "place": "Rennes", "period": "this summer", "output": "per_polygon"})


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """An assistant over the real catalogue whose hub does not answer."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("evals"), embedding_model="none", port=0)
    build_index(settings.index_dir, embedding_model="none")
    made = Assistant(settings, hub_url="http://127.0.0.1:9")
    yield made
    made.close()


def test_the_runner_asks_every_case_through_the_real_assistant(tmp_path: Path, assistant: Assistant) -> None:
    (tmp_path / "a.yaml").write_text(TINY)
    cases = load_cases(tmp_path)
    seen: list[Result] = []
    results = ask_all(cases, assistant, seen.append)
    assert [result.case.id for result in results] == ["sealed", "sealed-loose", "sea"]
    assert seen == results
    assert all(result.text for result in results)
    assert "| loose | 1 |" in card(results)


def test_search_alone_skips_cases_without_a_right_product(tmp_path: Path, assistant: Assistant) -> None:
    index = assistant.settings.index_dir
    (tmp_path / "a.yaml").write_text(TINY)
    cases = load_cases(tmp_path)
    found = search_all(cases, Retriever(index, embedding_model="none"), lambda _: None)
    blind = search_all(cases, Retriever(index, embedding_model="none", use=()), lambda _: None)
    assert [result.case.id for result in found] == ["sealed", "sealed-loose"]
    assert found[0].scores["product@1"].value == 1
    assert blind[0].scores["product@1"].value == 0


def test_a_score_that_falls_is_told_and_one_that_holds_is_not() -> None:
    good, bad = (baseline([make_result(right) for right in rights], "offline") for rights in ((1, 1), (1, 0)))
    assert fallen(good, good) == []
    assert fallen(bad, good) == []
    assert any(line.startswith("facts: 1.000 before, 0.500 now") for line in fallen(good, bad))
    assert fallen(Baseline(mind="offline", cases=1, scores={"gone": 0.5}), good) == [
        "gone: 0.500 before, not measured now"
    ]


def test_misses_of_held_back_cases_are_never_listed() -> None:
    ids = {case.split: case.id for case in (make_case(id=f"c{number}") for number in range(20))}
    lines = misses([make_result(0, ids["dev"]), make_result(0, ids["held"])])
    assert len(lines) == 1
    assert lines[0].startswith(ids["dev"])


def test_the_slowest_twentieth_sets_the_95th_percentile() -> None:
    assert percentile_95([float(one) for one in range(1, 101)]) == 95.0
    assert percentile_95([0.5]) == 0.5


def test_the_check_fails_when_scores_fell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    high = tmp_path / "baseline.json"
    high.write_text(Baseline(mind="offline", cases=1, scores={"facts": 1.0}).model_dump_json())
    monkeypatch.setattr(entry, "BASELINE", high)
    monkeypatch.setattr(entry, "run", lambda cases, mind, retrieval, trials: [make_result(0)])
    ran = CliRunner().invoke(entry.main, ["--check"])
    assert ran.exit_code == 1
    assert "Scores fell: facts: 1.000 before, 0.000 now" in ran.output
    monkeypatch.setattr(entry, "run", lambda cases, mind, retrieval, trials: [make_result(1)])
    assert CliRunner().invoke(entry.main, ["--check"]).exit_code == 0


def test_a_part_of_the_cases_cannot_be_checked_against_the_baseline() -> None:
    assert CliRunner().invoke(entry.main, ["--check", "--split", "dev"]).exit_code == 2


def test_earlier_turns_come_first_and_of_several_trials_the_usual_ending_counts(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, str | None]] = []

    async def ask(
        self: Assistant, question: str, *, session_id: str | None = None, today: date | None = None
    ) -> Answer:
        heard.append((question, session_id))
        wrong = question == "shaky" and len([one for one, _ in heard if one == "shaky"]) == 1
        return make_answer("Where?" if wrong else "HRL Grassland has 10 m.", usage={"total_tokens": 7 * len(heard)})

    monkeypatch.setattr(Assistant, "ask", ask)
    facts = {"products": (), "facts": ("10 m",), "must_cite": False}
    cases = (make_case(turns=("first",), question="then", **facts), make_case(id="two", question="shaky", **facts))
    steady, shaky = ask_all(cases, assistant, lambda _: None, trials=3)
    assert heard[:2] == [("first", None), ("then", "s")]
    assert (steady.trials, steady.texts, steady.flapped) == ((True, True, True), 1, False)
    assert (shaky.trials, shaky.texts, shaky.flapped) == ((False, True, True), 2, True)
    assert shaky.all_right
    assert shaky.tokens == 56  # of the eighth question, the middle one of three
    table = side_by_side({"some mind": [steady, shaky]})
    assert "| flap | same text |" in table
    assert "| some mind | 2 | 1.00 | 1.00 |  |  | 0.50 | 0.50 |" in table


def test_what_is_left_out_of_search_is_not_used_and_the_rest_stays(assistant: Assistant) -> None:
    def found(name: str) -> str | None:
        services = changed(assistant, ABLATIONS[name]).services()
        toolbox = Toolbox(services, Context(today=date(2026, 9, 1), session_id="s"))
        advice = toolbox.search_products("How dense is the tree cover?", place="Manaus").recommendation
        return advice.product_id if advice else None

    assert found("constraints") == "tree-cover-density"
    assert found("phrases") != "tree-cover-density"
    assert changed(assistant, ABLATIONS["semantics"]).services().workspace is assistant.services().workspace


async def test_without_grounding_what_a_model_invents_gets_through(settings: Settings) -> None:
    said = says("Parcel A has an NDVI of 0.6. The yield is 17 t.")
    with chat_server(calls(COMPUTE), said) as chat:
        told = settings.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "inventive"})
        checked = small_assistant(told)
        loose = Unchecked(told, services=checked.services(), toolbox=SmallToolbox)
        assert "17 t" in (await loose.ask(QUESTION)).text
    with chat_server(calls(COMPUTE), said) as chat:
        told = settings.model_copy(update={"llm_base_url": chat.base_url, "llm_model": "inventive"})
        assert "17 t" not in (await small_assistant(told).ask(QUESTION)).text


def test_a_section_takes_the_place_of_the_one_with_its_title(tmp_path: Path) -> None:
    page = tmp_path / "scores.md"
    page.write_text("# Scores\n\nHow.\n\n## One\n\nold\n\n## Two\n\n| 2 |\n")
    write_section(page, "One", "new\n")
    write_section(page, "Three", "3")
    assert page.read_text() == "# Scores\n\nHow.\n\n## One\n\nnew\n\n## Two\n\n| 2 |\n\n## Three\n\n3\n"


def test_the_score_card_holds_each_group_the_trials_and_each_kind_of_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, int]] = []

    def run(cases: Sequence[Case], mind: str, retrieval: str, trials: int = 1) -> list[Result]:
        asked.append((mind, retrieval, trials))
        return [Result(case=case, scores={"facts": Score(value=1, reason="")}, seconds=0.1) for case in cases]

    monkeypatch.setattr(entry, "run", run)
    ran = CliRunner().invoke(entry.main, ["--score-card", str(tmp_path / "scores.md")])
    assert ran.exit_code == 0, ran.output
    page = (tmp_path / "scores.md").read_text()
    assert all(f"| {group} |" in page for group in GROUPS)
    assert ("offline", "hybrid", 3) in asked
    assert [retrieval for mind, retrieval, _ in asked if mind == "retrieval"] == ["hybrid", "dense", "keyword"]
    assert CliRunner().invoke(entry.main, ["--check", "--every", "2"]).exit_code == 2


def test_a_model_is_shown_beside_no_model_on_the_same_cases(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(entry, "ensure_demo", lambda *_, **__: None)
    dead = "http://127.0.0.1:9"
    told = {
        "DATA_DIR": str(assistant.settings.data_dir),
        "EMBEDDING_MODEL": "none",
        "STAC_URL": dead,
        "OPENEO_URL": dead,
    }
    page, rows = tmp_path / "scores.md", tmp_path / "rows.json"
    with chat_server(says("The answer is 42.")) as chat:
        told |= {"LLM_BASE_URL": chat.base_url, "LLM_MODEL": "stand-in", "LLM_RETRIES": "0"}
        asked = ["--mind", "model", "--group", "negative", "--limit", "1", "--trials", "2", "--ablate", "grounding"]
        asked += ["--json", str(rows), "--score-card", str(page)]
        ran = CliRunner().invoke(entry.main, asked, env={f"CLMS_{name}": one for name, one in told.items()})
    assert ran.exit_code == 0, ran.output
    assert all(f"| {name} | 1 |" in ran.output for name in ("no model", "stand-in", "without grounding"))
    assert "## Language model stand-in\n\n1 cases (all; negative), 2 trial(s) each." in page.read_text()
    assert list(json.loads(rows.read_text())) == ["no model", "stand-in", "without grounding"]


def test_a_run_of_a_model_without_any_says_how_to_name_one() -> None:
    ran = CliRunner().invoke(entry.main, ["--mind", "model"])
    assert ran.exit_code == 1
    assert "CLMS_LLM_MODEL" in ran.output
