"""Thumbs, reasons and a comment under an answer, kept with its conversation."""

import sqlite3
from functools import partial
from typing import Any, cast

from assistant.database import Database, DatabaseUnavailable
from assistant.feedback import REASONS, Feedback, FeedbackStore, Rating, about
from assistant.sessions import Sessions
from knowledge.lexicon import Language
from ui.page_layout import Layout
from ui.page_words import say
from ui.turn import Turn

MOST_CHARS = 2000


class FeedbackForm:
    """The form's components and what happens in it."""

    def __init__(self, layout: Layout, sessions: Sessions, database: Database) -> None:
        import gradio as gr

        self._sessions, self._store = sessions, FeedbackStore(database)
        with gr.Group(visible=False, elem_id="feedback") as self.group:
            with gr.Row():
                self.up = layout.button("feedback_up", size="sm", min_width=110)
                self.down = layout.button("feedback_down", size="sm", min_width=110)
            with gr.Column(visible=False) as self.more:
                self.reasons = layout.named(
                    gr.CheckboxGroup(list(REASONS)), label="feedback_reasons", choices=_choices
                )  # fmt: skip
                self.comment = layout.named(gr.Textbox(lines=2, max_length=MOST_CHARS), label="feedback_comment")
                self.give = layout.button("feedback_send", variant="primary", size="sm")
            self.note = gr.Markdown("", elem_id="feedback-note")
        self.rating: Any = gr.State("")
        began = [self.rating, self.more, self.note]
        quiet: Any = {"show_progress": "hidden", "api_visibility": "private"}
        self.up.click(partial(_begun, "up"), None, began, **quiet)
        self.down.click(partial(_begun, "down"), None, began, **quiet)

    @property
    def inputs(self) -> list[Any]:
        """What `given` takes after conversation and language."""
        return [self.rating, self.reasons, self.comment]

    @property
    def outputs(self) -> list[Any]:
        """What `shown` and `given` set."""
        return [self.group, self.more, self.reasons, self.comment, self.note]

    def shown(self, turn: Turn | None) -> list[Any]:
        """Show an empty form under an answer; none without an answer."""
        import gradio as gr

        there = turn is not None and turn.answer is not None
        return [gr.Group(visible=there), gr.Column(visible=False), [], "", ""]

    def given(
        self, session_id: str | None, language: Language, rating: str, reasons: list[str], comment: str
    ) -> list[Any]:
        """Keep what was said of the last answer, and thank for it."""
        import gradio as gr

        known = tuple(one for one in REASONS if one in reasons)
        try:
            turns = self._sessions.history(session_id or "", limit=1000)
            said = Feedback(
                rating=cast(Rating, rating), reasons=known, comment=comment[:MOST_CHARS], session_id=session_id or ""
            )
            self._store.add(about(said, turns))
        except (OSError, sqlite3.Error, DatabaseUnavailable):
            return [*[gr.skip()] * 4, say(language, "feedback_lost")]
        return [gr.skip(), gr.Column(visible=False), [], "", say(language, "feedback_thanks")]


def _choices(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"reason_{one}"), one) for one in REASONS]


def _begun(rating: Rating) -> tuple[str, Any, str]:
    import gradio as gr

    return rating, gr.Column(visible=True), ""
