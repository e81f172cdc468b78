"""A computation as a plan: checked and estimated first, kept, and run when its user says so."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, Literal

from pydantic import ValidationError

from assistant.agent import Assistant
from assistant.menu import failure
from assistant.schema import Pending
from knowledge.errors import ClmsError
from tools.approval import RUN_IT
from tools.areas import parse_geojson
from tools.errors import ArtifactNotFound, NotApproved, ToolInputError
from tools.schema import Artifact, Estimate, Frozen, Outcome, Plan, Polygons, Statistics, ToolResult
from tools.toolbox import Context

Computing = Literal["compute", "layer_statistics", "classify", "feature_stack"]
WORDS = RUN_IT
"""What a user says to let a plan run."""


class Planned(Frozen):
    """What a plan would take."""

    plan_id: str
    """Names it, and the conversation that it runs in; empty where there is nothing to run."""
    tool: Computing
    args: dict[str, Any]
    plan: Plan | None
    estimate: Estimate | None
    text: str
    """In a sentence: what it would take, or why there is nothing to run."""
    smaller: dict[str, dict[str, str]]
    """Smaller alternatives: words, and the arguments that they replace."""
    outcome: Outcome = "not_run"
    """`not_run` while it waits; another where nothing need run: computed before, or nothing to compute."""
    statistics: Statistics | None = None
    artifacts: tuple[Artifact, ...] = ()


def make_plan(
    assistant: Assistant, tool: Computing, args: dict[str, Any], *, today: date, area: dict[str, Any] | None = None
) -> Planned:
    """Check and estimate a computation, and keep it until it is run, cancelled or a day old.

    What cannot be computed is told in the plan's words, and there is no plan id.
    """
    plan_id = assistant.sessions.open(None)
    # Nothing fits under a limit of nothing, so all stops where it would ask.
    services = replace(assistant.services(), ask_above_s=0.0, ask_above_mb=0.0)
    try:
        polygons = parse_geojson(area, name="area") if area else None
        context = Context(today=today, session_id=plan_id, area=polygons)
        args = checked(getattr(assistant.toolbox, tool), tool, args)
        done: ToolResult = getattr(assistant.toolbox(services, context), tool)(**args)
    except NotApproved as asked:
        return _kept(assistant, asked, Planned(plan_id=plan_id, tool=tool, args=args, plan=asked.plan,
            estimate=asked.estimate, text=asked.message, smaller=asked.question.changes), today, polygons)  # fmt: skip
    except ClmsError as error:
        done = failure(error)
    for artifact in done.artifacts:
        assistant.access.claim("artifact", artifact.id)
    return Planned(
        plan_id="", tool=tool, args=args, plan=done.plan, estimate=done.estimate, text=done.text, smaller={},
        outcome=done.outcome, statistics=done.statistics, artifacts=done.artifacts,
    )  # fmt: skip


def checked(method: Callable[..., ToolResult], tool: str, args: dict[str, Any]) -> dict[str, Any]:
    """Check arguments by the signature of a tool's method.

    Raises:
        ToolInputError: One is missing, unknown or not of its kind.
    """
    from langchain_core.tools.base import create_schema_from_function

    schema: Any = create_schema_from_function(tool, method, include_injected=False)
    known = list(schema.model_fields)
    if unknown := sorted(set(args) - set(known)):
        raise ToolInputError(f"{tool} has no argument {unknown[0][:60]!r}.", f"It takes {', '.join(known)}.")
    try:
        schema.model_validate(args)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ToolInputError(f"{where}: {first['msg']}.", f"{tool} takes {', '.join(known)}.") from error
    return args


def find_plan(assistant: Assistant, plan_id: str) -> Pending:
    """Give a plan that waits.

    Raises:
        ArtifactNotFound: There is none, or it has run, or it is another user's.
    """
    assistant.access.need("session", plan_id)
    found = assistant.sessions.pending(plan_id, ())
    if not found:
        raise ArtifactNotFound("No plan with this id waits.", "It has run, was cancelled or is a day old.")
    return found[0]


def _kept(assistant: Assistant, asked: NotApproved, made: Planned, today: date, area: Polygons | None) -> Planned:
    (fingerprint,) = asked.question.approves
    words = ", ".join(f"{name} {value}" for name, value in made.args.items())
    run = Pending(
        fingerprint=fingerprint, tool=made.tool, args=made.args, changes=made.smaller, question=f"{made.tool}: {words}",
        today=today, area=area,
    )  # fmt: skip
    assistant.access.open_session(made.plan_id)
    assistant.sessions.wait(made.plan_id, run)
    return made
