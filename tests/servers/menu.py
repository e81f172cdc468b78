"""A toolbox with the real signatures and invented results, for tests of the loop and the doors."""

from datetime import date
from typing import Any

from assistant.agent import Assistant
from assistant.settings import Settings
from tools.difference import difference_data, difference_rows
from tools.errors import BackendUnavailable, PlaceNotFound
from tools.schema import Artifact, Period, Place, Plan, Recommendation, Statistics, StatisticsRow, ToolResult
from tools.toolbox import Services, Toolbox
from tools.workspace import Workspace


class SmallToolbox(Toolbox):
    """Knows one product and two parcels."""

    def search_products(self, question: str) -> ToolResult:
        product = Recommendation(product_id="hr-vpp", title="HR-VPP", why=("It has 10 m pixels.",))
        return ToolResult(text="hr-vpp: High Resolution Vegetation Phenology and Productivity", recommendation=product)

    def compute(
        self, index: Any, place: str, period: str, output: Any, units: Any = "parcels", against: str = ""
    ) -> ToolResult:
        self.context.on_progress("computing")
        if place == "Atlantisburgh":
            raise PlaceNotFound("No place called 'Atlantisburgh'.", "Name a place nearby.")
        if place == "Deadhub":
            raise BackendUnavailable("The hub does not answer.", "Start it.")
        if place == "Crash":
            raise RuntimeError("secret /etc/path")
        if against:
            return self._difference(index, place, period, output, against)
        plan = self._plan(index, place, period, output)
        rows = tuple(
            StatisticsRow(label=label, value=value, valid_pixels=90, total_pixels=100, outcome="ok")
            for label, value in (("Parcel A", 0.6), ("Parcel B", 0.4))
        )
        statistics = Statistics(rows=rows, unit="1", method="Mean per polygon.")
        return ToolResult(
            text="NDVI 0.6 and 0.4",
            plan=plan,
            statistics=statistics,
            artifacts=(self._table(plan),),
            warnings=("Synthetic demo data.",),
        )

    def _difference(self, index: Any, place: str, period: str, output: Any, against: str) -> ToolResult:
        plan = self._plan(index, place, period, output)
        plan = plan.model_copy(update={"against": plan.period.model_copy(update={"label": against})})
        before, after = (
            [StatisticsRow(label="Parcel B", value=value, valid_pixels=9, total_pixels=9, outcome="ok")]
            for value in (0.45, 0.4)
        )
        rows = difference_rows(before, after)
        data = {"difference": {"rows": difference_data(before, after, rows)}}
        return ToolResult(text="-0.05", plan=plan, data=data, statistics=Statistics(rows=rows, unit="1", method="m"))

    def _plan(self, index: Any, place: str, period: str, output: Any) -> Plan:
        bbox = self.context.area.bbox if self.context.area and not place else (0, 0, 1, 1)
        return Plan(
            recipe_id=index,
            collection_id="synthetic",
            output=output,
            place=Place(name=place or "the area", kind="city", bbox=bbox, area_km2=4.0, source="test"),
            period=Period(start=date(2026, 6, 1), end=date(2026, 8, 31), label=period),
        )

    def _table(self, plan: Plan) -> Artifact:
        return self.services.workspace.save(
            "parcel,ndvi\n", "table", "Values", media_type="text/csv", suffix=".csv", fingerprint=plan.fingerprint
        )


def small_assistant(settings: Settings) -> Assistant:
    """An assistant over the small toolbox; nothing is opened."""
    services = Services(
        retriever=None,  # type: ignore[arg-type]  # the small toolbox does not search
        stac_url="",
        openeo_url="",
        workspace=Workspace(settings.artifacts_dir),
    )
    return Assistant(settings, services=services, toolbox=SmallToolbox)
