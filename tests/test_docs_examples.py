"""The questions that the documents give as examples are answered with numbers on the demo archive, on any day."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from assistant.agent import Assistant
from assistant.settings import Settings
from knowledge.ingest import build_index
from tools.hub.demo import ensure_demo

DOCS = Path(__file__).parent.parent / "docs"
TODAY = date(2026, 11, 20)
_EXAMPLE = re.compile(r'"([A-Z][^"|\n]*\b(?:Rennes|Cayenne)\b[^"|\n]*)"')
PAGES = ("change.md", "classify.md", "phenology.md")
"""Those on computations; other pages ask other services or show how to send a question."""
EXAMPLES = sorted({found for path in map(DOCS.joinpath, PAGES) for found in _EXAMPLE.findall(path.read_text("utf-8"))})


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("examples"), embedding_model="none", port=0)
    ensure_demo(settings.hub_dir, today=TODAY, size_px=256)
    build_index(settings.index_dir, embedding_model="none")
    made = Assistant(settings)
    yield made
    made.close()


@pytest.mark.parametrize("question", EXAMPLES)
async def test_an_example_of_the_documents_is_computed(assistant: Assistant, question: str) -> None:
    answer = await assistant.ask(question, today=TODAY, approve=True)
    assert answer.outcome == "ok", answer.text
    assert answer.artifacts


def test_there_are_examples_of_each_way_to_classify_and_of_a_stack() -> None:
    for words in ("classes", "breaks", "bands"):
        assert any(words in one for one in EXAMPLES)
