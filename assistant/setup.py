"""Get ready: build what is missing, open what the tools stand on."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from assistant.settings import Settings
from tools.backend_login import LOOPBACK, ClientCredentials, Logins
from tools.backend_mapping import HUB, BackendMapping, find_mapping, load_mapping
from tools.toolbox import Services

if TYPE_CHECKING:
    from tools.nuts import NutsSource


def prepare(settings: Settings, on_progress: Callable[[str], None]) -> None:
    """Build the search index and, when the embedded hub is used, the demo archive; what is up to date is left alone."""
    from knowledge.ingest import build_index

    # Keyed by content: where nothing changed, this reads the product files and writes nothing.
    build_index(
        settings.index_dir,
        embedding_model=settings.embedding_model,
        chroma_url=settings.chroma_url,
        on_progress=lambda done, total: on_progress(f"Building the search index: {done} of {total} passages"),
        on_wait=on_progress,
    )
    if needs_hub(settings):
        from knowledge.storage import BUILD_PATIENCE_S, DEMO, only_writer
        from tools.hub.demo import ensure_demo

        with only_writer(settings.index_dir, what=DEMO, patience_s=BUILD_PATIENCE_S, on_wait=on_progress):
            ensure_demo(settings.hub_dir, today=datetime.now(UTC).date(), on_progress=on_progress)


def needs_hub(settings: Settings) -> bool:
    """Tell whether the embedded hub serves scenes or computations."""
    return stac_address(settings) is None or settings.openeo_url is None


def stac_address(settings: Settings) -> str | None:
    """Give the STAC service of the settings, else the one that goes with the openEO back-end; None: the hub's."""
    if settings.stac_url or not settings.openeo_url:
        return settings.stac_url
    return backend_mapping(settings, settings.openeo_url).stac_url


def backend_mapping(settings: Settings, openeo_url: str) -> BackendMapping:
    """Give what is particular to a back-end.

    Raises:
        ToolInputError: The settings name a mapping that is none.
    """
    return find_mapping(openeo_url, stac_url=settings.stac_url or "", name=settings.openeo_mapping or "")


def client_credentials(settings: Settings) -> ClientCredentials | None:
    """Give what a machine logs in with; not where others can reach it: their runs would be on its account."""
    if not settings.openeo_client_id or not settings.openeo_client_secret or settings.host not in LOOPBACK:
        return None
    return ClientCredentials(settings.openeo_client_id, settings.openeo_client_secret)


def open_services(settings: Settings, hub_url: str | None, resources: ExitStack) -> Services:
    """Open index, workspace and back-end addresses; start the embedded hub when nobody else has.

    Args:
        settings: Where everything lies.
        hub_url: A hub that already runs.
        resources: Takes over the hub started here.
    """
    from knowledge.retrieval import Retriever

    rerun_url = ""
    if needs_hub(settings) and hub_url is None:
        from tools.hub.server import running_hub

        hub_url = resources.enter_context(running_hub(settings.hub_dir, limits=settings.hub_limits))
        # This hub ends with the process; the one of `serve` has the same archive and an address that stays.
        rerun_url = "" if settings.openeo_url else f"http://127.0.0.1:{settings.port or 7860}/hub/openeo"
    return Services(
        retriever=Retriever(
            settings.index_dir, embedding_model=settings.embedding_model, chroma_url=settings.chroma_url
        ),
        stac_url=stac_address(settings) or f"{hub_url}/stac",
        openeo_url=settings.openeo_url or f"{hub_url}/openeo",
        rerun_url=rerun_url,
        workspace=settings.workspace,
        timeout_s=settings.backend_timeout_s,
        max_pixels=settings.max_pixels,
        ask_above_s=settings.ask_above_s,
        ask_above_mb=settings.ask_above_mb,
        nuts=nuts_source(settings),
        backend=(
            backend_mapping(settings, settings.openeo_url or "")
            if settings.openeo_url or settings.openeo_mapping
            else load_mapping(HUB)
        ),
        logins=Logins(credentials=client_credentials(settings), provider=settings.openeo_provider),
        max_result_bytes=settings.max_result_mb * 1_000_000,
        contact=settings.contact or "",
    )


def nuts_source(settings: Settings) -> "NutsSource":
    """Tell where the boundaries of NUTS regions and communes may come from."""
    from tools.lau import LAU_URL
    from tools.nuts import GISCO_URL, NutsSource

    allowed = settings.fetch_nuts
    return NutsSource(settings.nuts_dir, url=GISCO_URL if allowed else "", lau_url=LAU_URL if allowed else "")
