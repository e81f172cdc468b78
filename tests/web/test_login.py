"""The page where users log in: their key is the password of the browser's login; trainers have more on it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from assistant.settings import Settings
from assistant.users import ApiKeys
from tests.web.conftest import served
from tests.web.script import ScriptedAssistant, ask, png
from ui.lessons import load_lessons

TILES = "http://127.0.0.1:9/tiles/"
"""Nothing listens there: the test answers for it."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ApiKeys]]:
    tiles = f"{TILES}{{z}}/{{x}}/{{y}}.png"
    settings = Settings(data_dir=tmp_path_factory.mktemp("login"), auth="required", map_tiles=tiles)
    with served(ScriptedAssistant(), settings) as url:
        yield url, ApiKeys(settings.database)


@pytest.mark.parametrize(("role", "there"), [("user", 0), ("trainer", 1)])
def test_the_tools_of_a_lesson_are_for_trainers(
    browser: Browser, door: tuple[str, ApiKeys], role: str, there: int
) -> None:
    url, keys = door
    login = {"username": "me", "password": keys.add(f"a-{role}", "trainer" if there else "user")}
    context = browser.new_context(http_credentials=login, locale="en-GB")  # type: ignore[arg-type]  # a typed dict
    page, tiles = context.new_page(), []

    def tile(route: Route) -> None:
        tiles.append(route.request.url)
        route.fulfill(body=png(), content_type="image/png")

    page.route(f"{TILES}**", tile)
    page.goto(url)
    ask(page, "How green?")
    page.get_by_text("Mean NDVI is 0 in P1.").wait_for()
    page.get_by_role("button", name="Lessons and sharing").click()
    page.get_by_role("button", name=load_lessons()["brittany"].steps[0].ask["en"]).last.wait_for()
    expect(page.get_by_role("button", name="Link to read this conversation")).to_have_count(there)
    expect(page.get_by_role("link", name="Handout to print")).to_have_count(there)
    assert context.request.get(f"{url}lessons/brittany.html").status == (200 if there else 403)
    assert tiles  # the online background of the setting, which no other test of the page has
    context.close()


def test_without_a_login_there_is_no_page(browser: Browser, door: tuple[str, ApiKeys]) -> None:
    context = browser.new_context()
    reply = context.request.get(door[0])
    assert (reply.status, reply.headers["www-authenticate"][:5]) == (401, "Basic")
    context.close()
