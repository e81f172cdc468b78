"""How we decide: the model, the loop, memory, and the check of every number."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assistant.agent import Assistant
    from assistant.schema import Answer
    from assistant.settings import Settings

__all__ = ["Answer", "Assistant", "Settings"]

_HOMES = {"Assistant": "assistant.agent", "Answer": "assistant.schema", "Settings": "assistant.settings"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: LangChain alone costs seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
