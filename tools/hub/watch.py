"""How a run is followed and stopped: a state of its own for each run, so that runs side by side do not meet."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tools.hub.openeo_errors import JobCanceled

LEVELS = ("error", "warning", "info", "debug")
"""Log levels, the most severe first."""


def _ignore(_share: float) -> None:
    """Take a progress report nobody asked for."""


def _ignore_note(_level: str, _message: str) -> None:
    """Take a note nobody asked for."""


@dataclass(frozen=True)
class Run:
    """How a caller follows and stops a run."""

    progress: Callable[[float], None] = _ignore
    cancelled: Callable[[], bool] = lambda: False
    note: Callable[[str, str], None] = _ignore_note
    """Takes a level (error, warning, info, debug) and a sentence for the log."""

    def __reduce__(self) -> tuple[type["Run"], tuple[()]]:
        """Leave who follows a run behind when work goes to another process: nobody can be told or asked from there."""
        return Run, ()


class Watch:
    """Counts the layers that one run reads, from whichever thread, and stops it between two of them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._expected = 0
        self._done = 0
        self._told = 0.0

    def __reduce__(self) -> tuple[type["Watch"], tuple[Run]]:
        """Leave the lock behind."""
        return Watch, (self._run,)

    def expect(self, layers: int) -> None:
        """Say that so many more layers are going to be read."""
        with self._lock:
            self._expected += layers

    def check(self) -> None:
        """Stop here when somebody asked this run to stop."""
        if self._run.cancelled():
            raise JobCanceled("The run was cancelled.")

    def step(self) -> None:
        """Count one layer as read; report whole percents only."""
        self.check()
        with self._lock:
            self._done += 1
            share = min(self._done / max(self._expected, 1), 1.0)
            if share - self._told < 0.01:
                return
            self._told = share
        self._run.progress(share)
