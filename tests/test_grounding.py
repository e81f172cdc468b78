"""The number check: what stands in tool results passes, what does not is taken out, however it is written."""

import random

import pytest

from assistant.grounding import Evidence, find_invented, gather, strip_invented
from knowledge.schema import Citation
from tools.schema import Statistics, StatisticsRow, ToolResult

PAGE = "https://land.copernicus.eu/en/products/corine-land-cover"


@pytest.fixture
def evidence() -> Evidence:
    rows = (
        StatisticsRow(label="A", date="2025-05-02", value=0.6234, valid_pixels=7, total_pixels=8, outcome="ok"),
        StatisticsRow(label="B", date="2025-05-02", value=0.4, valid_pixels=5, total_pixels=9, outcome="ok"),
    )
    statistics = Statistics(rows=rows, unit="1", method="m")
    told = ToolResult(
        text="12 scenes of S2B_30UXU_20250502, 41.26 ha of tree cover at 10m, 1234567 pixels, edition clms-2021-v1",
        statistics=statistics,
        citations=(Citation(passage_id="p#use", title="t", url=PAGE, quote="q", verified=True),),
    )
    return gather([told], ["since 2021?"])


@pytest.mark.parametrize(
    "text",
    [
        "It is 0.62, or 0.623.",
        "On 2 May 2025, May 2, 2025 and 2025-05-02.",
        "Le 2 mai 2025, am 2. Mai 2025, el 2 de mayo de 2025, il 2 maggio 2025, 02.05.2025, 2/5/2025.",
        "41.3 ha from 12 scenes since 2021.",
        "41,3 ha, 41·3 ha, ４１.３ ha, 0,62 und 1.234.567, 1 234 567, 1'234'567 or 1,234,567 pixels.",
        "1.23 million pixels, 1,2 Millionen Pixel.",
        "6.234e-1, 875 ‰.",
        "87.5 % of the pixels, 88 per cent, 88 pour cent, 88 Prozent, 88 por ciento; 7/8 of them, 7 of 8.",
        "Their mean is 0.512.",
        "Sentinel-2, Sentinel-2A L2A, B04, B8A, T30UWU, CLC2018, EPSG:4326, EEA39, CO2 and 10 m are names.",
        "The scene S2B_30UXU_20250502 and the edition `clms-2021-v1`.",
        "1. A list\n2. goes on\n\n   1. and deeper\n   2. too\n3. and on\n\n1. Another list",
        f"See <{PAGE}>, [the page]({PAGE}) or https://land.copernicus.eu for more.",
        "One of the first parcels; une des parcelles; ein Feld; una parcela; un campo.",
        "Twelve scenes, douze scènes, zwölf Szenen, doce escenas, dodici scene.",
        "Zero point six two, zéro virgule soixante-deux, null Komma sechs zwei, cero coma sesenta y dos.",
        "Zero virgola sessantadue, eighty-eight percent, achtundachtzig Prozent.",
        "Since twenty twenty-one, seit zweitausendeinundzwanzig, depuis deux mille vingt et un.",
        "About half of the pixels, la moitié des pixels, in the second half of the season.",
        "Once it is due to the DOS prompt, quince and null are words; you sei and der Rest.",
        "A third parcel came; half-hourly data; 12-day steps; 10m pixels.",
        "Au moins 12 scènes, al menos 12, at least 12; by a third party; a double check; Annex IV; since MMXXI.",
        "Il y a douze scènes; es sind 十二.",
    ],
)
def test_supported_numbers_pass(text: str, evidence: Evidence) -> None:
    assert find_invented(text, evidence) == ()


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("It is 0.93.", "0.93"),
        ("It is 0.63.", "0.63"),
        ("It is .85 now.", ".85"),
        ("On 3 May 2025.", "3 May 2025"),
        ("Le 3 août 2025.", "3 août 2025"),
        ("Am 3. März 2025.", "3. März 2025"),
        ("On 03.05.2025.", "03.05.2025"),
        ("On 2025-05-03.", "2025-05-03"),
        ("Since 2018.", "2018"),
        ("About 90 % are valid.", "90 %"),
        ("It is 62.3 % green.", "62.3 %"),
        ("It rose by 62 percent.", "62 percent"),
        ("13 scenes.", "13"),
        ("It fell by -0.62.", "-0.62"),
        ("NDVI is minus 0.62.", "minus 0.62"),
        ("NDVI − 0.62.", "-0.62"),
        ("Le NDVI est de moins 0,62.", "moins 0,62"),
        ("It is 0 . 7 1 now.", "0.71"),
        ("It rose by a fifth.", "a fifth"),
        ("Er ist um ein Fünftel gestiegen.", "ein Fünftel"),
        ("It doubled.", "doubled"),
        ("Since MMXIX.", "MMXIX"),
        ("有三百二十七割.", "三百二十七割"),
        ("It covers 1,235 ha.", "1,235"),
        ("It covers 1.3 million pixels.", "1.3 million"),
    ],
)
def test_unsupported_numbers_are_found(text: str, invented: str, evidence: Evidence) -> None:
    assert find_invented(text, evidence) == (invented,)


@pytest.mark.parametrize(
    "written",
    [
        "minus 0.62", "moins 0,62", "minus zero point six two", "0 . 7 1", "0.7 1", "rose by a fifth", "a third higher",
        "doubled", "twice as high", "halved", "a doublé", "ha duplicado", "dimezzato", "a dozen parcels",
        "dreimal so hoch", "hundreds of parcels", "centaines", "Hunderte", "cientos", "centinaia", "MMXIX",
        "七割", "二〇一九",
    ],
)  # fmt: skip
def test_one_positive_value_supports_no_other_sign_size_or_change(written: str) -> None:
    language = {"a doublé": "Le NDVI {} depuis mai et les parcelles sont vertes"}.get(written, "It is {}.")
    assert find_invented(language.format(written), Evidence(numbers={0.6234}))


def test_a_day_without_a_year_supports_itself_and_no_year() -> None:
    known = gather([], ["The hydrological year starts on 1 September."])
    assert find_invented("It starts on September 1.", known) == ()
    assert find_invented("It starts on 2 September.", known)
    assert find_invented("It starts on 1 September 2025.", known)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("minus 0.62", -0.6234),
        ("hundreds of parcels", 411),
        ("Hunderte", 411),
        ("MMXIX", 2019),
        ("二〇一九", 2019),
        ("三百二十", 320),
        ("au moins 3", 3),
        ("5 minus 5", 5),
    ],
)
def test_signs_and_sizes_in_words_are_read_as_they_are(text: str, number: float) -> None:
    known = Evidence()
    known.add_number(number)
    assert find_invented(text, known) == ()


@pytest.mark.parametrize(("text", "percent"), [("七割", 70), ("it halved", 50)])
def test_shares_in_words_need_a_share(text: str, percent: int) -> None:
    known = Evidence()
    known.add_number(percent / 100)
    assert find_invented(text, known)
    known.add_text(f"{percent} %")
    assert find_invented(text, known) == ()


@pytest.mark.parametrize(
    "written",
    [
        "zero point eight five", "nought point eighty-five", "eighty-five", "eighty-five percent", "a hundred and five",
        "zéro virgule quatre-vingt-cinq", "quatre-vingt-cinq pour cent", "soixante-dix-sept", "huitante-cinq",
        "null Komma acht fünf", "fünfundachtzig Prozent", "fuenfundachtzig", "hundertfünf", "zweitausendachtzehn",
        "cero coma ochenta y cinco", "ochenta y cinco por ciento", "dieciséis", "veintidós", "quinientos",
        "zero virgola ottantacinque", "ottantacinque per cento", "ventotto", "duemiladiciotto", "six", "three",
        "twenty eighteen", "dozen of hundred", "five million",
        "a third of the pixels", "three quarters", "ein Drittel der Pixel", "deux tiers", "tres cuartos", "due terzi",
        "0,85", "0·85", "0٫85", "٠٫٨٥", "０．８５", "⁰·⁸⁵", "0.⁸⁵", "8⁵", "⑧⑤", "¾",
        "85 %", "850 ‰", "8.5e-1", "8,5E-1", "85e-2",
        "850 per mille", "85 pour cent", "85 Prozent", "85 por ciento", "85 per cento", "85&nbsp;%", "&#56;&#53;",
        "0.**85**", "0.<b>85</b>", "0.\u200b85", "`0.85`", "*85*", "<i 0.85>", "<https://example.org/0.85>",
        '<a href="https://example.org/85">x</a>', "[x](http://e.org/85 't')",
        "17/20", "17 / 20", "17⁄20", "8.5 × 10⁻¹",
        "NDVI-0.85", "0.85NDVI", "NDVI=0.85", "NDVI_0.85", "ndvi0.85", "x85", "v85", "85er", "85th",
        "B04-85", "CLC2018-85",
        "12345678e90", "deadbeef85", "EPSG85", "https://example.org/0.85", "www.example.org/85", "s3://bucket/85",
        "[0.85](https://land.copernicus.eu)", f"{PAGE}/85", "2018-2025", "1.85", "1,85", "85 000", "85'000",
        "00085", "0x85",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "sentence", ["It is {}.", "**{}** is the mean", "La media es {}, y más.", "Der Wert ist {} im Feld"]
)
def test_no_spelling_hides_an_invented_number(written: str, sentence: str, evidence: Evidence) -> None:
    assert find_invented(sentence.format(written), evidence)


def test_every_way_of_writing_a_number_is_read_as_that_number() -> None:
    noise = random.Random(5)
    for _ in range(300):
        value = round(noise.uniform(0.001, 9.999), 3)
        known, unknown = Evidence(numbers={value}), Evidence(numbers={value + 0.002})
        plain = f"{value:.3f}"
        for written in (
            plain,
            plain.replace(".", ","),
            plain.replace(".", "·"),
            f"NDVI={plain}",
            f"{value:.3e}",
            f"({plain})",
        ):
            assert find_invented(f"It is {written} here.", known) == (), written
            assert find_invented(f"It is {written} here.", unknown), written


@pytest.mark.parametrize("text", ["85. The mean", "1. One\n85. The mean", "1. One\n1. Two\n3. Three", "- 85. The mean"])
def test_a_list_mark_out_of_order_is_a_number(text: str, evidence: Evidence) -> None:
    assert find_invented(text, evidence)


def test_only_the_offending_sentence_goes(evidence: Evidence) -> None:
    check = strip_invented("A has 0.62. Yields rose by 17 %. It is fine.\n\n- 12 scenes\n- 99 scenes", evidence)
    assert check.text == "A has 0.62. It is fine.\n\n- 12 scenes"
    assert check.invented == ("17 %", "99")


def test_a_date_is_not_cut_into_sentences(evidence: Evidence) -> None:
    check = strip_invented("Am 2. Mai 2025 war es 0,62. Am 3. Mai 2025 war es 0,62.", evidence)
    assert check.text == "Am 2. Mai 2025 war es 0,62."


def test_an_unknown_link_goes_and_its_sentence_stays(evidence: Evidence) -> None:
    text = f"See [the manual](https://example.org/85) and <https://example.org/b>, or {PAGE}. A has 0.62."
    check = strip_invented(text, evidence)
    assert check.text == f"See the manual and (link removed), or {PAGE}. A has 0.62."
    assert check.invented == ("https://example.org/85", "https://example.org/b")


def test_list_marks_stay_when_a_sentence_goes(evidence: Evidence) -> None:
    check = strip_invented("1. It is 0.62.\n2. It is 0.93.\n3. There are 12 scenes.", evidence)
    assert check.text == "1. It is 0.62.\n3. There are 12 scenes."


@pytest.fixture
def long_table() -> Evidence:
    rows = tuple(
        StatisticsRow(label=f"P{one}", value=one / 40, valid_pixels=one, total_pixels=40, outcome="ok")
        for one in range(1, 41)
    )
    data = {"difference": {"rows": [{"label": row.label, "earlier": 0.9114 + place} for place, row in enumerate(rows)]}}
    return gather([ToolResult(text="40.", statistics=Statistics(rows=rows, unit="1", method="m"), data=data)], [])


@pytest.mark.parametrize(
    "text",
    [
        "It fell 20 per cent.",
        "It rose by a fifth.",
        "It is roughly three quarters.",
        "It lost 37 %.",
        "The mean is 0.2.",
        "P8 has 0.75, or 38 % valid pixels.",
        "It was 0.91 before.",
    ],
)
def test_no_row_of_a_long_table_supports_what_is_not_said_of_it(text: str, long_table: Evidence) -> None:
    assert find_invented(text, long_table)


@pytest.mark.parametrize(
    "text",
    [
        "P8 has 0.2, P30 has 0.75.",
        "- P8: 0.2 (8 of 40 pixels valid, 20 %), earlier 7.91\n| P30 | 0.75 | 75 % |",
        "The highest is P40. It has 1.0.",
        "Over all 40 polygons the mean is 0.5125, from 0.025 to 1.",
    ],
)
def test_a_row_of_a_long_table_supports_what_is_said_of_it(text: str, long_table: Evidence) -> None:
    assert find_invented(text, long_table) == ()


def test_a_date_of_a_long_series_supports_what_is_said_of_it() -> None:
    rows = tuple(
        StatisticsRow(
            label="Field", date=f"2025-05-{one:02}", value=one / 40, valid_pixels=one, total_pixels=40, outcome="ok"
        )
        for one in range(1, 31)
    )
    evidence = gather([ToolResult(text="30.", statistics=Statistics(rows=rows, unit="1", method="m"))], [])
    assert find_invented("On 8 May 2025 the field had 0.2, on 2025-05-30 it had 0.75.", evidence) == ()
    assert find_invented("The field had 0.35 at last.", evidence) == ("0.35",)
