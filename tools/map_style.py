"""How a map was coloured, written into its picture, and the same colours as a layer for a map in a browser."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from knowledge.ramps import load_ramps
from tools.errors import ArtifactNotFound
from tools.schema import Bbox, Frozen, Plan, Statistics
from tools.workspace import Workspace

KEY = "clms-style"
"""Name of the PNG text entry that holds the style."""
RAMP_STEPS = 21
FINE = 1001
"""Colours of an official ramp: so many that each of its stops is met."""
_MAX_SIDE = 1600


class StyleClass(Frozen):
    """One class of a map."""

    code: int
    label: str
    color: str
    """`#rrggbb`."""


class MapStyle(Frozen):
    """What a map shows and in which colours; of a chart, what it shows."""

    raster_id: str
    """Id of the GeoTIFF that was drawn; empty for a chart."""
    title: str
    dates: str
    """Period in words."""
    source: str
    """Source line."""
    licence: str = ""
    """Under which terms it may be used."""
    unit: str = ""
    colormap: str = ""
    """Id of an official ramp, or name of a matplotlib colour map; empty for classes."""
    low: float = 0.0
    high: float = 1.0
    """Values at the two ends of the colours."""
    bands: tuple[int, ...] = ()
    """Numbers of the bands shown as red, green and blue, from 1; empty where one band is coloured."""
    classes: tuple[StyleClass, ...] = ()
    synthetic: bool = False
    """True where the data are invented."""
    statistics: Statistics | None = None
    """Numbers that a chart draws."""

    def as_text(self) -> dict[str, str]:
        """Give the style as text entries of a PNG file."""
        return {KEY: self.model_dump_json()}

    def ramp(self) -> list[str]:
        """Give the colours from low to high as `#rrggbb`; none for classes."""
        from matplotlib.colors import to_hex

        if not self.colormap:
            return []
        colours = colour_map(self.colormap)
        return [to_hex(colours(step / (RAMP_STEPS - 1))) for step in range(RAMP_STEPS)]


def colour_map(name: str) -> Any:
    """Give a matplotlib colour map: an official ramp of the catalogue, or one of the library's own."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    ramp = load_ramps().get(name)
    if ramp is None:
        return colormaps[name]
    low, high = ramp.stops[0][0], ramp.stops[-1][0]
    stops = [((at - low) / (high - low), colour) for at, colour in ramp.stops]
    return LinearSegmentedColormap.from_list(name, stops, N=FINE)


def style_of(raster: Path, plan: Plan, *, title: str, source: str, synthetic: bool, **colours: Any) -> MapStyle:
    """Give the style of a map drawn from `raster`, an artifact of the workspace; `colours` are its other fields."""
    return MapStyle(raster_id=raster.stem, **_told(plan, title, source, synthetic), **colours)


def chart_style(plan: Plan, statistics: Statistics, *, title: str, source: str, synthetic: bool) -> MapStyle:
    """Give what a chart tells of itself, its numbers among it."""
    told = _told(plan, title, source, synthetic)
    return MapStyle(raster_id="", unit=statistics.unit, statistics=statistics, **told)


def _told(plan: Plan, title: str, source: str, synthetic: bool) -> dict[str, Any]:
    from tools.records import licence_line

    terms = licence_line(plan, synthetic=synthetic)
    return {"title": title, "dates": dates_words(plan), "source": source, "licence": terms, "synthetic": synthetic}


def dates_words(plan: Plan) -> str:
    """Give the dates of a plan as titles say them."""
    return " minus ".join(period.days for period in (plan.period, plan.against) if period)


def read_style(picture: Path) -> MapStyle | None:
    """Give the style of a map, None for a picture that carries none."""
    from PIL import Image

    try:
        with Image.open(picture) as image:
            return MapStyle.model_validate_json(image.info[KEY])
    except (OSError, KeyError, ValidationError):
        return None


def layer_bounds(workspace: Workspace, style: MapStyle) -> Bbox:
    """Give west, south, east, north of a map's layer in degrees.

    Raises:
        ArtifactNotFound: The GeoTIFF is not there, or has no position.
    """
    from rasterio.warp import transform_bounds

    with _warped(workspace, style.raster_id) as source:
        west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    return west, south, east, north


@lru_cache(maxsize=64)
def draw_layer(workspace: Workspace, map_id: str) -> bytes:
    """Give a map as a transparent PNG in Web Mercator (EPSG:3857), in the colours of its picture.

    Raises:
        ArtifactNotFound: No map has this id, or its GeoTIFF is gone.
    """
    from PIL import Image

    style = read_style(Path(workspace.get(map_id).path))
    if style is None:
        raise ArtifactNotFound("This file is no map that can be laid over another.", "Open it as a picture instead.")
    buffer = io.BytesIO()
    Image.fromarray(_colours(workspace, style)).save(buffer, "PNG")
    return buffer.getvalue()


def _colours(workspace: Workspace, style: MapStyle) -> Any:
    """Read the GeoTIFF and give red, green, blue and opacity per pixel, (rows, columns, 4) as bytes."""
    import numpy as np

    with _warped(workspace, style.raster_id) as source:
        step = max(1.0, max(source.width, source.height) / _MAX_SIDE)
        shape = (max(1, round(source.height / step)), max(1, round(source.width / step)))
        if style.bands:
            mixed = source.read(style.bands, out_shape=(3, *shape), masked=True).astype("float32")
            return true_colours(mixed, style.low, style.high)
        values = np.ma.masked_invalid(source.read(1, out_shape=shape, masked=True).astype("float32"))
    if not style.classes:
        scaled = (values - style.low) / max(style.high - style.low, 1e-12)
        picture = colour_map(style.colormap).with_extremes(bad=(0, 0, 0, 0))(np.ma.clip(scaled, 0, 1), bytes=True)
        return np.ascontiguousarray(picture)
    picture = np.zeros((*values.shape, 4), "uint8")
    for one in style.classes:
        here = np.ma.filled(values == one.code, False)
        picture[here] = (*bytes.fromhex(one.color[1:7]), 255)
    return picture


def true_colours(bands: Any, low: float, high: float) -> Any:
    """Mix red, green and blue, (3, rows, columns), to (rows, columns, 4) as bytes; see-through where one lacks."""
    import numpy as np

    values = np.ma.masked_invalid(bands)
    scaled = np.clip((values.filled(low) - low) / max(high - low, 1e-12), 0, 1)
    there = ~np.ma.getmaskarray(values).any(axis=0)
    return np.ascontiguousarray(np.dstack([*(255 * scaled).round(), 255 * there]).astype("uint8"))


def _warped(workspace: Workspace, raster_id: str) -> Any:
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.vrt import WarpedVRT

    path = workspace.get(raster_id).path
    try:
        source = rasterio.open(path)
        return WarpedVRT(source, crs="EPSG:3857")
    except RasterioError as error:
        raise ArtifactNotFound("The map's GeoTIFF has no position on Earth.", "Open the picture instead.") from error
