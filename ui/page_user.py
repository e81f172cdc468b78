"""Who uses the page, and what they may do; its work is done away from the request that asked for it."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.access import User


def page_user() -> User | None:
    """Give the user of the page's event that is being worked on; None elsewhere."""
    from gradio.context import LocalContext

    asked = LocalContext.request.get(None)
    # The event keeps the request that started it, and the door left there who it was.
    request = getattr(asked, "request", None)
    user = request.scope.get("clms_user") if request is not None else None
    return user if isinstance(user, User) else None


@dataclass(frozen=True)
class Rights:
    """What who uses the page may do; asked anew each time."""

    need_file: Callable[[str], None] = lambda _: None
    """Refuses who may not have the file with this id."""
    need_trainer: Callable[[], None] = lambda: None
    """Refuses who may not lead a lesson."""
    owns: Callable[[str], bool] = lambda _: True
    """Tells whether a conversation is theirs."""


EVERYBODY = Rights()
"""Where users are not told apart."""
