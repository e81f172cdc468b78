"""The catalogue and its facts."""

import pytest
from click.testing import CliRunner

from knowledge.cards import list_lines, show_lines
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.errors import ProductNotFound
from knowledge.services import services
from ui.cli import main


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def test_all_228_data_sets_are_editions(catalogue: Catalogue) -> None:
    assert len({e.id for p in catalogue.products for e in p.editions}) == 228
    assert 60 <= len(catalogue.products) <= 90
    assert len(catalogue.legends) == 55


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
    assert "openEO collections under other names" in catalogue.get("hr-vpp").access[0]


def test_facts_are_derived_from_the_editions(catalogue: Catalogue) -> None:
    tree_cover = catalogue.get("tree-cover-density")
    assert (tree_cover.resolution_m, tree_cover.start, tree_cover.end) == (10.0, "2012", "present")
    assert catalogue.get("ndvi-global").resolution_m == 300.0
    assert catalogue.get("hr-vpp").start == "2017"


def test_legends_keep_their_official_colours(catalogue: Catalogue) -> None:
    first = catalogue.legend("clc_44").classes[0]
    assert (first.code, first.color) == (111, "#e6004d")
    assert len(catalogue.legend("clcplus_lulucf").classes) == 27


def test_superseded_editions_name_an_edition_that_exists(catalogue: Catalogue) -> None:
    ids = {e.id for p in catalogue.products for e in p.editions}
    assert {e.superseded_by for p in catalogue.products for e in p.editions if e.superseded_by} <= ids


def test_every_product_says_what_it_measures_and_what_for(catalogue: Catalogue) -> None:
    for product in catalogue.products:
        assert product.measures, product.id
        assert product.use_cases, product.id


@pytest.mark.parametrize(
    ("first", "second", "allowed", "change"),
    [
        ("tcd-2015", "clms_vlcc_tree-cover-density_europe_10m_yearly_v1", False, "tree-cover-change"),
        ("clms_vlcc_tree-cover-density_europe_10m_yearly_v1", "tcd-2012", False, "tree-cover-change"),
        ("clc-2012", "clc-2018", False, "clc-change-2012-2018"),
        ("clc-1990", "clc-2018", False, "corine-land-cover-change"),
        ("imd-2015", "imd-2018", False, "imd-change-2015-2018"),
        ("imd-2012", "imd-2021", False, "imperviousness-change"),
        ("n2k-lclu-2006", "n2k-lclu-2012", None, "n2k-lclu-change-2006-2012"),
        ("lsp_global_300m_yearly_v1", "lsp_global_300m_yearly_v2", False, None),
        ("waw-2015", "waw-2018", False, None),
        ("egms-basic", "egms-calibrated", False, None),
        ("egms-calibrated", "egms-calibrated", None, None),
        ("lai_global_300m_10daily_v1", "lai_global_300m_10daily_v2", None, None),
    ],
)
def test_editions_that_must_not_be_subtracted_name_the_change_layer(
    catalogue: Catalogue, first: str, second: str, allowed: bool | None, change: str | None
) -> None:
    rule = catalogue.comparability(first, second)
    assert rule is not None
    assert (rule.allowed, rule.change_product) == (allowed, change)
    assert rule.reason
    assert rule.source


def test_years_of_one_series_compare_unless_the_method_broke_between_them(catalogue: Catalogue) -> None:
    trees, grass = (f"clms_vlcc_{name}_europe_10m_yearly_v1" for name in ("tree-cover-density", "grassland"))
    same = catalogue.comparability(trees, trees, (2018, 2023))
    before, across = (catalogue.comparability(grass, grass, years) for years in ((2018, 2021), (2021, 2022)))
    assert same is not None
    assert same.allowed
    assert before is not None
    assert before.allowed
    assert across is not None
    assert across.allowed is False


def test_nothing_known_about_a_pair_stays_unknown(catalogue: Catalogue) -> None:
    assert catalogue.comparability("lst_global_5km_hourly_v1", "lst_global_5km_hourly_v2") is None
    with pytest.raises(ProductNotFound):
        catalogue.comparability("ua-bbh-2012", "ua-bbh-2099")


def test_no_product_is_silent_on_what_may_be_compared(catalogue: Catalogue) -> None:
    for product in catalogue.products:
        assert product.comparable_with, product.id


def test_a_rule_for_own_dates_says_nothing_of_two_editions(catalogue: Catalogue) -> None:
    net, gross = "dmp_global_300m_10daily_v2", "gdmp_global_300m_10daily_v2"
    apart, dates = catalogue.comparability(gross, net), catalogue.comparability(net, net, (2019, 2024))
    assert apart is not None
    assert apart.allowed is False
    assert dates is not None
    assert dates.allowed is None
    assert "last revisions" in dates.reason
    older = catalogue.comparability("dmp_global_300m_10daily_v1", net)
    assert older is not None
    assert "replaces" in older.reason
    usual = catalogue.comparability("ndvi-lts_global_1km_10daily_v3", "ndvi-lts_global_1km_10daily_v3", (2001, 2015))
    assert usual is not None
    assert usual.allowed is False


def test_chains_of_replacement_have_an_end_and_two_directions(catalogue: Catalogue) -> None:
    editions = {e.id: e for p in catalogue.products for e in p.editions}
    for edition in editions.values():
        passed = [edition.id]
        while (newer := editions[passed[-1]].superseded_by) is not None:
            assert newer not in passed, passed
            assert editions[newer].superseded_by or editions[newer].status == "current", newer
            assert passed[-1] in editions[newer].supersedes, (passed[-1], newer)
            passed.append(newer)
        for older in edition.supersedes:
            assert editions[older].superseded_by == edition.id, (older, edition.id)


def test_data_sets_that_go_with_an_edition_keep_their_ids(catalogue: Catalogue) -> None:
    companions = [c for p in catalogue.products for e in p.editions for c in e.companions]
    assert [c.role for c in companions].count("confidence layer") == 15
    own = {e.cdse.dataset_id for p in catalogue.products for e in p.editions if e.cdse}
    assert len(own | {c.cdse.dataset_id for c in companions}) == 143
    trees = catalogue.edition("clms_vlcc_tree-cover-density_europe_10m_yearly_v1").companions[0]
    assert trees.cdse.openeo_collection == "CLMS_VLCC_TREE_COVER_DENSITY_CONFIDENCE_LAYER_EUROPE_10M_YEARLY_V1"
    assert trees.cdse.services["stac"]
    assert not trees.cdse.services["openeo"]


def test_services_tell_absent_from_not_verified(catalogue: Catalogue) -> None:
    def states(edition_id: str) -> dict[str, str]:
        return {service.name: service.state for service in services(catalogue.edition(edition_id))}

    corine, trees = states("clc-2018"), states("clms_vlcc_tree-cover-density_europe_10m_yearly_v1")
    assert corine["stac"] == corine["openeo"] == corine["sentinelhub"] == "absent"
    assert corine["wekeo"] == corine["portal"] == "available"
    assert trees["stac"] == trees["s3"] == "available"
    assert trees["openeo"] == "unverified"
    assert states("hrvpp-st-ppi")["openeo"] == "unverified"
    assert states("hrvpp-st-ppi")["stac"] == "absent"
    assert states("eu-dem")["portal"] == "absent"
    assert states("hrvpp-vi")["wekeo"] == "absent"


def test_smallest_mapped_patches_are_known_where_a_manual_gives_them(catalogue: Catalogue) -> None:
    corine = catalogue.edition("clc-2018")
    assert (corine.minimum_mapping_unit_ha, corine.minimum_mapping_width_m) == (25, 100)
    assert catalogue.edition("clc-change-2012-2018").minimum_mapping_unit_ha == 5
    assert catalogue.edition("eu-hydro").minimum_mapping_unit_ha is None


def test_list_and_show_print_the_facts_and_what_is_not_verified() -> None:
    listed = CliRunner().invoke(main, ["catalogue", "list", "--theme", "forest"])
    assert "tree-cover-density" in listed.output
    assert "soil-water-index" not in listed.output
    odd = CliRunner().invoke(main, ["catalogue", "list", "--theme", "unicorns"])
    assert odd.exit_code == 1
    assert "Themes: " in odd.output
    shown = CliRunner().invoke(main, ["catalogue", "show", "clc-2018"])
    assert "stac: absent" in shown.output
    assert "Change layer: clc-change-2012-2018" in shown.output
    assert "published not verified" in shown.output
    assert "Edition clc-2012" not in shown.output
    assert "   111  #e6004d  Continuous urban fabric (grid code 1)" in shown.output
    snow = CliRunner().invoke(main, ["catalogue", "show", "sce_global_1km_daily_v1"]).output
    assert "stored x 1 - 100, valid 100 to 200" in snow
    unknown = CliRunner().invoke(main, ["catalogue", "show", "unicorn"])
    assert unknown.exit_code == 1
    assert "Search for it in words" in unknown.output


def test_every_card_fits_a_terminal_of_100_columns(catalogue: Catalogue) -> None:
    names = [name for p in catalogue.products for name in (p.id, *(e.id for e in p.editions))]
    for line in (*list_lines(catalogue), *(line for name in names for line in show_lines(catalogue, name))):
        assert len(line) <= 100 or len(line.split()) <= 2, line  # a link or an id is never broken
