"""In which language pictures speak: who asks for them sets it, with what puts English over."""

from collections.abc import Callable
from contextvars import ContextVar

_SPOKEN: ContextVar[tuple[str, Callable[[str], str]]] = ContextVar("clms_spoken", default=("en", str))


def speak(language: str, put_over: Callable[[str], str]) -> None:
    """Let pictures drawn from here on speak a language.

    Args:
        language: Its code; pictures of a run are kept apart by it.
        put_over: Gives an English text in that language, as far as it is known.
    """
    _SPOKEN.set((language, put_over))


def spoken_language() -> str:
    """Give the code of the language that pictures speak."""
    return _SPOKEN.get()[0]


def spoken(text: str) -> str:
    """Put a text of a picture over."""
    return _SPOKEN.get()[1](text)
