"""Run process graphs on an openEO back-end: at once, or as batch jobs; with the login of the session."""

import json
import math
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tools.backend_failures import TRY_LATER, check_root, failures_told, short
from tools.backend_jobs import Batch, current_run, run_job, save_bounded
from tools.backend_layers import layers_on_backend
from tools.backend_mapping import BackendMapping
from tools.credits import Charge, free, paid
from tools.errors import JobFailed, LoginExpired, LoginRefused
from tools.layers import Layers
from tools.schema import Estimate, Frozen
from tools.zonal import ZonalJson

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

USER_AGENT = "clms-assistant/0.1"
ATTEMPTS = 2
CONNECT_TIMEOUT_S = 20.0
MAX_RESULT_BYTES = 2_000_000_000
NOTES = "openeo-jobs"


class About(Frozen):
    """What an openEO service says of itself."""

    api_version: str
    providers: tuple[str, ...]
    """Ids of the identity providers to log in with; empty where none is offered."""


class Backend(Protocol):
    """Anything that validates and runs a process graph."""

    def validate(self, graph: dict[str, Any]) -> None:
        """Raise JobFailed when the back-end would not take the graph."""

    def run_table(self, graph: dict[str, Any]) -> ZonalJson:
        """Run a graph that ends in a JSON table."""

    def run_raster(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph that ends in a GeoTIFF and write it to `target`."""


class Access(Protocol):
    """Logs a session in."""

    def connect(self, unknown: Any) -> Any:
        """Give a connection that is logged in, or the unknown one where no login is needed.

        Raises:
            LoginNeeded: Only the user can log in; the error says where, and with which code.
        """

    def renew(self, unknown: Any) -> None:
        """Forget a login that is no longer accepted and begin another one; raises LoginNeeded."""


class OpenEOBackend:
    """An openEO service, reached through the openEO client."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        mapping: BackendMapping | None = None,
        access: Access | None = None,
        batch: Batch | None = None,
        max_bytes: int = MAX_RESULT_BYTES,
        charge: Charge = free,
    ) -> None:
        """Keep what is needed; nothing is asked before the first use.

        Args:
            url: Address of the service.
            timeout_s: Seconds to wait for one answer.
            mapping: What is particular to the service.
            access: Logs the session in; without it everything is asked as nobody in particular.
            batch: How batch jobs are run; without it all runs are synchronous.
            max_bytes: Largest result that is taken.
            charge: Takes the credits of a synchronous run from what the user may still use.
        """
        self.url = url
        self.timeout_s = timeout_s
        self._mapping = mapping
        self._access = access
        self._batch = batch
        self._max_bytes = max_bytes
        self._charge = charge
        self._unknown: Any = None

    def validate(self, graph: dict[str, Any]) -> None:
        """Raise JobFailed when the back-end would not take the graph."""
        if not self._ask(lambda one: one.capabilities().supports_endpoint("/validation", method="POST"), login=False):
            return
        errors = self._ask(lambda one: list(one.validate_process_graph({"process_graph": graph})))
        if errors:
            first = errors[0].get("message", "no reason given") if isinstance(errors[0], dict) else str(errors[0])
            raise JobFailed(f"The back-end does not take this computation: {short(first)}", "Try another collection.")

    def run_table(self, graph: dict[str, Any]) -> ZonalJson:
        """Run a graph that ends in a JSON table."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.json"
            self._run(graph, path)
            with self._told():
                table = json.loads(path.read_bytes())
        if not isinstance(table, dict | list):
            raise JobFailed("The back-end answered something that is no table.", TRY_LATER)
        return table

    def run_raster(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph that ends in a GeoTIFF and write it to `target`."""
        import rasterio
        from rasterio.errors import RasterioError

        self._run(graph, target)
        try:
            with rasterio.open(target) as raster:
                usable = raster.count >= 1 and raster.crs is not None
        except RasterioError as error:
            raise JobFailed("The back-end answered something that is no GeoTIFF.", TRY_LATER) from error
        if not usable:
            raise JobFailed("The back-end gave a GeoTIFF without bands or without a place.", TRY_LATER)

    def run_netcdf(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph that ends in a netCDF file and write it to `target`."""
        self._run(graph, target)
        with target.open("rb") as stream:
            if not stream.read(4).startswith((b"\x89HDF", b"CDF")):
                raise JobFailed("The back-end answered something that is no netCDF file.", TRY_LATER)

    def about(self) -> "About":
        """Tell what the service says of itself; needs no login."""

        def look(connection: Any) -> About:
            offers = connection.capabilities().supports_endpoint("/credentials/oidc")
            told = connection.get("/credentials/oidc").json()["providers"] if offers else []
            providers = tuple(short(one["id"]) for one in told)
            return About(api_version=short(connection.capabilities().api_version()), providers=providers)

        found: About = self._ask(look, login=False)
        return found

    def collection_ids(self) -> list[str]:
        """Return the ids of all collections."""
        found = self._ask(lambda one: one.list_collection_ids(), login=False)
        return [str(one) for one in found]

    def collection(self, collection_id: str) -> dict[str, Any] | None:
        """Return the metadata of one collection; None where there is none of this id."""
        from openeo.rest import OpenEoApiError

        def describe(connection: Any) -> dict[str, Any] | None:
            try:
                return dict(connection.get(f"/collections/{collection_id}", expected_status=200).json())
            except OpenEoApiError as error:
                if error.http_status_code == 404:
                    return None
                raise

        found: dict[str, Any] | None = self._ask(describe, login=False)
        return found

    def _run(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph and write what it gives to `target`."""

        def synchronous(connection: Any) -> None:
            body = {"process": {"process_graph": graph}}
            options = {"json": body, "stream": True, "timeout": self.timeout_s, "expected_status": 200}
            with paid(self._charge) as pay, connection.post("/result", **options) as answer:
                pay(answer.headers.get("OpenEO-Costs"))
                save_bounded(answer, target, self._max_bytes)

        def queued(connection: Any) -> None:
            if self._batch is not None:
                run_job(connection, graph, target, self._batch, max_bytes=self._max_bytes)

        self._ask(queued if self._batch else synchronous)

    def _ask(self, what: Callable[[Any], Any], *, login: bool = True) -> Any:
        """Ask the service, logged in where it wants that; what goes wrong is told in words."""
        unknown = self._connect()
        connection = self._access.connect(unknown) if self._access and login else unknown
        try:
            with self._told():
                return what(connection)
        except (LoginExpired, LoginRefused):
            if self._access and login:
                self._access.renew(unknown)
            raise

    def _connect(self) -> Any:
        """Connect as nobody in particular."""
        if self._unknown is None:
            import openeo
            from urllib3.util import Retry

            # Only reading may be tried again: a computation that timed out may still be running over there.
            retry = Retry(total=ATTEMPTS - 1, backoff_factor=0.3, allowed_methods=["GET"], status_forcelist=[502, 503])
            with self._told():
                connection = openeo.connect(
                    self.url, default_timeout=max(1, math.ceil(min(self.timeout_s, CONNECT_TIMEOUT_S))), retry=retry
                )
                connection.default_headers["User-Agent"] = USER_AGENT
                connection.capabilities()
            check_root(self.url, connection.root_url)
            self._unknown = connection
        return self._unknown

    def _told(self) -> AbstractContextManager[None]:
        known = self._mapping
        return failures_told(
            self.url, limits=known.limits if known else "", account_url=known.account_url if known else ""
        )


def open_backend(services: "Services", context: "Context", estimate: Estimate | None = None) -> OpenEOBackend:
    """Give the back-end of the settings for one question: with the session's login, large runs as batch jobs.

    Args:
        services: Hold the address.
        context: Holds the session.
        estimate: Of the run; without it, it counts as small.
    """
    mapping = services.mapping
    values = estimate.megabytes * 1e6 / 2 if estimate else 0
    large = mapping.sync_max_values is not None and values > mapping.sync_max_values
    run = current_run()
    notes = run.folder if run else services.workspace.root / NOTES
    batch = Batch(
        on_progress=context.on_progress,
        cancelled=context.cancelled,
        notes=notes,
        service=services.rerun_url or services.openeo_url,
        of_run=run,
        delete=mapping.same_as_stac,
        charge=context.charge,
    )
    return OpenEOBackend(
        services.openeo_url,
        timeout_s=services.timeout_s,
        mapping=mapping,
        access=services.logins.of_session(context.session_id, services.openeo_url, mapping, again=context.question),
        batch=batch if large else None,
        max_bytes=services.max_result_bytes,
        charge=context.charge,
    )


def layers_of(services: "Services", layers: Layers) -> Layers:
    """Give the layers of a STAC collection as the back-end of the settings has them; this needs no login."""
    mapping = services.mapping
    return layers_on_backend(
        OpenEOBackend(services.openeo_url, timeout_s=services.timeout_s, mapping=mapping), mapping, layers
    )
