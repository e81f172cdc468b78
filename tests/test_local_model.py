"""Opt-in: a real local model behind an OpenAI-compatible server is never worse than no model.

Run with the address of a server, such as llama.cpp's or Ollama's: `LOCAL_MODEL_URL=http://127.0.0.1:8080/v1 pytest
tests/test_local_model.py`; `LOCAL_MODEL` names the model where the server has several.
"""

import os

import pytest

from assistant.settings import Settings
from tests.servers.menu import small_assistant

URL = os.environ.get("LOCAL_MODEL_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="LOCAL_MODEL_URL names no server of a local model")


@pytest.mark.parametrize(
    "question",
    [
        "How green are the parcels around Rennes this summer?",
        "NDVI of the parcels of Rennes in July 2026",
        "Which product shows the vegetation season at 10 m?",
        "How green is Atlantisburgh this summer?",
    ],
)
async def test_the_answer_rests_on_what_the_planner_would_compute_too(settings: Settings, question: str) -> None:
    changes = {"llm_base_url": URL, "llm_model": os.environ.get("LOCAL_MODEL", "default"), "llm_timeout_s": 600.0}
    told = settings.model_copy(update=changes)
    with_model = await small_assistant(told).ask(question)
    without = await small_assistant(settings).ask(question)
    assert with_model.outcome == without.outcome
    assert [table.rows for table in with_model.statistics] == [table.rows for table in without.statistics]
