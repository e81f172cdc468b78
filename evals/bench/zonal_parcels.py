"""Times the means of 1,000 parcels on 12 dates through the hub against exactextract on the same files.

`python -m evals.bench.zonal_parcels`; files as in `ndvi_median`. The hub takes pixels by their centres, as openEO has
it; exactextract weighs them by the share inside: the means differ by what that does.
"""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from evals.bench.ndvi_median import COLLECTION, CORNER, CRS, DAYS, ROUNDS, make_archive, middle, path_of, seconds, told
from tools.backends import OpenEOBackend
from tools.hub.limits import Limits
from tools.hub.server import running_hub

Json = dict[str, Any]
BAND, PARCELS, SPACING_M = "B04_10m", 1000, 310.0


def main() -> None:
    """Make the files, time both sides in turns, compare the means and print the ratio."""
    shapes = parcels()
    with tempfile.TemporaryDirectory() as folder:
        hub_dir = Path(folder)
        make_archive(hub_dir)
        with running_hub(hub_dir, limits=Limits(keep=False)) as url:
            backend, graph = OpenEOBackend(f"{url}/openeo", timeout_s=600), series_graph(shapes)
            # The first round also pays for imports; it is shown but not counted.
            rounds = [
                (seconds(lambda: backend.run_table(graph)), seconds(lambda: exact_means(hub_dir, shapes)))
                for _ in range(ROUNDS + 1)
            ]
            table = backend.run_table(graph)
        found = np.array([[row[0] for row in table[day]] for day in sorted(table)])
        difference = np.abs(found - exact_means(hub_dir, shapes))
    for hub_s, exact_s in rounds:
        print(f"hub over HTTP {told(hub_s)}    exactextract {told(exact_s)}")
    hub, exact = (middle(side) for side in zip(*rounds[1:], strict=True))
    ratio = f"ratio {hub[0] / exact[0]:.2f} elapsed, {hub[1] / exact[1]:.2f} worked"
    print(f"median        {told(hub)}    exactextract {told(exact)}    {ratio}")
    print(
        f"difference of the means: median {np.median(difference):.2f}, largest {difference.max():.2f} (of about 3000)"
    )


def parcels() -> list[Json]:
    """Give irregular hexagons of a few hectares that do not touch."""
    rng = np.random.default_rng(5)
    shapes = []
    for number in range(PARCELS):
        column, row = number % 32, number // 32
        centre = CORNER[0] + 200 + SPACING_M * column, CORNER[1] - 200 - SPACING_M * row
        angles = np.linspace(0, 2 * np.pi, 7)[:6] + rng.uniform(0, 1)
        ring = [
            [float(centre[0] + radius * np.cos(angle)), float(centre[1] + radius * np.sin(angle))]
            for angle, radius in zip(angles, rng.uniform(60, 145, 6), strict=True)
        ]
        shapes.append({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    return shapes


def series_graph(shapes: list[Json]) -> Json:
    """Give the graph of one band's mean per parcel and date."""
    area = {"type": "GeometryCollection", "geometries": shapes, "crs": {"type": "name", "properties": {"name": CRS}}}
    mean = {"mean": {"process_id": "mean", "arguments": {"data": {"from_parameter": "data"}}, "result": True}}
    load = {
        "id": COLLECTION, "bands": [BAND], "spatial_extent": None,
        "temporal_extent": [str(DAYS[0]), str(DAYS[-1] + timedelta(days=1))],
    }  # fmt: skip
    zonal = {"data": {"from_node": "load"}, "geometries": area, "reducer": {"process_graph": mean}}
    saved = {"data": {"from_node": "zonal"}, "format": "JSON"}
    return {
        "load": {"process_id": "load_collection", "arguments": load},
        "zonal": {"process_id": "aggregate_spatial", "arguments": zonal},
        "save": {"process_id": "save_result", "arguments": saved, "result": True},
    }  # fmt: skip


def exact_means(hub_dir: Path, shapes: list[Json]) -> np.ndarray[Any, Any]:
    """Compute the same means with exactextract: dates, then parcels."""
    import exactextract

    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    files = [str(path_of(hub_dir, day, BAND)) for day in DAYS]
    rows = exactextract.exact_extract(files, features, ["mean"])
    return np.array([list(row["properties"].values()) for row in rows]).T


if __name__ == "__main__":
    main()
