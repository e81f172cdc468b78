"""Stored numbers to physical ones: every trap of the formats, with values worked out by hand."""

import numpy as np
import pytest

from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.decoding import (
    Header,
    class_codes,
    code_conflicts,
    decode,
    decode_dates,
    sentinel2_reflectance,
)
from knowledge.errors import NotDecodable, ProductNotFound

NAN = float("nan")
CROP = "clms_vlcc_main-crop-{}_europe_10m_yearly_v1"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize(
    ("edition", "variable", "stored", "expected"),
    [
        # Snow cover: 100 is 0 percent and 200 is 100 percent; 30 is cloud, 251 polar night, 255 no data.
        ("sce_europe_500m_daily_v1", "SCE", [100, 150, 200, 30, 251, 255], [0, 50, 100, NAN, NAN, NAN]),
        ("sce_global_1km_daily_v1", "SCE-SCE", [99, 101, 70], [NAN, 1, NAN]),
        # Soil: 0 to 200 is 0 to 100 percent, although the descriptor of SSM says scale 1.
        ("ssm_europe_1km_daily_v1", "SSM1km-SSM", [0, 85, 200, 241, 255], [0, 42.5, 100, NAN, NAN]),
        ("swi_global_12.5km_daily_v3", "SWI_010", [0, 85, 200, 255], [0, 42.5, 100, NAN]),
        # Water bodies: only 70 is water; 255 is a measured no; sea and 251 are no answer.
        ("wb_global_100m_monthly_v1", "WB", [70, 255, 251, 0], [1, 0, NAN, NAN]),
        # Land surface temperature: value x 0.01 + 273.15 kelvin, 203.15 to 353.15 K; the error bar has no offset.
        ("lst_global_3km_hourly_v3", "LST-LST", [0, 2685, -7000, -8000], [273.15, 300.0, 203.15, NAN]),
        ("lst_global_3km_hourly_v3", "LST-ERRORBAR", [150], [1.5]),
        # The thermal condition index changed its factor with version 3.
        ("lst-tci_global_5km_10daily_v2", "LST10-TCI-TCI", [50], [50]),
        ("lst-tci_global_3km_10daily_v3", "LST10-TCI-TCI", [5000], [0.5]),
        # NDVI and its kin: bytes with flags from 251 on; 20 is NDVI 0, which is a measurement.
        ("ndvi_global_300m_10daily_v3", "NDVI300-NDVI", [0, 20, 250, 251, 254, 255], [-0.08, 0, 0.92, NAN, NAN, NAN]),
        ("lai_global_300m_10daily_v1", "LAI300-LAI", [0, 210, 211, 255], [0, 6.99993, NAN, NAN]),
        ("fapar_global_300m_10daily_v1", "FAPAR300-FAPAR", [235, 236, 253], [0.94, NAN, NAN]),
        ("dmp_global_300m_10daily_v2", "DMP300-DMP", [0, 12345, -1], [0, 123.45, NAN]),
        # Burnt area uses -32768, water equivalent has masks below zero and a real zero.
        ("ba_global_300m_monthly_v4", "BA300-BF", [250, -32768], [0.25, NAN]),
        ("swe_northernhemisphere_5km_daily_v2", "SWE5K-SWE", [0, 120, -10, -20, -30], [0, 120, NAN, NAN, NAN]),
        # Layers in percent: 0 is treeless, 255 outside; a 254 of the older editions is not verified and left out.
        ("clms_vlcc_tree-cover-density_europe_10m_yearly_v1", "TCD", [0, 63, 100, 255], [0, 63, 100, NAN]),
        ("tcd-2015", "TCD", [0, 100, 254, 255], [0, 100, NAN, NAN]),
        ("imd-2018", "IMD", [0, 100, 254, 255], [0, 100, NAN, NAN]),
        # Change of sealing: percent plus 100; 201 is unchanged open ground, which counts as no change in a mean.
        ("imd-change-2018-2021", "IMC", [0, 100, 130, 201, 255], [-100, 0, 30, 0, NAN]),
        # Croplands: 16 bit, 0 and everything above 65520 are flags.
        (CROP.format("duration"), "CPMCD", [0, 40, 366, 65521, 65532, 65535], [NAN, 40, 366, NAN, NAN, NAN]),
        # Snow share and snow duration: cloud, water and no data differ between the 8 and the 16 bit layers.
        ("clms_wsi_fractional-snow-cover_europe_utm_20m_daily_v2", "FSCOG", [0, 100, 205, 210], [0, 100, NAN, NAN]),
        ("clms_wsi_snow-phenology-s2_europe_utm_20m_yearly_v1", "SCD", [0, 366, 420, 65535], [0, 366, NAN, NAN]),
        # Phenology: plain scale, fill value -32768.
        ("hrvpp-st-ppi", "PPI", [0, 12000, -32768], [0, 1.2, NAN]),
        # The long series has other scales and fill values than the one at 10 m, and a fill of its own in each layer.
        ("mrvpp", "PPI", [0, 1250, -1000, 32767, -9999], [0, 1.25, -1, NAN, NAN]),
        ("mrvpp", "AMPL", [850, -9999], [0.85, NAN]),
        ("mrvpp", "TPROD", [0, 500, 2001, -9999], [0, 500, NAN, NAN]),
    ],
)
def test_stored_numbers_become_physical_values(
    catalogue: Catalogue, edition: str, variable: str, stored: list[int], expected: list[float]
) -> None:
    decoded = decode(catalogue, edition, variable, stored)
    assert decoded.values.dtype == np.float32
    np.testing.assert_allclose(decoded.values, np.array(expected, dtype=np.float32), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(decoded.flags, np.isnan(expected))


def test_what_was_left_out_is_named(catalogue: Catalogue) -> None:
    snow = decode(catalogue, "sce_europe_500m_daily_v1", "SCE", [[100, 30], [255, 99]])
    assert snow.unit == "%"
    assert snow.special == {30: "Cloud", 99: "outside the valid range", 255: "No data"}
    crop = decode(catalogue, CROP.format("duration"), "CPMCD", [0, 65531])
    assert crop.special[65531] == "too few satellite observations"
    assert "no annual cropland" in crop.special[0]


def test_nan_in_the_input_stays_no_data(catalogue: Catalogue) -> None:
    decoded = decode(catalogue, "ssm_europe_1km_daily_v1", "SSM1km-SSM", [NAN, 200])
    np.testing.assert_array_equal(decoded.flags, [True, False])


@pytest.mark.parametrize(
    ("edition", "variable", "stored", "expected"),
    [
        # 19123: day 123 of 2019 is 3 May; 20366: 2020 is a leap year; 19366 does not exist; 0 has no date.
        ("hrvpp-vpp", "SOSD", [19123, 20366, 19366, 0, -32768], ["2019-05-03", "2020-12-31", "", "", ""]),
        # A season may begin in the year before: 18350 in the product of 2019 is 16 December 2018.
        ("hrvpp-vpp", "SOSD", [18350], ["2018-12-16"]),
        (CROP.format("harvest"), "CPMCH", [21001, 21365, 0, 65532], ["2021-01-01", "2021-12-31", "", ""]),
    ],
)
def test_year_and_day_become_dates(
    catalogue: Catalogue, edition: str, variable: str, stored: list[int], expected: list[str]
) -> None:
    dates = decode_dates(catalogue, edition, variable, stored)
    assert dates.iso().tolist() == expected
    assert dates.flags.tolist() == [text == "" for text in expected]


def test_days_of_the_year_need_the_year_and_may_reach_into_its_neighbours(catalogue: Catalogue) -> None:
    with pytest.raises(NotDecodable, match="day of the year only"):
        decode_dates(catalogue, "lsp_global_300m_yearly_v2", "LSP300-SOSD-S1", [120])
    season = decode_dates(catalogue, "lsp_global_300m_yearly_v2", "LSP300-EOSD-S1", [60, 366, -30], year=2021)
    assert season.iso().tolist() == ["2021-03-01", "2022-01-01", "2020-12-01"]
    mowing = decode_dates(
        catalogue, "clms_vlcc_grassland-mowing-dates_europe_10m_yearly_v1", "GRAMD1", [0, 152, 65533], year=2020
    )
    assert mowing.iso().tolist() == ["", "2020-05-31", ""]
    assert mowing.special == {0: "no mowing seen", 65533: "not herbaceous"}


def test_dates_are_never_averaged_as_numbers(catalogue: Catalogue) -> None:
    with pytest.raises(NotDecodable, match="SOSD"):
        decode(catalogue, "hrvpp-vpp", "SOSD", [19123])
    with pytest.raises(NotDecodable, match="no dates"):
        decode_dates(catalogue, "hrvpp-vpp", "AMPL", [100])


def test_a_scale_on_which_sources_disagree_comes_from_the_file(catalogue: Catalogue) -> None:
    with pytest.raises(NotDecodable, match="Sources disagree"):
        decode(catalogue, "hrvpp-vpp", "TPROD", [500])
    decoded = decode(catalogue, "hrvpp-vpp", "TPROD", [500, -32768], header=Header(scale=0.1))
    np.testing.assert_allclose(decoded.values, [50, NAN])
    change = decode(catalogue, "imd-change-2015-2018", "IMC", [70, 201, 254], header=Header(scale=1, offset=-100))
    np.testing.assert_allclose(change.values, [-30, 0, NAN])


@pytest.mark.parametrize(
    ("edition", "variable"),
    [
        ("lst_global_3km_hourly_v3", "LST-TIMEDELTA"),  # the published factor is 0
        ("imd-change-2006-2009", "IMC"),
        ("imd-change-2015-2018", "IMC"),
        ("lai_global_300m_10daily_v1", "LAI300-QFLAG"),
        ("mrvpp", "QA"),
    ],
)
def test_what_is_not_verified_is_refused_with_a_hint(catalogue: Catalogue, edition: str, variable: str) -> None:
    with pytest.raises(NotDecodable) as caught:
        decode(catalogue, edition, variable, [1])
    assert caught.value.hint


def test_no_data_of_the_file_counts_too(catalogue: Catalogue) -> None:
    decoded = decode(catalogue, "lswt-nrt_global_1km_10daily_v1", "LSWT-LSWT", [0, -999], header=Header(no_data=-999))
    np.testing.assert_allclose(decoded.values, [273.15, NAN])
    assert decoded.special == {-999: "no data (file header)"}


def test_lake_ice_editions_have_three_code_tables(catalogue: Catalogue) -> None:
    europe = decode(catalogue, "lie_europe_250m_daily_v2", "LIE250-LIE", [1, 3, 0, 50])
    north = decode(catalogue, "lie_northernhemisphere_500m_daily_v1", "LIE-NH-LIE", [10, 30, 0, 50])
    world = decode(catalogue, "lie_global_500m_daily_v2", "LIE-GLOBAL-LIE", [10, 30, 0, 50])
    assert europe.labels == {1: "Snow-covered ice", 3: "Open water"}
    assert north.labels == {10: "Ice", 30: "Water"}
    assert world.labels == {10: "Fully snow-covered ice", 30: "Open water"}
    assert north.special == {0: "No data", 50: "Not interpreted"}
    assert world.special == {0: "not in the legend", 50: "No data"}


def test_corine_rasters_hold_grid_codes_or_class_codes(catalogue: Catalogue) -> None:
    by_grid = decode(catalogue, "clc-2018", "CLC", [1, 2, 44, 48])
    by_code = decode(catalogue, "clc-2018", "CLC", [111, 112, 523, 999])
    np.testing.assert_array_equal(by_grid.values, by_code.values)
    assert by_grid.labels == by_code.labels
    assert by_code.labels[111] == "Continuous urban fabric"
    assert by_code.special == {999: "No data (accounting layers)"}
    with pytest.raises(NotDecodable, match="mixes"):
        class_codes(catalogue.legend("clc_44"), [1, 111])


def test_lcm_10_and_worldcover_share_numbers_with_other_meanings(catalogue: Catalogue) -> None:
    conflicts = code_conflicts(catalogue.legend("lcfm_lcm10"), catalogue.legend("esa_worldcover"))
    assert sorted(conflicts) == [50, 60, 70, 80, 90, 100]
    assert conflicts[80] == ("Bare/sparse vegetation", "Permanent water bodies")
    land = decode(catalogue, "lcm_global_10m_yearly_v1", "LCM", [60, 254, 255])
    assert land.labels == {60: "Mangroves"}
    np.testing.assert_array_equal(land.flags, [False, True, True])


def test_sentinel_2_takes_the_offset_from_processing_baseline_4_on() -> None:
    before, after = (sentinel2_reflectance([0, 1000, 3000], baseline) for baseline in ("03.01", "05.11"))
    np.testing.assert_allclose(before.values, [NAN, 0.1, 0.3], rtol=1e-6)
    np.testing.assert_allclose(after.values, [NAN, 0.0, 0.2], rtol=1e-6, atol=1e-8)
    assert sentinel2_reflectance([2000], "04.00").values[0] == pytest.approx(0.1)
    with pytest.raises(NotDecodable):
        sentinel2_reflectance([1], "latest")


def test_an_unknown_variable_is_told_with_the_known_ones(catalogue: Catalogue) -> None:
    with pytest.raises(ProductNotFound) as caught:
        decode(catalogue, "imd-2018", "TCD", [1])
    assert "IMD" in caught.value.hint


def test_every_layer_decodes_or_is_refused_in_words(catalogue: Catalogue) -> None:
    decoded, refused = 0, []
    for edition in (e for p in catalogue.products for e in p.editions):
        for variable in edition.variables:
            try:
                decode(catalogue, edition.id, variable.name, [0, 255])
                decoded += 1
            except NotDecodable as refusal:
                refused.append(refusal)
    assert decoded > 300
    assert all(refusal.hint for refusal in refused)
