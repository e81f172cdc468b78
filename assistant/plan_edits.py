"""A waiting run changed by hand: the change becomes one of the things the user can answer."""

from collections.abc import Mapping

from assistant.schema import Pending
from assistant.sessions import Sessions
from tools.schema import MAX_CLOUD_PERCENT

EDITABLE = ("index", "layer", "place", "period", "max_cloud")
"""Arguments of a waiting call that a user may put in other words."""


def waiting_run(sessions: Sessions, session_id: str) -> Pending | None:
    """Give the run that a conversation waits with; None where there is none, or where there are several at once."""
    waiting = sessions.pending(session_id, ())
    return waiting[0] if len(waiting) == 1 else None


def editable(run: Pending) -> dict[str, str]:
    """Give the arguments of a run that can be changed, in words."""
    args = {**({"max_cloud": f"{MAX_CLOUD_PERCENT:g}"} if run.tool == "compute" else {}), **run.args}
    return {name: str(args[name]) for name in EDITABLE if args.get(name) not in (None, "")}


def changes_to(run: Pending, wanted: Mapping[str, str]) -> dict[str, str]:
    """Give what is wanted otherwise than the run has it; blank means as it is."""
    now = editable(run)
    return {name: value.strip() for name, value in wanted.items() if value.strip() and value.strip() != now.get(name)}


def offer_change(sessions: Sessions, session_id: str, run: Pending, words: str, changes: dict[str, str]) -> None:
    """Let an answer with just these words stand for the run with changed arguments.

    The changed run is estimated anew: when it is still large, it is asked about like any other.
    """
    sessions.replace_pending(session_id, run.model_copy(update={"changes": {**run.changes, words: changes}}))
