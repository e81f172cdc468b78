"""The trainer's part of the page: a lesson beside the chat, and a link to read a conversation."""

from collections.abc import Callable
from html import escape
from typing import Any

from assistant.published import Readings
from knowledge.errors import ClmsError
from knowledge.lexicon import Language
from ui.lessons import choices, conversation_html, lesson_html, load_lessons
from ui.page_layout import Layout
from ui.page_results import Results
from ui.page_words import say

_ASK_CLICKS = """element.addEventListener('click', event => {
  const button = event.target.closest('button[data-ask]');
  if (button) trigger('select', {ask: button.dataset.ask});
});"""
_WHOLE_LINK = """watch('value', () => {
  for (const link of element.querySelectorAll('a')) link.textContent = link.href;
});"""
"""Shows the whole address, so that it can be copied."""
_FIRST = next(iter(load_lessons()))


class Trainer:
    """The components and what happens in them."""

    def __init__(self, layout: Layout, results: Results, shared: Readings, need_trainer: Callable[[], None]) -> None:
        """Build the components; `need_trainer` refuses who may not lead a lesson."""
        import gradio as gr

        self._results, self._shared, self._need_trainer = results, shared, need_trainer
        with gr.Accordion(open=False, elem_id="lessons") as accordion:
            layout.named(accordion, label="lessons")
            self.lesson = layout.named(
                gr.Dropdown(choices("en"), value=_FIRST, filterable=False), label="lesson", choices=choices
            )
            self.text = gr.HTML(self.told(_FIRST, "en"), elem_id="lesson", js_on_load=_ASK_CLICKS)
            with gr.Row():
                self.restart = layout.button("lesson_restart", size="sm")
                self.share = layout.button("share", size="sm")
            self.link = gr.HTML("", elem_id="share-link", js_on_load=_WHOLE_LINK)

    def told(self, lesson_id: str, language: Language) -> str:
        """Give the text of a lesson."""
        return lesson_html(load_lessons()[lesson_id], language, handout=self._leads())

    @property
    def tools(self) -> list[Any]:
        """The buttons that `tools_shown` sets."""
        return [self.restart, self.share]

    def tools_shown(self) -> list[Any]:
        """Show the buttons to who may lead a lesson."""
        import gradio as gr

        return [gr.Button(visible=self._leads()) for _ in self.tools]

    def _leads(self) -> bool:
        try:
            self._need_trainer()
        except ClmsError:
            return False
        return True

    def shared(self, session_id: str | None, language: Language) -> str:
        """Share the conversation as it is now, and show its link."""
        try:
            self._need_trainer()
        except ClmsError as error:
            return f'<p class="note failed" role="alert">{escape(f"{error.message} {error.hint}")}</p>'
        turns = self._results.turns(session_id)
        if not session_id or not turns:
            return f'<p class="note" role="status">{say(language, "share_nothing")}</p>'
        link = f"shared/{self._shared.share(session_id, conversation_html(turns, language))}"
        told = say(language, "share_told")
        return f'<p class="note" role="status">{told} <a href="{escape(link)}" target="_blank">{escape(link)}</a></p>'
