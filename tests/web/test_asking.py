"""Ask and be answered: steps, answers, buttons, stopping, failures, large runs."""

import zipfile

import pytest
from playwright.sync_api import Page, expect

from assistant.pending import read_reply
from assistant.schema import (
    TextEvent,
    ToolStarted,
)
from tests.web.script import ScriptedAssistant, ask, waiting
from ui.page_layout import load_examples
from ui.turn import Turn, stopped


def test_a_question_brings_steps_map_table_and_files_without_sideways_scrolling(page: Page) -> None:
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    page.get_by_text("Finding the place: Rennes").wait_for()
    assert page.get_by_role("img", name="NDVI map").evaluate(
        "async image => { await image.decode(); return image.naturalWidth }"
    )
    assert page.get_by_role("row", name="P1 <b> 0 75 of 100 75% computed").is_visible()
    assert page.get_by_role("row", name="P2 no value 0 of 90 0% no data").is_visible()
    assert page.get_by_role("link", name="Rows").get_attribute("href") == "artifacts/id-table"
    assert page.get_by_text("Not real.").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    # The answer ends before the frame of the conversation does: nothing of a line is cut off.
    (frame, told) = (page.locator(where).last.bounding_box() for where in ("#chat", "#chat .bot .prose p"))
    assert frame is not None
    assert told is not None
    assert told["x"] + told["width"] <= frame["x"] + frame["width"]


def test_a_long_answer_is_shown_from_its_beginning(page: Page) -> None:
    ask(page, "explain at length")
    finding = page.get_by_text("The finding.")
    finding.wait_for()
    page.wait_for_function(
        """() => {
          const frame = document.querySelector('#chat [role="log"]').getBoundingClientRect();
          const told = [...document.querySelectorAll('#chat p')].find(p => p.textContent === 'The finding.');
          const top = told.getBoundingClientRect().top;
          return top >= frame.top && top < frame.top + frame.height / 2;
        }"""
    )


def test_an_example_is_a_button_that_asks(page: Page, assistant: ScriptedAssistant) -> None:
    page.get_by_role("button", name=load_examples()[0]).click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()


def test_an_option_of_a_question_is_a_button_in_the_same_session(page: Page, assistant: ScriptedAssistant) -> None:
    ask(page, "which place?")
    page.get_by_role("button", name="Rennes, USA").click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    assert assistant.sessions[-1] == assistant.sessions[-2] is not None


def test_stop_ends_the_running_question_and_the_page_takes_the_next(page: Page, assistant: ScriptedAssistant) -> None:
    assistant.closed.clear()
    ask(page, "wait for it")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert assistant.closed.wait(5)
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()


def test_a_question_waits_in_the_box_while_another_is_answered(page: Page, assistant: ScriptedAssistant) -> None:
    ask(page, "wait for it")
    page.get_by_text("Finding the place: Rennes").wait_for()
    page.get_by_role("button", name="Lessons and sharing").click()
    next_one = page.locator("#lesson button").first
    next_one.click()
    expect(page.get_by_label("Your question")).to_have_value(next_one.inner_text())
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert assistant.questions[-1] == "wait for it"
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()


def test_failures_are_a_sentence_and_a_hint(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(page.get_by_label("Your question")).to_be_enabled(timeout=45_000)
    with monkeypatch.context() as broken:
        broken.delattr("ui.page_results.map_layers")
        ask(page, "How green?")
        page.get_by_text("could not be shown").wait_for()
    ask(page, "fail")
    page.get_by_text("The hub does not answer.").wait_for()
    assert page.get_by_text("Start it and ask again.").is_visible()
    ask(page, "crash")
    page.get_by_text("Reference for the log").wait_for()
    assert "secret detail" not in page.content()


def test_a_large_run_is_changed_and_started_without_typing_a_question(page: Page, assistant: ScriptedAssistant) -> None:
    ask(page, "large run")
    expect(page.get_by_label("Most cloud in a scene (%)")).to_have_value("80")
    page.get_by_label("Most cloud in a scene (%)").fill("20")
    page.get_by_label("Dates").fill("July 2025")
    page.get_by_role("button", name="Run with these changes").click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    assert assistant.questions[-1] == "Changed plan: Dates July 2025; Most cloud in a scene (%) 20"
    assert assistant.kept is not None
    (run,) = assistant.kept.pending(assistant.sessions[-1] or "", ())
    reply = read_reply(assistant.questions[-1], [run])
    assert reply is not None
    assert reply.calls == (("compute", {**waiting().args, "period": "July 2025", "max_cloud": "20"}),)
    assert reply.approved == frozenset()
    # While Gradio takes the card away there may be two of it for a moment.
    expect(page.locator("#plan").locator("visible=true")).to_have_count(0)


def test_working_steps_can_be_hidden(page: Page) -> None:
    ask(page, "How green?")
    page.get_by_text("Finding the place: Rennes").wait_for()
    page.get_by_label("Hide working steps").check()
    page.get_by_text("Finding the place: Rennes").wait_for(state="hidden")


def test_asking_again_puts_the_new_answer_in_the_place_of_the_old(page: Page, assistant: ScriptedAssistant) -> None:
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    before = len(assistant.questions)
    page.get_by_role("button", name="Ask again").click()
    while len(assistant.questions) == before:
        page.wait_for_timeout(50)
    assert assistant.questions[-2:] == ["How green?", "How green?"]
    expect(page.get_by_text("Mean NDVI is 0 in P1.")).to_have_count(1)
    expect(page.locator("#chat [data-testid=user]")).to_have_count(1)


def test_an_image_in_an_answer_is_not_fetched() -> None:
    turn = Turn("q")
    turn.take(TextEvent(text="![x](http://elsewhere.example/a.png)"))
    assert turn.messages()[-1]["content"].startswith("!\\[")


def test_a_line_after_a_list_is_no_part_of_it_and_a_switch_is_told_by_its_name() -> None:
    turn = Turn("q")
    turn.take(ToolStarted(call_id="1", name="feature_stack", args={"place": "Rennes", "true_colour": True, "x": False}))
    turn.take(TextEvent(text="1. one\n2. two\nThe mean.\n- a\n  more of a\nEnd"))
    step, told = turn.messages("fr")[1:]
    assert step["metadata"]["title"] == "Empilement de bandes\u00a0: Rennes, true colour"
    assert told["content"] == "1. one\n2. two\n\nThe mean.\n- a\n  more of a\nEnd"


def test_the_keyboard_alone_asks_stops_and_opens_a_file(page: Page, assistant: ScriptedAssistant) -> None:
    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if (
                page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''").strip()
                == name
            ):
                return
        raise AssertionError(f"Tab never comes to {name!r}")

    expect(page.get_by_label("Your question")).to_be_enabled(timeout=45_000)
    page.get_by_label("Your question").focus()
    page.keyboard.type("wait for it")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    tab_to("Stop")
    page.keyboard.press("Enter")
    page.get_by_text("Stopped.").wait_for()
    page.get_by_label("Your question").focus()
    page.keyboard.type("How green?")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Rows").wait_for()
    tab_to("Rows")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_stopped_step_is_closed() -> None:
    turn = Turn("q")
    turn.take(ToolStarted(call_id="1", name="compute", args={}))
    assert stopped(turn.messages())[1]["metadata"] == {"title": "Computing an index (stopped)", "status": "done"}


def test_all_files_come_as_one_zip_that_opens(page: Page) -> None:
    ask(page, "layers please")
    with page.expect_download() as given:
        page.get_by_role("link", name="Everything in one zip file").click()
    with zipfile.ZipFile(given.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["01-map-ndvi-before.png", "02-map-ndvi-after.png"]
