"""The card of a large run: what it would take, its dates, index and place to change, and buttons to let it run."""

from html import escape
from typing import Any

from assistant.plan_edits import EDITABLE, changes_to, editable, offer_change, waiting_run
from assistant.sessions import Sessions
from knowledge.lexicon import Language
from ui.page_layout import Layout
from ui.page_words import say
from ui.turn import Turn


class PlanCard:
    """The card's components and what happens in it."""

    def __init__(self, layout: Layout, sessions: Sessions) -> None:
        import gradio as gr

        self._sessions = sessions
        with gr.Group(visible=False, elem_id="plan") as self.group:
            self.note = gr.HTML()
            with gr.Row():
                self.fields = {
                    name: layout.named(gr.Textbox(lines=1, min_width=140), label=f"plan_{name}") for name in EDITABLE
                }
            with gr.Row():
                self.run = layout.button("plan_run", variant="primary", min_width=90)
                self.change = layout.button("plan_change", min_width=180)
                self.cancel = layout.button("plan_cancel", min_width=90)

    @property
    def outputs(self) -> list[Any]:
        """The components that `shown` and `hidden` set."""
        return [self.group, self.note, *self.fields.values()]

    def shown(self, session_id: str | None, turn: Turn | None, language: Language) -> list[Any]:
        """Show the card where the last answer asks about a large run; else hide it."""
        import gradio as gr

        asked = turn.answer.question if turn and turn.answer else None
        if not asked or not asked.approves or not session_id:
            return self.hidden()
        run = waiting_run(self._sessions, session_id)
        values = editable(run) if run else {}
        boxes = [gr.Textbox(value=values.get(name, ""), visible=name in values) for name in self.fields]
        return [gr.Group(visible=True), _note(asked.text, language), *boxes]

    def hidden(self) -> list[Any]:
        """Hide the card."""
        import gradio as gr

        return [gr.Group(visible=False), "", *(gr.skip() for _ in self.fields)]

    def answer(self, turn: Turn | None, place: int) -> str:
        """Give the words of one of the options: the first lets it run, the last one cancels."""
        return turn.options[place] if turn and turn.options else ""

    def changed(self, session_id: str | None, language: Language, *wanted: str) -> tuple[str, Any]:
        """Give the words that start the changed run, and the card's note where nothing was changed."""
        import gradio as gr

        run = waiting_run(self._sessions, session_id) if session_id else None
        changes = changes_to(run, dict(zip(self.fields, wanted, strict=True))) if run else {}
        if not run or not session_id or not changes:
            told = run.question if run else ""
            return "", _note(told, language, say(language, "plan_same"))
        told = "; ".join(f"{say(language, f'plan_{name}')} {value}" for name, value in changes.items())
        words = say(language, "plan_changed", changes=told)
        offer_change(self._sessions, session_id, run, words, changes)
        return words, gr.skip()


def _note(text: str, language: Language, hint: str = "") -> str:
    more = f'<p class="note">{escape(hint)}</p>' if hint else ""
    return f"<h3>{say(language, 'plan')}</h3><p>{escape(text)}</p>{more}"
