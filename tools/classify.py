"""A simple classification: plan, bands from the back-end, classes by code, and what is told of them."""

import itertools
import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tools import band_graphs
from tools.backends import OpenEOBackend, open_backend
from tools.classification import (
    FIT_PIXELS,
    TREES,
    Bands,
    Result,
    Task,
    drawn,
    inside,
    read_bands,
    run_task,
    split_polygons,
)
from tools.coverage import name_what_is_covered
from tools.errors import NoScenes, TooLarge, ToolInputError
from tools.indices import Recipe, used_layers
from tools.layers import Layers
from tools.planning import EDGE_DEG, Prepared, choose_place, prepare
from tools.recipes import SCL_MASKED, build_graphs
from tools.runs import Made, run_once
from tools.schema import Bbox, LayerChoice, Place, Polygons, Statistics, StatisticsRow, ToolResult
from tools.training import MAX_CLASSES, Training, check_counts, read_training

if TYPE_CHECKING:
    from tools.advice import Advice
    from tools.toolbox import Context, Services

Method = Literal["kmeans", "random_forest", "thresholds"]

TITLES: dict[Method, str] = {"kmeans": "k-means classes", "random_forest": "random forest", "thresholds": "classes"}
MAX_PIXELS = 4_000_000
"""Pixels of one map: on one core a forest names some hundred thousand a second."""
LEAST_PIXELS = 10
"""Clear pixels of each class that a forest needs at least."""
_DECIMAL_COMMA = re.compile(r"(?<!\d)0,\d|\d,\d.*(?:;|(?<=\d)\s+[-+\d])|(?:;|\d\s+[-+\d]).*\d,\d")
"""`0,2` or `1,5; 2,5`: two numbers, or one with a decimal comma."""
SUBJECT = "land cover classes"
"""What is looked up in the catalogue: products whose classes have names."""


@dataclass(frozen=True)
class Asked:
    """What is asked for, beside place and period."""

    method: Method
    count: int = 5
    """Classes of k-means."""
    label: str = ""
    """Attribute with the classes of the polygons; empty: to be found."""
    index: str = "NDVI"
    """For thresholds."""
    breaks: str = ""
    """For thresholds: numbers, separated by commas or spaces."""


@dataclass(frozen=True)
class ClassWork:
    """A classification, looked up and ready to run."""

    prepared: Prepared
    asked: Asked
    graph: dict[str, Any]
    task: Task
    training: Training | None


def classify(services: "Services", context: "Context", *, place: str, period: str, asked: Asked) -> ToolResult:
    """Plan, load the bands, classify, and tell the classes with their hectares."""
    from tools.classify_telling import tell_classes
    from tools.compute import find_advice

    context.on_progress("Looking up place, period and scenes")
    work = look_up(services, context, place=place, period=period, asked=asked)
    context.stop_if_asked()
    # The polygons are for training: no units that a product must tell apart.
    bare = replace(work.prepared, plan=work.prepared.plan.model_copy(update={"polygons": None}))
    advice = find_advice(services, replace(context, question=SUBJECT), bare)
    graphs = {"bands": work.graph, "task": asdict(work.task)}
    told, made = run_once(services, context, work.prepared, graphs, lambda: run(services, context, work, advice))
    return tell_classes(replace(work, prepared=told), made.data, made.statistics[0], made.artifacts, advice)


def run(services: "Services", context: "Context", work: ClassWork, advice: "Advice") -> Made:
    """Load the bands, classify them and write the files."""
    from tools.classify_files import make_class_files
    from tools.classify_telling import describe
    from tools.compute import check_stored_values

    backend = open_backend(services, context, work.prepared.estimate)
    backend.validate(work.graph)
    if work.asked.method == "thresholds":
        check_stored_values(backend, work.prepared)
    estimate = work.prepared.estimate
    context.on_progress(f"Loading the bands ({estimate.reason} {estimate.megabytes:.1f} MB)")
    bands = _load(backend, work.graph)
    context.stop_if_asked()
    context.on_progress(f"Classifying: {work.prepared.recipe.title}")
    check_pixels(bands, work)
    result = run_task(bands, work.task)
    context.stop_if_asked()
    rows = class_rows(bands, work.task, result)
    statistics = Statistics(rows=rows, unit="ha", method=method_words(work, bands))
    artifacts = make_class_files(services, context, work, bands, result, statistics, advice)
    return Made(statistics=(statistics,), artifacts=artifacts, data=describe(work, bands, result))


def look_up(services: "Services", context: "Context", *, place: str, period: str, asked: Asked) -> ClassWork:
    """Choose place, scenes and bands, and check what can be checked before any pixel is loaded.

    Raises:
        ToolInputError: There are no polygons to train on, no breaks, or they cannot be read.
        TooLarge: The map would have too many pixels.
    """
    if asked.method == "kmeans" and not 2 <= asked.count <= MAX_CLASSES:
        raise ToolInputError(
            f"k-means makes 2 to {MAX_CLASSES} classes; {asked.count} are asked for.", "Ask for, say, 5 classes."
        )
    training, breaks = None, read_breaks(asked.breaks) if asked.method == "thresholds" else ()
    index = asked.index if asked.method == "thresholds" else band_graphs.CHOOSES
    wide, named = context, None
    if asked.method == "random_forest":
        training, wide, named = _training_ground(services, context, place, asked)
        place = ""
    prepared = prepare(
        services, wide, recipe_id=index, place=place, period=period, output="composite", units="parcels",
        widen=None if asked.method == "thresholds" else _bands_of(asked),
    )  # fmt: skip
    if prepared.estimate.pixels > MAX_PIXELS:
        raise TooLarge(
            f"This map would have {prepared.estimate.pixels} pixels; {MAX_PIXELS} at most are classified at once.",
            "Choose a smaller place, or attach a smaller area.",
        )
    names = _class_names(asked, training, breaks, prepared.recipe.title)
    prepared = _planned(prepared, asked, names, context.area if training else None, named)
    graph = _build_graph(prepared, asked)
    area = prepared.plan.place.geometry or rectangle(prepared.plan.place.bbox)
    labelled = training or Training("", (), (), (), 0)
    outlines = tuple(feature["geometry"] for feature in labelled.features)
    task = Task(asked.method, area, names, breaks, outlines, labelled.classes)
    return ClassWork(_titled(prepared, asked, names), asked, graph, task, training)


def read_breaks(words: str) -> tuple[float, ...]:
    """Read the values at which the next class begins, in ascending order.

    Raises:
        ToolInputError: There is none, one is no finite number, or there are too many.
    """
    hint = "Name them, for example: classes of NDVI with breaks at 0.2, 0.4 and 0.6."
    if "." not in words and _DECIMAL_COMMA.search(words):
        raise ToolInputError(f"The breaks {words[:60]!r} can be read in two ways: write decimals with a dot.", hint)
    try:
        found = sorted({float(part) for part in re.split(r"[;,\s]+", words) if part})
    except ValueError as error:
        raise ToolInputError(f"The breaks {words[:60]!r} are not all numbers.", hint) from error
    if not all(map(math.isfinite, found)):
        raise ToolInputError(f"The breaks {words[:60]!r} are not all finite numbers.", hint)
    if not found or len(found) > 19:
        raise ToolInputError("Thresholds need one to nineteen values at which the next class begins.", hint)
    return tuple(found)


def rectangle(box: Bbox) -> dict[str, Any]:
    """Give a box as a GeoJSON geometry."""
    from shapely.geometry import box as square
    from shapely.geometry import mapping

    return dict(mapping(square(*box)))


def check_pixels(bands: Bands, work: ClassWork) -> None:
    """Refuse what cannot be classified honestly.

    Raises:
        NoScenes: No pixel of the area has a value in every band.
        ToolInputError: There are fewer different pixels than classes, or too few labelled ones.
    """
    import numpy as np

    where = inside(bands, work.task.area) & bands.valid
    if not where.any():
        raise NoScenes(
            "Every pixel of the place is masked or empty (cloud, shadow, snow, no data), so there is nothing to "
            "classify.",
            "Try a longer period.",
        )
    if work.asked.method == "kmeans":
        different = len(np.unique(drawn(bands.values[:, where].T), axis=0))
        if different < len(work.task.names):
            raise ToolInputError(
                f"There are only {different} different pixels for {len(work.task.names)} classes.",
                "Ask for fewer classes or a larger place.",
            )
    if work.training:
        _check_labels(bands, work.task)


def _check_labels(bands: Bands, task: Task) -> None:
    import numpy as np

    found = split_polygons(bands, task.outlines, task.classes).polygons
    pixels = np.bincount(found.ravel(), minlength=len(task.outlines) + 1)[1:]
    usable = Counter(one for one, count in zip(task.classes, pixels, strict=True) if count)
    check_counts({name: usable[code] for code, name in enumerate(task.names, 1)}, " with a clear pixel of their own")
    own = {
        name: sum(int(count) for one, count in zip(task.classes, pixels, strict=True) if one == code)
        for code, name in enumerate(task.names, 1)
    }
    if few := [f"{name} has {count}" for name, count in own.items() if count < LEAST_PIXELS]:
        raise ToolInputError(
            f"Each class needs at least {LEAST_PIXELS} clear pixels inside its polygons: {', '.join(few)}.",
            "Draw larger polygons, or choose a longer period.",
        )


def class_rows(bands: Bands, task: Task, result: Result) -> tuple[StatisticsRow, ...]:
    """Make one row for each class: hectares, and the pixels of the place with and without a class."""
    where = inside(bands, task.area)
    total, valid = int(where.sum()), int((where & bands.valid).sum())
    return tuple(
        StatisticsRow(label=row["class"], value=row["area_ha"], valid_pixels=valid, total_pixels=total, outcome="ok")
        for row in result.table
    )


def method_words(work: ClassWork, bands: Bands) -> str:
    """Tell in a few sentences how the classes are made."""
    from importlib.metadata import version

    prepared = work.prepared
    mask = f"pixels of SCL classes {', '.join(map(str, SCL_MASKED))} left out" if prepared.layers.scl else "no mask"
    learn = f"scikit-learn {version('scikit-learn')}, seed 0, at most {FIT_PIXELS} pixels to learn from"
    how = {
        "kmeans": f"Classes by k-means on the standardised bands ({learn}), from dark to bright",
        "random_forest": f"Classes by a random forest of {TREES} trees on the bands ({learn})",
        "thresholds": f"{prepared.recipe.title} cut at {', '.join(f'{one:g}' for one in work.task.breaks)}",
    }[work.asked.method]
    return (
        f"{how}; {', '.join(bands.names)}: median of each pixel over {prepared.plan.period.start} to "
        f"{prepared.plan.period.end}, collection {prepared.plan.collection_id}, {mask}; hectares are the true areas of "
        "the pixels, from an equal-area projection (EPSG:6933)."
    )


def _load(backend: OpenEOBackend, graph: dict[str, Any]) -> Bands:
    with tempfile.TemporaryDirectory(prefix="clms-") as folder:
        path = Path(folder) / "bands.tif"
        backend.run_raster(graph, path)
        return read_bands(str(path))


def _training_ground(
    services: "Services", context: "Context", place: str, asked: Asked
) -> tuple[Training, "Context", Place | None]:
    """Read the labelled polygons, and make the box that holds them and the place the one area."""
    if context.area is None:
        raise ToolInputError(
            "A random forest learns from labelled polygons, and none are attached.",
            "Attach a GeoJSON, GeoPackage or CSV file of polygons with an attribute that holds the class.",
        )
    training = read_training(context.area, asked.label)
    named = choose_place(place, None, services.nuts) if place.strip() else None
    west, south, east, north = context.area.bbox
    around = (west - EDGE_DEG, south - EDGE_DEG, east + EDGE_DEG, north + EDGE_DEG)
    if named:
        pairs = list(zip(around, named.bbox, strict=True))
        around = (min(pairs[0]), min(pairs[1]), max(pairs[2]), max(pairs[3]))
    feature = {"type": "Feature", "id": "around", "properties": {"name": "around"}, "geometry": rectangle(around)}
    box = Polygons(
        name=f"the rectangle around {context.area.name}",
        source=context.area.source,
        collection={"type": "FeatureCollection", "features": [feature]},
    )
    return training, replace(context, area=box), named


def _class_names(asked: Asked, training: Training | None, breaks: Sequence[float], title: str) -> tuple[str, ...]:
    if training:
        return training.names
    if asked.method == "kmeans":
        return tuple(f"class {number}" for number in range(1, asked.count + 1))
    between = [f"{title} {low:g} to {high:g}" for low, high in itertools.pairwise(breaks)]
    return (f"{title} below {breaks[0]:g}", *between, f"{title} {breaks[-1]:g} and above")


def _bands_of(asked: Asked) -> Callable[[Layers], Recipe]:
    def widen(layers: Layers) -> Recipe:
        return band_graphs.bands_recipe(
            band_graphs.fine_bands(layers),
            identifier=asked.method,
            title=TITLES[asked.method],
            long_name="classification of the bands",
            reading="",
            subject=SUBJECT,
        )

    return widen


def _build_graph(prepared: Prepared, asked: Asked) -> dict[str, Any]:
    plan, layers, box = prepared.plan, prepared.layers, prepared.box
    if asked.method == "thresholds":
        graph: dict[str, Any] = build_graphs(plan, layers, prepared.units, box)["raster"]
        return graph
    return band_graphs.build_composite(plan, prepared.recipe, layers, box)


def _planned(
    prepared: Prepared, asked: Asked, names: Sequence[str], polygons: Polygons | None, named: Place | None
) -> Prepared:
    """Write the classification into the plan: what is classified, how, and from which polygons."""
    place = name_what_is_covered(named, prepared.scenes) if named else prepared.plan.place
    settings: dict[str, Any] = {"method": asked.method, "classes": list(names)}
    if asked.method == "thresholds":
        settings["breaks"] = list(read_breaks(asked.breaks))
    layer = LayerChoice(
        title=_title(asked, names, prepared.recipe.title),
        unit="ha",
        band=", ".join(one.name for one in used_layers(prepared.recipe, prepared.layers)),
        reference=prepared.plan.period.label,
    )
    plan = prepared.plan.model_copy(
        update={"place": place, "polygons": polygons, "layer": layer, "parameters": settings}
    )
    return replace(prepared, plan=plan)


def _titled(prepared: Prepared, asked: Asked, names: Sequence[str]) -> Prepared:
    title = _title(asked, names, prepared.recipe.title)
    return replace(prepared, recipe=prepared.recipe.model_copy(update={"title": title, "reading": "", "caution": ""}))


def _title(asked: Asked, names: Sequence[str], index: str) -> str:
    if asked.method == "thresholds":
        return f"{len(names)} classes of {index}"
    return f"{len(names)} {TITLES['kmeans']}" if asked.method == "kmeans" else f"Random forest, {len(names)} classes"
