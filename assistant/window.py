"""Fit what a language model is sent into its context: earlier turns, tool results, and the menu of tools."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage, trim_messages
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.tools import BaseTool

if TYPE_CHECKING:
    from collections.abc import Collection

CHARS_PER_TOKEN = 3.0
"""Cautious: names, numbers and five languages take three to four characters a token."""
REPLY_TOKENS = 700
"""Kept free for what the model writes."""
LARGEST_MENU = 0.4
"""Share of the context that the whole menu may take; above it only the tools that the question needs are shown."""
SHORTEST_RESULT = 300
"""Characters of a tool result that are kept in any case."""
USUAL = ("search_products", "explain_product")
"""Shown beside the tools that a question needs."""
CUT = "\n(cut short)"


def count(messages: Sequence[BaseMessage], tools: Sequence[Any] = ()) -> int:
    """Estimate the tokens of messages, and of the tools shown with them."""
    return count_tokens_approximately(messages, chars_per_token=CHARS_PER_TOKEN, tools=list(tools) or None)


def fitted_menu(tools: Sequence[Any], needed: "Collection[str]", tokens: int) -> list[Any]:
    """Give the whole menu where the context has room for it, else the tools that the question needs."""
    if not tools or count((), tools) <= LARGEST_MENU * tokens:
        return list(tools)
    return [one for one in tools if isinstance(one, BaseTool) and one.name in {*needed, *USUAL}]


def fitted(messages: Sequence[BaseMessage], tokens: int) -> list[BaseMessage]:
    """Give messages that take no more than some tokens: the latest turns before, and tool results cut short.

    The question and what followed it stay, with the results of its tools at the length that there is room for.
    """
    questions = [place for place, one in enumerate(messages) if isinstance(one, HumanMessage) and not one.name]
    start = questions[-1] if questions else 0
    turn = _shortened(messages[start:], tokens)
    room = max(tokens - count(turn), 0)
    earlier = trim_messages(
        list(messages[:start]), max_tokens=room, token_counter=count, strategy="last", start_on="human"
    )
    return [*earlier, *turn]


def _shortened(turn: Sequence[BaseMessage], tokens: int) -> list[BaseMessage]:
    """Cut the results of tools where the turn takes more than some tokens, the longest ones most."""
    results = [one for one in turn if isinstance(one, ToolMessage)]
    over = count(turn) - tokens
    if over <= 0 or not results:
        return list(turn)
    room = sum(len(one.text) for one in results) - int(over * CHARS_PER_TOKEN)
    longest = max(room // len(results) - len(CUT), SHORTEST_RESULT)
    return [
        one.model_copy(update={"content": f"{one.text[:longest]}{CUT}"})
        if isinstance(one, ToolMessage) and len(one.text) > longest
        else one
        for one in turn
    ]
