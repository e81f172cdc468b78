"""Records for catalogues: a valid STAC item, and an ISO 19139 record with what INSPIRE asks for."""

import json
import zipfile
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pystac
from lxml import etree
from pystac.validation import JsonSchemaSTACValidator
from pystac.validation.stac_validator import STACObjectType

from knowledge.catalogue import load_catalogue
from tests.test_map_view import drawn
from tests.web.script import computed
from tools.record_iso import THEMES, iso_record
from tools.record_stac import stac_item
from tools.records import Record, inspire_themes, licence_line
from tools.schema import Artifact, LayerChoice, Scene
from tools.workspace import Workspace, file_sha256
from ui.page_api import zip_files

SPACES = {
    "gmd": "http://www.isotc211.org/2005/gmd",
    "gco": "http://www.isotc211.org/2005/gco",
    "gml": "http://www.opengis.net/gml",
}
XLINK = "http://www.w3.org/1999/xlink"
ANCHOR = ".//{http://www.isotc211.org/2005/gmd}keyword/{http://www.isotc211.org/2005/gmx}Anchor"


def _record(tmp_path: Path, **other: Any) -> Record:
    plan = computed().plan
    assert plan is not None
    files = drawn(Workspace(tmp_path))
    scene = Scene(id="S2 1", collection_id="c", datetime="2025-06-15T11:00:00Z", bbox=(-1.7, 48, -1.6, 48.1))
    told = {"title": "NDVI of R & D\x07 <b>", "abstract": "NDVI.", "source": "Source.", "licence": "Terms."}
    return Record(
        **{**told, "plan": plan, "bbox": (-1.7, 48.0, -1.5, 48.1), "scenes": [scene], "files": files, "synthetic": True,
           "contact": "Land Office <land@example.eu>", "stac_url": "http://127.0.0.1/stac",
           "made_at": datetime(2026, 1, 2, tzinfo=UTC), **other}
    )  # fmt: skip


def test_a_stac_item_is_valid_and_names_files_with_their_hashes_and_grid(tmp_path: Path) -> None:
    record = _record(tmp_path)
    item = json.loads(stac_item(record))
    JsonSchemaSTACValidator().validate_core(item, STACObjectType.ITEM, "1.1.0")
    read = pystac.Item.from_dict(item)
    assert read.properties["clms:synthetic"] is True
    assert (read.properties["start_datetime"], read.properties["end_datetime"]) == (
        "2025-06-01T00:00:00Z",
        "2025-08-31T23:59:59Z",
    )
    raster = read.assets["02-raster"]
    file = tmp_path / raster.href
    assert raster.extra_fields["file:checksum"] == "1220" + file_sha256(file)
    assert raster.extra_fields["file:size"] == file.stat().st_size
    assert raster.extra_fields["proj:code"] == "EPSG:4326"
    assert (raster.extra_fields["proj:shape"], raster.roles) == ([80, 80], ["data"])
    assert raster.extra_fields["bands"][0]["nodata"] == "nan"
    (scene,) = (link.href for link in read.links if link.rel == "derived_from")
    assert scene == "http://127.0.0.1/stac/collections/c/items/S2%201"


def _words(tree: Any, path: str) -> list[str]:
    return ["".join(one.itertext()).strip() for one in tree.iterfind(path, SPACES)]


def test_an_iso_record_has_what_inspire_asks_of_a_data_set(tmp_path: Path) -> None:
    tree = etree.fromstring(iso_record(_record(tmp_path)))
    about = "gmd:identificationInfo/gmd:MD_DataIdentification"
    assert _words(tree, f"{about}/gmd:citation/gmd:CI_Citation/gmd:title") == ["NDVI of R & D <b>"]
    assert _words(tree, f"{about}/gmd:abstract") == ["NDVI."]
    assert _words(tree, f"{about}/gmd:topicCategory") == ["imageryBaseMapsEarthCover"]
    assert _words(tree, f"{about}/gmd:descriptiveKeywords/gmd:MD_Keywords/gmd:keyword") == ["Land cover"]
    themes = etree.fromstring(iso_record(_record(tmp_path, themes=("Hydrography", "Land use"))))
    assert [one.get(f"{{{XLINK}}}href", "").rpartition("/")[2] for one in themes.iterfind(ANCHOR)] == ["hy", "lu"]
    assert "Terms." in _words(tree, f"{about}//gmd:otherConstraints")
    assert _words(tree, f"{about}//gmd:westBoundLongitude") == ["-1.700000"]
    assert _words(tree, f"{about}//gml:beginPosition") == ["2025-06-01"]
    assert _words(tree, "gmd:contact//gmd:organisationName") == ["Land Office"]
    assert _words(tree, "gmd:contact//gmd:electronicMailAddress") == ["land@example.eu"]
    assert _words(tree, "gmd:dateStamp") == ["2026-01-02"]
    assert _words(tree, ".//gmd:statement")[0].startswith("Source. Computed")
    assert _words(tree, ".//gmd:DQ_ConformanceResult/gmd:pass") == [""]
    assert _words(tree, ".//gmd:referenceSystemIdentifier//gmd:code") == ["http://www.opengis.net/def/crs/EPSG/0/4326"]


def test_an_iso_record_holds_to_its_schema(tmp_path: Path) -> None:
    found = find_spec("pycsw")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "plugins/profiles/apiso/schemas/ogc/iso/19139/20060504"
    schema = etree.XMLSchema(etree.parse(folder / "gmx" / "gmx.xsd"))
    for contact in ("Land Office <land@example.eu>", ""):
        schema.assertValid(etree.fromstring(iso_record(_record(tmp_path, contact=contact))))


def test_the_licence_is_told_only_where_it_is_known() -> None:
    plan = computed().plan
    assert plan is not None
    assert "CC0" in licence_line(plan, synthetic=True)
    assert licence_line(plan, synthetic=False) == "Not known: ask whoever provides c."
    assert "1159/2013" in licence_line(plan.model_copy(update={"collection_id": "sentinel-2-l2a"}), synthetic=False)


def test_in_a_zip_the_item_names_the_files_beside_it(tmp_path: Path) -> None:
    record, workspace = _record(tmp_path), Workspace(tmp_path)
    kept: dict[str, str] = {"media_type": "application/geo+json", "suffix": ".json", "fingerprint": "f"}
    item = workspace.save(stac_item(record), "metadata", "STAC item", **kept)
    files: list[Artifact] = [*record.files, item]
    with zipfile.ZipFile(BytesIO(zip_files(files))) as archive:
        told = json.loads(archive.read("03-stac-item.json"))
        for asset in told["assets"].values():
            assert len(archive.read(asset["href"].removeprefix("./"))) == asset["file:size"]


def test_a_record_has_the_themes_of_its_product_and_each_theme_of_the_catalogue_has_a_code() -> None:
    plan, catalogue = computed().plan, load_catalogue()
    assert plan is not None
    assert inspire_themes(plan, catalogue) == ("Land cover",)
    layer = LayerChoice(
        title="TCD", unit="%", product_id="tree-cover-density", edition_id="none", band="TCD", reference="2024"
    )
    assert "Habitats and biotopes" in inspire_themes(plan.model_copy(update={"layer": layer}), catalogue)
    assert {theme for one in catalogue.products for edition in one.editions for theme in edition.inspire_themes} <= set(
        THEMES
    )
