"""What one hub may use; the doors fill it in from the settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on requests and on memory."""

    items: int = 2_000
    """Scenes that one request may load."""
    values: int = 400_000_000
    """Pixels times bands times dates that one request may load."""
    kept_bytes: int = 256_000_000
    """Memory for computed cubes that the next request may use again; 0 keeps none."""
    runs: int = 2
    """Computations at the same time; others wait for their turn."""
    dask_scheduler: str = ""
    """Address of a Dask cluster that computes, `tcp://host:8786`; empty: the threads of this process."""
