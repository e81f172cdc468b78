"""What stands beside the chat for one turn: the panel of results and the map."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from assistant.jobs import Jobs, Kept
from assistant.sessions import Sessions
from knowledge.catalogue import Catalogue
from knowledge.lexicon import Language
from tools.schema import Polygons
from tools.workspace import Workspace
from ui.map_view import colour_question, map_layers, map_units, map_value
from ui.page_words import say
from ui.panels import empty_html, kept_html, result_html
from ui.product_card import cards_html
from ui.turn import Turn

MOST_TURNS = 200
"""Turns shown of a conversation that is opened again."""


class Results:
    """Draws turns; keeps nothing of them."""

    def __init__(
        self, workspace: Workspace, sessions: Sessions, catalogue: Callable[[], Catalogue], tiles: tuple[str, str]
    ) -> None:
        self._workspace = workspace
        self._sessions, self._jobs = sessions, Jobs(sessions.database)
        self._catalogue = cache(catalogue)
        self._tiles = tiles

    def panel(self, turn: Turn | None, language: Language) -> str:
        """Give the panel of results as HTML."""
        card = cards_html(turn.answer, self._catalogue, language) if turn and turn.answer else ""
        if turn is None or not (turn.artifacts or card or (turn.answer and turn.answer.statistics)):
            return empty_html(language)
        on_map = [one["id"] for one in map_layers(turn.artifacts, self._workspace)]
        return result_html(turn.question, turn.artifacts, turn.answer, language, card=card, on_map=on_map)

    def map(
        self,
        language: Language,
        session_id: str | None,
        turn: Turn | None,
        area: Polygons | None,
        earlier: Sequence[Turn] = (),
    ) -> dict[str, Any]:
        """Give the map's value: the layers of a turn, to stand beside those it has already, and the next area."""
        layers = map_layers(turn.artifacts, self._workspace, language) if turn else []
        units = map_units(turn.answer, layers, language) if turn and turn.answer else None
        question = colour_question(turn.answer.plan, language) if turn and turn.answer else ""
        past = [one for turn_before in earlier for one in turn_before.artifacts]
        before = map_layers(past, self._workspace, language)
        return map_value(
            language,
            session_id or "",
            layers=[*before, *layers],
            units=units,
            area=area,
            tiles=self._tiles,
            colour_question=question,
            turn=f"{turn.question} {turn.answer.seconds if turn.answer else 0}" if turn else "",
            shown=[one["id"] for one in layers],
        )

    def turns(self, session_id: str | None) -> list[Turn]:
        """Give the turns of a kept conversation, oldest first."""
        kept = self._sessions.history(session_id, limit=MOST_TURNS) if session_id else ()
        return [Turn.told(one.question, one.answer) for one in kept]

    def running(self, session_id: str | None) -> Kept | None:
        """Give the question of a conversation that is being answered."""
        left = self._jobs.unanswered(session_id) if session_id else None
        return left if left and left.state == "running" else None

    def unanswered(self, session_id: str | None, language: Language) -> Turn | None:
        """Give the last question of a conversation where that was broken off, with a button that asks it again."""
        left = self._jobs.unanswered(session_id) if session_id else None
        if left is None:
            return None
        told = "still_asked" if left.state == "running" else "not_answered"
        return Turn(left.question, text=say(language, told), options=(left.question,))

    def kept(self, own: Sequence[str], language: Language) -> str:
        """List conversations by their first question."""
        firsts = self._sessions.first_questions(own)
        for one in own:
            if one not in firsts and (left := self._jobs.unanswered(one)):
                firsts[one] = left.question
        return kept_html([(one, firsts[one]) for one in own if one in firsts], language)
