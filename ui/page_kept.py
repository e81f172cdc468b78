"""The conversations begun in a browser: listed, opened again, deleted."""

from collections.abc import Callable
from typing import Any

from assistant.sessions import Sessions
from knowledge.lexicon import Language
from ui.page_layout import button_shown
from ui.page_results import Results

MOST_KEPT = 30
"""Conversations listed in a browser."""


class Kept:
    """What happens with the list; which conversations are on it, the browser keeps."""

    def __init__(
        self,
        results: Results,
        sessions: Sessions,
        on_end: Callable[[str], None],
        owns: Callable[[str], bool],
    ) -> None:
        """Work on kept conversations; `owns` tells whether one is that of who uses the page now."""
        self._results, self._sessions = results, sessions
        self._on_end, self._owns = on_end, owns

    def listed(self, own: list[str], language: Language) -> str:
        """Give the list; another user of the same browser has another one."""
        return self._results.kept([one for one in own if self._owns(one)], language)

    def remembered(self, session_id: str | None, own: list[str], language: Language) -> tuple[list[str], str]:
        """Put the conversation first in the list of this browser."""
        kept = [one for one in own if one != session_id]
        own = [session_id, *kept][:MOST_KEPT] if session_id else kept
        return own, self.listed(own, language)

    def chosen(
        self, session_id: str, todo: str, current: str | None, own: list[str], language: Language
    ) -> tuple[Any, ...]:
        """Open or delete one of the conversations of this browser."""
        import gradio as gr

        if session_id not in own or not self._owns(session_id):
            return tuple(gr.skip() for _ in range(9))
        if todo == "delete":
            self._sessions.delete(session_id)
            self._on_end(session_id)
            own = [one for one in own if one != session_id]
            told = [own, self.listed(own, language)]
            return (*self._opened(None, language), *told) if session_id == current else (*[gr.skip()] * 7, *told)
        return *self._opened(session_id, language), own, self.listed(own, language)

    def _opened(self, session_id: str | None, language: Language) -> tuple[Any, ...]:
        results, turns = self._results, self._results.turns(session_id)
        last = turns[-1] if turns else None
        shown = results.map(language, session_id, last, None, turns[:-1])
        left = results.unanswered(session_id, language)
        told = [*turns, left] if left else turns
        messages = [message for turn in told for message in turn.messages(language)]
        again = button_shown(bool(told))
        return messages, session_id, session_id, left or last, results.panel(last, language), shown, again
