"""One question with everything that belongs to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from assistant import conversation, lexicon, pending, tongue, translation
from assistant.conversation import START, ConversationState
from knowledge.errors import ClmsError
from knowledge.lexicon import Language
from tools.area_text import take_area
from tools.credits import Charge
from tools.schema import Polygons
from tools.toolbox import Context


@dataclass(frozen=True)
class Asked:
    """One question with everything that belongs to it."""

    question: str
    session_id: str
    today: date
    area: Polygons | None
    """Polygons that were attached, written into the question, or into one that it goes on with."""
    collection_id: str | None
    history: tuple[tuple[str, str], ...]
    """Earlier turns as (role, text), oldest first."""
    state: ConversationState = START
    """What the conversation has settled."""
    approves_all: bool | None = False
    """True when the user lets every plan run below the hard limit; None where a model speaks, whose word lets none."""
    resumed: pending.Resumed | None = None
    """Set where the user has answered the question about a large run."""
    has_session: bool = True
    """False where the client named no session to go on with."""

    options: tuple[str, ...] = ()
    """What the answer before asked the user to choose from."""
    written: Polygons | None = None
    """Those that were written into the question."""
    fixed_language: Language | None = None
    """Set where the client says in which language to answer."""

    @property
    def language(self) -> Language:
        """In which to answer."""
        if self.fixed_language:
            return self.fixed_language
        return translation.language_asked(self.question, self.state.language)

    def context(self, cancelled: Callable[[], bool], charge: Charge) -> Context:
        """Give what the tools have to know of the question."""
        return Context(
            today=self.today,
            session_id=self.session_id,
            area=self.area,
            collection_id=self.collection_id,
            cancelled=cancelled,
            approved=self.resumed.approved if self.resumed else frozenset(),
            charge=charge,
            approves_all=self.approves_all is True,
            question=self.question if not self.resumed or self.resumed.approved else "",
        )


class NothingBefore(ClmsError):
    """A conversation has no question to go back to."""


def told_again(asked: Asked) -> Asked:
    """Put the question before in the place of one that only says in which language to tell it, or takes it back.

    Raises:
        NothingBefore: There is no question before.
    """
    latest, before = asked.state.latest, asked.state.before
    if asked.resumed:
        return asked
    if lexicon.has_only(asked.question.strip(" .!?"), "undo"):
        if not (before and before.latest):
            raise NothingBefore("There is nothing to take back.", "Ask about a place, a period or a product.")
        return replace(asked, question=before.latest.text, state=before, fixed_language=asked.state.language)
    if not latest or not tongue.says_only_language(asked.question):
        return asked
    return replace(asked, question=latest.text, fixed_language=tongue.demanded(asked.question))


def with_written_area(asked: Asked) -> Asked:
    """Take a polygon out of the question's words, as if it had been attached."""
    area, words = take_area(asked.question) if asked.area is None else (None, asked.question)
    return replace(asked, area=area, written=area, question=words) if area else asked


def with_settled_area(asked: Asked) -> Asked:
    """Add the polygon that an earlier question wrote, where this one is about a place and names none."""
    if asked.area or not asked.state.area or asked.resumed:
        return asked
    found = conversation.read(asked.question, asked.state)
    about = found.intent in ("compute", "scenes") or found.layer or found.subject
    return replace(asked, area=Polygons.model_validate_json(asked.state.area)) if about and not found.place else asked
