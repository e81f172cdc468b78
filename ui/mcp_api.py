"""The MCP door: the toolbox and the whole assistant as tools, products and files as resources."""

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from mcp.server.elicitation import render_elicitation_schema
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolResult,
    ContentBlock,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ResourceLink,
    TextContent,
)
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, ConfigDict, Field, create_model

from assistant import pending
from assistant.agent import Assistant
from assistant.menu import failure
from assistant.schema import Answer, AnswerEvent, ErrorEvent, Today, ToolProgress
from assistant.telemetry import log_failure
from knowledge.errors import ClmsError
from knowledge.schema import Citation
from tools import toolbox
from tools.approval import RUN_IT
from tools.areas import parse_geojson
from tools.errors import TooLarge
from tools.schema import Artifact, Estimate, Outcome, Question, Recommendation, Statistics, ToolResult
from tools.toolbox import Toolbox

logger = logging.getLogger(__name__)

INSTRUCTIONS = (
    "Copernicus land monitoring: find the product for a question and compute indices and statistics for a place and a "
    "period. `ask` answers a whole question with every number checked; the other tools are its single steps. "
    "Take numbers from results only; an outcome other than ok has none."
)
Session = Context[Any, Any]


class FileLink(BaseModel):
    """A file that was made, to be read as a resource."""

    uri: str
    title: str
    media_type: str
    size_bytes: int
    sha256: str


class Told(BaseModel):
    """What a call gives beyond its text."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome
    session_id: str = ""
    """Conversation that the next question can go on with."""
    statistics: tuple[Statistics, ...] = ()
    recommendation: Recommendation | None = None
    question: Question | None = None
    estimate: Estimate | None = None
    citations: tuple[Citation, ...] = ()
    files: tuple[FileLink, ...] = ()
    warnings: tuple[str, ...] = ()
    follow_ups: tuple[str, ...] = ()
    plan_fingerprint: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


Reply = Annotated[CallToolResult, Told] | InputRequiredResult
ASKS_BY_RESULT = "2026-07-28"
"""From this version of the protocol on a question to the user is a result, and its answer comes with a second call."""
WORDS_RUN_NOTHING = ToolResult(
    text=(
        "A large computation waits, but words alone let nothing run here, for they may be those of a model. It runs "
        "when the client asks its user (elicitation); this client cannot, or its user did not choose. Otherwise take a "
        "smaller area or fewer dates, or raise CLMS_ASK_ABOVE_S and CLMS_ASK_ABOVE_MB where the assistant is started."
    ),
    outcome="not_run",
)


def create_mcp_server(assistant: Assistant, menu: type[Toolbox] = Toolbox) -> MCPServer:
    """Build the server: one tool for a whole question, one for each tool of the menu, and the resources."""
    server = MCPServer("clms-assistant", title="CLMS Assistant", instructions=INSTRUCTIONS, log_level="WARNING")
    server.add_tool(_ask(assistant), name="ask")
    for name in menu.TOOLS:
        server.add_tool(_tool(assistant, menu, name), name=name)
    _add_resources(server, assistant)
    return server


def _ask(assistant: Assistant) -> Callable[..., Awaitable[CallToolResult | InputRequiredResult]]:
    async def ask(
        ctx: Session,
        question: Annotated[str, Field(description="The question, in plain words.")],
        session_id: Annotated[str, Field(description="Conversation to go on with; empty for a new one.")] = "",
        area: Annotated[dict[str, Any] | None, Field(description="GeoJSON polygons the question is about.")] = None,
        collection_id: Annotated[str, Field(description="Collection to compute on; empty for the best one.")] = "",
        today: Annotated[Today | None, Field(description="Day that 'this summer' is relative to.")] = None,
    ) -> Reply:
        """Answer a question about land: product recommendation with sources, computed numbers, maps and files."""
        try:
            limit = assistant.settings.max_area_bytes
            if area and len(json.dumps(area)) > limit:
                raise TooLarge(f"The area is larger than {limit} bytes.", "Simplify it, or send fewer polygons.")
            polygons = await asyncio.to_thread(parse_geojson, area, name="area") if area else None
            options: dict[str, Any] = {
                "session_id": session_id or None,
                "today": today,
                "collection_id": collection_id or None,
            }
            # The words may be those of the client's model: alone, they approve nothing.
            options.update(area=polygons, approve=None)
            await asyncio.to_thread(assistant.access.may_ask, ctx.request_state or session_id or None)
            if (asked := await asyncio.to_thread(_asked_about, assistant, ctx, question, session_id)) is None:
                return await _answered(assistant, ctx, question, options)
            refusal = _reply(WORDS_RUN_NOTHING) if pending.is_reply(question) else None
            return await _told(assistant, ctx, asked, options, unanswered=refusal)
        except ClmsError as error:
            return _reply(failure(error))

    return ask


def _asked_about(assistant: Assistant, ctx: Session, words: str, session_id: str) -> Answer | None:
    """Give the answer whose question the user answers now: by a second call, or by words that say yes to it."""
    state = ctx.request_state if ctx.input_responses else None
    if not state and not (session_id and pending.is_reply(words, "approve")):
        return None
    waiting = {one.fingerprint for one in assistant.sessions.pending(state or session_id, ())}
    turns = reversed(assistant.sessions.history(state or session_id))
    asked = (one.answer for one in turns if one.answer.question and one.answer.question.approves)
    return next((one for one in asked if one.question and waiting >= set(one.question.approves)), None)


async def _answered(
    assistant: Assistant, ctx: Session, question: str, options: dict[str, Any]
) -> CallToolResult | InputRequiredResult:
    """Hand on progress as it happens; the last event is an answer or an error."""
    steps = 0
    async for event in assistant.stream(question, **options):
        if isinstance(event, ToolProgress):
            steps += 1
            await ctx.report_progress(steps, message=event.message)
        elif isinstance(event, AnswerEvent):
            return await _told(assistant, ctx, event.answer, options)
        elif isinstance(event, ErrorEvent):
            reference = f" (reference {event.reference})" if event.reference else ""
            return _reply(failure(ClmsError(f"{event.message}{reference}", event.hint)))
    return _reply(ToolResult(text="The question was not answered.", outcome="failed"))


async def _told(
    assistant: Assistant,
    ctx: Session,
    answer: Answer,
    options: dict[str, Any],
    *,
    unanswered: CallToolResult | None = None,
) -> CallToolResult | InputRequiredResult:
    """Give an answer; where it asks about a large run, go on with what the user chooses.

    `unanswered` stands for the answer where the user chooses nothing.
    """
    chosen = await _ask_user(ctx, answer.question, state=answer.session_id)
    if not chosen or isinstance(chosen, InputRequiredResult):
        return chosen or unanswered or _answer(answer)
    return await _answered(assistant, ctx, chosen, {**options, "session_id": answer.session_id, "approve": False})


async def _ask_user(ctx: Session, question: Question | None, *, state: str | None = None) -> str | InputRequiredResult:
    """Put the question about a large run to the user.

    Args:
        ctx: The call.
        question: What the tool asks back.
        state: Comes back with the second call.

    Returns:
        The option chosen; empty where the client cannot ask, or the user does not choose. A result that asks, where
        the protocol wants one: the answer is then read from the second call.
    """
    elicitation = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    if question is None or not question.approves or elicitation is None or (elicitation.url and not elicitation.form):
        return ""
    field = Field(description="One of the options.", json_schema_extra={"enum": list(question.options)})
    choice = create_model("Choice", choice=(str, field))
    if ctx.protocol_version and is_version_at_least(ctx.protocol_version, ASKS_BY_RESULT):
        key = " ".join(question.approves)  # an answer holds for just these plans
        if (given := (ctx.input_responses or {}).get(key)) is None:
            params = ElicitRequestFormParams(message=question.text, requested_schema=render_elicitation_schema(choice))
            return InputRequiredResult(input_requests={key: ElicitRequest(params=params)}, request_state=state)
        accepted = isinstance(given, ElicitResult) and given.action == "accept"
        chosen = str((given.content or {}).get("choice", "")) if isinstance(given, ElicitResult) and accepted else ""
    else:
        try:
            found = await ctx.elicit(question.text, choice)
        except (MCPError, ValueError) as error:
            logger.info("The user could not be asked: %s", error)
            return ""
        chosen = str(getattr(found.data, "choice", "")) if found.action == "accept" else ""
    return chosen if chosen in question.options else ""


def _tool(
    assistant: Assistant, menu: type[Toolbox], name: str
) -> Callable[..., Awaitable[CallToolResult | InputRequiredResult]]:
    """Make a function with the signature of a toolbox method, so that its schema is the one a model sees elsewhere."""
    method = getattr(menu, name)

    async def call(ctx: Session, **kwargs: Any) -> CallToolResult | InputRequiredResult:
        loop, cancelled, steps = asyncio.get_running_loop(), threading.Event(), 0
        user = assistant.access.user()

        def progress(message: str) -> None:
            nonlocal steps
            steps += 1
            asyncio.run_coroutine_threadsafe(ctx.report_progress(steps, message=message), loop)

        def run(approved: frozenset[str] = frozenset(), **changes: str) -> ToolResult:
            context = toolbox.Context(
                today=datetime.now(UTC).date(),
                session_id=f"mcp {user.name}" if user else "mcp",
                charge=assistant.access.count,
                question=str(kwargs.get("question", "")),
                on_progress=progress,
                cancelled=cancelled.is_set,
                approved=approved,
            )
            made = _safely(lambda: getattr(menu(assistant.services(), context), name)(**(kwargs | changes)), name)
            for artifact in made.artifacts:
                assistant.access.claim("artifact", artifact.id)
            return made

        try:
            return await _run_asked(ctx, run)
        finally:
            cancelled.set()

    own = inspect.signature(method, eval_str=True)
    parameters = [parameter for parameter in own.parameters.values() if parameter.name != "self"]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=Session)
    signature = own.replace(parameters=[*parameters, context], return_annotation=Reply)
    call.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect
    call.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()} | {"return": Reply}
    call.__doc__ = inspect.getdoc(method)
    return call


async def _run_asked(ctx: Session, run: Callable[..., ToolResult]) -> CallToolResult | InputRequiredResult:
    """Run one step; where it is large, as the user chooses."""
    result = await asyncio.to_thread(run)
    while question := result.question:
        chosen = await _ask_user(ctx, question)
        if isinstance(chosen, InputRequiredResult):
            return chosen
        if chosen == RUN_IT:
            return _reply(await asyncio.to_thread(run, frozenset(question.approves)))
        if chosen not in question.changes:
            break
        result = await asyncio.to_thread(run, **question.changes[chosen])
    return _reply(result)


def _safely(call: Callable[[], ToolResult], name: str) -> ToolResult:
    """Run one tool; a failure is a result, and never a traceback."""
    try:
        return call()
    except ClmsError as error:
        return failure(error)
    except Exception:  # noqa: BLE001  # a door shows a reference, never a traceback
        reference = log_failure(logger, f"Tool {name}")
        return ToolResult(text=f"Something unexpected stopped this step (reference {reference}).", outcome="failed")


def _add_resources(server: MCPServer, assistant: Assistant) -> None:
    def catalogue() -> Any:
        return assistant.services().retriever.catalogue

    @server.resource("clms://products", name="products", mime_type="application/json")
    async def products() -> str:
        """List the products of the catalogue: id, title, one sentence."""
        known = await asyncio.to_thread(catalogue)
        return json.dumps([one.model_dump(include={"id", "title", "summary"}) for one in known.products])

    @server.resource("clms://products/{product_id}", name="product", mime_type="application/json")
    async def product(product_id: str) -> str:
        """Give all facts of one product."""
        try:
            return str((await asyncio.to_thread(catalogue)).get(product_id).model_dump_json())
        except ClmsError as error:
            raise ResourceError(str(error)) from error

    @server.resource("clms://files/{file_id}", name="file", mime_type="application/octet-stream")
    async def file(file_id: str) -> bytes:
        """Give one file that a run made."""
        from pathlib import Path

        def read() -> bytes:
            assistant.access.need("artifact", file_id)
            return Path(assistant.settings.workspace.get(file_id).path).read_bytes()

        try:
            return await asyncio.to_thread(read)
        except ClmsError as error:
            raise ResourceError(str(error)) from error


def _answer(answer: Answer) -> CallToolResult:
    told = Told(
        outcome=answer.outcome,
        session_id=answer.session_id,
        statistics=answer.statistics,
        recommendation=answer.recommendation,
        question=answer.question,
        citations=answer.citations,
        files=_links(answer.artifacts),
        warnings=answer.warnings,
        follow_ups=answer.follow_ups,
        plan_fingerprint=answer.plan.fingerprint if answer.plan else "",
    )
    return _result(answer.text + answer.follow_up_text, told)


def _reply(result: ToolResult) -> CallToolResult:
    told = Told(
        outcome=result.outcome,
        statistics=(result.statistics,) if result.statistics else (),
        recommendation=result.recommendation,
        question=result.question,
        estimate=result.estimate,
        citations=result.citations,
        files=_links(result.artifacts),
        warnings=result.warnings,
        plan_fingerprint=result.plan.fingerprint if result.plan else "",
        data=result.data,
    )
    return _result(result.text, told)


def _result(text: str, told: Told) -> CallToolResult:
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    content += [
        ResourceLink(type="resource_link", uri=one.uri, name=one.title, mime_type=one.media_type, size=one.size_bytes)
        for one in told.files
    ]
    return CallToolResult(
        content=content, structured_content=told.model_dump(mode="json"), is_error=told.outcome == "failed"
    )


def _links(artifacts: tuple[Artifact, ...]) -> tuple[FileLink, ...]:
    return tuple(
        FileLink(
            uri=f"clms://files/{one.id}",
            title=one.title,
            media_type=one.media_type,
            size_bytes=one.size_bytes,
            sha256=one.sha256,
        )
        for one in artifacts
    )
