"""Run process graphs on an openEO back-end, and tell its failures apart."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tools.errors import BackendUnavailable, JobFailed, NoScenes
from tools.zonal import ZonalJson

USER_AGENT = "clms-assistant/0.1"
ATTEMPTS = 2
CONNECT_TIMEOUT_S = 20.0
TRY_LATER = "Check the address in the settings (CLMS_OPENEO_URL), or try again in a while."


class Backend(Protocol):
    """Anything that validates and runs a process graph."""

    def validate(self, graph: dict[str, Any]) -> None:
        """Raise JobFailed when the back-end would not take the graph."""

    def run_table(self, graph: dict[str, Any]) -> ZonalJson:
        """Run a graph that ends in a JSON table."""

    def run_raster(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph that ends in a GeoTIFF and write it to `target`."""


class OpenEOBackend:
    """An openEO service, reached through the openEO client."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._connection: Any = None

    def validate(self, graph: dict[str, Any]) -> None:
        """Raise JobFailed when the back-end would not take the graph."""
        connection = self._connect()
        with _failures_told(self.url):
            if not connection.capabilities().supports_endpoint("/validation", method="POST"):
                return
            errors = list(connection.validate_process_graph({"process_graph": graph}))
        if errors:
            first = errors[0].get("message", "no reason given") if isinstance(errors[0], dict) else str(errors[0])
            raise JobFailed(f"The back-end does not take this computation: {_short(first)}", "Try another collection.")

    def run_table(self, graph: dict[str, Any]) -> ZonalJson:
        """Run a graph that ends in a JSON table."""
        connection = self._connect()
        with _failures_told(self.url):
            content = connection.download(graph, timeout=self.timeout_s, validate=False)
            table = json.loads(content)
        if not isinstance(table, dict | list):
            raise JobFailed("The back-end answered something that is no table.", TRY_LATER)
        return table

    def run_raster(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph that ends in a GeoTIFF and write it to `target`."""
        import rasterio
        from rasterio.errors import RasterioError

        connection = self._connect()
        with _failures_told(self.url):
            connection.download(graph, str(target), timeout=self.timeout_s, validate=False)
        try:
            with rasterio.open(target) as raster:
                usable = raster.count >= 1 and raster.crs is not None
        except RasterioError as error:
            raise JobFailed("The back-end answered something that is no GeoTIFF.", TRY_LATER) from error
        if not usable:
            raise JobFailed("The back-end gave a GeoTIFF without bands or without a place.", TRY_LATER)

    def run_netcdf(self, graph: dict[str, Any], target: Path) -> None:
        """Run a graph that ends in a netCDF file and write it to `target`."""
        connection = self._connect()
        with _failures_told(self.url):
            connection.download(graph, str(target), timeout=self.timeout_s, validate=False)
        with target.open("rb") as stream:
            if not stream.read(4).startswith((b"\x89HDF", b"CDF")):
                raise JobFailed("The back-end answered something that is no netCDF file.", TRY_LATER)

    def _connect(self) -> Any:
        if self._connection is None:
            import openeo
            from urllib3.util import Retry

            # Only reading may be tried again: a computation that timed out may still be running over there.
            retry = Retry(total=ATTEMPTS - 1, backoff_factor=0.3, allowed_methods=["GET"], status_forcelist=[502, 503])
            with _failures_told(self.url):
                connection = openeo.connect(
                    self.url, default_timeout=max(1, math.ceil(min(self.timeout_s, CONNECT_TIMEOUT_S))), retry=retry
                )
                connection.default_headers["User-Agent"] = USER_AGENT
                connection.capabilities()
            self._connection = connection
        return self._connection


@contextmanager
def _failures_told(url: str) -> Iterator[None]:
    """Turn what the client and the network raise into the project's failures."""
    import requests
    from openeo.rest import OpenEoApiError, OpenEoApiPlainError, OpenEoClientException

    try:
        yield
    except OpenEoApiError as error:
        raise _refused(error) from error
    except OpenEoApiPlainError as error:
        text = f"The openEO service at {url} answered HTTP {error.http_status_code} without an openEO error."
        raise BackendUnavailable(text, TRY_LATER) from error
    except requests.Timeout as error:
        text = f"The openEO service at {url} did not answer in time."
        raise BackendUnavailable(text, "Ask for a smaller area or a shorter period, or try again later.") from error
    except requests.RequestException as error:
        raise BackendUnavailable(f"The openEO service at {url} cannot be reached.", TRY_LATER) from error
    except (OpenEoClientException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendUnavailable(f"The openEO service at {url} answers nonsense.", TRY_LATER) from error


def _refused(error: Any) -> NoScenes | BackendUnavailable | JobFailed:
    if error.code == "NoDataAvailable":
        return NoScenes("The back-end has no data for this place and period.", "Try a longer period.")
    if error.http_status_code in (401, 403):
        return BackendUnavailable("The openEO service wants a login.", "Log in first, or use the embedded hub.")
    if error.http_status_code in (429, 502, 503, 504):
        return BackendUnavailable(f"The openEO service is busy: {_short(error.message)}", TRY_LATER)
    return JobFailed(f"The back-end could not compute this: {_short(error.message)}", "Try a smaller area or period.")


def _short(text: object) -> str:
    """Cut what a service says to one line: it is shown, never trusted."""
    return " ".join(str(text).split())[:200]
