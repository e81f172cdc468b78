"""What a language model is sent fits into its context, and what the user gets is not cut."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from assistant.settings import Settings
from assistant.window import CUT, REPLY_TOKENS, count, fitted
from tests.servers.chat import calls, chat_server, says
from tests.servers.menu import small_assistant

QUESTION = "How green are the parcels around Rennes in summer 2025?"
COMPUTE: dict[str, Any] = {"index": "ndvi", "place": "Rennes", "period": "summer 2025", "output": "per_polygon"}
LONG = [
    (role, f"{role} {turn}: " + "words that were said " * 60) for turn in range(30) for role in ("user", "assistant")
]


def conversation(*, turns: int, result: int) -> list[BaseMessage]:
    """Make turns of some 400 tokens each, and a question whose tool gave so many characters."""
    said = [message for _ in range(turns) for message in (HumanMessage("q " * 300), AIMessage("a " * 300))]
    call = AIMessage("", tool_calls=[{"name": "compute", "args": COMPUTE, "id": "1"}])
    return [*said, HumanMessage(QUESTION), call, ToolMessage("r" * result, tool_call_id="1")]


@pytest.mark.parametrize(("turns", "result"), [(0, 100), (3, 100), (40, 100), (40, 60_000), (1, 9_000)])
@pytest.mark.parametrize("tokens", [700, 2_000, 6_000])
def test_messages_fit_and_the_question_with_its_results_stays(turns: int, result: int, tokens: int) -> None:
    whole = conversation(turns=turns, result=result)
    sent = fitted(whole, tokens)
    assert count(sent) <= tokens
    assert [one.type for one in sent[-3:]] == ["human", "ai", "tool"]
    assert sent[-3].text == QUESTION
    assert sent[0].type == "human"
    assert sent == whole if count(whole) <= tokens else count(sent) > tokens / 3
    assert sent[-1].text.endswith(CUT) == (len(sent[-1].text) < result)


@pytest.mark.parametrize(("tokens", "tools"), [(4096, 3), (16_384, 9)])
async def test_a_model_with_a_small_context_gets_a_turn_in_a_long_conversation(
    settings: Settings, tokens: int, tools: int
) -> None:
    with chat_server(calls(("compute", COMPUTE)), says("The mean NDVI is told in the table.")) as chat:
        told = settings.model_copy(
            update={"llm_base_url": chat.base_url, "llm_model": "small", "llm_context_tokens": tokens}
        )
        answer = await small_assistant(told).ask(QUESTION, history=LONG)
    assert answer.model == "small"
    assert answer.statistics
    for request in chat.requests:
        menu = request["tools"]
        sent = sum(len(str(one)) for one in (*request["messages"], *menu)) / 3.5
        assert sent <= tokens - REPLY_TOKENS
        assert len(menu) == tools
        assert any(one.get("content") == QUESTION for one in request["messages"])
