"""Official colours of layers with measured values, from `ramps.yaml`; colours of classes stand in the legends."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import Field

from knowledge.schema import Frozen


class Ramp(Frozen):
    """Colours for the values of a layer."""

    layers: dict[str, tuple[str, ...]]
    """Variables of each product, by the product's id."""
    stops: tuple[tuple[float, str], ...] = Field(min_length=2)
    """Value and `#rrggbb`, from low to high."""
    source: str


@cache
def load_ramps() -> dict[str, Ramp]:
    """Read all ramps by their id."""
    told = yaml.safe_load((Path(__file__).parent / "ramps.yaml").read_text(encoding="utf-8"))
    return {name: Ramp.model_validate(fields) for name, fields in told.items()}


def ramp_of(product_id: str, variable: str) -> str | None:
    """Give the id of the ramp that a layer is drawn with; None where none is published."""
    found = (name for name, ramp in load_ramps().items() if variable in ramp.layers.get(product_id, ()))
    return next(found, None)
