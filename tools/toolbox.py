"""The menu: one short method a tool, all that a model ever sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from tools.schema import Output, Polygons, ToolResult

if TYPE_CHECKING:
    from knowledge.retrieval import Retriever

    from tools.workspace import Workspace

Words = Annotated[str, Field(description="The user's question or its subject, in plain words.", max_length=2000)]
PlaceName = Annotated[
    str,
    Field(description="Place in the user's words, such as 'Rennes'. Empty when an area is attached.", max_length=200),
]
PeriodWords = Annotated[
    str,
    Field(description="Period in the user's words, for example 'this summer' or '2 May 2019'.", max_length=200),
]
ProductId = Annotated[str, Field(description="Id or usual name of a product.", max_length=200)]
IndexName = Annotated[Literal["ndvi"], Field(description="Which index to compute.")]
OutputKind = Annotated[
    Output,
    Field(description="composite: one median map; series: one mean per date; per_polygon: one mean per polygon."),
]
UnitKind = Annotated[
    Literal["parcels", "districts"],
    Field(description="Which polygons per_polygon is for; not used when an area is attached."),
]


def _silent(message: str) -> None:
    """Take progress and tell nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Services:
    """What all questions share."""

    retriever: Retriever
    stac_url: str
    openeo_url: str
    workspace: Workspace
    timeout_s: float = 300.0
    max_pixels: int = 200_000_000


@dataclass(frozen=True)
class Context:
    """What one question brings along."""

    today: date
    session_id: str
    area: Polygons | None = None
    collection_id: str | None = None
    on_progress: Callable[[str], None] = field(default=_silent)
    cancelled: Callable[[], bool] = field(default=_never)
    question: str = ""
    """The question as asked: product advice that goes with a computation is looked up by it."""


class Toolbox:
    """All tools for one question."""

    TOOLS: ClassVar[tuple[str, ...]] = ("search_products", "explain_product", "find_place", "search_scenes", "compute")

    def __init__(self, services: Services, context: Context) -> None:
        self.services = services
        self.context = context

    def search_products(self, question: Words) -> ToolResult:
        """Find the Copernicus land product that answers a question, with reasons and alternatives."""
        raise NotImplementedError

    def explain_product(self, product_id: ProductId) -> ToolResult:
        """Tell what one product is, what it is good for, and how to get it."""
        raise NotImplementedError

    def find_place(self, name: PlaceName) -> ToolResult:
        """Find where a named place is."""
        raise NotImplementedError

    def search_scenes(self, place: PlaceName, period: PeriodWords) -> ToolResult:
        """List the satellite scenes that exist for a place and a period."""
        raise NotImplementedError

    def compute(
        self, index: IndexName, place: PlaceName, period: PeriodWords, output: OutputKind, units: UnitKind = "parcels"
    ) -> ToolResult:
        """Compute a vegetation index for a place and a period as a map, a curve over time, or a value per polygon."""
        raise NotImplementedError
