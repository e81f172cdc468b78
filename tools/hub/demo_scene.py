"""Paints the synthetic demo landscape: fields, their greenness through the year, clouds, tree cover, sealed soil."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.hub.archive import Json
from tools.hub.files import Grid

Array = npt.NDArray[Any]

SCALE, OFFSET = 0.0001, -0.1
PIXEL_M = 10.0
_FIELDS = 64
_TREES, _GRASS, _WINTER_CROP, _SUMMER_CROP, _BUILT = range(5)
_VEGETATION, _BARE, _SHADOW, _CLOUD_MEDIUM, _CLOUD_HIGH = 4, 5, 3, 8, 9
# Greenness, 0 to 1, by month for each land use: made up, but in the order that such land would show.
_GREENNESS = {
    _TREES: (0.55, 0.55, 0.60, 0.75, 0.92, 0.95, 0.95, 0.93, 0.88, 0.75, 0.60, 0.55),
    _GRASS: (0.55, 0.58, 0.65, 0.75, 0.80, 0.75, 0.62, 0.58, 0.62, 0.68, 0.62, 0.58),
    _WINTER_CROP: (0.45, 0.52, 0.68, 0.85, 0.92, 0.65, 0.25, 0.15, 0.15, 0.20, 0.30, 0.40),
    _SUMMER_CROP: (0.15, 0.15, 0.15, 0.18, 0.28, 0.60, 0.88, 0.92, 0.65, 0.25, 0.18, 0.15),
    _BUILT: (0.10,) * 12,
}


@dataclass(frozen=True)
class DemoArea:
    """One demo area: a square around a city."""

    key: str
    name: str
    longitude: float
    latitude: float
    epsg: int
    layer_epsg: int
    """Reference system of its tree cover and imperviousness layers."""
    cloudiness: float
    """Mean share of cloud, 0 to 1."""
    seed: int


AREAS = (
    DemoArea("rennes", "Rennes", -1.6794, 48.1147, 32630, 3035, 0.22, 35),
    DemoArea("cayenne", "Cayenne", -52.3260, 4.9333, 32622, 32622, 0.38, 973),
)


class Landscape:
    """The unchanging part of one area: its grid, fields and what grows on them."""

    def __init__(self, area: DemoArea, size_px: int) -> None:
        self.area = area
        self.size_px = size_px
        self.grid = _square(area, area.epsg, size_px)
        rng = np.random.default_rng(area.seed)
        side = int(np.sqrt(_FIELDS))
        cells = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
        west, south, *_ = self.grid.bounds
        spread = cells + 0.5 + rng.uniform(-0.33, 0.33, cells.shape)
        self.seeds: Array = spread / side * size_px * PIXEL_M + (west, south)
        """Centre of each field, in metres."""
        self.use: Array = rng.choice(5, _FIELDS, p=(0.2, 0.25, 0.2, 0.25, 0.1))
        centre = np.abs(spread - side / 2).max(axis=1) < 1.2
        self.use[centre] = _BUILT
        self.vigour: Array = rng.uniform(0.82, 1.08, _FIELDS)

    def fields_at(self, x: Array, y: Array) -> Array:
        """Give the number of the field that each point lies in."""
        best = np.full(x.shape, np.inf)
        field = np.zeros(x.shape, dtype=np.int64)
        for number, (seed_x, seed_y) in enumerate(self.seeds):
            distance = (x - seed_x) ** 2 + (y - seed_y) ** 2
            field[distance < best] = number
            best = np.minimum(best, distance)
        return field

    def scene(self, day: date) -> dict[str, Array]:
        """Paint one date: four bands of stored values at 10 m, and the scene classification at 20 m."""
        rng = np.random.default_rng((self.area.seed, day.toordinal()))
        size = self.size_px
        fields = self.fields_at(*pixel_centres(self.grid))
        greenness = np.array([_GREENNESS[use][day.month - 1] for use in self.use]) * self.vigour
        green = np.clip(greenness[fields] + 0.06 * _waves(rng, size, 9), 0.02, 1.0)
        cloud, shadow = self._clouds(rng)
        classes = np.where(green[::2, ::2] > 0.3, _VEGETATION, _BARE).astype(np.uint8)
        classes[shadow], classes[cloud > 0], classes[cloud > 0.5] = _SHADOW, _CLOUD_MEDIUM, _CLOUD_HIGH
        thick = np.kron(np.clip(cloud * 2, 0, 1), np.ones((2, 2)))
        dark = np.where(np.kron(shadow, np.ones((2, 2), dtype=bool)), 0.45, 1.0)
        bands: dict[str, Array] = {}
        for name, bare, lush in (
            ("B02_10m", 0.11, 0.025),
            ("B03_10m", 0.13, 0.06),
            ("B04_10m", 0.19, 0.03),
            ("B08_10m", 0.24, 0.48),
        ):
            ground = (bare + (lush - bare) * green) * dark + rng.normal(0, 0.004, (size, size))
            reflectance = np.clip(ground * (1 - thick) + 0.55 * thick + 0.08 * (thick > 0), 0.001, 1.2)
            bands[name] = np.round((reflectance - OFFSET) / SCALE).astype(np.uint16)
        return {**bands, "SCL_20m": classes}

    def density(self, kind: str, grid: Grid) -> Array:
        """Paint tree cover density (`tree`) or imperviousness (`built`) in per cent; 255 outside the area."""
        from pyproj import Transformer

        x, y = Transformer.from_crs(grid.crs, self.grid.crs, always_xy=True).transform(*pixel_centres(grid))
        west, south, east, north = self.grid.bounds
        rng = np.random.default_rng((self.area.seed, len(kind)))
        base = {"tree": (84.0, 12.0, 2.0, 1.0, 8.0), "built": (0.0, 0.0, 0.0, 0.0, 72.0)}[kind]
        values = np.array(base)[self.use][self.fields_at(x, y)]
        values = np.where(values > 0, values + 14 * _waves(rng, grid.width, 7)[: grid.height], 0)
        inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
        return np.where(inside, np.clip(np.round(values), 0, 100), 255).astype(np.uint8)

    def parcels(self) -> list[Any]:
        """Outline about forty fields as parcels in metres, and add three too small to hold many pixels."""
        import shapely

        square = shapely.box(*self.grid.bounds)
        cells = shapely.voronoi_polygons(shapely.MultiPoint(self.seeds), extend_to=square)
        inside = [cell.intersection(square).buffer(-PIXEL_M) for cell in cells.geoms]
        chosen = [cell for cell in inside if cell.geom_type == "Polygon" and not cell.is_empty]
        # The Voronoi cells come in no promised order.
        chosen.sort(key=lambda cell: (-round(cell.centroid.y, 1), round(cell.centroid.x, 1)))
        kept = [cell for number, cell in enumerate(chosen) if number % 8 not in (0, 3, 6)]
        centres = [(cell.centroid.x, cell.centroid.y) for cell in kept]
        slivers = [shapely.box(x - r, y - r, x + r, y + r) for (x, y), r in zip(centres, (4, 8, 16), strict=False)]
        return [*kept[len(slivers) :], *slivers]

    def _clouds(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Give cloud thickness 0 to 1 and the shadow mask at 20 m; one spot is always under cloud."""
        half = self.size_px // 2
        share = float(np.clip(rng.beta(1.2, 1.2 / self.area.cloudiness - 1.2), 0, 0.9))
        noise = _waves(rng, half, 5)
        threshold = np.quantile(noise, 1 - share)
        cloud = np.clip((noise - threshold) / 0.8, 0, 1)
        rows, columns = np.mgrid[:half, :half] / half
        cloud[(rows - 0.31) ** 2 + (columns - 0.19) ** 2 < 0.09**2] = 0.9
        shift = max(half // 24, 1)
        return cloud, (np.roll(cloud, (-shift, -shift), (0, 1)) > 0) & (cloud == 0)


def layer_grid(area: DemoArea, size_px: int) -> Grid:
    """Give the grid of the area's tree cover and imperviousness layers."""
    return _square(area, area.layer_epsg, size_px)


def pixel_centres(grid: Grid) -> tuple[Array, Array]:
    """Give the x and y of all pixel centres."""
    a, _, c, _, e, f = grid.transform
    x, y = np.meshgrid(c + a * (np.arange(grid.width) + 0.5), f + e * (np.arange(grid.height) + 0.5))
    return x, y


def to_degrees(geometry: Any, area: DemoArea) -> Json:
    """Give a shape in the area's metres as GeoJSON in degrees."""
    import shapely
    from pyproj import Transformer

    transform = Transformer.from_crs(area.epsg, 4326, always_xy=True).transform
    degrees = shapely.set_precision(shapely.transform(geometry, transform, interleaved=False), 1e-7)
    return dict(shapely.geometry.mapping(degrees))


def _square(area: DemoArea, epsg: int, size_px: int) -> Grid:
    from pyproj import Transformer

    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(area.longitude, area.latitude)
    half = size_px * PIXEL_M / 2
    # Whole multiples of 20 m, so that the 10 m and 20 m grids share their corner.
    west, north = round((x - half) / 20) * 20.0, round((y + half) / 20) * 20.0
    return Grid(f"EPSG:{epsg}", (PIXEL_M, 0.0, west, 0.0, -PIXEL_M, north), size_px, size_px)


def _waves(rng: np.random.Generator, size: int, count: int) -> Array:
    """Give smooth noise of about unit deviation: a sum of plane waves."""
    axis = np.arange(size) / size
    total: Array = np.zeros((size, size))
    for _ in range(count):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        frequency = 2 * np.pi * rng.uniform(1.5, 7)
        x, y = frequency * np.cos(angle) * axis, frequency * np.sin(angle) * axis + phase
        # cos(x + y) from one-dimensional sines: many times faster than a cosine per pixel.
        total += np.outer(np.cos(y), np.cos(x)) - np.outer(np.sin(y), np.sin(x))
    total /= np.sqrt(count / 2)
    return total
