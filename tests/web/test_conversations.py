"""Conversations kept, shared, rated; lessons asked."""

from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as NotShown

from assistant.feedback import FeedbackStore
from tests.web.script import ScriptedAssistant, ask
from ui.lessons import load_lessons
from ui.page_layout import load_examples


def test_feedback_is_kept_with_its_conversation(page: Page, assistant: ScriptedAssistant) -> None:
    ask(page, "How green?")
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_label("The numbers").check()
    page.get_by_label("Comment (optional)").fill("Too high")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Thank you.").wait_for()
    assert assistant.kept is not None
    given = FeedbackStore(assistant.kept.database).all()[-1]
    assert (given.rating, given.reasons, given.comment) == ("down", ("numbers",), "Too high")
    assert (given.session_id, given.country) == (assistant.sessions[-1], "FR")


def test_a_conversation_is_found_again_shared_to_read_and_deleted(page: Page, browser: Browser, address: str) -> None:
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    page.get_by_role("button", name="Lessons and sharing").click()
    page.get_by_role("button", name="Link to read this conversation").click()
    link = page.locator("#share-link a").get_attribute("href")
    assert link is not None
    reader = browser.new_page()
    reader.goto(address + link)
    assert "Mean NDVI is 0 in P1." in reader.locator("body").inner_text()
    assert reader.locator("input, textarea, button, script").count() == 0
    later = page.context.new_page()
    later.goto(address)
    later.get_by_role("button", name="Earlier conversations").click()
    later.get_by_role("button", name="Open: How green?").first.click()
    later.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    later.get_by_role("row", name="P2 no value").wait_for()
    later.get_by_role("button", name="Delete: How green?").first.click()
    later.get_by_text("Mean NDVI is 0 in P1.").wait_for(state="hidden")
    refused = reader.goto(address + link)
    assert refused is not None
    assert not refused.ok
    reader.close()


def reload_until(tab: Page, shown: Locator) -> None:
    """Load a page again, as one does who does not see what runs: on a busy machine Gradio can lose the first event."""
    for _ in range(2):
        tab.reload()
        try:
            shown.wait_for(timeout=20_000)
        except NotShown:
            continue
        return
    tab.reload()
    shown.wait_for()


def test_a_page_loaded_again_goes_on_with_the_question_that_is_being_answered(
    page: Page, address: str, assistant: ScriptedAssistant
) -> None:
    tab = page.context.new_page()  # Gradio tells the console that a reload cut its connection
    tab.set_default_timeout(45_000)
    tab.goto(address)
    ask(tab, "How green?")
    tab.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    ask(tab, "wait for it")
    tab.get_by_role("button", name="Stop").wait_for()
    reload_until(tab, tab.get_by_text("Finding the place: Rennes"))
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text("Stopped.").wait_for()
    ask(tab, "wait for it")
    tab.get_by_role("button", name="Stop").wait_for()
    reload_until(tab, tab.get_by_role("button", name="Stop"))
    assistant.goes_on.set()
    expect(tab.get_by_text("Mean NDVI is 0 in P1.")).to_have_count(2, timeout=45_000)
    assistant.goes_on.clear()
    tab.get_by_role("button", name="New conversation").click()
    tab.get_by_text("Mean NDVI is 0 in P1.").first.wait_for(state="hidden")
    tab.reload()
    tab.get_by_role("button", name=load_examples()[0]).wait_for()


def test_a_lesson_asks_its_questions(page: Page, assistant: ScriptedAssistant) -> None:
    page.get_by_role("button", name="Lessons and sharing").click()
    step = next(iter(load_lessons().values())).steps[0]
    page.get_by_role("button", name=step.ask["en"]).last.click()
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    assert assistant.questions[-1] == step.ask["en"]
