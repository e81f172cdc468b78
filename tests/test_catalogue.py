"""The product files, through the catalogue."""

import re
from pathlib import Path

import pytest

from knowledge.catalogue import Catalogue, load_catalogue, parse_product
from knowledge.errors import ProductNotFound, SourceInvalid

ROOT = Path(__file__).parent.parent
AFRICA = (36.0, -2.0, 38.0, 0.0)
RENNES = (-1.8, 48.0, -1.5, 48.2)
CAYENNE = (-52.5, 4.7, -52.2, 5.0)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def test_all_228_data_sets_are_editions(catalogue: Catalogue) -> None:
    assert len({e.id for p in catalogue.products for e in p.editions}) == 228
    assert 60 <= len(catalogue.products) <= 90
    assert len(catalogue.legends) == 53


@pytest.mark.parametrize(
    ("name", "product_id"),
    [
        ("imd-2018", "imperviousness"),
        ("HR-VPP", "hr-vpp"),
        ("hr vpp", "hr-vpp"),
        ("TCD", "tree-cover-density"),
        ("clms_vlcc_tree-cover-density_europe_10m_yearly_v1", "tree-cover-density"),
        ("Hedgerows", "small-woody-features"),
        ("corine", "corine-land-cover"),
    ],
)
def test_ids_abbreviations_and_aliases_find_the_product(catalogue: Catalogue, name: str, product_id: str) -> None:
    assert catalogue.get(name).id == product_id


def test_an_unknown_name_is_told_with_a_hint(catalogue: Catalogue) -> None:
    with pytest.raises(ProductNotFound) as caught:
        catalogue.get("unicorn density")
    assert caught.value.hint


def test_every_product_says_when_to_choose_it_and_how_to_get_it(catalogue: Catalogue) -> None:
    for product in catalogue.products:
        assert product.choose_when, product.id
        assert product.not_for, product.id
        assert product.aliases, product.id
        assert product.access, product.id


def test_products_that_are_not_on_cdse_say_so(catalogue: Catalogue) -> None:
    for product_id in ("corine-land-cover", "imperviousness", "ground-motion", "hr-vpp", "water-and-wetness"):
        assert "Not on the Copernicus Data Space Ecosystem" in catalogue.get(product_id).access[0]
    assert not any("Not on" in line for line in catalogue.get("surface-soil-moisture").access)


def test_facts_are_derived_from_the_editions(catalogue: Catalogue) -> None:
    tree_cover = catalogue.get("tree-cover-density")
    assert (tree_cover.resolution_m, tree_cover.start, tree_cover.end) == (10.0, "2012", "present")
    assert catalogue.get("ndvi-global").resolution_m == 300.0
    assert catalogue.get("hr-vpp").start == "2017"


def test_coverage_knows_overseas_departments_and_other_continents(catalogue: Catalogue) -> None:
    tree_cover, ndvi = catalogue.get("tree-cover-density"), catalogue.get("ndvi-global")
    assert tree_cover.covers_place(RENNES)
    assert tree_cover.covers_place(CAYENNE)
    assert not tree_cover.covers_place(AFRICA)
    assert ndvi.covers_place(AFRICA)


def test_legends_keep_their_official_colours(catalogue: Catalogue) -> None:
    first = catalogue.legend("clc_44").classes[0]
    assert (first.code, first.color) == (111, "#e6004d")
    assert len(catalogue.legend("clcplus_lulucf").classes) == 27


def test_superseded_editions_name_an_edition_that_exists(catalogue: Catalogue) -> None:
    ids = {e.id for p in catalogue.products for e in p.editions}
    assert {e.superseded_by for p in catalogue.products for e in p.editions if e.superseded_by} <= ids


def test_the_example_in_the_documents_is_a_valid_product(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "add-a-product.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found
    (tmp_path / "example-canopy-height.yaml").write_text(found[1], encoding="utf-8")
    product = load_catalogue(tmp_path).get("tree height")
    assert product.resolution_m == 10.0
    assert product.access[0].startswith("Not on the Copernicus Data Space Ecosystem")


@pytest.mark.parametrize(
    "text", ["id: [", "- a list", "id: x\ntitle: X\neditions: []", "id: x\nmood: good\neditions: [{id: y}]"]
)
def test_a_broken_file_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(SourceInvalid, match=r"broken\.yaml|no editions"):
        parse_product(text, "broken.yaml")
