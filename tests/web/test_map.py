"""The map beside the chat: areas attached and drawn, polygons clicked."""

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.web.script import ScriptedAssistant, ask, square


def test_an_attached_area_goes_with_the_question_and_a_broken_one_does_not(
    page: Page, assistant: ScriptedAssistant, tmp_path: Path
) -> None:
    broken, good = tmp_path / "broken.geojson", tmp_path / "field.geojson"
    broken.write_text('{"type": "FeatureCollection", "features": [')
    good.write_text(json.dumps({"type": "FeatureCollection", "features": [square("field", -1.7)]}))
    picker = page.locator("#actions input[type=file]")
    picker.set_input_files(broken)
    page.get_by_text("No area attached.").wait_for()
    picker.set_input_files(good)
    page.get_by_text("Area attached. field, polygons: 1.").wait_for()
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    attached = assistant.areas[-1]
    assert attached is not None
    assert len(attached.collection["features"]) == 1


def test_a_drawn_area_is_the_place_of_the_next_question(page: Page, assistant: ScriptedAssistant) -> None:
    page.get_by_role("button", name="Draw an area").click()
    board = page.locator(".map-board")
    for x, y in ((100, 100), (200, 100), (200, 200), (100, 200)):
        board.click(position={"x": x, "y": y})
    page.get_by_role("button", name="Use this area").click()
    page.get_by_text("Area attached. drawn area, polygons: 1.").wait_for()
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    drawn = assistant.areas[-1]
    assert drawn is not None
    west, south, east, north = drawn.bbox
    assert -40 < west < east < 50
    assert 30 < south < north < 75


def test_a_click_on_a_polygon_tells_its_numbers(page: Page) -> None:
    ask(page, "How green?")
    page.locator(".map-board path.leaflet-interactive").first.click()
    told = page.locator(".map-told")
    told.wait_for()
    assert "P1 <b>" in told.inner_text()
    assert "75 of 100" in told.inner_text()


def test_a_true_colour_image_of_the_same_place_and_dates_is_one_click_away(
    page: Page, assistant: ScriptedAssistant
) -> None:
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    page.get_by_role("button", name="True colour").click()
    page.locator("#chat").get_by_text("True colour image of Rennes", exact=False).first.wait_for()
    assert assistant.questions[-1] == "True colour image of Rennes, 2025-06-01 to 2025-08-31"


def test_layers_fade_and_swipe_and_step_back_when_an_answer_has_none(page: Page) -> None:
    ask(page, "layers please")
    boxes = page.locator(".map-layers input[type=checkbox]")
    expect(boxes).to_have_count(2)
    for number in range(2):
        expect(boxes.nth(number)).to_be_checked()
    images = page.locator(".map-board img.pixels")
    expect(images).to_have_count(2)
    for number in range(2):
        images.nth(number).evaluate("async image => { await image.decode(); }")
    page.get_by_label("Opacity: NDVI after").fill("40")
    expect(page.locator(".map-board img[alt='NDVI after']")).to_have_css("opacity", "0.4")
    for side, layer in (("left", "NDVI before"), ("right", "NDVI after")):
        choice = page.get_by_label(f"Layer on the {side}")
        choice.select_option(label=choice.locator("option", has_text=layer).inner_text())
    shown = "image => getComputedStyle(image.parentElement).clipPath"
    before = images.first.evaluate(shown)
    assert before.startswith("polygon(")
    page.get_by_label("Compare: left | right").fill("20")
    assert images.first.evaluate(shown) != before
    ask(page, "explain at length")
    page.get_by_text("The finding.").wait_for()
    expect(images).to_have_count(0)
    expect(boxes).to_have_count(2)
    boxes.first.check()
    expect(images).to_have_count(1)
