"""Whether numbers are said of the right thing: sentences over three real results, true and false, in five languages."""

from functools import cache
from pathlib import Path

import pytest
import yaml

from assistant.grounding import Evidence, find_invented, gather
from tools.schema import ToolResult

FOLDER = Path(__file__).with_name("truth")
CORPUS = yaml.safe_load((FOLDER / "corpus.yaml").read_text(encoding="utf-8"))
ASKED = {
    "parcels": "How green are the parcels around Rennes this summer?",
    "classes": "How much forest is there in West and East?",
    "series": "Show the NDVI curve of Rennes from May to September 2026.",
}


@cache
def evidence(name: str) -> Evidence:
    files = [name] if name == "classes" else ["search", name]
    results = [ToolResult.model_validate_json((FOLDER / f"{one}.json").read_text(encoding="utf-8")) for one in files]
    return gather(results, [ASKED[name], "2026-11-22"])


def sentences(kind: str) -> list[tuple[str, str]]:
    return [(name, sentence) for name, kinds in CORPUS.items() for sentence in kinds[kind]]


@pytest.mark.parametrize(("name", "sentence"), sentences("right"))
def test_a_true_sentence_passes(name: str, sentence: str) -> None:
    assert find_invented(sentence, evidence(name)) == ()


@pytest.mark.parametrize(("name", "sentence"), sentences("wrong"))
def test_a_false_sentence_is_found(name: str, sentence: str) -> None:
    assert find_invented(sentence, evidence(name))


@pytest.mark.parametrize("name", ASKED)
def test_the_words_of_the_tools_pass(name: str) -> None:
    text = ToolResult.model_validate_json((FOLDER / f"{name}.json").read_text(encoding="utf-8")).text
    assert find_invented(text, evidence(name)) == ()
