"""The question about a large run in other languages than English: asked, answered and taken up in them."""

from collections.abc import Iterator
from datetime import date

import pytest

from assistant import pending
from assistant.agent import Assistant
from assistant.phrases import translate
from assistant.settings import Settings
from knowledge.ingest import build_index
from knowledge.lexicon import Foreign
from tools.approval import RUN_IT
from tools.hub.demo import ensure_demo
from tools.hub.server import running_hub

TODAY = date(2025, 9, 10)
BOX = "-1.686, 48.111, -1.673, 48.118"
QUESTIONS: dict[Foreign, str] = {
    "fr": f"Montre une carte NDVI de {BOX} cet été",
    "de": f"Zeige eine NDVI-Karte von {BOX} in diesem Sommer",
    "es": f"Muestra un mapa de NDVI de {BOX} este verano",
    "it": f"Mostra una mappa NDVI di {BOX} questa estate",
}


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """An assistant with a first limit so low that the tiny demo archive is above it."""
    folder = tmp_path_factory.mktemp("approval")
    plain = Settings(data_dir=folder, embedding_model="none", port=0)
    ensure_demo(plain.hub_dir, today=TODAY, size_px=128)
    build_index(plain.index_dir, embedding_model="none")
    with running_hub(plain.hub_dir) as url:
        urls = {"stac_url": f"{url}/stac", "openeo_url": f"{url}/openeo"}
        made = Assistant(plain.model_copy(update={"ask_above_mb": 0.06, **urls}))
        yield made
        made.close()


@pytest.mark.parametrize(("language", "words"), QUESTIONS.items())
async def test_a_large_run_is_asked_about_and_answered_in_the_language_of_the_question(
    assistant: Assistant, language: Foreign, words: str
) -> None:
    answer = await assistant.ask(words, today=TODAY)
    question = answer.question
    assert question is not None
    assert question.text in answer.text
    assert pending.plans_asked_about(answer.text) == question.approves
    assert question.options[0] == translate(RUN_IT, language) != RUN_IT
    assert not {"Fewer", "Smaller", "Cancel"} & {one.split(" ")[0].rstrip(":") for one in question.options}
    for option in question.options[1:-1]:
        done = await assistant.ask(option, session_id=answer.session_id)
        assert (done.outcome, done.question, done.language) == ("ok", None, language)
    # Each question waits for one word: it is asked anew for the next.
    history = [("user", words), ("assistant", (await assistant.ask(words, today=TODAY)).text)]
    left = await assistant.ask(question.options[-1], history=history, today=TODAY)
    assert (left.outcome, left.text) == ("not_run", translate("Cancelled: nothing was run.", language))
    history = [("user", words), ("assistant", (await assistant.ask(words, today=TODAY)).text)]
    done = await assistant.ask(question.options[0], history=history, today=TODAY)
    assert done.plan is not None
    assert (done.plan.fingerprint,) == question.approves
