"""Class maps from a raster of bands: k-means, a random forest trained on polygons, thresholds.

The exported script and notebook carry the text of this file from `SEED` on, so it imports nothing of this project.
Everything that is drawn by chance is drawn with `SEED`: the same pixels give the same classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SEED = 0
TREES = 100
HELD_OUT = 0.3
"""Share of each class's polygons that accuracy is measured on; at least one polygon."""
FIT_PIXELS = 50_000
"""Most pixels that k-means or the forest learns from; more are drawn by chance."""
BLOCK_PIXELS = 200_000


@dataclass(frozen=True)
class Bands:
    """A raster: `values` has the shape (bands, rows, columns), NaN for no data."""

    values: Any
    names: tuple[str, ...]
    transform: Any
    crs: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[1], self.values.shape[2]

    @property
    def valid(self) -> Any:
        """True where every band has a value."""
        import numpy as np

        return np.isfinite(self.values).all(axis=0)


@dataclass(frozen=True)
class Split:
    """Which polygon each labelled pixel is of, and which polygons are held out."""

    polygons: Any
    """Number of the polygon of each pixel, from 1; 0 outside. Pixels of several polygons are in none."""
    held_out: tuple[bool, ...]
    """For each polygon."""
    shared_pixels: int
    """Pixels that were left out because they lie in several polygons."""


@dataclass(frozen=True)
class Task:
    """What is done with the bands: pure data."""

    method: str
    """`kmeans`, `random_forest` or `thresholds`."""
    area: dict[str, Any]
    """Geometry in EPSG:4326 whose pixels are classified."""
    names: tuple[str, ...]
    """Of the classes; class 1 is the first."""
    breaks: tuple[float, ...] = ()
    """For thresholds: where the next class begins, ascending."""
    outlines: tuple[dict[str, Any], ...] = ()
    """For a random forest: geometries of the labelled polygons, EPSG:4326."""
    classes: tuple[int, ...] = ()
    """For a random forest: the class of each polygon, from 1."""


@dataclass(frozen=True)
class Result:
    """A class map and what is known of it."""

    codes: Any
    """Class of each pixel, 0 for none; shape (rows, columns)."""
    table: list[dict[str, Any]]
    """Of each class: code, class, pixels, area_ha, share_percent, means of the bands."""
    accuracy: dict[str, Any] | None = None
    """On held-out polygons, for a random forest."""
    split: Split | None = None
    importances: tuple[float, ...] = ()
    """Of each band for the random forest, 0 to 1."""


def run_task(bands: Bands, task: Task) -> Result:
    """Classify the pixels of the area that have a value in every band."""
    where = inside(bands, task.area) & bands.valid
    if task.method == "random_forest":
        split = split_polygons(bands, task.outlines, task.classes)
        codes, matrix, importances = forest_classes(bands, where, split, task.classes)
        checked = accuracy(matrix, task.names)
        return Result(codes, class_table(bands, codes, task.names), checked, split, tuple(importances))
    if task.method == "kmeans":
        codes = kmeans_classes(bands, where, len(task.names))
    else:
        codes = break_classes(bands, where, task.breaks)
    return Result(codes, class_table(bands, codes, task.names))


def read_bands(path: str) -> Bands:
    """Read a GeoTIFF; its no-data value becomes NaN."""
    import numpy as np
    import rasterio

    with rasterio.open(path) as source:
        values = np.ma.filled(source.read(masked=True).astype("float32"), np.nan)
        names = tuple(name or f"band {number}" for number, name in enumerate(source.descriptions, 1))
        return Bands(values, names, source.transform, source.crs)


def inside(bands: Bands, geometry: dict[str, Any]) -> Any:
    """Give the pixels whose centres lie in a geometry in EPSG:4326, as an array of true and false."""
    from rasterio.features import geometry_mask

    return geometry_mask([on_grid(bands, geometry)], bands.shape, bands.transform, invert=True)


def on_grid(bands: Bands, geometry: dict[str, Any]) -> dict[str, Any]:
    """Bring a geometry in EPSG:4326 to the raster's system; long edges are bent as the projection bends them."""
    import shapely
    from rasterio.warp import transform_geom

    dense = shapely.segmentize(shapely.geometry.shape(geometry), 0.01)
    return dict(transform_geom("EPSG:4326", bands.crs, shapely.geometry.mapping(dense)))


def pixel_hectares(bands: Bands) -> Any:
    """Give the true area of each pixel, from its corners in an equal-area projection (EPSG:6933)."""
    import numpy as np
    from pyproj import Transformer

    rows, columns = bands.shape
    column, row = np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0))
    a, b, c, d, e, f = bands.transform[:6]
    x, y = a * column + b * row + c, d * column + e * row + f
    x, y = Transformer.from_crs(bands.crs.to_wkt(), 6933, always_xy=True).transform(x, y)
    # Half the cross product of the two diagonals of a pixel.
    down = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
    up = x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]
    return np.abs(down[0] * up[1] - down[1] * up[0]) / 2 / 10_000


def kmeans_classes(bands: Bands, where: Any, count: int) -> Any:
    """Group the pixels of `where` into `count` classes by their standardised bands; 1 is the darkest, 0 no class."""
    import numpy as np
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    pixels = bands.values[:, where].T.astype("float64")
    sample = drawn(pixels)
    middle, spread = sample.mean(axis=0), sample.std(axis=0)
    spread[spread == 0] = 1
    # One thread: several add numbers in another order each time.
    with threadpool_limits(limits=1):
        model = KMeans(count, n_init=5, random_state=SEED).fit((sample - middle) / spread)
        found = predicted(lambda block: model.predict((block - middle) / spread), pixels)
    brightness = (model.cluster_centers_ * spread + middle).mean(axis=1)
    ranks = np.argsort(np.argsort(brightness, kind="stable"), kind="stable")
    return filled(where, ranks[found] + 1)


def split_polygons(bands: Bands, outlines: Sequence[dict[str, Any]], classes: Sequence[int]) -> Split:
    """Give each labelled pixel its polygon, and hold out some polygons of each class, whole and drawn by chance.

    Args:
        bands: The raster.
        outlines: Geometries of the polygons, EPSG:4326.
        classes: The class of each polygon, from 1. A class needs two polygons with a valid pixel.
    """
    import numpy as np
    from rasterio.enums import MergeAlg
    from rasterio.features import rasterize

    shapes = [on_grid(bands, outline) for outline in outlines]
    grid = {"out_shape": bands.shape, "transform": bands.transform, "dtype": "int32"}
    numbers = rasterize(list(zip(shapes, range(1, len(shapes) + 1), strict=True)), **grid)
    counts = rasterize([(one, 1) for one in shapes], merge_alg=MergeAlg.add, **grid)
    shared = int(((counts > 1) & bands.valid).sum())
    numbers[(counts > 1) | ~bands.valid] = 0
    usable = set(np.unique(numbers)) - {0}
    chance, held_out = np.random.default_rng(SEED), [False] * len(outlines)
    for one in sorted(set(classes)):
        members = [place for place, own in enumerate(classes) if own == one and place + 1 in usable]
        for place in chance.permutation(members)[: max(1, round(len(members) * HELD_OUT))]:
            held_out[int(place)] = True
    return Split(numbers, tuple(held_out), shared)


def forest_classes(bands: Bands, where: Any, split: Split, classes: Sequence[int]) -> tuple[Any, Any, list[float]]:
    """Train a random forest on the polygons that are not held out, and let it name the pixels of `where`.

    Returns:
        The class of each pixel, 0 for none; the confusion matrix of the held-out pixels, whose rows are the classes of
        the polygons and whose columns those of the forest; and the importance of each band, 0 to 1.
    """
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import confusion_matrix

    labelled = split.polygons > 0
    pixels, polygons = bands.values[:, labelled].T, split.polygons[labelled] - 1
    truth, held = np.asarray(classes)[polygons], np.asarray(split.held_out)[polygons]
    chosen = drawn(np.flatnonzero(~held))
    model = RandomForestClassifier(TREES, random_state=SEED, n_jobs=1).fit(pixels[chosen], truth[chosen])
    matrix = confusion_matrix(truth[held], predicted(model.predict, pixels[held]), labels=sorted(set(classes)))
    found = predicted(model.predict, bands.values[:, where].T)
    return filled(where, found), matrix, [float(one) for one in model.feature_importances_]


def break_classes(bands: Bands, where: Any, breaks: Sequence[float]) -> Any:
    """Give each pixel the class of its first band's value: 1 below the first break, a break opens the next one."""
    import numpy as np

    return filled(where, np.digitize(bands.values[0, where], breaks) + 1)


def class_table(bands: Bands, codes: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """Count pixels and hectares of each class, with the mean of each band."""
    import numpy as np

    hectares, found = pixel_hectares(bands), []
    total = float(hectares[codes > 0].sum())
    for code, name in enumerate(names, 1):
        own = codes == code
        area = float(hectares[own].sum())
        means = [float(band[own].mean(dtype="float64")) if own.any() else None for band in bands.values]
        row = {"code": code, "class": name, "pixels": int(np.count_nonzero(own)), "area_ha": area}
        found.append({**row, "share_percent": 100 * area / total, "means": dict(zip(bands.names, means, strict=True))})
    return found


def accuracy(matrix: Any, names: Sequence[str]) -> dict[str, Any]:
    """Give overall accuracy, and precision and recall of each class, in percent; None where nothing can be said."""
    right, wanted, given = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    rows = [
        {
            "class": name,
            "held_out_pixels": int(wanted[place]),
            "precision_percent": 100 * float(right[place] / given[place]) if given[place] else None,
            "recall_percent": 100 * float(right[place] / wanted[place]) if wanted[place] else None,
        }
        for place, name in enumerate(names)
    ]
    return {"overall_percent": 100 * float(right.sum() / matrix.sum()), "classes": rows, "matrix": matrix.tolist()}


def drawn(rows: Any) -> Any:
    """Draw at most `FIT_PIXELS` rows by chance, in their order."""
    import numpy as np

    if len(rows) <= FIT_PIXELS:
        return rows
    return rows[np.sort(np.random.default_rng(SEED).choice(len(rows), FIT_PIXELS, replace=False))]


def predicted(predict: Any, pixels: Any) -> Any:
    """Predict block by block, so that memory stays small."""
    import numpy as np

    blocks = [pixels[start : start + BLOCK_PIXELS] for start in range(0, len(pixels), BLOCK_PIXELS)]
    return np.concatenate([predict(block) for block in blocks])


def filled(where: Any, found: Any) -> Any:
    """Lay the classes of the pixels of `where` on the whole grid; 0 elsewhere."""
    import numpy as np

    codes = np.zeros(where.shape, "uint8")
    codes[where] = found
    return codes


def format_classes(rows: Sequence[dict[str, Any]]) -> str:
    """Give the class table as lines of text."""
    lines = [f"{'code':>4}  {'pixels':>9}  {'hectares':>12}  class"]
    lines += [f"{row['code']:>4}  {row['pixels']:>9}  {row['area_ha']:>12.4f}  {row['class']}" for row in rows]
    return "\n".join(lines)


def same_classes(rows: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> str:
    """Say in one sentence whether a class table is that of the first run."""
    far = [now["class"] for now, then in zip(rows, expected, strict=True) if now["pixels"] != then["pixels"]]
    if far:
        return f"Different from the first run in {', '.join(far)}: other pixels in the archive, or other versions."
    return f"Same as the first run: all {len(rows)} classes have as many pixels."
