"""The openEO process graphs of a product layer: means or hectares of classes per polygon, of one year or two."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import reduce
from typing import Any

from knowledge.decoding import Rules
from tools.layer_threshold import ThresholdRules, into_classes
from tools.schema import Bbox, Plan, Polygons

EQUAL_AREA_EUROPE, EQUAL_AREA_WORLD = 3035, 6933
EUROPE: Bbox = (-32.0, 27.0, 45.0, 72.0)
"""Where the equal-area grid of Europe is used; elsewhere the cylindrical one of the world."""
OTHER_EQUAL_AREA = ("mollweide", "sinusoidal", "equal earth")
M2_PER_HA = 10_000.0
YEAR_STEP = 1000
"""In a date such as 21123, day 123 of 2021, what comes before the last three digits is the year of the century."""
EARLIER, LATER, DIFFERENCE = "EARLIER", "LATER", "DIFFERENCE"
CHANGED_TO, TRANSITION = "CHANGED_TO", "TRANSITION"
UNCHANGED = -1
"""Stands in the band CHANGED_TO where both years have the same class."""
PAIR_BASE = 1000
"""A transition is stored as one number, the earlier key times this plus the later one: exact in 32-bit floats."""
Pair = tuple[int, int]
"""Class code of the earlier and of the later year."""


def is_equal_area(crs: str | int | None) -> bool:
    """Tell whether all pixels of a reference system have the same area on the ground."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        operation = CRS.from_user_input(crs).coordinate_operation if crs else None
    except CRSError:
        return False
    name = operation.method_name.lower() if operation else ""
    return "equal area" in name or any(one in name for one in OTHER_EQUAL_AREA)


def equal_area_epsg(box: Bbox) -> int:
    """Give the code of an equal-area reference system that fits a box."""
    inside = box[0] >= EUROPE[0] and box[1] >= EUROPE[1] and box[2] <= EUROPE[2] and box[3] <= EUROPE[3]
    return EQUAL_AREA_EUROPE if inside else EQUAL_AREA_WORLD


def build_density_graphs(plan: Plan, rules: Rules, units: Polygons, box: Bbox) -> dict[str, dict[str, Any]]:
    """Build the flat graphs of a layer of values: mean and count per polygon, and the map.

    The tables have the bands of `tools/zonal.py`: the value, and VALID, whose count is that of all pixels.
    """
    value = _values(plan, rules, box, "VALUE")
    return _graphs(value, value, units, reducer="mean")


def build_date_graphs(plan: Plan, rules: Rules, units: Polygons, box: Bbox) -> dict[str, dict[str, Any]]:
    """Build the flat graphs of a layer of dates: the median (under `mean`) and count per polygon, and the map.

    Values are days of the year in which the layer's period begins: 1 is 1 January, 0 the day before.
    """
    day = _load(plan, box).reduce_dimension(dimension="bands", reducer=_day_of_year(rules, plan.period.start.year))
    day = day.add_dimension(name="bands", label="DAY", type="bands")
    return _graphs(day, day, units, reducer="median")


def build_class_graphs(
    plan: Plan, rules: Rules, units: Polygons, box: Bbox, *, pixel_m: float, warp_to_epsg: int | None
) -> dict[str, dict[str, Any]]:
    """Build the flat graphs of a layer of classes: hectares (a sum) and count per polygon and class, and the map.

    Args:
        plan: What is computed.
        rules: Codes of the classes, and how the layer is read.
        units: The polygons.
        box: What is loaded, degrees.
        pixel_m: Side of a pixel in metres, in the equal-area system that is computed in.
        warp_to_epsg: That system, where the layer's own is not of equal area; nearest neighbour keeps the codes.
    """
    cube = _warped(_coded(plan, rules, box), pixel_m, warp_to_epsg)
    areas = cube.apply_dimension(dimension="bands", process=_hectares(rules, pixel_m**2 / M2_PER_HA))
    areas = areas.rename_labels(dimension="bands", target=[f"CLASS_{one.code}" for one in rules.classes])
    codes = cube.reduce_dimension(dimension="bands", reducer=_codes(rules))
    return _graphs(areas, codes.add_dimension(name="bands", label="CLASS", type="bands"), units, reducer="sum")


def build_density_change(
    plans: tuple[Plan, Plan], rules: tuple[Rules, Rules], units: Polygons, box: Bbox
) -> dict[str, dict[str, Any]]:
    """Build the flat graphs of a difference, later minus earlier, of the pixels that have a value in both years.

    `mean`, `count` and `raster` are of the difference; `sides` gives the means of both years over the same pixels.
    """
    from openeo.processes import array_create, array_element, if_, is_valid

    named = zip(plans, rules, (EARLIER, LATER), strict=True)
    first, second = (_values(plan, rule, box, label) for plan, rule, label in named)
    both: Any = first.merge_cubes(second)
    change = both.reduce_dimension(
        dimension="bands", reducer=lambda data: array_element(data, index=1) - array_element(data, index=0)
    )
    change = change.add_dimension(name="bands", label=DIFFERENCE, type="bands")

    def shared(data: Any) -> Any:
        values = [array_element(data, index=place) for place in (0, 1)]
        known = is_valid(values[1] - values[0])
        return array_create([if_(value=known, accept=value) for value in values])

    sides = both.apply_dimension(dimension="bands", process=shared)
    sides = sides.rename_labels(dimension="bands", target=[EARLIER, LATER])
    table = sides.aggregate_spatial(geometries=_outlines(units), reducer="mean").save_result(format="JSON")
    return {**_graphs(change, change, units, reducer="mean"), "sides": table.flat_graph()}


def build_transition_map(
    plans: tuple[Plan, Plan], rules: tuple[Rules, Rules], box: Bbox, *, pixel_m: float, warp_to_epsg: int | None
) -> dict[str, Any]:
    """Build the flat graph of a GeoTIFF with two bands: what a pixel changed to, and which transition it made."""
    from openeo.processes import array_create, array_element, eq, if_, is_valid

    pair = _pair_cube(plans, rules, box, pixel_m=pixel_m, warp_to_epsg=warp_to_epsg)
    codes = {key: code for code, key in pair_keys(rules[1]).items()}

    def callback(data: Any) -> Any:
        first, second = (array_element(data, index=place) for place in (0, 1))
        changed = if_(value=eq(first, second), accept=UNCHANGED, reject=_translated(second, codes))
        both: Any = first * PAIR_BASE + second
        return array_create([if_(value=is_valid(both), accept=changed), both])

    bands = pair.apply_dimension(dimension="bands", process=callback)
    bands = bands.rename_labels(dimension="bands", target=[CHANGED_TO, TRANSITION])
    graph: dict[str, Any] = bands.save_result(format="GTiff").flat_graph()
    return graph


def build_transition_tables(
    plans: tuple[Plan, Plan],
    rules: tuple[Rules, Rules],
    units: Polygons,
    box: Bbox,
    *,
    pairs: Sequence[Pair],
    at_once: int,
    pixel_m: float,
    warp_to_epsg: int | None,
) -> dict[str, dict[str, Any]]:
    """Build the flat graphs of tables: hectares (a sum) per polygon and transition, in parts, and one count for all.

    Args:
        plans: Of the earlier and the later year.
        rules: How each is read; both have the same classes.
        units: The polygons.
        box: What is loaded, degrees.
        pairs: Transitions that occur, each a band of its own.
        at_once: How many bands a part has: they are computed together.
        pixel_m: Side of a pixel in metres, in the equal-area system that is computed in.
        warp_to_epsg: That system, where the layers' own is not of equal area.
    """
    cube = _pair_cube(plans, rules, box, pixel_m=pixel_m, warp_to_epsg=warp_to_epsg)
    both = cube.reduce_dimension(
        dimension="bands",
        reducer=lambda data: data.array_element(index=0) * PAIR_BASE + data.array_element(index=1),
    ).add_dimension(name="bands", label=TRANSITION, type="bands")
    keys, graphs = pair_keys(rules[1]), {}
    for start in range(0, len(pairs), at_once):
        part = pairs[start : start + at_once]
        wanted = [keys[first] * PAIR_BASE + keys[second] for first, second in part]
        areas = both.apply_dimension(dimension="bands", process=_of_each(wanted, pixel_m**2 / M2_PER_HA))
        areas = areas.rename_labels(dimension="bands", target=[f"FROM_{one}_TO_{other}" for one, other in part])
        graphs[f"mean {start // at_once + 1}" if start else "mean"] = _tables(areas, units, reducer="sum")["mean"]
    return {**graphs, "count": _tables(both, units, reducer="sum")["count"]}


def _of_each(wanted: Sequence[int], pixel_ha: float) -> Callable[[Any], Any]:
    """Give the callback that makes one band per number: a pixel's hectares where it has it, else 0."""
    from openeo.processes import array_create, array_element, eq, if_

    def callback(data: Any) -> Any:
        stored = array_element(data, index=0)
        return array_create([if_(value=eq(stored, one), accept=pixel_ha, reject=0) for one in wanted])

    return callback


def pair_keys(rules: Rules) -> dict[int, int]:
    """Give the number that stands for each class in a transition: its code, or its place where codes are long."""
    codes = [one.code for one in rules.classes]
    small = all(0 <= code < PAIR_BASE for code in codes)
    return {code: code if small else place for place, code in enumerate(codes, 1)}


def _values(plan: Plan, rules: Rules, box: Bbox, label: str) -> Any:
    value = _load(plan, box).reduce_dimension(dimension="bands", reducer=_physical(rules))
    return value.add_dimension(name="bands", label=label, type="bands")


def _pair_cube(
    plans: tuple[Plan, Plan], rules: tuple[Rules, Rules], box: Bbox, *, pixel_m: float, warp_to_epsg: int | None
) -> Any:
    """Put the classes of both years on one grid, as the keys that transitions are made of."""
    cubes = []
    for plan, rule, label in zip(plans, rules, (EARLIER, LATER), strict=True):
        cube = _warped(_load(plan, box), pixel_m, warp_to_epsg).reduce_dimension(dimension="bands", reducer=_keys(rule))
        cubes.append(cube.add_dimension(name="bands", label=label, type="bands"))
    return cubes[0].merge_cubes(cubes[1])


def _coded(plan: Plan, rules: Rules, box: Bbox) -> Any:
    """Load the codes of a layer of classes; of a layer of values, those of what lies within bounds and of the rest."""
    cube = _load(plan, box)
    if not isinstance(rules, ThresholdRules):
        return cube
    two = cube.reduce_dimension(dimension="bands", reducer=into_classes(rules, _physical(rules)))
    return two.add_dimension(name="bands", label="CLASS", type="bands")


def _warped(cube: Any, pixel_m: float, warp_to_epsg: int | None) -> Any:
    """Bring classes into an equal-area system; nearest neighbour keeps the codes."""
    if warp_to_epsg is None:
        return cube
    # By name: the client's own method forgets the dimensions of a cube whose metadata were not fetched.
    how = {"resolution": pixel_m, "projection": warp_to_epsg, "method": "near"}
    return cube.process("resample_spatial", {"data": cube, **how})


def _keys(rules: Rules) -> Callable[[Any], Any]:
    """Give the reducer that turns stored codes into the keys of `pair_keys`, and the rest into nothing."""
    keys, codes = pair_keys(rules), _codes(rules)
    return lambda data: _translated(codes(data), keys)


def _translated(value: Any, table: dict[int, int]) -> Any:
    from openeo.processes import eq, if_

    found = value
    for old, new in table.items():
        if old != new:
            found = if_(value=eq(value, old), accept=new, reject=found)
    return found


def _load(plan: Plan, box: Bbox) -> Any:
    from openeo.rest.datacube import DataCube

    if plan.layer is None:
        raise ValueError("The plan names no layer.")
    # Releases are told apart by their first day: a whole year would also meet one that ends on its first second.
    start = plan.period.start
    cube = DataCube.load_collection(
        plan.collection_id,
        spatial_extent=dict(zip(("west", "south", "east", "north"), box, strict=True)),
        temporal_extent=[start.isoformat(), (start + timedelta(days=1)).isoformat()],
        bands=[plan.layer.band],
        fetch_metadata=False,
    )
    return cube.reduce_dimension(dimension="t", reducer="first")


def _graphs(values: Any, picture: Any, units: Polygons, *, reducer: str) -> dict[str, dict[str, Any]]:
    return {**_tables(values, units, reducer=reducer), "raster": picture.save_result(format="GTiff").flat_graph()}


def _tables(values: Any, units: Polygons, *, reducer: str) -> dict[str, dict[str, Any]]:
    # Counting along the bands never gives nothing, so counting VALID counts every pixel.
    valid = values.reduce_dimension(dimension="bands", reducer="count")
    both = values.merge_cubes(valid.add_dimension(name="bands", label="VALID", type="bands"))
    outlines = _outlines(units)
    return {
        name: both.aggregate_spatial(geometries=outlines, reducer=how).save_result(format="JSON").flat_graph()
        for name, how in (("mean", reducer), ("count", "count"))
    }


def _physical(rules: Rules) -> Callable[[Any], Any]:
    """Give the reducer that turns a stored number into a value, and into nothing where it is no measurement."""
    from openeo.processes import and_, array_element, eq, if_

    def reducer(data: Any) -> Any:
        stored = array_element(data, index=0)
        checks = _is_measured(rules, stored)
        value = stored
        if rules.scale != 1:
            value = value * rules.scale
        if rules.offset:
            value = value + rules.offset
        if checks:
            value = if_(value=reduce(and_, checks), accept=value)
        for code, meant in rules.constants.items():
            value = if_(value=eq(stored, code), accept=meant, reject=value)
        # A reducer must name a process; this one changes nothing.
        return value if value is not stored else stored + 0

    return reducer


def _is_measured(rules: Rules, stored: Any) -> list[Any]:
    """Give the tests that a stored number passes where it is a measurement."""
    from openeo.processes import gte, lte, neq

    low, high = rules.valid
    checks = [gte(stored, low)] if low is not None else []
    checks += [lte(stored, high)] if high is not None else []
    inside = [code for code in rules.special if (low is None or code >= low) and (high is None or code <= high)]
    return checks + [neq(stored, code) for code in inside]


def _day_of_year(rules: Rules, year: int) -> Callable[[Any], Any]:
    """Give the reducer that turns a stored date into the day of a year, and into nothing where there is no date."""
    from openeo.processes import and_, array_element, eq, floor, gte, if_, lte, mod

    if rules.date == "doy":
        return _physical(rules)

    def reducer(data: Any) -> Any:
        stored = array_element(data, index=0)
        years, day = floor(stored / YEAR_STEP), mod(stored, YEAR_STEP)
        last = if_(value=eq(mod(years, 4), 0), accept=366, reject=365)
        # Days from 1 January 2000 to that of a year: 365 for each year, and one for each leap year that is over.
        since = years * 365 + floor((years + 3) / 4) - ((year - 2000) * 365 + (year - 2000 + 3) // 4)
        exists = [*_is_measured(rules, stored), gte(day, 1), lte(day, last)]
        return if_(value=reduce(and_, exists), accept=since + day)

    return reducer


def _hectares(rules: Rules, pixel_ha: float) -> Callable[[Any], Any]:
    """Give the callback that makes one band per class: a pixel's hectares, 0 in other classes, nothing where none."""
    from openeo.processes import array_create, array_element, if_

    def callback(data: Any) -> Any:
        stored = array_element(data, index=0)
        known = _known(rules, stored)
        of_class = {one.code: _is(stored, rules, one.code) for one in rules.classes}
        otherwise = if_(value=known, accept=0)
        return array_create([if_(value=of_class[one.code], accept=pixel_ha, reject=otherwise) for one in rules.classes])

    return callback


def _codes(rules: Rules) -> Callable[[Any], Any]:
    """Give the reducer that keeps the codes of classes, each by its class code, and nothing else."""
    from openeo.processes import array_element, eq, if_

    def reducer(data: Any) -> Any:
        stored = array_element(data, index=0)
        value = if_(value=_known(rules, stored), accept=stored)
        for one in rules.classes:
            if one.grid_code is not None and one.grid_code != one.code:
                value = if_(value=eq(stored, one.grid_code), accept=one.code, reject=value)
        return value

    return reducer


def _known(rules: Rules, stored: Any) -> Any:
    from openeo.processes import or_

    return reduce(or_, [_is(stored, rules, one.code) for one in rules.classes])


def _is(stored: Any, rules: Rules, code: int) -> Any:
    """Test for a class, by its code or, where rasters of this legend may hold it instead, its grid code."""
    from openeo.processes import eq, or_

    grid = next(one.grid_code for one in rules.classes if one.code == code)
    return eq(stored, code) if grid is None or grid == code else or_(eq(stored, code), eq(stored, grid))


def _outlines(units: Polygons) -> dict[str, Any]:
    """Send the outlines alone: names and other properties stay here."""
    features = [
        {"type": "Feature", "id": str(feature.get("id", place)), "properties": {}, "geometry": feature["geometry"]}
        for place, feature in enumerate(units.collection["features"])
    ]
    return {"type": "FeatureCollection", "features": features}
