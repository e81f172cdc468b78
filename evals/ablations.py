"""The assistant with one part left out, to show what that part buys."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from assistant.agent import Assistant
from assistant.asked import Asked
from assistant.minds import Draft
from assistant.schema import Answer
from knowledge.matches import Need
from knowledge.ranking import Findings
from knowledge.retrieval import RANKINGS, Ranking, Retriever


@dataclass(frozen=True)
class Variant:
    """What is left of search and checks."""

    rankings: tuple[Ranking, ...] = RANKINGS
    constraints: bool = True
    grounding: bool = True


WHOLE = "nothing left out"
ABLATIONS: dict[str, Variant] = {
    WHOLE: Variant(),
    "semantics": Variant(rankings=("keyword", "names")),
    "encoder": Variant(rankings=("keyword", "names", "phrases")),
    "phrases": Variant(rankings=("keyword", "dense", "names")),
    "keyword-only": Variant(rankings=("keyword",)),
    "dense-only": Variant(rankings=("dense",)),
    "constraints": Variant(constraints=False),
    "grounding": Variant(grounding=False),
}
"""By what is left out, or alone left in. `semantics` is the encoder and the phrases; `constraints` are place, period
and size of units; `grounding` is the check of what a mind wrote, which matters with a language model."""


class Unconstrained(Retriever):
    """Ranks by subject alone: place, period and size of units are not looked at."""

    def find(self, question: str, need: Need | None = None, *, limit: int = 3, spoken: Sequence[str] = ()) -> Findings:
        """Give the products for a question as if it asked for any place and period."""
        return super().find(question, None, limit=limit, spoken=spoken)


class Unchecked(Assistant):
    """Gives the text of a mind as it is."""

    async def _checked(self, asked: Asked, draft: Draft, started: float) -> Answer:
        return self._assemble(asked, draft, draft.text, draft.warnings, started)


def changed(assistant: Assistant, variant: Variant) -> Assistant:
    """Give an assistant over the same services with a part left out; closing the first one closes both."""
    settings = assistant.settings
    kind = Retriever if variant.constraints else Unconstrained
    options: dict[str, Any] = {"embedding_model": settings.embedding_model, "chroma_url": settings.chroma_url}
    retriever = kind(settings.index_dir, use=variant.rankings, **options)
    services = replace(assistant.services(), retriever=retriever)
    return (Assistant if variant.grounding else Unchecked)(settings, services=services)
