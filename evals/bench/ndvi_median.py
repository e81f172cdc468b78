"""Times the cloud-masked NDVI median over HTTP against plain rasterio + numpy on the same files.

`python -m evals.bench.ndvi_median` makes 12 dates of 1024 x 1024 pixels, four bands and SCL, in a temporary folder, and
runs both sides in turns. The hub's side is what a user waits for: request, graph, computation, GeoTIFF, download.
The plain side ends with the array in memory. NDVI reads two of the four bands, and SCL, on both sides.
Elapsed time depends on who else uses the machine, processor time hardly does: both are told.
`--local-connection PYTHON` adds the LocalConnection of the `openeo` client, see `local_connection.py`, and
`--titiler PYTHON` titiler-openeo, see `titiler_openeo.py`. `--memory PIXELS` only tells the most memory that the hub's
side takes for images of so many pixels a side (Linux).
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.backends import OpenEOBackend
from tools.hub.archive import Archive, Json
from tools.hub.files import Band, Grid, collection_json, item_json, raster_asset, write_cog
from tools.hub.limits import Limits
from tools.hub.server import running_hub
from tools.layers import read_layers
from tools.recipes import SCL_MASKED, build_graphs
from tools.schema import Bbox, Period, Place, Plan, Polygons

Floats = npt.NDArray[np.float32]
Times = tuple[float, float]
"""Seconds: elapsed, and of the processor."""

COLLECTION = "bench-sentinel-2"
SIZE_PX, ROUNDS = 1024, 3
TOLERANCE = 1e-4
SCALE, OFFSET = 0.0001, -0.1
CORNER = (600_000.0, 5_340_000.0)
CRS = "EPSG:32630"
FINE = Grid(CRS, (10.0, 0.0, CORNER[0], 0.0, -10.0, CORNER[1]), SIZE_PX, SIZE_PX)
DAYS = [date(2023, month, 15) for month in range(1, 13)]
BANDS = {
    name: Band(name, 10.0, common_name, SCALE, OFFSET, 0)
    for name, common_name in (("B02_10m", "blue"), ("B03_10m", "green"), ("B04_10m", "red"), ("B08_10m", "nir"))
}
SCL = Band("SCL_20m", 20.0, nodata=0, role="scl")


def main() -> None:
    """Make the files, time both sides in turns, compare the results and print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--local-connection", metavar="PYTHON", help="interpreter with openeo[localprocessing]")
    parser.add_argument("--titiler", metavar="PYTHON", help="interpreter with titiler-openeo and uvicorn")
    parser.add_argument("--memory", metavar="PIXELS", type=int, help="tell the peak of memory for images of this size")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.memory:
            tell_memory(Path(folder), given.memory)
        else:
            compare(Path(folder), given.local_connection, given.titiler)


def compare(hub_dir: Path, local_python: str | None, titiler_python: str | None) -> None:
    """Time all sides in turns."""
    print(f"Making {len(DAYS)} dates of {SIZE_PX} x {SIZE_PX} pixels ...")
    graph, target = ndvi_graph(hub_dir, SIZE_PX), hub_dir / "median.tif"
    # Nothing is kept between rounds: each one reads and computes everything.
    with running_hub(hub_dir, limits=Limits(keep=False)) as url:
        backend = OpenEOBackend(f"{url}/openeo", timeout_s=600)
        # The first round also pays for imports; it is shown but not counted.
        rounds = [
            (seconds(lambda: backend.run_raster(graph, target)), seconds(lambda: plain_median(hub_dir)))
            for _ in range(ROUNDS + 1)
        ]
        elsewhere = local_connection(local_python, f"{url}/stac", hub_dir) if local_python else []
        report(rounds, elsewhere, difference=largest_difference(target, plain_median(hub_dir)))
        if titiler_python:
            against_titiler(titiler_python, url, hub_dir)


def ndvi_graph(hub_dir: Path, size_px: int) -> Json:
    """Make the files and the graph that the assistant builds for them."""
    plan, box = make_archive(hub_dir, size_px)
    layers = read_layers(Archive(hub_dir).collection(COLLECTION) or {})
    return build_graphs(plan, layers, whole_area(box), box)["raster"]


def tell_memory(hub_dir: Path, size_px: int) -> None:
    """Run the hub's side once and print the process's memory before and at its peak."""
    status, graph = Path("/proc/self/status"), ndvi_graph(hub_dir, size_px)
    with running_hub(hub_dir, limits=Limits(values=10**10, keep=False)) as url:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
        before = dict(line.split(":") for line in status.read_text("utf-8").splitlines())["VmRSS"].strip()
        took = seconds(lambda: OpenEOBackend(f"{url}/openeo", timeout_s=3600).run_raster(graph, hub_dir / "median.tif"))
        peak = dict(line.split(":") for line in status.read_text("utf-8").splitlines())["VmHWM"].strip()
    print(
        f"{len(DAYS)} dates of {size_px} x {size_px} pixels: {told(took)}; memory {before} before, {peak} at its peak"
    )


def against_titiler(python: str, url: str, hub_dir: Path) -> None:
    """Time the same graph on the hub and on titiler-openeo, in turns, and compare the results."""
    from evals.bench.titiler_openeo import graph_of, result, running_titiler

    graph = graph_of(COLLECTION, FINE.bounds, CRS, ("B04_10m", "B08_10m"), ("2023-01-01", "2024-01-01"))
    ours, theirs = hub_dir / "ours.tif", hub_dir / "theirs.tif"
    with running_titiler(python, f"{url}/stac", hub_dir) as (titiler, token):
        rounds = [
            (
                seconds(lambda: result(f"{url}/openeo", graph, ours))[0],
                seconds(lambda: result(titiler, graph, theirs, token))[0],
            )
            for _ in range(ROUNDS + 1)
        ]
    hub, other = (statistics.median(side[1:]) for side in zip(*rounds, strict=True))  # the first is not counted
    difference = largest_difference(ours, read(theirs))
    print(f"NDVI of unmasked medians: hub {hub:.2f} s, titiler-openeo {other:.2f} s, ratio {other / hub:.1f} elapsed")
    print(f"largest difference of the results: {difference:.1e} (titiler-openeo takes medians of whole numbers)")


def make_archive(hub_dir: Path, size_px: int = SIZE_PX) -> tuple[Plan, Bbox]:
    """Write the files and their STAC; return the plan of the median over all of them."""
    rng = np.random.default_rng(1)
    items = [write_date(hub_dir, day, rng, size_px) for day in DAYS]
    head: Json = {
        "id": COLLECTION,
        "title": "Benchmark",
        "description": "Synthetic data for a benchmark.",
        "license": "CC0-1.0",
        "clms:synthetic": True,
    }
    collection = collection_json(head, items=items, bands=[*BANDS.values(), SCL])
    Archive(hub_dir).put([collection], items)
    west, south, east, north = items[0]["bbox"]
    box = (west, south, east, north)
    plan = Plan(
        recipe_id="ndvi",
        collection_id=COLLECTION,
        output="composite",
        place=Place(name="Benchmark", kind="box", bbox=box, area_km2=105.0, source="made up"),
        period=Period(start=DAYS[0], end=DAYS[-1], label="2023"),
    )
    return plan, box


def write_date(hub_dir: Path, day: date, rng: np.random.Generator, size_px: int) -> Json:
    """Write one date's files: smooth reflectances with noise, and blocks of cloud in SCL."""
    fine = replace(FINE, width=size_px, height=size_px)
    coarse = Grid(CRS, (20.0, 0.0, CORNER[0], 0.0, -20.0, CORNER[1]), size_px // 2, size_px // 2)
    waves = np.sin(np.linspace(0, 20, size_px))[:, None] * np.cos(np.linspace(0, 15, size_px))[None, :]
    assets: Json = {}
    for number, (name, band) in enumerate(BANDS.items()):
        level = 1600 + 700 * number + 400 * waves + rng.normal(0, 60, waves.shape)
        write_cog(path_of(hub_dir, day, name), level.round().astype(np.uint16), fine, nodata=0)
        assets[name] = raster_asset(href_of(day, name), band, fine, data_type="uint16", title=name)
    classes = rng.choice(np.array([4, 5, 8, 9, 3], np.uint8), (16, 16), p=[0.5, 0.2, 0.1, 0.1, 0.1])
    classes[0, 0] = 9  # cloudy on every date: both sides must say "no value" there
    scl = np.kron(classes, np.ones((size_px // 32, size_px // 32), np.uint8))
    write_cog(path_of(hub_dir, day, SCL.name), scl, coarse, nodata=0)
    assets[SCL.name] = raster_asset(href_of(day, SCL.name), SCL, coarse, data_type="uint8", title=SCL.name)
    properties = {"datetime": f"{day}T10:30:00Z", "eo:cloud_cover": 30.0, "clms:synthetic": True}
    return item_json(f"bench-{day}", COLLECTION, geometry=fine.footprint, properties=properties, assets=assets)


def href_of(day: date, band: str) -> str:
    """Return an asset's address inside the hub's folder."""
    return f"{day}_{band}.tif"


def path_of(hub_dir: Path, day: date, band: str) -> Path:
    """Return where an asset lies."""
    return hub_dir / href_of(day, band)


def whole_area(box: Bbox) -> Polygons:
    """Return the box as the one unit of a plan."""
    from shapely.geometry import box as rectangle
    from shapely.geometry import mapping

    feature = {"type": "Feature", "id": "1", "properties": {"name": "all"}, "geometry": mapping(rectangle(*box))}
    return Polygons(name="all", source="bench", collection={"type": "FeatureCollection", "features": [feature]})


def plain_median(hub_dir: Path) -> Floats:
    """Compute the same median with rasterio and numpy alone, as a careful person would write it."""
    stack = np.empty((len(DAYS), SIZE_PX, SIZE_PX), np.float32)
    for layer, day in zip(stack, DAYS, strict=True):
        stored = [read(path_of(hub_dir, day, name)) for name in ("B04_10m", "B08_10m")]
        red, nir = (band.astype(np.float32) * np.float32(SCALE) + np.float32(OFFSET) for band in stored)
        scl = read(path_of(hub_dir, day, SCL.name)).repeat(2, axis=0).repeat(2, axis=1)
        clear = np.isin(scl, SCL_MASKED, invert=True) & (stored[0] != 0) & (stored[1] != 0)
        total = nir + red
        sensible = clear & (red >= 0) & (nir >= 0) & (total > 0)
        layer.fill(np.nan)
        np.divide(nir - red, total, out=layer, where=sensible)
    return median_of_dates(stack)


def read(path: Path) -> npt.NDArray[Any]:
    """Read the one band of a file."""
    import rasterio

    with rasterio.open(path) as file:
        band: npt.NDArray[Any] = file.read(1)
    return band


def median_of_dates(stack: Floats) -> Floats:
    """Take the median of the valid dates; sorting puts NaN last and is far faster than `np.nanmedian`."""
    stack.sort(axis=0)
    count = np.isfinite(stack).sum(axis=0)
    low, high = (np.maximum(count - 1, 0) // 2)[None], (count // 2).clip(max=len(stack) - 1)[None]
    pair = np.take_along_axis(stack, low, axis=0), np.take_along_axis(stack, high, axis=0)
    median: Floats = ((pair[0] + pair[1]) / 2)[0]
    median[count == 0] = np.nan
    return median


def largest_difference(target: Path, expected: Floats) -> float:
    """Return the largest difference of two results on the same grid; refuse where only one has a value."""
    import rasterio
    from rasterio.windows import from_bounds

    with rasterio.open(target) as file:
        window = from_bounds(*FINE.bounds, transform=file.transform).round_offsets().round_lengths()
        found = file.read(1, window=window, boundless=True, fill_value=np.nan)
        found = np.where(found == file.nodata, np.nan, found) if file.nodata is not None else found
    if found.shape != expected.shape:
        raise SystemExit(f"The hub's result has another shape: {found.shape}, not {expected.shape}.")
    unlike = int((np.isnan(found) != np.isnan(expected)).sum())
    if unlike:
        raise SystemExit(f"{unlike} pixels have a value on one side only.")
    return float(np.nanmax(np.abs(found - expected)))


def local_connection(python: str, stac_url: str, hub_dir: Path) -> list[Times]:
    """Time the same on the same files with another engine, in its own environment."""
    script = Path(__file__).with_name("local_connection.py")
    masked = ",".join(str(one) for one in SCL_MASKED)
    ran = subprocess.run(
        [python, str(script), stac_url, COLLECTION, str(hub_dir), masked], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in ran.stdout.splitlines()]
    return [(float(elapsed), float(worked)) for elapsed, worked in rows]


def seconds(run: Callable[[], object]) -> Times:
    """Return how long a call takes: elapsed, and of the processor."""
    begun, worked = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - begun, time.process_time() - worked


def report(rounds: list[tuple[Times, Times]], elsewhere: list[Times], *, difference: float) -> None:
    """Print all times and the ratios of their medians; fail when the results differ."""
    hub, plain = (middle(side[1:]) for side in zip(*rounds, strict=True))  # the first is not counted
    for number, (one, other) in enumerate(rounds):
        note = "  (first, not counted)" if number == 0 else ""
        print(f"hub over HTTP {told(one)}    rasterio + numpy {told(other)}{note}")
    print(f"median        {told(hub)}    rasterio + numpy {told(plain)}    ratio {ratio(hub, plain)}")
    if elsewhere:
        print(f"LocalConnection {told(middle(elsewhere[1:]))}    ratio to the hub {ratio(middle(elsewhere[1:]), hub)}")
    print(f"largest difference of the results: {difference:.1e} (allowed {TOLERANCE:.0e})")
    if difference > TOLERANCE:
        raise SystemExit("The results differ.")


def middle(times: Sequence[Times]) -> Times:
    """Return the medians of elapsed and processor time."""
    elapsed, worked = (statistics.median(one) for one in zip(*times, strict=True))
    return elapsed, worked


def told(times: Times) -> str:
    """Write elapsed and processor seconds."""
    return f"{times[0]:6.2f} s, {times[1]:5.2f} s of processor time"


def ratio(one: Times, other: Times) -> str:
    """Write how many times longer the one takes."""
    return f"{one[0] / other[0]:.2f} elapsed, {one[1] / other[1]:.2f} worked"


if __name__ == "__main__":
    main()
