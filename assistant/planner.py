"""The offline mind: rules dressed as a chat model, so the loop is the same with and without a provider."""

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from assistant import abilities, answers, comparison, computes, conversation, lexicon, tasks
from assistant.conversation import ConversationState
from assistant.follow_ups import refers_back
from assistant.layers import LayerRequest, status_subject, subject, without_regions
from assistant.pending import is_reply
from assistant.slots import ONE_END, Slots
from assistant.spans import find_places, is_known_place
from tools.advice import UNIT_M
from tools.reach import BETWEEN
from tools.schema import ToolResult

CHECKER = "checker"
"""Name of the messages by which code, not the user, asks for a better text."""

Call = tuple[str, dict[str, Any]]


class OfflinePlanner(BaseChatModel):
    """A deterministic chat model: tool calls from rules, then a text from the tool results."""

    menu: tuple[str, ...] = ()
    """Names of the tools it may call; empty when none are bound."""
    state: ConversationState | None = None
    """What the conversation has settled; None: what its messages settle."""
    fixed: tuple[Call, ...] | None = None
    """Calls to make instead of those that the question needs: a plan that the user has approved; () when cancelled."""

    @property
    def _llm_type(self) -> str:
        return "offline-planner"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Keep the menu; other options do not change what rules do."""
        names = tuple(
            tool.name if isinstance(tool, BaseTool) else convert_to_openai_tool(tool)["function"]["name"]
            for tool in tools
        )
        return self.model_copy(update={"menu": names})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(
            generations=[ChatGeneration(message=next_message(messages, self.menu, self.fixed, self.state))]
        )

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        message = next_message(messages, self.menu, self.fixed, self.state)
        if message.tool_calls:
            calls = [
                tool_call_chunk(name=call["name"], args=_json(call["args"]), id=call["id"], index=index)
                for index, call in enumerate(message.tool_calls)
            ]
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=calls))
            return
        metadata = message.response_metadata
        for line in str(message.content).splitlines(keepends=True):
            # Chunks are added up, and so are their metadata: only the first carries them.
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=line, response_metadata=metadata))
            metadata = {}
            if run_manager:
                run_manager.on_llm_new_token(line, chunk=chunk)
            yield chunk


def next_message(
    messages: Sequence[BaseMessage],
    menu: Sequence[str],
    fixed: Sequence[Call] | None = None,
    state: ConversationState | None = None,
) -> AIMessage:
    """Decide the next step: further tool calls, or the answer."""
    asked = [index for index, message in enumerate(messages) if _is_question(message)]
    if not asked:
        return AIMessage(content=answers.help_text())
    question = _text(messages[asked[-1]])
    if state is None:
        before = messages[: asked[-1]]
        told = [("user" if _is_question(one) else "assistant", _text(one)) for one in before if _text(one)]
        state = conversation.replayed(told)
    read = conversation.read(question, state)
    made, results = _done(messages[asked[-1] + 1 :])
    if fixed == () or (fixed is None and is_reply(question)):
        reply = answers.NOTHING_WAITS if fixed is None else answers.CANCELLED
        return AIMessage(content=reply, response_metadata={answers.OUTCOME: "not_run"})
    wanted = fixed or planned_calls(read, state.products)
    calls = [call for call in wanted if call[0] in menu and call not in made]
    if calls:
        return AIMessage(
            content="",
            tool_calls=[{"name": name, "args": args, "id": f"call_{uuid.uuid4().hex[:12]}"} for name, args in calls],
        )
    return AIMessage(
        content=answers.compose(read, results),
        response_metadata={answers.OUTCOME: answers.planned_outcome(read, results)},
    )


def calls_for(question: str, state: ConversationState) -> list[Call]:
    """Give the calls that a question needs in its conversation."""
    if is_reply(question):
        return []
    return planned_calls(conversation.read(question, state), state.products)


def planned_calls(read: Slots, told: Sequence[str] = ()) -> list[Call]:
    """List the calls a question needs; a part that another service answers is looked up on its own."""
    others = (part for part in read.outside if abilities.names_elsewhere(part))
    return [*_own_calls(read, told), *(("search_products", {"question": part}) for part in others)]


def _own_calls(read: Slots, told: Sequence[str]) -> list[Call]:
    question = read.text
    if ONE_END in read.missing:  # a period taken at random would not be the one that is meant
        return [_search_call(read, without_regions(question))]
    if read.tool:
        return [tasks.call(read, answers.DEFAULT_PERIOD)]
    if read.intent in ("recommend", "explain"):
        return _about_products(read, question, told)
    if read.intent == "scenes":
        period = read.periods[0] if read.periods else answers.DEFAULT_PERIOD
        return [("search_scenes", {"place": read.place, "period": period})]
    computes = [_compute_call(read, wanted) for wanted in read.computes]
    return [_search_call(read, without_regions(question)), *computes] if read.intent == "compute" else computes


def _about_products(read: Slots, question: str, told: Sequence[str]) -> list[Call]:
    """List the calls of a question about products: set side by side, more of a kind, one explained, or one to take."""
    if pair := comparison.compared_products(question):
        return [("compare_products", {"first": pair[0], "second": pair[1]})]
    if lexicon.has(question, "alike") and not (read.place or read.periods):
        model = abilities.named_product(question) or (told[0] if told and refers_back(question, ()) else "")
        if model:
            return [("compare_products", {"first": model})]
    if read.intent == "explain" and abilities.is_product(read.product):
        return [("explain_product", {"product_id": read.product})]
    if not read.layer:
        # What is no product's name is a subject: search tells whether any product is about it, or who has it.
        return [_search_call(read, question)]
    words = subject(read.layer.words or question)
    name, args = _search_call(read, words)
    units = read.layer.units if read.layer.units in UNIT_M else "any"
    return [(name, {**args, "units": units}), _layer_call(read.layer, words)]


def _search_call(read: Slots, question: str) -> Call:
    """Ask for a product that has data in all the periods."""
    units = computes.find_units(question)
    named = [one for one in find_places(question, any_name=False) if is_known_place(one)]
    return (
        "search_products",
        {
            "question": abilities.with_long_names(read.subject or question),
            "place": BETWEEN.join(named) if read.place in named else read.place,
            "period": _whole_period(read.periods),
            "units": units if units in UNIT_M else "any",
        },
    )


def _layer_call(wanted: LayerRequest, question: str) -> Call:
    """Ask for statistics of the layer that the question is about."""
    layer = status_subject(question, wanted) if wanted.against else question
    args = {"layer": layer, "place": wanted.place, "period": wanted.period, "units": wanted.units}
    return "layer_statistics", {**args, **_picks(wanted), **({"ground": wanted.ground} if wanted.ground else {})}


def _whole_period(periods: tuple[str, ...]) -> str:
    """Give words for a period that holds all of several: their years, or the first one where years are not named."""
    years = sorted(int(year) for words in periods for year in re.findall(r"(?:19|20)\d\d", words))
    if len(periods) < 2 or not years:
        return periods[0] if periods else ""
    return str(years[0]) if years[0] == years[-1] else f"{years[0]} to {years[-1]}"


def _compute_call(read: Slots, wanted: computes.ComputeRequest) -> Call:
    return (
        "compute",
        {
            "index": wanted.index,
            "place": wanted.place or read.place,
            "period": wanted.period or answers.DEFAULT_PERIOD,
            "output": wanted.output,
            "units": wanted.units,
            **_picks(wanted),
        },
    )


def _picks(wanted: computes.ComputeRequest | LayerRequest) -> dict[str, Any]:
    """Give the arguments for a difference, a threshold and a ranking, where they are asked for."""
    pick = wanted.pick
    found = {"against": wanted.against or None, "above": pick.above, "below": pick.below, "rank": pick.rank or None}
    if pick.rank:
        found["count"] = pick.count
    return {name: value for name, value in found.items() if value is not None}


def _done(messages: Sequence[BaseMessage]) -> tuple[list[Call], list[ToolResult]]:
    """Give the calls made since the question and their results."""
    made = [
        (call["name"], dict(call["args"]))
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
    ]
    results = [
        message.artifact
        if isinstance(message.artifact, ToolResult)
        else ToolResult(text=_text(message), outcome="failed" if message.status == "error" else "ok")
        for message in messages
        if isinstance(message, ToolMessage)
    ]
    return made, results


def _is_question(message: BaseMessage) -> bool:
    return isinstance(message, HumanMessage) and message.name != CHECKER


def _text(message: BaseMessage) -> str:
    return str(message.text)


def _json(args: dict[str, Any]) -> str:
    import json

    return json.dumps(args, ensure_ascii=False)
