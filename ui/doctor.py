"""What `doctor` prints: enough to see why an installation behaves as it does, and no secret."""

import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from assistant.settings import Settings

LIBRARIES = (
    "clms-assistant", "langchain", "langgraph", "chromadb", "sentence-transformers", "torch", "pystac-client", "openeo",
    "fastapi", "gradio", "rasterio", "xarray", "odc-stac", "exactextract", "numpy",
)  # fmt: skip
ANSWER_S = 10.0
"""Seconds in which a back-end has to answer here."""
PACKAGES = ("assistant", "tools", "knowledge", "ui")


def report(settings: Settings) -> Iterator[str]:
    """Give the report line by line."""
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield from ("", "Versions", *(f"  {name} {_version(name)}" for name in LIBRARIES))
    yield from ("", "Packages loaded from", *(f"  {name}: {_home(name)}" for name in PACKAGES))
    yield from ("", "Settings", *_settings(settings))
    yield from ("", "State", f"  index: {_index(settings)}", f"  hub: {_hub(settings)}")
    yield from ("", "Back-end", *(f"  {line}" for line in backend_lines(settings)))
    yield from ("", "Places", *_places(settings))


def backend_lines(settings: Settings) -> Iterator[str]:
    """Tell which openEO back-end is set, whether it answers, and how one logs in there."""
    from assistant.setup import backend_mapping, client_credentials, stac_address
    from knowledge.errors import ClmsError
    from tools.backends import OpenEOBackend

    if not settings.openeo_url:
        yield "the embedded hub; no login"
        return
    try:
        mapping = backend_mapping(settings, settings.openeo_url)
        yield f"openEO: {_without_password(settings.openeo_url)}, mapping {mapping.id} ({mapping.title})"
        yield f"STAC: {_without_password(stac_address(settings) or 'the embedded hub')}"
        about = OpenEOBackend(settings.openeo_url, timeout_s=min(settings.backend_timeout_s, ANSWER_S)).about()
    except ClmsError as error:
        yield f"{error}"
        return
    yield f"answers: yes, openEO {about.api_version}"
    if not about.providers:
        yield "login: none is offered" + (", though this back-end is known to want one" * (mapping.login == "oidc"))
        return
    need = "needed" if mapping.login == "oidc" else "if the service asks for one"
    yield f"login: {need}, by {', '.join(about.providers)}; each conversation logs in by itself"
    if settings.openeo_client_id:
        used = client_credentials(settings) is not None
        yield (
            "client credentials: used" if used else "client credentials: not used (secret missing, or not on loopback)"
        )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _home(name: str) -> str:
    return str(Path(str(import_module(name).__file__)).parent)


def _settings(settings: Settings) -> Iterator[str]:
    # pydantic prints a SecretStr as asterisks; an address may hold a password, too.
    for name, value in settings.model_dump().items():
        yield f"  CLMS_{name.upper()}={_without_password(str(value)) if value is not None else ''}"


def _without_password(text: str) -> str:
    scheme, found, rest = text.partition("://")
    if not found or "@" not in rest.split("/")[0]:
        return text
    return f"{scheme}://***@{rest.split('@', 1)[1]}"


def _places(settings: Settings) -> Iterator[str]:
    from assistant.setup import nuts_source
    from tools.places import place_sources

    yield from (f"  {line}" for line in place_sources(nuts_source(settings)))


def _index(settings: Settings) -> str:
    files = [path for path in settings.index_dir.rglob("*") if path.is_file()] if settings.index_dir.exists() else []
    if not files:
        return "not built; `clms-assistant ingest` builds it"
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return f"{len(files)} files, {megabytes:.1f} MB, in {settings.index_dir}"


def _hub(settings: Settings) -> str:
    from tools.hub.archive import Archive

    if settings.stac_url and settings.openeo_url:
        return f"not used; STAC {_without_password(settings.stac_url)}, openEO {_without_password(settings.openeo_url)}"
    if not settings.hub_dir.exists():
        return "empty; `clms-assistant hub demo` makes the demo archive"
    names = [str(collection["id"]) for collection in Archive(settings.hub_dir).collections()]
    return f"{len(names)} collections in {settings.hub_dir}: {', '.join(names)}"
