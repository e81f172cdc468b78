"""The menu: one short method a tool, all that a model ever sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import wraps
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, ParamSpec

from pydantic import Field

from tools.backend_login import Logins
from tools.backend_mapping import BackendMapping, find_mapping
from tools.credits import Charge, free
from tools.errors import Ambiguous, JobFailed, ToolInputError
from tools.schema import MAX_CLOUD_PERCENT, Bbox, Output, Period, Polygons, Question, ToolResult, UnitKind
from tools.selection import Rank, Selection

if TYPE_CHECKING:
    from knowledge.retrieval import Retriever
    from tools.nuts import NutsSource
    from tools.workspace import Workspace

_Args = ParamSpec("_Args")

Words = Annotated[str, Field(description="The user's question or its subject, in plain words.", max_length=4000)]
PlaceName = Annotated[
    str,
    Field(description="Place in the user's words, such as 'Rennes'. Empty when an area is attached.", max_length=200),
]
PeriodWords = Annotated[
    str, Field(description="Period in the user's words, such as 'this summer' or '2 May 2019'.", max_length=200)
]
ProductId = Annotated[str, Field(description="Id or usual name of a product.", max_length=200)]
IndexName = Annotated[
    str, Field(description="Short name of a published spectral index, such as NDVI, EVI2, NDWI or NBR.", max_length=40)
]
Against = Annotated[
    str,
    Field(
        description="Second period, to get the difference (later minus earlier) instead of the values; for an anomaly, "
        "the years to compare with, empty for all.",
        max_length=200,
    ),
]
Above = Annotated[float | None, Field(description="Count and name the polygons with values above this.")]
Below = Annotated[float | None, Field(description="Count and name the polygons with values below this.")]
RankOrder = Annotated[
    Rank, Field(description="Rank the polygons, the highest or the lowest first; empty for no ranking.")
]
RankCount = Annotated[int, Field(description="How many polygons the ranking lists.", ge=1, le=1000)]
OutputKind = Annotated[
    Output,
    Field(
        description="composite: one median map; series: one mean per date; per_polygon: one mean per polygon; "
        "phenology: start, peak and end dates of the season; anomaly: deviation from the same days of other years."
    ),
]
SearchPeriod = Annotated[str, Field(description="Period in the user's words; empty for none.", max_length=200)]
SearchUnits = Annotated[
    Literal["any", "parcels", "districts", "communes"],
    Field(description="Smallest units the product must tell apart; not used when an area is attached."),
]
Units = Annotated[
    UnitKind,
    Field(
        description="The place as a whole, its parcels, its districts, its communes, or its NUTS regions of a level; "
        "per_polygon is of parcels where nothing is said; not used when an area is attached."
    ),
]
MaxCloud = Annotated[float, Field(description="Most cloud in a scene, in percent of it.", ge=0, le=100)]
LayerWords = Annotated[
    str,
    Field(
        description="What the layer shows, such as 'tree cover' or 'sealed soil', or a product or collection id.",
        max_length=4000,
    ),
]
LayerYear = Annotated[
    str, Field(description="Reference year of the layer, such as '2018'; empty for the latest.", max_length=200)
]
LayerAgainst = Annotated[
    str, Field(description="Second reference year, to get the difference (later minus earlier).", max_length=200)
]
_GROUND = "Hectares of ground with such values, no means: '> 30', '<= 10', '30 to 60', '> 30 and <= 60'; empty for all."
ClassMethod = Annotated[
    Literal["kmeans", "random_forest", "thresholds"],
    Field(
        description="kmeans: groups of alike pixels, without names; random_forest: learns from the attached labelled "
        "polygons; thresholds: classes of an index."
    ),
]
ClassCount = Annotated[int, Field(description="How many classes kmeans makes, 2 to 20.")]
ClassLabel = Annotated[
    str, Field(description="Attribute of the polygons that holds the class; empty: it is found.", max_length=100)
]
Breaks = Annotated[
    str, Field(description="For thresholds: where the next class begins, such as '0.2, 0.4'.", max_length=200)
]
StackBands = Annotated[
    str, Field(description="Bands and indices separated by commas, such as 'red, nir, NDVI'; all.", max_length=400)
]
StackFormat = Annotated[Literal["netcdf", "geotiff", "zarr"], Field(description="File format of the stack.")]
StackComposite = Annotated[bool, Field(description="The median over the dates instead of all dates.")]


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
    rerun_url: str = ""
    """openEO address written into scripts, where the one in use ends with this process."""
    timeout_s: float = 300.0
    max_pixels: int = 200_000_000
    ask_above_s: float = 30.0
    ask_above_mb: float = 300.0
    """A run that is estimated at more seconds or megabytes than these is asked for first."""
    nuts: NutsSource | None = None
    """Where the boundaries of NUTS codes come from."""
    backend: BackendMapping | None = None
    """What is particular to the openEO back-end; None: what is known of its address."""
    logins: Logins = field(default_factory=Logins)
    """Who is logged in at the back-end, session by session."""
    max_result_bytes: int = 2_000_000_000
    """Largest result taken from the back-end."""
    contact: str = ""
    """Who answers for results, as `Name <mail@host>`; written into their metadata records."""

    @property
    def mapping(self) -> BackendMapping:
        """What is particular to the openEO back-end."""
        return self.backend or find_mapping(self.openeo_url, stac_url=self.stac_url)


@dataclass(frozen=True)
class Context:
    """What one question brings along."""

    today: date
    session_id: str
    area: Polygons | None = None
    collection_id: str | None = None
    on_progress: Callable[[str], None] = field(default=_silent)
    cancelled: Callable[[], bool] = field(default=_never)
    approved: frozenset[str] = frozenset()
    """Fingerprints of the large plans that the user lets run."""
    approves_all: bool = False
    """True when the user lets every plan of this question run that is below the hard limit."""
    charge: Charge = field(default=free)
    """Takes pixels (times dates) and credits from what the user may still use; raises when that is not enough."""
    max_cloud_percent: float = MAX_CLOUD_PERCENT
    question: str = ""
    """The question as asked: product advice that goes with a computation is looked up by it."""

    def stop_if_asked(self) -> None:
        """Raise JobFailed when the user has stopped the question."""
        if self.cancelled():
            raise JobFailed("The computation was stopped.", "Ask again to start it anew.")


def _asking_back(tool: Callable[_Args, ToolResult]) -> Callable[_Args, ToolResult]:
    """Let a tool hand the choice between several places or indices to the user."""

    @wraps(tool)
    def asking(*args: _Args.args, **kwargs: _Args.kwargs) -> ToolResult:
        try:
            return tool(*args, **kwargs)
        except Ambiguous as error:
            options = tuple(error.options)
            text = f"{error.message} Options: {'; '.join(options)}."
            return ToolResult(text=text, outcome="not_run", question=Question(text=error.message, options=options))

    return asking


class Toolbox:
    """All tools for one question."""

    TOOLS: ClassVar[tuple[str, ...]] = (
        "search_products",
        "explain_product",
        "compare_products",
        "find_place",
        "search_scenes",
        "compute",
        "layer_statistics",
        "classify",
        "feature_stack",
    )

    def __init__(self, services: Services, context: Context) -> None:
        self.services = services
        self.context = context

    def search_products(
        self, question: Words, place: PlaceName = "", period: SearchPeriod = "", units: SearchUnits = "any"
    ) -> ToolResult:
        """Find the Copernicus land product that answers a question, or say that there is none and who else has it."""
        from knowledge.wording import is_in_name, set_aside, unknown_words
        from tools.advice import UNIT_M, advise, unit_size_m
        from tools.offers import with_offer
        from tools.reach import BETWEEN, find_reach

        reach = find_reach(place, self.context.area, self.services.nuts)
        # The number in "Natura 2000" is no year.
        if is_in_name(period, question, self.services.retriever.catalogue):
            period = ""
        when, unread_period = self._when(period, reach.bbox)
        unit_m = unit_size_m(self.context.area) or UNIT_M.get(units)
        spoken = (*(reach.spoken or unknown_words(place)).split(BETWEEN), unknown_words(period) if when else "")
        advice = advise(
            self.services.retriever,
            question,
            bbox=reach.bbox,
            period=when,
            unit_m=unit_m,
            place_m=reach.across_m,
            points=reach.points,
            spoken=spoken,
        )
        other = advice.elsewhere
        found = ToolResult(
            text=advice.text,
            data={
                "products": [{"id": one.product.id, "title": one.product.title} for one in advice.matches],
                "elsewhere": other.model_dump(include={"subject", "provider", "url"}) if other else None,
                "facts": advice.facts,
            },
            recommendation=with_offer(
                self.services, advice.recommendation, place=reach.one, bbox=reach.bbox, period=period
            ),
            citations=advice.citations,
            warnings=(*reach.warnings, *unread_period),
        )
        asked = set_aside(question, spoken, self.services.retriever.catalogue)
        return self._with_documents(found, asked)

    def _with_documents(self, found: ToolResult, question: str, product_id: str | None = None) -> ToolResult:
        """Add what the manuals in the index say to the question, word for word."""
        from tools.documents import with_documents

        return with_documents(self.services.retriever, found, question, product_id=product_id)

    def _when(self, period: str, bbox: Bbox | None) -> tuple[Period | None, tuple[str, ...]]:
        """Give the period in which a product must have data; one that cannot be read is told."""
        from tools.periods import parse_period

        if not period.strip():
            return None, ()
        southern = bbox is not None and bbox[1] + bbox[3] < 0
        try:
            return parse_period(period, today=self.context.today, southern=southern, earliest=date.min), ()
        except ToolInputError as error:
            return None, (f"The period was not checked: {error.message}",)

    def explain_product(self, product_id: ProductId) -> ToolResult:
        """Tell what one product is, what it is good for, and how to get it."""
        from knowledge.asked import asked_facts
        from tools.advice import cite, product_text

        catalogue = self.services.retriever.catalogue
        product = catalogue.get(product_id)
        facts = asked_facts(product, f"{self.context.question} {product_id}", catalogue)
        said = (product.summary, *product.choose_when, *product.not_for, *product.cautions, *product.access)
        found = ToolResult(
            text="\n".join((*facts, product_text(product))),
            data={"product": product.model_dump(mode="json")},
            citations=cite(self.services.retriever, product, said),
        )
        return self._with_documents(found, self.context.question, product.id)

    def compare_products(self, first: ProductId, second: ProductId = "") -> ToolResult:
        """Put two products side by side, and when to take which; with one alone, list the products most like it."""
        from tools.product_compare import compare_products

        return compare_products(self.services.retriever, first, second)

    @_asking_back
    def find_place(self, name: PlaceName) -> ToolResult:
        """Find where a named place is."""
        from tools.planning import choose_place

        place = choose_place(name, self.context.area, self.services.nuts)
        west, south, east, north = place.bbox
        text = (
            f"{place.name} ({place.kind}): {west:.4f}, {south:.4f}, {east:.4f}, {north:.4f} (west, south, east, north)"
        )
        return ToolResult(
            text=f"{text}; {place.area_km2:.1f} km2. Source: {place.source}",
            data={"place": place.model_dump(mode="json")},
        )

    @_asking_back
    def search_scenes(self, place: PlaceName, period: PeriodWords) -> ToolResult:
        """List the satellite scenes that exist for a place and a period."""
        from tools.scenes import list_scenes

        return list_scenes(self.services, self.context, place=place, period=period)

    @_asking_back
    def compute(
        self,
        index: IndexName,
        place: PlaceName,
        period: PeriodWords,
        output: OutputKind,
        units: Units = "place",
        against: Against = "",
        above: Above = None,
        below: Below = None,
        rank: RankOrder = "",
        count: RankCount = 5,
        max_cloud: MaxCloud = MAX_CLOUD_PERCENT,
    ) -> ToolResult:
        """Compute a spectral index for a place and a period: map, curve, value per polygon, season dates, or deviation.

        With `against`, the difference of two periods; `above`, `below` and `rank` pick from the polygons.
        """
        from tools.compute_kinds import compute_kind

        selection = Selection(above=above, below=below, rank=rank, count=count)
        context = replace(self.context, max_cloud_percent=max_cloud)
        return compute_kind(
            self.services, context, recipe_id=index, place=place, period=period, against=against,
            output=output, units=units, selection=selection,
        )  # fmt: skip

    @_asking_back
    def layer_statistics(
        self,
        layer: LayerWords,
        place: PlaceName,
        period: LayerYear = "",
        units: Units = "place",
        against: LayerAgainst = "",
        above: Above = None,
        below: Below = None,
        rank: RankOrder = "",
        count: RankCount = 5,
        ground: Annotated[str, Field(description=_GROUND, max_length=40)] = "",
    ) -> ToolResult:
        """Compute statistics of a land product layer per polygon: mean tree cover or sealing, or hectares of classes.

        With `against`, the difference of two years, where the editions may be subtracted; `above`, `below` and `rank`
        pick from the polygons by that value, of classes and of `ground` by their share in percent.
        """
        from tools.layer_statistics import layer_statistics

        selection = Selection(above=above, below=below, rank=rank, count=count)
        return layer_statistics(
            self.services, self.context, layer=layer, place=place, period=period, units=units, against=against,
            selection=selection, ground=ground,
        )  # fmt: skip

    @_asking_back
    def classify(
        self,
        method: ClassMethod,
        place: PlaceName,
        period: PeriodWords,
        classes: ClassCount = 5,
        label: ClassLabel = "",
        index: IndexName = "NDVI",
        breaks: Breaks = "",
    ) -> ToolResult:
        """Classify the land of a place from satellite bands: class map, hectares per class, accuracy where labelled."""
        from tools.classify import Asked, classify

        asked = Asked(method, count=classes, label=label, index=index, breaks=breaks)
        return classify(self.services, self.context, place=place, period=period, asked=asked)

    @_asking_back
    def feature_stack(
        self,
        place: PlaceName,
        period: PeriodWords,
        bands: StackBands = "all",
        format: StackFormat = "netcdf",  # noqa: A002
        composite: StackComposite = False,
    ) -> ToolResult:
        """Make one file of bands and indices, all dates or their median, for machine learning: masked and scaled."""
        from tools.feature_stack import make_stack

        return make_stack(
            self.services, self.context, bands=bands, place=place, period=period, format=format,
            composite=composite,
        )  # fmt: skip
