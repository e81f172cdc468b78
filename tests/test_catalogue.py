"""The product files, through the catalogue."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from knowledge.cards import list_lines, show_lines
from knowledge.catalogue import Catalogue, load_catalogue, parse_product
from knowledge.decoding import decode
from knowledge.errors import ProductNotFound, SourceInvalid
from knowledge.gaps import find_gaps
from knowledge.services import services
from ui.cli import main

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


def test_coverage_knows_overseas_departments_and_other_continents(catalogue: Catalogue) -> None:
    tree_cover, ndvi = catalogue.get("tree-cover-density"), catalogue.get("ndvi-global")
    assert tree_cover.covers_place(RENNES)
    assert tree_cover.covers_place(CAYENNE)
    assert not tree_cover.covers_place(AFRICA)
    assert ndvi.covers_place(AFRICA)


@pytest.mark.parametrize(
    ("place", "lon", "lat", "covered"),
    [
        ("Vienna", 16.37, 48.21, True),
        ("Ankara", 32.85, 39.93, True),
        ("Las Palmas", -15.43, 28.12, True),
        ("Tunis", 10.18, 36.80, False),
        ("Kyiv", 30.52, 50.45, False),
        ("Chisinau", 28.86, 47.01, False),
        ("Kaliningrad", 20.51, 54.71, False),
    ],
)
def test_neighbours_of_europe_are_not_taken_for_covered(
    catalogue: Catalogue, place: str, lon: float, lat: float, covered: bool
) -> None:
    around = (lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05)
    assert catalogue.get("corine-land-cover").covers_place(around) is covered, place


IN_EUROPE = ("Lisbon", "Reykjavik", "Ankara", "Pristina")
PLACES = {
    "Lisbon": (-9.14, 38.72),
    "Reykjavik": (-21.9, 64.14),
    "Ankara": (32.85, 39.93),
    "Pristina": (21.16, 42.66),
    "Oslo": (10.75, 59.91),
    "Tromso": (18.95, 69.65),
    "Zurich": (8.54, 47.37),
    "London": (-0.12, 51.5),
    "Kyiv": (30.52, 50.45),
    "Minsk": (27.57, 53.9),
    "Moscow": (37.62, 55.75),
    "Cayenne": (-52.33, 4.92),
    "Saint-Denis": (55.45, -20.88),
    "Kinshasa": (15.3, -4.3),
    "Sydney": (151.2, -33.9),
    "Longyearbyen": (15.6, 78.2),
    "McMurdo": (166.7, -77.8),
}


@pytest.mark.parametrize(
    ("product_id", "inside", "outside"),
    [
        ("corine-land-cover", (*IN_EUROPE, "London", "Cayenne"), ("Kyiv", "Minsk", "Moscow", "Kinshasa")),
        ("imperviousness", (*IN_EUROPE, "London"), ("Kyiv", "Minsk", "Moscow")),
        ("crop-types", (*IN_EUROPE, "Saint-Denis"), ("Kyiv", "Minsk", "Moscow")),
        ("urban-atlas", IN_EUROPE, ("Kyiv", "Minsk", "Moscow", "Sydney")),
        ("urban-atlas-building-height", IN_EUROPE, ("Kyiv", "Minsk", "Moscow")),
        ("natura-2000", ("Lisbon", "London"), ("Ankara", "Pristina", "Oslo", "Kyiv", "Minsk", "Cayenne")),
        (
            "ground-motion",
            ("Lisbon", "Reykjavik", "Oslo", "Tromso", "Zurich", "London"),
            ("Pristina", "Kyiv", "Moscow"),
        ),
        ("pantropical-tree-cover", ("Kinshasa", "Cayenne", "Sydney"), ("Lisbon", "Ankara", "London")),
        ("snow-water-equivalent", ("Reykjavik", "Longyearbyen", "Moscow"), ("Kinshasa", "Sydney", "Cayenne")),
        ("ndvi-global", ("Sydney", "Longyearbyen", "Kyiv"), ("McMurdo",)),
    ],
)
def test_each_kind_of_coverage_holds_known_places_and_leaves_others_out(
    catalogue: Catalogue, product_id: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    product = catalogue.get(product_id)
    covered = {
        name
        for name, (lon, lat) in PLACES.items()
        if product.covers_place((lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05))
    }
    assert covered >= set(inside)
    assert not covered & set(outside)


def test_the_united_kingdom_is_covered_where_and_when_the_documents_say_so(catalogue: Catalogue) -> None:
    london = (-0.2, 51.4, 0.0, 51.6)
    assert catalogue.get("imperviousness").covers_place(london)
    assert catalogue.get("fractional-snow-cover").covers_place(london)
    assert not catalogue.get("crop-types").covers_place(london)


def test_an_announced_edition_says_nothing_about_coverage(catalogue: Catalogue) -> None:
    assert not catalogue.get("natura-2000").covers_place(AFRICA)


def test_legends_keep_their_official_colours(catalogue: Catalogue) -> None:
    first = catalogue.legend("clc_44").classes[0]
    assert (first.code, first.color) == (111, "#e6004d")
    assert len(catalogue.legend("clcplus_lulucf").classes) == 27


def test_superseded_editions_name_an_edition_that_exists(catalogue: Catalogue) -> None:
    ids = {e.id for p in catalogue.products for e in p.editions}
    assert {e.superseded_by for p in catalogue.products for e in p.editions if e.superseded_by} <= ids


def test_the_example_in_the_documents_is_a_complete_product_in_under_20_lines(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "add-a-product.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found
    assert len(found[1].splitlines()) < 20
    (tmp_path / "example-canopy-height.yaml").write_text(found[1], encoding="utf-8")
    catalogue = load_catalogue(tmp_path)
    product = catalogue.get("tree height")
    assert product.resolution_m == 10.0
    assert product.covers_place(RENNES)
    assert not product.covers_place(AFRICA)
    assert product.access[0].startswith("Whether the Copernicus Data Space Ecosystem")
    heights = decode(catalogue, "example-canopy-height-2024", "CH", [0, 123, 65535])
    np.testing.assert_allclose(heights.values, [0.0, 12.3, np.nan])
    assert not any(gap.required for gap in find_gaps(catalogue))


@pytest.mark.parametrize(
    "text", ["id: [", "- a list", "id: x\ntitle: X\neditions: []", "id: x\nmood: good\neditions: [{id: y}]"]
)
def test_a_broken_file_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(SourceInvalid, match=r"broken\.yaml|no editions"):
        parse_product(text, "broken.yaml")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("resolutoin: [10 m]", "there is no field `resolutoin` (did you mean `resolution`?)"),
        ("resolution: 10 m", "`resolution` must be a list"),
        ("bbox: [10, 20, 5, 30]", "`bbox` is not west, south, east, north"),
        ("variables: [5]", "`variables.0` must be a mapping"),
        ("start: {from: 2020}", "`start` must be text"),
    ],
)
def test_a_wrong_field_is_named_with_its_edition(part: str, said: str) -> None:
    head = "{id: x, title: X, abbr: X, family: F, summary: S, editions: [{id: x-1, title: One, status: current, "
    with pytest.raises(SourceInvalid) as caught:
        parse_product(f"{head}confidence: low, {part}}}]}}", "x.yaml")
    assert caught.value.message.startswith("x.yaml: In edition x-1: ")
    assert said in caught.value.message
    assert "pydantic" not in str(caught.value)


def test_a_year_need_not_stand_in_quotes() -> None:
    text = "{id: x, title: X, abbr: X, family: F, summary: S, editions: [{id: x-1, title: One, status: current, "
    assert parse_product(f"{text}confidence: low, start: 2021, end: 2024}}]}}", "x.yaml").end == "2024"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "a", "b": "b"}, "The id 'one' is used twice, in a.yaml and b.yaml."),
        ({"a": "b"}, "a.yaml holds the product 'b'."),
        ({}, "There are no product files"),
    ],
)
def test_a_folder_that_does_not_hold_together_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, product_id in files.items():
        (tmp_path / f"{name}.yaml").write_text(
            f"{{id: {product_id}, title: X, abbr: X, family: F, summary: S, editions: [{{id: one, title: One, "
            "status: current, confidence: low}]}",
            encoding="utf-8",
        )
    with pytest.raises(SourceInvalid) as caught:
        load_catalogue(tmp_path)
    assert said in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_no_text_and_an_edition_that_does_not_exist_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceInvalid, match="UTF-8"):
        load_catalogue(tmp_path)
    path.write_text(
        "{id: x, title: X, abbr: X, family: F, summary: S, editions: [{id: x-1, title: One, status: superseded, "
        "confidence: low, superseded_by: ghost}]}",
        encoding="utf-8",
    )
    with pytest.raises(SourceInvalid, match="unknown editions: ghost"):
        load_catalogue(tmp_path)


def test_a_key_given_twice_is_refused_not_dropped() -> None:
    with pytest.raises(SourceInvalid, match="'shared' is given twice"):
        parse_product("id: x\nshared: {a: 1}\nshared: {b: 2}\neditions: [{id: y}]", "broken.yaml")


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


def test_the_check_lists_gaps_and_the_shipped_products_pass_it() -> None:
    result = CliRunner().invoke(main, ["catalogue", "check", "--strict"])
    assert result.exit_code == 0, result.output
    assert "79 products" in result.output
    assert "0 required texts missing" in result.output
    assert re.search(r"timeliness +79 +228", result.output)


def test_the_strict_check_fails_on_a_product_that_says_too_little(tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text(
        "{id: bare, title: Bare, abbr: B, family: F, summary: S, editions: [{id: bare-1, title: One, status: current, "
        "confidence: low}]}",
        encoding="utf-8",
    )
    lenient, strict = (
        CliRunner().invoke(main, ["catalogue", "check", "--products", str(tmp_path), *extra])
        for extra in ([], ["--strict"])
    )
    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert "choose_when (required)" in strict.output
    assert "comparable_with" in strict.output


def test_the_check_refuses_a_broken_file_in_words(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("id: other\neditions: [{id: y}]", encoding="utf-8")
    result = CliRunner().invoke(main, ["catalogue", "check", "--products", str(tmp_path)])
    assert result.exit_code == 1
    assert "odd.yaml" in result.output
    assert "Traceback" not in result.output


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


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("areas: [atlantis]", "areas.yaml has no entry 'atlantis'"),
        ("routes: [pigeon]", "access.yaml has no entry 'pigeon'"),
        ("variables: [{name: X, encoding: runes}]", "encodings.yaml has no entry 'runes'"),
    ],
)
def test_an_unknown_name_in_a_product_file_is_told_with_the_known_ones(part: str, said: str) -> None:
    text = (
        "{id: x, title: X, abbr: X, family: F, summary: S, "
        f"editions: [{{id: x-1, title: One, status: current, confidence: low, {part}}}]}}"
    )
    with pytest.raises(SourceInvalid) as caught:
        parse_product(text, "x.yaml")
    assert caught.value.message == f"x.yaml: {said}."
    assert "It has: " in caught.value.hint
