"""The toolbox as LangChain tools, and the one net that every tool call and every model call passes through."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain.tools.tool_node import ToolCallRequest
from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.tools.base import create_schema_from_function
from langgraph.types import Command

from assistant import window
from assistant.schema import ArtifactEvent, Event, QuestionEvent, ToolCall, ToolFinished, ToolProgress, ToolStarted
from assistant.telemetry import log_failure
from knowledge.errors import ClmsError
from tools.errors import JobWaiting, LoginNeeded, NoScenes, NotApproved, NotCovered, TooLarge, ToolInputError
from tools.schema import Outcome, Question, ToolResult
from tools.toolbox import Toolbox

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

logger = logging.getLogger(__name__)

OUTCOMES: tuple[tuple[type[ClmsError], Outcome], ...] = (
    (NotCovered, "not_covered"),
    (NoScenes, "no_data"),
    (TooLarge, "not_run"),
    (NotApproved, "not_run"),
    (LoginNeeded, "not_run"),
    (JobWaiting, "not_run"),
    (ToolInputError, "not_run"),
)
"""How a failed call is told; what is not listed failed."""
MAX_INVALID_CALLS = 2
"""A model that gets the arguments wrong this often is not asked again."""

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)\s*", re.S)
"""What some local servers leave in the text of models that reason: no part of the answer."""

_call_id: ContextVar[str] = ContextVar("call_id", default="")


class ModelUnusable(Exception):
    """The model died, looped or cannot call tools; another mind has to answer."""


@dataclass
class Run:
    """What one pass of the loop did: the events go out as they come, the rest makes the answer."""

    emit: Callable[[Event], None]
    max_tool_calls: int
    max_tokens: int
    max_pixels: int
    toolbox: Toolbox
    model: "BaseChatModel"
    prompt: str
    wanted: Sequence[tuple[str, dict[str, Any]]] = ()
    """Calls that the question needs, as rules read it."""
    searches: int = 0
    """How often products were searched for."""
    context_tokens: int = 0
    """What fits into the model's context; 0 for no limit."""
    steps: list[tuple[ToolCall, ToolResult] | None] = field(default_factory=list)
    """In the order in which the calls were made; None while one is under way."""
    invalid: int = 0
    unmended: set[str] = field(default_factory=set)
    """Tools whose latest call had wrong arguments."""
    usage: dict[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> list[ToolCall]:
        """The calls that are done, in the order in which they were made, whichever ended first."""
        return [step[0] for step in self.steps if step]

    @property
    def results(self) -> list[ToolResult]:
        """Their results, in the same order."""
        return [step[1] for step in self.steps if step]

    @property
    def pixels(self) -> int:
        """Pixels that the tool calls so far were estimated at."""
        return sum(result.estimate.pixels for result in self.results if result.estimate)

    def add_usage(self, message: AIMessage) -> None:
        """Count the tokens of one reply."""
        if (used := message.usage_metadata) is None:
            return
        for key, tokens in (
            ("prompt_tokens", used["input_tokens"]),
            ("completion_tokens", used["output_tokens"]),
            ("total_tokens", used["total_tokens"]),
        ):
            self.usage[key] = self.usage.get(key, 0) + tokens


current_run: ContextVar[Run] = ContextVar("current_run")
"""One agent serves all questions: making one takes longer than most of them."""


def make_tools(kind: type[Toolbox]) -> list[BaseTool]:
    """Make one LangChain tool of each method on a toolbox's menu; it serves whichever run calls it."""
    return [_make_tool(name, getattr(kind, name)) for name in kind.TOOLS]


def _make_tool(name: str, method: Callable[..., Any]) -> BaseTool:
    async def call(**kwargs: Any) -> tuple[str, ToolResult]:
        call_id, run = _call_id.get(), current_run.get()
        toolbox = run.toolbox

        def progress(message: str) -> None:
            run.emit(ToolProgress(call_id=call_id, message=message))

        # A toolbox for this call alone: its progress is told under its own id.
        own = type(toolbox)(toolbox.services, replace(toolbox.context, on_progress=progress))
        result: ToolResult = await asyncio.to_thread(getattr(own, name), **kwargs)
        return result.text, result

    return StructuredTool(
        name=name,
        description=(method.__doc__ or name).strip(),
        args_schema=create_schema_from_function(name, method, include_injected=False),
        coroutine=call,
        response_format="content_and_artifact",
    )


class Net(AgentMiddleware):
    """Watches the loop: emits tool events, turns failures into results, and gives up on unusable models."""

    @property
    def run(self) -> Run:
        """The pass of the loop that is under way here."""
        return current_run.get()

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Call the model; whatever it dies of means that another mind has to answer."""
        if self.run.invalid >= MAX_INVALID_CALLS:
            raise ModelUnusable("its tool calls had wrong arguments")
        try:
            response = await handler(self._fitted(request))
        except Exception as error:  # providers raise their own trees of errors
            log_failure(logger, "The language model")
            raise ModelUnusable("it did not answer") from error
        for message in response.result:
            if isinstance(message, AIMessage):
                self.run.add_usage(message)
                if message.response_metadata.get("finish_reason") == "length":
                    raise ModelUnusable("its answer was cut short")
                if isinstance(message.content, str):
                    message.content = _THOUGHTS.sub("", message.content)
                self.run.invalid += len(message.invalid_tool_calls)
                if message.invalid_tool_calls and not message.tool_calls:
                    raise ModelUnusable("its tool calls cannot be read")
        if self.run.usage.get("total_tokens", 0) > self.run.max_tokens:
            raise ModelUnusable(f"it used more than {self.run.max_tokens} tokens")
        return response

    def _fitted(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        """Give the request with the run's model and prompt, cut to what fits into the model's context."""
        run, prompt = self.run, SystemMessage(self.run.prompt)
        request = request.override(model=run.model, system_message=prompt)
        if not run.context_tokens:
            return request
        needed = {name for name, _ in run.wanted}
        tools = window.fitted_menu(request.tools, needed, run.context_tokens)
        room = run.context_tokens - window.REPLY_TOKENS - window.count([prompt], tools)
        messages: list[Any] = list(window.fitted(request.messages, room))
        return request.override(tools=tools, messages=messages)

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Run one tool and tell how it went; no exception of a tool goes further than here."""
        call = request.tool_call
        call_id, name, args = str(call["id"]), str(call["name"]), self._filled(request)
        if len(self.run.calls) >= self.run.max_tool_calls:
            raise ModelUnusable(f"it made more than {self.run.max_tool_calls} tool calls")
        place = len(self.run.steps)
        self.run.steps.append(None)
        self.run.emit(ToolStarted(call_id=call_id, name=name, args=args))
        token, started = _call_id.set(call_id), perf_counter()
        try:
            if self.run.pixels > self.run.max_pixels:
                raise TooLarge(
                    f"This question has computed more than {self.run.max_pixels} pixels.",
                    "Ask for the rest in a question of its own.",
                )
            message = await handler(request.override(tool_call={**call, "args": args}))
            result = self._result(name, message)
        except ClmsError as error:
            result = failure(error)
        except Exception:  # noqa: BLE001  # the net: nothing unexpected reaches a door
            result = _accident(name)
        finally:
            _call_id.reset(token)
        self._record(
            ToolCall(
                name=name, args=args, result=result.text, outcome=result.outcome, seconds=perf_counter() - started
            ),
            call_id,
            result,
            place,
        )
        status = "success" if result.outcome == "ok" else "error"
        return ToolMessage(content=result.text, artifact=result, tool_call_id=call_id, name=name, status=status)

    def _filled(self, request: ToolCallRequest) -> dict[str, Any]:
        """Give the arguments of a call, with what the model left out and the question says as rules read it.

        A search gets the whole question: a few words of it may find another product.
        """
        name, args, run = request.tool_call["name"], dict(request.tool_call["args"]), self.run
        fields = getattr(request.tool and request.tool.args_schema, "model_fields", {})
        wanted = [own for tool, own in run.wanted if tool == name]
        if name == "search_products":
            wanted, run.searches = wanted[run.searches :], run.searches + 1
            return {key: value for key, value in wanted[0].items() if key in fields} if wanted else args
        if not wanted or not args.keys() <= fields.keys():  # with names of its own it is no call to complete
            return args
        lacking = [key for key, one in fields.items() if one.is_required() and key not in args]
        return args | {key: wanted[0][key] for key in lacking if key in wanted[0]}

    def _result(self, name: str, message: ToolMessage | Command[Any]) -> ToolResult:
        artifact = getattr(message, "artifact", None)
        if isinstance(artifact, ToolResult):
            self.run.unmended.discard(name)
            return artifact
        # The tool node itself refused: an unknown tool, or arguments that do not fit.
        self.run.invalid += 1
        self.run.unmended.add(name)
        text = str(message.text) if isinstance(message, ToolMessage) else "The call could not be made."
        return ToolResult(text=text, outcome="not_run")

    def _record(self, call: ToolCall, call_id: str, result: ToolResult, place: int) -> None:
        self.run.steps[place] = call, result
        self.run.emit(
            ToolFinished(call_id=call_id, name=call.name, text=call.result, outcome=call.outcome, seconds=call.seconds)
        )
        for artifact in result.artifacts:
            self.run.emit(ArtifactEvent(artifact=artifact))
        if result.question:
            self.run.emit(QuestionEvent(question=result.question))


def failure(error: ClmsError) -> ToolResult:
    """Tell an expected failure as a tool result: the sentence, the hint, and no number."""
    outcome: Outcome = next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), "failed")
    options = tuple(getattr(error, "options", ()))
    question = Question(text=error.message, options=options) if options else None
    if isinstance(error, NotApproved | LoginNeeded):
        question = error.question
    return ToolResult(text=str(error), outcome=outcome, question=question)


def _accident(name: str) -> ToolResult:
    reference = log_failure(logger, f"Tool {name}")
    return ToolResult(text=f"Something unexpected stopped this step (reference {reference}).", outcome="failed")
