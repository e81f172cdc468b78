"""What one hub may use; the doors fill it in from the settings."""

import os
from dataclasses import dataclass

_BLOCK_COPIES, _VALUE_BYTES = 3, 4


@dataclass(frozen=True)
class Limits:
    """Bounds on requests and on memory."""

    items: int = 2_000
    """Scenes that one request may load."""
    values: int = 400_000_000
    """Pixels times bands times dates that one request may load."""
    memory_bytes: int = 1_000_000_000
    """Memory for pixels, beside what the program itself takes."""
    keep: bool = True
    """Whether computed cubes stay for the next request."""
    runs: int = 2
    """Computations at the same time; others wait for their turn."""
    dask_scheduler: str = ""
    """Address of a Dask cluster that computes, `tcp://host:8786`; empty: the threads of this process."""

    @property
    def kept_bytes(self) -> int:
        """Memory for computed cubes that the next request may use again."""
        return self.memory_bytes // 4 if self.keep else 0

    @property
    def file_cache_bytes(self) -> int:
        """Memory of GDAL for tiles of files."""
        return self.memory_bytes // 16

    @property
    def result_bytes(self) -> int:
        """Largest cube that one of the runs has in memory as a whole; a larger one lies in a file."""
        return self.memory_bytes // 8 // self.runs

    @property
    def block_values(self) -> int:
        """Values of one block over all dates and bands: each core has one at work, its results and its temporaries."""
        return max(self.memory_bytes // 2 // (os.cpu_count() or 1) // _BLOCK_COPIES // _VALUE_BYTES, 1)
