"""Questions read as in a conversation."""

from assistant.conversation import read, replayed
from assistant.slots import Slots


def read_after(question: str, *earlier: str) -> Slots:
    """Read a question that is asked after others."""
    return read(question, replayed(("user", one) for one in earlier))
