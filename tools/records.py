"""What a catalogue needs to know of a result: its provenance, a STAC item and an ISO 19139 record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge.editions import licence
from tools.planning import Prepared
from tools.schema import Artifact, Bbox, Plan, Scene
from tools.words import counted

if TYPE_CHECKING:
    from knowledge.catalogue import Catalogue
    from tools.toolbox import Services

SYNTHETIC_LICENCE = "Invented demo data, no observation: CC0-1.0."
"""As the demo archive's collections say."""
LAND_COVER = "Land cover"
_UNKNOWN_LICENCE = "Not known: ask whoever provides {collection}."


@dataclass(frozen=True)
class Record:
    """One result, as its records tell it."""

    title: str
    abstract: str
    plan: Plan
    bbox: Bbox
    scenes: Sequence[Scene]
    files: Sequence[Artifact]
    source: str
    licence: str
    synthetic: bool
    contact: str
    """Who answers for it, as `Name <mail@host>`; empty where nobody was named."""
    stac_url: str
    made_at: datetime
    themes: Sequence[str] = (LAND_COVER,)
    """INSPIRE themes of the product; those of an index without one are land cover's."""

    @property
    def has_terms(self) -> bool:
        """Tell whether the terms of use are known."""
        return self.licence != _UNKNOWN_LICENCE.format(collection=self.plan.collection_id)


def write_records(
    services: "Services", work: Prepared, product_id: str, files: Sequence[Artifact]
) -> tuple[Artifact, ...]:
    """Write provenance, STAC item and ISO 19139 record of a result; `files` are all its other files."""
    from tools.export_code import public_url
    from tools.provenance import write_provenance
    from tools.record_iso import iso_record
    from tools.record_stac import stac_item

    invented = work.synthetic or work.units.synthetic
    url = services.rerun_url or services.openeo_url
    provenance = write_provenance(
        services.workspace,
        work.plan,
        scenes=work.scenes,
        product_id=product_id,
        artifacts=files,
        openeo_url=url,
        stac_url=services.stac_url,
        synthetic=invented,
    )
    # A hub of one process ends with it: the address that scripts are given stays.
    stac_url = f"{services.rerun_url.removesuffix('openeo')}stac" if services.rerun_url else services.stac_url
    record = _record(work, (*files, provenance), contact=services.contact, stac_url=public_url(stac_url))
    record = replace(record, themes=inspire_themes(work.plan, services.retriever.catalogue))
    kept = {"fingerprint": work.plan.fingerprint}
    return (
        provenance,
        services.workspace.save(
            stac_item(record), "metadata", f"STAC item: {record.title}",
            media_type="application/geo+json", suffix=".json", **kept,
        ),
        services.workspace.save(
            iso_record(record), "metadata", f"ISO 19139 record: {record.title}",
            media_type="application/xml", suffix=".xml", **kept,
        ),
    )  # fmt: skip


def licence_line(plan: Plan, *, synthetic: bool) -> str:
    """Say under which terms a result may be used, as far as its data tell."""
    if synthetic:
        return SYNTHETIC_LICENCE
    if plan.collection_id.startswith("sentinel-") or (plan.layer and plan.layer.product_id):
        return licence("copernicus-open")
    return _UNKNOWN_LICENCE.format(collection=plan.collection_id)


def inspire_themes(plan: Plan, catalogue: "Catalogue") -> tuple[str, ...]:
    """Give the INSPIRE themes of the product whose layer was computed; of an index of bands, land cover."""
    if not plan.layer or not plan.layer.product_id:
        return (LAND_COVER,)
    editions = catalogue.get(plan.layer.product_id).editions
    used = [one for one in editions if one.id == plan.layer.edition_id] or editions
    return tuple(dict.fromkeys(theme for one in used for theme in one.inspire_themes)) or (LAND_COVER,)


def raster_of(files: Sequence[Artifact]) -> Path | None:
    """Give the GeoTIFF of a result; None where there is none."""
    return next((Path(one.path) for one in files if one.kind == "raster" and one.media_type == "image/tiff"), None)


def _record(work: Prepared, files: Sequence[Artifact], *, contact: str, stac_url: str) -> Record:
    from tools.export import plan_title, synthetic_note
    from tools.run_files import source_line

    plan, note = work.plan, synthetic_note(scenes=work.synthetic, units=work.units.synthetic)
    invented = work.synthetic or work.units.synthetic
    title = f"{'[synthetic demo data] ' if invented else ''}{plan_title(plan)}"
    what = work.recipe.long_name or work.recipe.title
    scenes = counted(len(work.scenes), "scene")
    told = f"{what} of {plan.place.name}, {plan.period.days}, from {scenes} of {plan.collection_id}."
    return Record(
        title=title,
        abstract=" ".join(part for part in (note, told, source_line(work)) if part),
        plan=plan,
        bbox=work.box,
        scenes=work.scenes,
        files=files,
        source=source_line(work),
        licence=licence_line(plan, synthetic=work.synthetic),
        synthetic=invented,
        contact=contact,
        stac_url=stac_url,
        made_at=datetime.now(UTC),
    )
