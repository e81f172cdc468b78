"""Let minds work on a question, one after the other: the model of the settings, a second one, then the planner."""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from assistant import abilities, answers, pending, window
from assistant.agreement import is_of_same
from assistant.asked import Asked
from assistant.menu import ModelUnusable, Net, Run, current_run, make_tools
from assistant.models import get_chat_models, model_name
from assistant.planner import Call, OfflinePlanner, calls_for, planned_calls
from assistant.prompts import system_prompt
from assistant.schema import Event
from assistant.settings import Settings
from tools.schema import Outcome
from tools.toolbox import Toolbox

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

LOOKS_UP = frozenset({"search_products", "explain_product", "compare_products", "find_place", "search_scenes"})
"""Tools that compute nothing."""


@dataclass
class Draft:
    """A text and the loop's run it came from."""

    text: str
    run: Run
    messages: "list[BaseMessage]"
    model: "BaseChatModel"
    prompt: str = ""
    """Instructions that the model had."""
    warnings: list[str] = field(default_factory=list)

    @property
    def planned(self) -> bool:
        """True where the offline planner wrote it."""
        return isinstance(self.model, OfflinePlanner)

    @property
    def outcome(self) -> Outcome:
        """Tell how the question ended; the planner also knows what no tool was called for."""
        told = self.messages[-1].response_metadata.get(answers.OUTCOME) if self.planned else None
        return told or answers.worst_outcome(self.run.results)


async def work(
    asked: Asked, toolbox: Toolbox, settings: Settings, emit: Callable[[Event], None], *, refused: str = ""
) -> Draft:
    """Let the first mind answer that can, and say openly which ones could not; the planner alone after a refusal."""
    if asked.resumed:  # what the user has chosen is run by code, with no model in between
        return await _run(OfflinePlanner(fixed=asked.resumed.calls), asked, toolbox, settings, emit)
    failed = [refused] if refused else []
    for model in () if refused else get_chat_models(settings):
        try:
            draft = await _run(model, asked, toolbox, settings, emit)
        except ModelUnusable as error:
            failed.append(not_usable(model, error))
            continue
        draft.warnings += [f"{one} The language model {model_name(model)} answered." for one in failed]
        return draft
    draft = await _run(OfflinePlanner(state=asked.state), asked, toolbox, settings, emit)
    draft.warnings += [f"{one} The offline planner answered." for one in failed]
    return draft


def not_usable(model: "BaseChatModel", error: ModelUnusable) -> str:
    """Tell why another mind answers."""
    return f"The language model {model_name(model)} was not usable: {error}."


async def _run(
    model: "BaseChatModel", asked: Asked, toolbox: Toolbox, settings: Settings, emit: Callable[[Event], None]
) -> Draft:
    """Run the loop once with one model.

    Raises:
        ModelUnusable: Another mind has to answer.
    """
    from langchain_core.messages import AIMessage, HumanMessage
    from langgraph.errors import GraphRecursionError

    prompt = system_prompt(
        today=asked.today, area=asked.area, collection_id=asked.collection_id, language=asked.fixed_language
    )
    most = settings.max_tool_calls, settings.max_turn_tokens, settings.max_turn_pixels
    run = Run(emit, *most, toolbox, model, prompt)
    if not isinstance(model, OfflinePlanner):
        run.wanted = calls_for(asked.question, asked.state)
        run.context_tokens = settings.llm_context_tokens
    turns = [turn for turn in asked.history if turn[0] != "user" or not pending.is_reply(turn[1])]
    told = [HumanMessage(text) if role == "user" else AIMessage(text) for role, text in turns]
    state: Any = {"messages": [*told, HumanMessage(asked.question)]}
    kind: Any = type(toolbox)
    token = current_run.set(run)
    try:
        limit = {"recursion_limit": 4 * settings.max_tool_calls + 8}
        final: dict[str, Any] = await _agent(kind).ainvoke(state, limit)
    except GraphRecursionError as error:
        raise ModelUnusable("it did not come to an end") from error
    finally:
        current_run.reset(token)
    messages = list(final["messages"])
    if run.context_tokens:
        messages = window.fitted(messages, run.context_tokens - window.REPLY_TOKENS)
    draft = Draft(str(messages[-1].text).strip(), run, messages, model, prompt)
    _refuse_unusable(draft, asked, toolbox)
    return draft


@lru_cache(maxsize=8)
def _agent(kind: type[Toolbox]) -> Any:
    """Make the loop for a menu, once; each run brings its own model and prompt."""
    import langsmith
    from langchain.agents import create_agent

    langsmith.set_runtime_overrides(aio_to_thread=_at_once)
    return create_agent(OfflinePlanner(), make_tools(kind), middleware=[Net()])


async def _at_once(
    in_thread: Callable[..., Awaitable[Any]], context: Context, call: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Note that nothing is traced without going to another thread and back, thirteen times a question."""
    from langsmith.utils import tracing_is_enabled

    if tracing_is_enabled():
        return await in_thread(context, call, *args, **kwargs)
    return context.run(call, *args, **kwargs)


def _refuse_unusable(draft: Draft, asked: Asked, toolbox: Toolbox) -> None:
    """Refuse a draft that is worse than what the planner would do without any model."""
    if draft.run.unmended:
        raise ModelUnusable("its tool calls had wrong arguments")
    if not draft.text:
        raise ModelUnusable("its answer was empty")
    if draft.planned:
        return
    before = asked.state.latest
    wanted, told = draft.run.wanted, planned_calls(before) if before else []
    made = [(call.name, call.args) for call in draft.run.calls]
    # What a follow-up needs may already be in the conversation: of it only other places and periods are refused.
    if not before and ((wanted and not made) or (_computing(wanted) and not _computing(made))):
        raise ModelUnusable("it did not call the tools that the question needs")
    done = [args for _, args in _computing([*made, *told])]
    for _, args in _computing(wanted):
        if not any(is_of_same(args, one, toolbox.context.today) for one in done):
            raise ModelUnusable("it computed another place or period than the question names")
        named = args.get("index") in abilities.find_indices(asked.question)
        if named and not any(str(one.get("index")).lower() == args["index"].lower() for one in done):
            raise ModelUnusable("it computed another index than the question names")


def _computing(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call[0] not in LOOKS_UP]
