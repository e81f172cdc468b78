"""Computes cubes on a Dask cluster, when the settings name one; else on the threads of this process."""

import contextlib
import logging
import threading
from typing import Any

import xarray as xr

from tools.hub.openeo_errors import JobCanceled, OpenEOError
from tools.hub.scratch import computed
from tools.hub.watch import Run

log = logging.getLogger(__name__)
_CONNECT_S = 10
_LOOK_S = 0.3
"""Seconds between two looks whether a run was cancelled."""


class Cluster:
    """A Dask scheduler by its address, `tcp://host:8786`; an empty one is this process.

    Its workers read the hub's files themselves, at the same path, and need this package.
    """

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._client: Any = None
        self._lock = threading.Lock()

    def compute(self, data: xr.DataArray, run: Run) -> xr.DataArray:
        """Compute a lazy array; a cancelled run ends what the cluster does for it.

        Raises:
            OpenEOError: The cluster does not answer, or lost its workers.
            JobCanceled: The run was cancelled.

        """
        if not self._address or not data.chunks:
            return computed(data)
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            return self._computed(data, run)
        except (OSError, KilledWorker, CancelledError) as error:
            log.warning("the Dask cluster at %s failed: %r", self._address, error)
            self._forget()
            raise OpenEOError(
                "InfrastructureMaintenance",
                f"The Dask cluster at {self._address} cannot compute this: {type(error).__name__}.",
                "Look whether its scheduler and workers run and see the hub's files at the same path, "
                "or unset CLMS_DASK_SCHEDULER to compute on this machine.",
            ) from error

    def _computed(self, data: xr.DataArray, run: Run) -> xr.DataArray:
        client = self._connected()
        future = client.compute(data)
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
            while not future.done():
                if run.cancelled():
                    raise JobCanceled("The run was cancelled.")
                _look(future, client)
            result: xr.DataArray = future.result()
            return result
        finally:
            future.cancel()

    def _connected(self) -> Any:
        from distributed import Client

        with self._lock:
            if self._client is None:
                # Not the default of this process: small arrays are computed where they are.
                self._client = Client(self._address, timeout=_CONNECT_S, set_as_default=False)
            return self._client

    def _forget(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close(timeout=1)


def _look(future: Any, client: Any) -> None:
    """Wait a moment for a result; a cluster whose last worker has gone would be waited for without end."""
    with contextlib.suppress(TimeoutError):
        future.exception(timeout=_LOOK_S)
    if not future.done():
        client.wait_for_workers(1, timeout=_CONNECT_S)
