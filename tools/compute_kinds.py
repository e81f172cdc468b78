"""Which way a computation goes: by its output, and by whether two periods are set against each other."""

from typing import TYPE_CHECKING

from tools.errors import ToolInputError
from tools.schema import Output, ToolResult
from tools.selection import Selection

if TYPE_CHECKING:
    from tools.toolbox import Context, Services


def compute_kind(
    services: "Services",
    context: "Context",
    *,
    recipe_id: str,
    place: str,
    period: str,
    against: str,
    output: Output,
    units: str,
    selection: Selection,
) -> ToolResult:
    """Run what computes this output.

    Raises:
        ToolInputError: The arguments do not go together.
    """
    from tools.compute import compute_index
    from tools.compute_anomaly import compute_anomaly
    from tools.compute_difference import compute_difference
    from tools.compute_phenology import compute_phenology

    selection.check(output)
    if output == "phenology":
        if against.strip():
            raise ToolInputError(
                "Season dates of two periods are not subtracted.", "Name one period that holds all the years you want."
            )
        return compute_phenology(services, context, recipe_id=recipe_id, place=place, period=period, units=units)
    if output == "anomaly":
        return compute_anomaly(
            services, context, recipe_id=recipe_id, place=place, period=period, units=units, against=against
        )
    kind = "parcels" if units == "place" else units
    if against.strip():
        periods = (period, against)
        return compute_difference(
            services, context, recipe_id=recipe_id, place=place, periods=periods, output=output, units=kind,
            selection=selection,
        )  # fmt: skip
    return compute_index(
        services, context, recipe_id=recipe_id, place=place, period=period, output=output, units=kind,
        selection=selection,
    )  # fmt: skip
