"""The mind behind the loop: a provider's chat model, or the offline planner."""

from langchain_core.language_models import BaseChatModel

from assistant.planner import OfflinePlanner
from assistant.settings import Settings

OFFLINE = "offline-planner"


def get_chat_model(settings: Settings) -> BaseChatModel:
    """Give the chat model that the settings name; without a base URL or a model name, the offline planner."""
    if not settings.llm_base_url and not settings.llm_model:
        return OfflinePlanner()
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        model=settings.llm_model or "default",
        base_url=settings.llm_base_url,
        # Local servers want no key, but the client refuses to start without one.
        api_key=settings.llm_api_key or SecretStr("none"),
        timeout=settings.llm_timeout_s,
        max_retries=1,
        temperature=0,
    )


def model_name(model: BaseChatModel) -> str:
    """Name a model the way an answer shows it."""
    return OFFLINE if isinstance(model, OfflinePlanner) else str(getattr(model, "model_name", type(model).__name__))
