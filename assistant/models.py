"""The minds behind the loop: the chat models of the settings; the offline planner is the one that is always there."""

from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from assistant.planner import OfflinePlanner
from assistant.settings import Settings
from knowledge.errors import ClmsError

if TYPE_CHECKING:
    from httpx import AsyncClient

OFFLINE = "offline-planner"


class ModelNotInstalled(ClmsError):
    """The library of a provider is missing."""


def get_chat_models(settings: Settings) -> tuple[BaseChatModel, ...]:
    """Give the chat models of the settings in the order to try them; empty where only the planner answers."""
    first = bool(settings.llm_base_url or settings.llm_model)
    second = bool(settings.llm_fallback_base_url or settings.llm_fallback_model)
    models = []
    if first:
        models.append(_model(settings, settings.llm_base_url, settings.llm_model, settings.llm_api_key))
    if second:
        key = settings.llm_fallback_api_key
        base_url = settings.llm_fallback_base_url
        if base_url is None:  # another model of the same provider
            base_url, key = settings.llm_base_url, key or settings.llm_api_key
        models.append(_model(settings, base_url, settings.llm_fallback_model, key))
    return tuple(models)


def _model(settings: Settings, base_url: str | None, name: str | None, key: SecretStr | None) -> BaseChatModel:
    """Make a client; what several providers understand has the same name in both libraries."""
    options: dict[str, Any] = {
        "base_url": base_url,
        # Local servers want no key, but the clients refuse to start without one.
        "api_key": key or SecretStr("none"),
        "timeout": settings.llm_timeout_s,
        "max_retries": settings.llm_retries,
        "temperature": 0,
    }
    if settings.llm_provider == "anthropic":
        try:
            from langchain_anthropic import ChatAnthropic
        except ImportError as error:
            raise ModelNotInstalled(
                "The library for Anthropic is not installed.", "Install it: pip install 'clms-assistant[anthropic]'."
            ) from error
        model: BaseChatModel = ChatAnthropic(model_name=name or "default", **options)
        return model
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=name or "default", http_async_client=_client(), **options)


@cache
def _client() -> "AsyncClient":
    """Give the HTTP client of all models; it keeps no connection, for one is of no use in another event loop."""
    from httpx import AsyncClient, Limits

    return AsyncClient(limits=Limits(max_keepalive_connections=0), follow_redirects=True)


def model_name(model: BaseChatModel) -> str:
    """Name a model the way an answer shows it."""
    if isinstance(model, OfflinePlanner):
        return OFFLINE
    return str(getattr(model, "model_name", None) or getattr(model, "model", None) or type(model).__name__)
