"""Lessons: their questions run on the demo archive, their handouts hold all steps and no markup from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.agent import Assistant
from assistant.published import Readings
from assistant.sessions import Sessions
from assistant.settings import Settings
from knowledge.errors import SourceInvalid
from knowledge.ingest import build_index
from knowledge.lexicon import LANGUAGES
from tests.test_journeys import TODAY
from tools.errors import ArtifactNotFound
from tools.hub.demo import ensure_demo
from ui.lessons import conversation_html, handout_html, lesson_html, load_lessons
from ui.turn import Turn


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("lessons"), embedding_model="none", port=0)
    build_index(settings.index_dir, embedding_model="none")
    ensure_demo(settings.hub_dir, today=TODAY)
    asked = Assistant(settings)
    yield asked
    asked.close()


@pytest.mark.slow
@pytest.mark.parametrize("lesson_id", sorted(load_lessons()))
async def test_every_question_of_a_lesson_leads_to_what_the_lesson_tells(assistant: Assistant, lesson_id: str) -> None:
    lessons = sorted(load_lessons())
    other = LANGUAGES[1 + lessons.index(lesson_id) % (len(LANGUAGES) - 1)]
    walked = [(step, language) for language in ("en", other) for step in load_lessons()[lesson_id].steps]
    for step, language in walked:
        answer = await assistant.ask(step.ask[language], today=TODAY)
        wanted = step.expect
        assert wanted["tool"] in {call.name for call in answer.tool_calls}, step.ask[language]
        if "output" in wanted:
            assert answer.plan is not None, step.ask[language]
            assert answer.plan.output == wanted["output"], step.ask[language]
        values = [row.value for one in answer.statistics for row in one.rows if row.value is not None]
        computes = wanted["tool"] in ("compute", "layer_statistics")
        assert bool(values) == (computes and wanted.get("number", True)), step.ask[language]


def test_there_are_five_lessons_with_each_text_in_each_language() -> None:
    lessons = load_lessons()
    assert len(lessons) >= 5
    for lesson in lessons.values():
        steps = [(one.ask, one.notice, one.checkpoint, one.solution) for one in lesson.steps]
        for text in (lesson.title, lesson.aim, *(text for texts in steps for text in texts)):
            assert set(text) == set(LANGUAGES)
            assert len(set(text.values())) == len(LANGUAGES), text


def test_a_file_that_is_no_lesson_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("title: {en: x}")
    with pytest.raises(SourceInvalid, match=r"broken\.yaml"):
        load_lessons(tmp_path)


def test_a_handout_holds_questions_first_and_solutions_apart() -> None:
    lesson = load_lessons()["brittany"]
    told = handout_html(lesson, "fr")
    assert told.index("Nommez un usage") < told.index("Solutions") < told.index("Les jardins et les rang")
    assert "<script" not in lesson_html(lesson, "en")


def test_a_shared_conversation_shows_markup_as_text(tmp_path: Path) -> None:
    turn = Turn("<script>alert(1)</script>", text="<img src=x onerror=alert(1)> ![x](http://elsewhere.example/a.png)")
    told = conversation_html([turn], "en")
    assert "<script" not in told
    assert "<img" not in told


def test_a_link_to_read_tells_not_how_to_go_on_and_ends_with_its_conversation(settings: Settings) -> None:
    shared, session_id = Readings(settings.database), "a" * 32
    for told in ("Much.", "Very."):
        token = shared.share(session_id, conversation_html([Turn("How green?", text=told)], "en"))
    assert session_id not in token + shared.get(token)
    assert "Very." in shared.get(token)
    Sessions(settings.database).delete(session_id)
    with pytest.raises(ArtifactNotFound):
        shared.get(token)
