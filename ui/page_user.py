"""Who uses the page: its work is done away from the request that asked for it."""

from assistant.access import User


def page_user() -> User | None:
    """Give the user of the page's event that is being worked on; None elsewhere."""
    from gradio.context import LocalContext

    asked = LocalContext.request.get(None)
    # The event keeps the request that started it, and the door left there who it was.
    request = getattr(asked, "request", None)
    user = request.scope.get("clms_user") if request is not None else None
    return user if isinstance(user, User) else None
