"""Product files: what they may hold, what is refused, and the check of the catalogue."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from knowledge.catalogue import load_catalogue
from knowledge.decoding import decode
from knowledge.editions import parse_product
from knowledge.errors import SourceInvalid
from knowledge.gaps import find_gaps
from ui.cli import main

ROOT = Path(__file__).parent.parent
AFRICA = (36.0, -2.0, 38.0, 0.0)
RENNES = (-1.8, 48.0, -1.5, 48.2)


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
