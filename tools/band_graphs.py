"""Whole bands instead of one index: which a collection has, their median, and all their dates beside indices."""

from typing import Any

from tools.errors import ToolInputError
from tools.indices import SYMBOLS, Recipe, common_name, find_band, get_recipe, lacking, missing_bands
from tools.layers import Layer, Layers
from tools.recipes import clear_bands, index_cube
from tools.schema import Bbox, Plan

CHOOSES = "ndvi"
"""Index whose bands, red and near infrared, a collection must have to be chosen."""
COARSER = 2.0
"""Bands with pixels more than so many times as wide as the finest add blur, not detail."""


def spectral_bands(layers: Layers) -> dict[str, Layer]:
    """Give the bands of reflected light that a collection has, by symbol, in the order of their wavelengths."""
    found: dict[str, Layer] = {}
    for symbol in SYMBOLS:
        band = find_band(layers, symbol)
        if band and band not in found.values():
            found[symbol] = band
    return found


def fine_bands(layers: Layers) -> tuple[str, ...]:
    """Give the symbols of the bands that are about as fine as the finest."""
    found = spectral_bands(layers)
    finest = min((band.gsd_m for band in found.values() if band.gsd_m), default=0.0)
    return tuple(symbol for symbol, band in found.items() if not band.gsd_m or band.gsd_m <= COARSER * finest)


def bands_recipe(symbols: tuple[str, ...], *, identifier: str, title: str, **words: str) -> Recipe:
    """Make a recipe that stands for bands as they are.

    Args:
        symbols: The bands.
        identifier: Id of the recipe.
        title: What is made of the bands.
        words: Further fields: `long_name`, `reading`, `caution`, `subject`, `unit`.
    """
    # Only the names in the formula count; as a ratio it asks for no unit of the stored values.
    formula = f"({' + '.join(symbols)}) / {symbols[0]}"
    return Recipe(id=identifier, title=title, formula=formula, **words)  # type: ignore[arg-type]  # all words are text


def read_wanted(words: str, layers: Layers) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read a list of bands and indices: symbols of the bands, and ids of the indices, each in the order asked for.

    Raises:
        ToolInputError: A name is neither, or the collection lacks a band of it.
    """
    known = spectral_bands(layers)
    by_name = {name.lower(): symbol for symbol, band in known.items() for name in _names(symbol, band)}
    symbols: list[str] = []
    indices: list[str] = []
    for word in [part.strip() for part in words.split(",") if part.strip()]:
        if word.lower() in ("all", "*"):
            symbols += known
        elif word.lower() in by_name:
            symbols.append(by_name[word.lower()])
        else:
            recipe = _index(word, known)
            if missing_bands(recipe, layers):
                raise lacking(recipe, layers)
            indices.append(recipe.id)
    return tuple(dict.fromkeys(symbols or ([] if indices else known))), tuple(dict.fromkeys(indices))


def build_composite(plan: Plan, recipe: Recipe, layers: Layers, box: Bbox) -> dict[str, Any]:
    """Build the flat graph of the median of each band over the clear dates, as GeoTIFF."""
    bands = clear_bands(plan, recipe, layers, box).reduce_dimension(dimension="t", reducer="median")
    graph: dict[str, Any] = bands.save_result(format="GTiff").flat_graph()
    return graph


def build_stack(
    plan: Plan, bands: Recipe | None, indices: tuple[str, ...], layers: Layers, box: Bbox, *, composite: bool = False
) -> dict[str, Any]:
    """Build the flat graph of bands and indices on all dates or, as composite, of the median of each, as netCDF."""
    cubes = [clear_bands(plan, bands, layers, box)] if bands else []
    for one in indices:
        recipe = get_recipe(one)
        cube = index_cube(plan, recipe, layers, box)
        cubes.append(cube.add_dimension(name="bands", label=recipe.title, type="bands"))
    whole = cubes[0]
    for cube in cubes[1:]:
        whole = whole.merge_cubes(cube)
    if composite:
        whole = whole.reduce_dimension(dimension="t", reducer="median")
    graph: dict[str, Any] = whole.save_result(format="netCDF").flat_graph()
    return graph


def _names(symbol: str, band: Layer) -> set[str]:
    """Give the names a user may call a band: its own, its plain one and, unless several share it, its common one."""
    shared = band.common_name == "rededge"
    return {band.name, band.name.split("_")[0], *(() if shared else (band.common_name or common_name(symbol),))}


def _index(word: str, known: dict[str, Layer]) -> Recipe:
    try:
        return get_recipe(word)
    except ToolInputError as error:
        bands = ", ".join(f"{band.name} ({band.common_name})" for band in known.values())
        raise ToolInputError(
            f"{word[:40]!r} is neither a band of this collection nor a known index.", f"Bands: {bands}. {error.hint}"
        ) from error
