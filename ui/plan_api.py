"""Plans and jobs: estimate a computation, let it run or cancel it, and follow what runs."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from assistant.agent import Assistant
from assistant.feedback import Feedback, FeedbackStore, Rating, Reason, about
from assistant.jobs import Kept
from assistant.plans import WORDS, Computing, Planned, find_plan, make_plan
from assistant.schema import AnswerEvent, Pending, Today, ToolProgress
from tools.errors import TooLarge
from ui.answer_fields import FileTold, Told, answer_fields, file_fields
from ui.chat_api import GeoJson, listing_user
from ui.turns import ENDED, RunningTurn, Turns

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16,100}$")]


class PlanBody(BaseModel):
    """A computation to estimate."""

    model_config = ConfigDict(extra="forbid")

    tool: Computing
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of that tool."""
    today: Today | None = None
    """Day that "this summer" is relative to; the real day when left out."""
    area: GeoJson | None = None
    """GeoJSON polygons that it is about."""


class WaitingPlan(BaseModel):
    """A plan that waits for a word."""

    plan_id: str
    tool: str
    args: dict[str, Any]
    fingerprint: str
    """Names what would be computed: the same computation has the same."""
    today: Today
    smaller: dict[str, dict[str, str]]


class PlanTold(Planned):
    """What a plan would take, as it is told to clients."""

    artifacts: tuple[FileTold, ...] = ()


class Job(BaseModel):
    """A question or plan on its way, or at its end."""

    job_id: str
    state: Literal["running", "done", "failed"]
    progress: str
    """What was told last."""
    answer: Told | None = None


class FeedbackBody(BaseModel):
    """A user's word on an answer."""

    model_config = ConfigDict(extra="forbid")

    session_id: str = Field(pattern=r"^[A-Za-z0-9_-]{16,100}$")
    turn: int | None = Field(default=None, ge=1, le=1000)
    """Which answer of the conversation, counted from 1; the last one when left out."""
    rating: Rating
    reasons: tuple[Reason, ...] = Field(default=(), max_length=10)
    comment: str = Field(default="", max_length=2000)


def plan_router(assistant: Assistant, turns: Turns) -> APIRouter:
    """Build the routes of plans, jobs and feedback under `/api`."""
    router = APIRouter(prefix="/api")
    _add_plans(router, assistant, turns)
    _add_jobs(router, assistant, turns)

    @router.post("/feedback", status_code=201)
    def feedback(body: FeedbackBody) -> Feedback:
        """Keep what a user says of an answer, with its product and the country of its place."""
        assistant.access.need("session", body.session_id)
        turns_kept = assistant.sessions.history(body.session_id, limit=1000)
        given = about(Feedback.model_validate(body.model_dump()), turns_kept)
        FeedbackStore(assistant.sessions.database).add(given)
        return given

    return router


def _add_plans(router: APIRouter, assistant: Assistant, turns: Turns) -> None:
    @router.post("/plans")
    def estimate(body: PlanBody) -> PlanTold:
        """Check and estimate a computation without running it; the plan waits for a day."""
        limit = assistant.settings.max_area_bytes
        if body.area and len(str(body.area)) > limit:
            raise TooLarge(f"The area is larger than {limit} bytes.", "Simplify it, or send fewer polygons.")
        today = body.today or datetime.now(UTC).date()
        made = make_plan(assistant, body.tool, body.args, today=today, area=body.area)
        files = [file_fields(artifact) for artifact in made.artifacts]
        return PlanTold.model_validate({**made.model_dump(), "artifacts": files})

    @router.get("/plans/{plan_id}")
    def waiting(plan_id: Id) -> WaitingPlan:
        """Give a plan that waits."""
        return _waiting(plan_id, find_plan(assistant, plan_id))

    @router.post("/plans/{plan_id}/run", status_code=202)
    async def run(plan_id: Id, response: Response) -> Job:
        """Approve a plan and start it; the job tells how it goes, `/api/chat/{job_id}` its events."""
        await asyncio.to_thread(find_plan, assistant, plan_id)
        await asyncio.to_thread(assistant.access.may_ask, plan_id)
        job_id, turn = turns.start(WORDS, {"session_id": plan_id})
        response.headers["Location"] = f"/api/jobs/{job_id}"
        return _job(job_id, turn)

    @router.delete("/plans/{plan_id}", status_code=204)
    def cancel(plan_id: Id) -> Response:
        """Cancel a plan that waits."""
        find_plan(assistant, plan_id)
        assistant.forget(plan_id)
        return Response(status_code=204)


def _add_jobs(router: APIRouter, assistant: Assistant, turns: Turns) -> None:
    @router.get("/jobs")
    async def jobs(request: Request) -> list[Job]:
        """List questions and plans on their way and lately ended, the latest first, without their answers."""
        await asyncio.to_thread(listing_user, assistant, request)
        here = [_job(job_id, turn).model_copy(update={"answer": None}) for job_id, turn in turns.mine().items()]
        return [*here, *map(_job_elsewhere, await turns.elsewhere())]

    @router.get("/jobs/{job_id}")
    async def job(job_id: Id) -> Job:
        """Tell how a question or plan goes, and what came of it."""
        turn = await turns.get(job_id)
        if isinstance(turn, RunningTurn):
            return _job(job_id, turn)
        told, last = _job_elsewhere(turn.known), await turn.last()
        return told.model_copy(update={"answer": answer_fields(last.answer)}) if isinstance(last, AnswerEvent) else told

    @router.delete("/jobs/{job_id}", status_code=204)
    async def stop(job_id: Id) -> Response:
        """Stop a question or plan and its computation."""
        await turns.cancel(job_id)
        return Response(status_code=204)


def _waiting(plan_id: str, run: Pending) -> WaitingPlan:
    return WaitingPlan(
        plan_id=plan_id,
        tool=run.tool,
        args=run.args,
        fingerprint=run.fingerprint,
        today=run.today,
        smaller=run.changes,
    )


def _job_elsewhere(kept: Kept) -> Job:
    end = ENDED.get(kept.state)
    state: Literal["running", "done", "failed"] = (
        "running" if kept.state == "running" else "done" if kept.state == "done" else "failed"
    )
    return Job(job_id=kept.job_id, state=state, progress=f"{end.message} {end.hint}" if end else kept.progress)


def _job(job_id: str, turn: RunningTurn) -> Job:
    last = turn.events[-1] if turn.events else None
    told = [event.message for event in turn.events if isinstance(event, ToolProgress)]
    if not turn.done or last is None:
        return Job(job_id=job_id, state="running", progress=told[-1] if told else "")
    if last.type == "answer":
        return Job(job_id=job_id, state="done", progress="", answer=answer_fields(last.answer))
    words = f"{last.message} {last.hint}".strip() if last.type == "error" else ""
    return Job(job_id=job_id, state="failed", progress=words)
