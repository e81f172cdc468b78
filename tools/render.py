"""Maps as PNG files, drawn with matplotlib's objects: no window, no shared state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knowledge.schema import LegendClass
from tools.errors import JobFailed
from tools.export import unit_name
from tools.figures import add_footer, add_watermark, axis_label, heading, new_figure, save_figure, shortened
from tools.map_style import StyleClass, colour_map, style_of, true_colours
from tools.schema import Artifact, Plan, Statistics
from tools.workspace import Workspace

NDVI_RANGE = (-0.2, 1.0)
"""Fixed colour range of NDVI, so that two maps can be compared: water and cloud edges below 0, dense canopy near 1."""

LEAST_DIFFERENCE = 0.05
"""A difference map's colours reach at least so far, so that mere noise stays pale."""


_MAX_SIDE = 1200  # Pixels drawn on the longer side: more cannot be seen at this size of figure.
_MAX_LABELS = 60
_MANY = 12  # From here on labels are smaller, and only drawn where they fit into their polygon.
_NO_DATA = "#d9d9d9"
_MAP_WIDTH_POINTS = 480.0  # About what the colour bar leaves of a figure 8 inches wide.


Extent = tuple[float, float, float, float]
"""Left, right, bottom, top of a map in its own units."""


def render_map(
    workspace: Workspace,
    raster: Path,
    plan: Plan,
    *,
    unit: str,
    value_range: tuple[float, float] | None,
    colormap: str,
    title: str,
    statistics: Statistics | None = None,
    synthetic: bool,
    source_line: str,
) -> Artifact:
    """Draw the first band of `raster` as a map with colour bar, scale bar, period, source and polygon outlines.

    Args:
        workspace: Where the file goes.
        raster: GeoTIFF in a projected system; no data is its nodata value or NaN.
        plan: What was computed.
        unit: Unit of the values, "1" when they have none.
        value_range: Values at the two ends of the colour bar; None: those that 2 % and 98 % of the pixels lie below.
        colormap: Id of an official ramp, or name of a matplotlib colour map.
        title: Heading.
        statistics: Adds the value to each polygon's label, where there are few.
        synthetic: Writes across the map that the data are invented.
        source_line: Source and licence, under the map.
    """
    image, extent, crs = _read(raster)
    height_share = (extent[3] - extent[2]) / (extent[1] - extent[0])
    figure, axes = new_figure(8.0, min(max(6.2 * height_share, 3.0), 10.0) + 1.7)
    colours = _colormap(colormap)
    value_range = value_range or _spread(image)
    shown = axes.imshow(
        image, extent=extent, cmap=colours, vmin=value_range[0], vmax=value_range[1], interpolation="nearest"
    )
    bar = figure.colorbar(shown, ax=axes, extend="both", shrink=0.8, pad=0.02)
    bar.set_label(axis_label(plan, unit))
    _dress_map(axes, plan, extent, crs, statistics, synthetic=synthetic)
    axes.set_title(heading(title, plan), fontsize=11, loc="left")
    add_footer(figure, f"{source_line} Grey: no data.")
    colour = {"unit": unit, "colormap": colormap, "low": value_range[0], "high": value_range[1]}
    style = style_of(raster, plan, title=title, source=source_line, synthetic=synthetic, **colour)
    return save_figure(workspace, figure, "map", title, plan, style)


def render_classes(
    workspace: Workspace,
    raster: Path,
    plan: Plan,
    *,
    classes: Sequence[LegendClass],
    title: str,
    synthetic: bool,
    source_line: str,
) -> Artifact:
    """Draw a raster of class codes in the legend's own colours, with the classes that occur beside it."""
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, to_hex
    from matplotlib.patches import Patch

    image, extent, crs = _read(raster)
    met = [one for one in classes if (image == one.code).any()]
    spare = [colormaps["tab20"](number) for number in range(20)]
    colours = [one.color or spare[place % len(spare)] for place, one in enumerate(met)] or [_NO_DATA]
    places = np.full(image.shape, np.nan)
    for place, one in enumerate(met):
        places[np.ma.filled(image == one.code, False)] = place
    height_share = (extent[3] - extent[2]) / (extent[1] - extent[0])
    figure, axes = new_figure(10.0, min(max(6.2 * height_share, 3.0), 10.0) + 1.7)
    palette = ListedColormap(colours).with_extremes(bad=_NO_DATA)
    axes.imshow(places, extent=extent, cmap=palette, vmin=-0.5, vmax=len(colours) - 0.5, interpolation="nearest")
    patches = [Patch(color=colour, label=shortened(one.label, 38)) for colour, one in zip(colours, met, strict=False)]
    figure.legend(handles=patches, loc="outside right upper", fontsize=7, frameon=False)
    _dress_map(axes, plan, extent, crs, None, synthetic=synthetic)
    axes.set_title(heading(title, plan), fontsize=11, loc="left")
    ours = " Classes without an official colour have one of ours." if any(one.color is None for one in met) else ""
    add_footer(figure, f"{source_line} Grey: no data or no class.{ours}")
    shown = [StyleClass(code=m.code, label=m.label, color=to_hex(c)) for m, c in zip(met, colours, strict=False)]
    style = style_of(raster, plan, title=title, source=source_line, synthetic=synthetic, classes=tuple(shown))
    return save_figure(workspace, figure, "map", title, plan, style)


def render_true_colour(
    workspace: Workspace, raster: Path, plan: Plan, *, bands: tuple[int, ...], title: str, synthetic: bool, source: str
) -> Artifact:
    """Draw three bands as red, green and blue, all stretched alike from zero to what 98 % of the values lie below."""
    import numpy as np
    import rasterio

    with rasterio.open(raster) as source_file:
        step = max(1.0, max(source_file.width, source_file.height) / _MAX_SIDE)
        shape = (3, max(1, round(source_file.height / step)), max(1, round(source_file.width / step)))
        mixed = np.ma.masked_invalid(source_file.read(bands, out_shape=shape, masked=True))
        box, crs = source_file.bounds, source_file.crs
    extent = (box.left, box.right, box.bottom, box.top)
    known = mixed.compressed()
    high = float(np.percentile(known, 98)) if known.size else 1.0
    figure, axes = new_figure(8.0, min(max(6.2 * shape[1] / shape[2], 3.0), 10.0) + 1.4)
    axes.set_facecolor(_NO_DATA)
    axes.imshow(true_colours(mixed, 0.0, high), extent=extent, interpolation="nearest")
    _dress_map(axes, plan, extent, crs, None, synthetic=synthetic)
    axes.set_title(heading(title, plan), fontsize=11, loc="left")
    add_footer(figure, f"{source} Red, green and blue from 0 to {high:.3g}. Grey: no data.")
    style = style_of(raster, plan, title=title, source=source, synthetic=synthetic, bands=bands, high=high)
    return save_figure(workspace, figure, "map", title, plan, style)


def _dress_map(
    axes: Any, plan: Plan, extent: Extent, crs: Any, statistics: Statistics | None, *, synthetic: bool
) -> None:
    """Add outlines, scale bar and, where the data are invented, the mark across the map."""
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.set_autoscale_on(False)
    _outline_polygons(axes, plan, crs, statistics)
    axes.set_xticks([])
    axes.set_yticks([])
    _scale_bar(axes, extent, crs)
    if synthetic:
        add_watermark(axes, faint=False)


def _read(raster: Path) -> tuple[Any, tuple[float, float, float, float], Any]:
    """Read band 1, thinned to what can be seen, with no data masked; give it with its extent and system."""
    import numpy as np
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.open(raster) as source:
            step = max(1.0, max(source.width, source.height) / _MAX_SIDE)
            shape = (max(1, round(source.height / step)), max(1, round(source.width / step)))
            band = np.ma.masked_invalid(source.read(1, out_shape=shape, masked=True).astype("float32"))
            left, bottom, right, top = source.bounds
            return band, (left, right, bottom, top), source.crs
    except RasterioIOError as error:
        raise JobFailed("The back-end's map cannot be read as a GeoTIFF.", "Run the computation again.") from error


def symmetric_range(raster: Path) -> tuple[float, float]:
    """Give colour limits with zero in the middle that hold 98 % of the pixels of a difference, and at least ±0.05."""
    import numpy as np

    known = np.abs(_read(raster)[0].compressed())
    top = max(float(np.percentile(known, 98)) if known.size else 0.0, LEAST_DIFFERENCE)
    return -top, top


def _spread(image: Any) -> tuple[float, float]:
    """Give the values that nearly all pixels lie between; single pixels far out would hide all others."""
    import numpy as np

    known = image.compressed()
    low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1e-6


def _colormap(name: str) -> Any:
    return colour_map(name).with_extremes(bad=_NO_DATA)


def _outline_polygons(axes: Any, plan: Plan, crs: Any, statistics: Statistics | None) -> None:
    if plan.polygons is None:
        return
    from matplotlib.patheffects import withStroke
    from rasterio.warp import transform_geom
    from shapely.geometry import shape

    features = plan.polygons.collection["features"]
    halo = [withStroke(linewidth=2.4, foreground="white")]
    if statistics is not None and (plan.output == "series" or len(statistics.rows) != len(features)):
        statistics = None  # Not one value for each polygon: outlines and names only.
    values = _values(plan, statistics)
    names = short_names([unit_name(feature) for feature in features])
    for feature, name, value in zip(features, names, values, strict=True):
        geometry = feature["geometry"]
        polygon = shape(transform_geom("EPSG:4326", crs, geometry) if crs else geometry)
        for part in getattr(polygon, "geoms", [polygon]):
            if part.geom_type != "Polygon":
                continue
            for ring in (part.exterior, *part.interiors):
                axes.plot(*ring.xy, color="black", linewidth=0.9, path_effects=halo)
        if len(features) <= _MAX_LABELS:
            text = shortened(name, 22) + _value_line(value, statistics)
            _label(axes, polygon, text, crowded=len(features) > _MANY)


def _label(axes: Any, polygon: Any, text: str, *, crowded: bool) -> None:
    """Write into a polygon; among many, only where the words fit into it."""
    from matplotlib.patheffects import withStroke

    size = 6.0 if crowded else 7.0
    west, _, east, _ = polygon.bounds
    left, right = axes.get_xlim()
    room = (east - west) / (right - left) * _MAP_WIDTH_POINTS
    if crowded and room < 0.6 * size * max(len(line) for line in text.split("\n")):
        return
    point = polygon.representative_point()
    halo = [withStroke(linewidth=2.0, foreground="white")]
    axes.text(point.x, point.y, text, ha="center", va="center", fontsize=size, clip_on=True, path_effects=halo)


def short_names(names: list[str]) -> list[str]:
    """Leave out the words that all names begin with: `Parcel R01`, `Parcel R02` become `R01`, `R02`."""
    words = [name.split() for name in names]
    shared = 0
    while len(names) > 1 and all(len(one) > shared + 1 and one[shared] == words[0][shared] for one in words):
        shared += 1
    return [" ".join(one[shared:]) if shared else name for one, name in zip(words, names, strict=True)]


def _values(plan: Plan, statistics: Statistics | None) -> list[float | None]:
    features = plan.polygons.collection["features"] if plan.polygons else []
    if statistics is None:
        return [None] * len(features)
    return [row.value for row in statistics.rows]


def _value_line(value: float | None, statistics: Statistics | None) -> str:
    if statistics is None:
        return ""
    return "\nno data" if value is None else f"\n{value:.2f}"


def _scale_bar(axes: Any, extent: tuple[float, float, float, float], crs: Any) -> None:
    """Draw a bar of a round length, about a quarter of the map wide."""
    import math

    per_unit = 1.0
    if crs is not None and crs.is_geographic:
        per_unit = 111_320.0 * math.cos(math.radians((extent[2] + extent[3]) / 2))
    width, height = extent[1] - extent[0], extent[3] - extent[2]
    goal = width * per_unit / 4
    power = 10.0 ** math.floor(math.log10(goal))
    metres = max(step * power for step in (1, 2, 5) if step * power <= goal)
    length = metres / per_unit
    x, y = extent[0] + 0.04 * width, extent[2] + 0.04 * height
    words = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    axes.plot([x, x + length], [y, y], color="white", linewidth=6, solid_capstyle="butt")
    axes.plot([x, x + length], [y, y], color="black", linewidth=3, solid_capstyle="butt")
    background = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
    axes.text(x + length / 2, y + 0.02 * height, words, ha="center", va="bottom", fontsize=8, bbox=background)
