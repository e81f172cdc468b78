"""Whether a product is fine enough: for the pixels a question asks for, for its units and for the place itself."""

import math
import re

from knowledge.editions import finest_m, sizes_m
from knowledge.matches import Need, Shortfall
from knowledge.schema import Edition, Product

PIXELS_ACROSS = 5
"""A unit needs about this many pixels across, or most of them also see its neighbours."""
PIXELS_ACROSS_PLACE = 50
"""A place needs about this many pixels across, or a map of it shows no parts."""


def is_vector(product: Product) -> bool:
    """Tell whether a title or a format of an edition says that it is vector data."""
    words = " ".join(text for edition in product.editions for text in (edition.title, *edition.formats))
    return bool(re.search(r"vector|geopackage|geodatabase|shapefile|geojson", words, re.IGNORECASE))


def as_fine(editions: list[Edition], need: Need) -> list[Edition]:
    """Keep the editions with pixels of just the size asked for, else those that are fine enough, else all."""
    if need.pixel_m is None:
        return editions
    just = [one for one in editions if need.pixel_just and need.pixel_m in sizes_m(one)]
    return just or [one for one in editions if _is_fine(finest_m(one), need)] or editions


def _is_fine(size_m: float | None, need: Need) -> bool:
    if need.pixel_m is None or size_m is None:
        return need.pixel_m is None
    return size_m < need.pixel_m if need.pixel_below else size_m <= need.pixel_m


def too_coarse(product: Product, meant: Product, need: Need) -> Shortfall | None:
    """Tell where the pixels of a product, of its editions that are meant, are not those that are needed."""
    pixel = meant.resolution_m
    if need.pixel_m is None and need.unit_m is None:
        return _extent(meant, need)
    if pixel is None:
        return _smallest_unit(meant, need)
    if need.pixel_m is not None and not _is_fine(pixel, need):
        wanted = f"finer than {need.pixel_m:g} m" if need.pixel_below else f"{need.pixel_m:g} m"
        return Shortfall(kind="pixel", text=f"Its finest pixels are {pixel:g} m, not {wanted}.", blocks=True)
    if need.unit_m is not None and pixel > need.unit_m / PIXELS_ACROSS:
        text = f"Its pixels of {pixel:g} m are too coarse for units about {need.unit_m:.0f} m across."
        return Shortfall(kind="units", text=text, blocks=False)
    return _other_size(product, meant, need)


def _other_size(product: Product, meant: Product, need: Need) -> Shortfall | None:
    """Tell where pixels of just one size are asked for, and what is meant comes in finer ones only."""
    sizes = {size for one in meant.editions for size in sizes_m(one)}
    if not need.pixel_just or not sizes or need.pixel_m in sizes:
        return None
    older = [one.id for one in product.editions if need.pixel_m in sizes_m(one)]
    text = f"Its pixels are {min(sizes):g} m, not {need.pixel_m:g} m."
    text += f" Those of {need.pixel_m:g} m are in: {', '.join(older)}." if older else ""
    return Shortfall(kind="size", text=text, blocks=False)


def _smallest_unit(product: Product, need: Need) -> Shortfall | None:
    """Hold the smallest unit of vector data against the pixels asked for; its width, else the side of its area."""
    if not is_vector(product):
        blocks = need.pixel_m is not None
        return Shortfall(kind="units", text="How fine it is has not been verified.", blocks=blocks)
    side = smallest_unit_m(product)
    if need.pixel_m is None or side is None or side <= need.pixel_m:
        return None
    text = f"It is vector data that tells nothing apart below about {side:.0f} m, not pixels of {need.pixel_m:g} m."
    return Shortfall(kind="pixel", text=text, blocks=True)


def smallest_unit_m(product: Product) -> float | None:
    """Give the side of the smallest thing that vector data show, metres; None where it is not verified."""
    widths = [one.minimum_mapping_width_m for one in product.editions if one.minimum_mapping_width_m]
    areas_ha = [one.minimum_mapping_unit_ha for one in product.editions if one.minimum_mapping_unit_ha]
    return min(widths) if widths else math.sqrt(min(areas_ha) * 10_000) if areas_ha else None


def _extent(product: Product, need: Need) -> Shortfall | None:
    """Tell where a place is so small that a product shows it as a few pixels."""
    if need.place_m is None or product.resolution_m is None:
        return None
    across = need.place_m / product.resolution_m
    if across >= PIXELS_ACROSS_PLACE:
        return None
    place_km = float(f"{need.place_m / 1000:.2g}")  # two digits, and never as a power of ten
    text = (
        f"Its pixels of {product.resolution_m:g} m are coarse for a place about {place_km:g} km across: "
        f"{'not one' if across < 1 else f'only about {across:.0f}'} of them from side to side."
    )
    return Shortfall(kind="extent", text=text, blocks=False)
