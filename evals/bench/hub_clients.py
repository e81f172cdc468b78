"""Many openEO clients at once on one hub: errors, seconds, processor time and the most memory it held.

`python -m evals.bench.hub_clients --clients 20` serves the hub of the settings, with its demo archive, in a process of
its own, and asks it for the median NDVI of as many boxes: first one after another, the baseline, then all at once.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import rasterio

COLLECTION = "synthetic-sentinel-2-l2a"
MOVED_DEG = 0.0005
"""So far lies each client's box from the next one's, so that no two ask for the same."""


@dataclass(frozen=True)
class Round:
    """What one way of asking took."""

    errors: tuple[str, ...]
    seconds: float
    worked_s: float
    """Processor time of the hub."""
    peak_mb: float
    """Most memory that the hub has held until then."""


def serve() -> tuple[subprocess.Popen[str], str]:
    """Start a hub; give its openEO address once it answers."""
    run = subprocess.Popen(
        [sys.executable, "-m", "ui.cli", "hub", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    url = re.findall(r"openEO: (\S+)", run.stdout.readline() if run.stdout else "")[0]
    return run, url


def one_client(url: str, number: int, folder: Path, *, row: int = 0) -> str:
    """Compute one median NDVI and look at the file; give what went wrong, empty for nothing."""
    import openeo

    try:
        connection = openeo.connect(url)
        box = connection.describe_collection(COLLECTION)["extent"]["spatial"]["bbox"][-1]
        west, south = box[0] + 0.005 + number * MOVED_DEG, box[1] + 0.005 + row * MOVED_DEG
        extent = {"west": west, "south": south, "east": west + 0.05, "north": south + 0.03}
        cube = connection.load_collection(COLLECTION, spatial_extent=extent, bands=["B04_10m", "B08_10m"])
        target = folder / f"{number}.tif"
        cube.ndvi(nir="B08_10m", red="B04_10m").reduce_dimension(dimension="t", reducer="median").download(target)
        with rasterio.open(target) as made:
            return "" if made.count == 1 and made.width > 100 else "the file is no map"
    except (OSError, openeo.BaseOpenEoException) as error:
        return f"{type(error).__name__}: {error}"


def ask(run: subprocess.Popen[str], url: str, clients: int, *, at_once: int, row: int) -> Round:
    """Let clients ask, so many at the same time."""
    begun, worked = time.perf_counter(), processor_s(run.pid)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(at_once) as pool:
        said = list(pool.map(lambda number: one_client(url, number, Path(folder), row=row), range(clients)))
    taken = time.perf_counter() - begun, processor_s(run.pid) - worked
    return Round(tuple(one for one in said if one), *taken, peak_mb(run.pid))


def processor_s(pid: int) -> float:
    """Give the processor time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Give the most memory that a process has held."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1000


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    clients = parser.parse_args().clients
    run, url = serve()
    try:
        for _ in range(100):
            if not one_client(url, clients, Path(tempfile.gettempdir())):  # pays for imports
                break
            time.sleep(0.2)
        # Boxes of its own for each round: the hub keeps what it has just computed.
        found = {
            "one after another": ask(run, url, clients, at_once=1, row=1),
            "all at once": ask(run, url, clients, at_once=clients, row=2),
        }
    finally:
        run.terminate()
        run.wait()
    for name, one in found.items():
        print(
            f"{name}: {len(one.errors)} errors of {clients}, {one.seconds:.1f} s, "
            f"{one.worked_s:.1f} s of processor time, peak {one.peak_mb:.0f} MB"
        )
        print(*one.errors[:3], sep="\n", end="")
    base, load = found.values()
    ratios = load.seconds / base.seconds, load.worked_s / base.worked_s
    print(f"at once to one after another: {ratios[0]:.2f} elapsed, {ratios[1]:.2f} worked")


if __name__ == "__main__":
    main()
