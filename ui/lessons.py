"""Lessons for a trainer: read from YAML, shown on the page, printed as a handout, and conversations shared to read."""

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from pydantic import Field

from knowledge.errors import SourceInvalid
from knowledge.lexicon import Language
from tools.schema import Frozen
from ui.page_words import ASSETS, say
from ui.panels import result_html
from ui.turn import Turn, lists_ended

LESSONS = Path(__file__).parent / "lessons"


Text = dict[Language, str]
"""The same words in each language."""


class Step(Frozen):
    """One question of a lesson."""

    ask: Text
    """What to ask, word for word."""
    notice: Text
    """What to look at in the answer."""
    checkpoint: Text
    """What the participants answer."""
    solution: Text
    expect: dict[str, str | bool] = Field(default_factory=dict)
    """For the test: the tool that must run, its kind of output, whether there is a number."""


class Lesson(Frozen):
    """One lesson."""

    id: str
    title: Text
    aim: Text
    minutes: int
    steps: tuple[Step, ...] = Field(min_length=1)


@cache
def load_lessons(folder: Path = LESSONS) -> dict[str, Lesson]:
    """Read all lessons of a folder by id, which is the file's name.

    Raises:
        SourceInvalid: A file is no lesson.
    """
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            fields = yaml.safe_load(path.read_text(encoding="utf-8"))
            found[path.stem] = Lesson.model_validate({"id": path.stem, **fields})
        except (yaml.YAMLError, ValueError, TypeError) as error:
            raise SourceInvalid(f"{path.name} is no lesson: {error}", "See docs/web.md for its fields.") from error
    return found


def lesson_html(lesson: Lesson, language: Language, *, handout: bool = True) -> str:
    """Give a lesson for the page: each step with a button that asks its question, and a checkpoint to open."""

    def said(text: Text) -> str:
        return escape(text[language], quote=True)

    steps = "".join(
        f'<li><p><button type="button" data-ask="{said(one.ask)}">{said(one.ask)}</button></p>'
        f"<p><strong>{say(language, 'lesson_notice')}</strong> {said(one.notice)}</p>"
        f"<details><summary>{said(one.checkpoint)}</summary><p>{said(one.solution)}</p></details></li>"
        for one in lesson.steps
    )
    about = f"{said(lesson.aim)} ({say(language, 'lesson_minutes', minutes=lesson.minutes)})"
    address, words = f"lessons/{lesson.id}.html?lang={language}", say(language, "lesson_handout")
    link = f'<p><a href="{address}" target="_blank" rel="noopener">{words}</a></p>' if handout else ""
    return f"<p>{about}</p><ol>{steps}</ol>{link}"


def handout_html(lesson: Lesson, language: Language) -> str:
    """Give a lesson as a page to print: the questions, room for answers, and the solutions on a page of their own."""

    def said(text: Text) -> str:
        return escape(text[language])

    notice = say(language, "lesson_notice")
    steps = "".join(
        f"<li><p><q>{said(one.ask)}</q></p><p><strong>{notice}</strong> {said(one.notice)}</p>"
        f'<p><strong>{said(one.checkpoint)}</strong></p><p class="room"></p></li>'
        for one in lesson.steps
    )
    solved = "".join(f"<li><strong>{said(one.checkpoint)}</strong> {said(one.solution)}</li>" for one in lesson.steps)
    about = f"<p>{said(lesson.aim)} ({say(language, 'lesson_minutes', minutes=lesson.minutes)})</p>"
    solutions = f'<section class="apart"><h2>{say(language, "lesson_solutions")}</h2><ol>{solved}</ol></section>'
    body = f"<h1>{said(lesson.title)}</h1>{about}<ol>{steps}</ol>{solutions}"
    return page_html(lesson.title[language], body, language)


def conversation_html(turns: list[Turn], language: Language) -> str:
    """Give a conversation as a page to read: nothing can be asked on it."""
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    parts = []
    for turn in turns:
        told = markdown.render(lists_ended(turn.text).replace("![", "!\\["))
        panel = result_html(turn.question, turn.artifacts, turn.answer, language)
        parts.append(f'<article><h2>{escape(turn.question)}</h2>{told}<div id="result">{panel}</div></article>')
    title = say(language, "shared_title")
    return page_html(title, f"<h1>{title}</h1>{''.join(parts)}", language)


def page_html(title: str, body: str, language: Language, base: str = "../") -> str:
    """Give a page of its own, in the page's style and without any script."""
    style = (ASSETS / "style.css").read_text(encoding="utf-8") + (ASSETS / "print.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<base href="{base}"><style>{style}</style></head><body><main>{body}</main></body></html>'
    )


def choices(language: Language) -> list[tuple[str, Any]]:
    """Give the titles of all lessons with their ids."""
    return [(lesson.title[language], lesson.id) for lesson in load_lessons().values()]
