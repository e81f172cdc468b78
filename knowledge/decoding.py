"""Turns stored numbers into physical ones: the one place for scales, offsets, no data, flags, dates and class codes.

The rules are facts of the product files (`Variable`, `Encoding`, `Legend`); this module only applies them. What is
no measurement becomes NaN (or NaT) and is flagged; a measured zero stays zero. What is not verified is refused.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from knowledge.catalogue import Catalogue
from knowledge.errors import NotDecodable, ProductNotFound
from knowledge.schema import Edition, Encoding, Frozen, Legend, LegendClass, Variable

PLAIN = Encoding()
OUTSIDE = "outside the valid range"
NOT_IN_LEGEND = "not in the legend"
NO_DATE = np.datetime64("NaT", "D")


class Header(Frozen):
    """What the file itself says; its no-data value always counts, its scale where the catalogue has no better one."""

    scale: float | None = None
    offset: float | None = None
    no_data: float | None = None


@dataclass(frozen=True)
class Decoded:
    """Physical values of one layer."""

    values: NDArray[np.float32]
    """NaN where there is no measurement; class codes stay class codes."""
    flags: NDArray[np.bool_]
    """True where the stored number is no measurement."""
    unit: str | None
    special: dict[int, str]
    """Stored codes that were met and are no measurement, with their meaning."""
    labels: dict[int, str]
    """For classes: label of each code that was met."""


@dataclass(frozen=True)
class DecodedDates:
    """Calendar days of one layer."""

    days: NDArray[np.datetime64]
    """NaT where there is no date."""
    flags: NDArray[np.bool_]
    special: dict[int, str]

    def iso(self) -> NDArray[np.str_]:
        """Give the days as YYYY-MM-DD; an empty text where there is none."""
        return np.where(np.isnat(self.days), "", np.datetime_as_string(self.days, unit="D"))


@dataclass(frozen=True)
class Rules:
    """How one layer is read, for those who compute elsewhere than here: physical value = stored * scale + offset."""

    unit: str | None
    scale: float = 1.0
    offset: float = 0.0
    valid: tuple[float | None, float | None] = (None, None)
    special: dict[float, str] = field(default_factory=dict)
    """Stored codes that are no measurement."""
    constants: dict[int, float] = field(default_factory=dict)
    classes: tuple[LegendClass, ...] = ()
    """Set for a layer of classes: its numbers are codes, and what is none of these codes is left out."""
    legend: Legend | None = None
    date: Literal["yydoy", "doy"] | None = None
    """Set for a layer of dates: how they are written."""


def has_dates(variable: Variable) -> bool:
    """Tell whether a layer holds dates."""
    return variable.encoding is not None and variable.encoding.kind == "date"


def date_rules(catalogue: Catalogue, edition_id: str, variable: str, *, header: Header | None = None) -> Rules | None:
    """Give the rules by which `decode_dates` reads a layer; None for a layer that holds no dates.

    Raises:
        ProductNotFound: the edition or the variable does not exist.
    """
    layer = _variable(catalogue.edition(edition_id), variable)
    encoding, legend = _rules(catalogue, layer)
    if encoding.kind != "date":
        return None
    special = _special(encoding, legend, header)
    return Rules(layer.unit, valid=encoding.valid or (None, None), special=special, legend=legend, date=encoding.date)


def layer_rules(catalogue: Catalogue, edition_id: str, variable: str, *, header: Header | None = None) -> Rules:
    """Give the rules by which `decode` reads a layer.

    Raises:
        ProductNotFound: the edition or the variable does not exist.
        NotDecodable: how the layer is stored has not been verified, or it holds dates or bit flags.
    """
    layer = _variable(catalogue.edition(edition_id), variable)
    encoding, legend = _rules(catalogue, layer)
    special = _special(encoding, legend, header)
    if encoding.kind == "class" and legend is not None and legend.classes:
        return Rules(layer.unit, special=special, classes=legend.classes, legend=legend)
    if encoding.kind == "presence":
        yes = tuple(LegendClass(code=code, label=f"{layer.meaning or layer.name}: yes") for code in encoding.present)
        no = tuple(LegendClass(code=code, label=f"{layer.meaning or layer.name}: no") for code in encoding.absent)
        return Rules(layer.unit, special=special, classes=yes + no, legend=legend)
    if encoding.kind in ("date", "bits", "class"):
        raise _refusal(layer, encoding)
    scale, offset = _linear(layer, encoding, header)
    return Rules(layer.unit, scale, offset, encoding.valid or (None, None), special, encoding.constants, legend=legend)


def decode(
    catalogue: Catalogue, edition_id: str, variable: str, stored: ArrayLike, *, header: Header | None = None
) -> Decoded:
    """Turn the stored numbers of one layer of an edition into physical values.

    Raises:
        ProductNotFound: the edition or the variable does not exist.
        NotDecodable: how the layer is stored has not been verified, or it holds dates or bit flags.
    """
    layer = _variable(catalogue.edition(edition_id), variable)
    encoding, legend = _rules(catalogue, layer)
    raw = np.asarray(stored, dtype=np.float64)
    special = _special(encoding, legend, header)
    if encoding.kind == "class" and legend is not None:
        return _classes(raw, legend, special)
    if encoding.kind == "presence":
        return _presence(raw, encoding, special)
    if encoding.kind in ("date", "bits") or (encoding.kind == "class"):
        raise _refusal(layer, encoding)
    scale, offset = _linear(layer, encoding, header)
    flags = _flagged(raw, encoding, special)
    values = np.where(flags, np.nan, raw * scale + offset)
    for code, value in encoding.constants.items():
        values[raw == code] = value
    return Decoded(values.astype(np.float32), flags, layer.unit, _met(raw, flags, special, OUTSIDE), {})


def decode_dates(
    catalogue: Catalogue,
    edition_id: str,
    variable: str,
    stored: ArrayLike,
    *,
    year: int | None = None,
    header: Header | None = None,
) -> DecodedDates:
    """Turn stored dates into calendar days; `year` is the product's year, needed where only the day is stored.

    Raises:
        ProductNotFound: the edition or the variable does not exist.
        NotDecodable: the layer holds no dates, or the year is missing.
    """
    layer = _variable(catalogue.edition(edition_id), variable)
    encoding, legend = _rules(catalogue, layer)
    if encoding.kind != "date":
        raise NotDecodable(f"{layer.name} holds no dates.", hint="Decode its values instead.")
    if encoding.date == "doy" and year is None:
        raise NotDecodable(f"{layer.name} stores the day of the year only.", hint="Give the year of the product.")
    raw = np.asarray(stored, dtype=np.float64)
    special = _special(encoding, legend, header)
    flags = _flagged(raw, encoding, special)
    whole = np.where(flags, 1, raw).astype(np.int64)
    years, days = (
        (2000 + whole // 1000, whole % 1000) if encoding.date == "yydoy" else (np.full_like(whole, year), whole)
    )
    first = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    dates = first + (days - 1).astype("timedelta64[D]")
    if encoding.date == "yydoy":  # 21000 and 21366 are no days of 2021
        flags = flags | (days < 1) | (dates.astype("datetime64[Y]") != first.astype("datetime64[Y]"))
    return DecodedDates(np.where(flags, NO_DATE, dates), flags, _met(raw, flags, special, OUTSIDE))


def class_codes(legend: Legend, stored: ArrayLike) -> NDArray[np.float64]:
    """Give class codes where a raster may hold grid codes instead (CORINE: 1 to 44 or 111 to 523).

    Raises:
        NotDecodable: the numbers fit both codings in part, so neither can be right.
    """
    raw = np.asarray(stored, dtype=np.float64)
    by_grid = {c.grid_code: c.code for c in legend.classes if c.grid_code is not None}
    if not by_grid:
        return raw
    as_grid = np.isin(raw, list(by_grid))
    as_code = np.isin(raw, [c.code for c in legend.classes])
    if as_grid.any() and as_code.any():
        raise NotDecodable(
            f"The raster mixes grid codes and class codes of {legend.title}.", hint="Check its attribute table."
        )
    result = raw.copy()
    for grid, code in by_grid.items():
        result[raw == grid] = code
    return result if as_grid.any() else raw


def code_conflicts(one: Legend, other: Legend) -> dict[int, tuple[str, str]]:
    """Give the codes that two legends share with different labels: maps with such legends must never be mixed."""
    labels = {c.code: c.label for c in other.classes}
    pairs = ((c.code, c.label, labels[c.code]) for c in one.classes if c.code in labels)
    return {code: (mine, theirs) for code, mine, theirs in pairs if _words(mine) != _words(theirs)}


def sentinel2_reflectance(stored: ArrayLike, processing_baseline: str) -> Decoded:
    """Turn stored Sentinel-2 Level-2A numbers into reflectance; the offset depends on the processing baseline.

    Raises:
        NotDecodable: the baseline is not written like 04.00.
    """
    if not re.fullmatch(r"\d\d\.\d\d", processing_baseline):
        raise NotDecodable(
            f"{processing_baseline!r} is no processing baseline.", hint="It is in the item's metadata, like 05.11."
        )
    rule = _sentinel2()
    offset = next(r["offset"] for r in reversed(rule["offsets"]) if r["baseline"] <= processing_baseline)
    raw = np.asarray(stored, dtype=np.float64)
    flags = raw == rule["no_data"]
    values = np.where(flags, np.nan, raw * rule["scale"] + offset).astype(np.float32)
    return Decoded(values, flags, None, _met(raw, flags, {rule["no_data"]: "no data"}, OUTSIDE), {})


def _variable(edition: Edition, name: str) -> Variable:
    for variable in edition.variables:
        if variable.name == name:
            return variable
    known = ", ".join(v.name for v in edition.variables) or "none"
    raise ProductNotFound(f"{edition.id} has no variable {name!r}.", hint=f"Known: {known}.")


def _rules(catalogue: Catalogue, layer: Variable) -> tuple[Encoding, Legend | None]:
    legend = catalogue.legend(layer.legend) if layer.legend else None
    return layer.encoding or (Encoding(kind="class") if legend else PLAIN), legend


def _special(encoding: Encoding, legend: Legend | None, header: Header | None) -> dict[float, str]:
    """Join the codes that are no measurement; the encoding knows best."""
    special: dict[float, str] = {}
    if header is not None and header.no_data is not None:
        special[header.no_data] = "no data (file header)"
    if legend is not None:
        special |= {c.code: c.label for c in legend.special_values}
    return special | encoding.special


def _linear(layer: Variable, encoding: Encoding, header: Header | None) -> tuple[float, float]:
    """Choose scale and offset: our correction, what is published, the file's header; only the last if unverified."""
    header = header or Header()
    if encoding.kind == "unverified":
        scale, offset = header.scale, header.offset
    else:
        scale = next((s for s in (encoding.scale, layer.scale, header.scale) if s is not None), None)
        offset = next((o for o in (encoding.offset, layer.offset, header.offset) if o is not None), None)
        if scale is None and layer.encoding is not None:
            scale = 1.0
    if not scale:
        raise _refusal(layer, encoding)
    return scale, offset or 0.0


def _flagged(raw: NDArray[np.float64], encoding: Encoding, special: dict[float, str]) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = np.isnan(raw) | np.isin(raw, list(special))
    low, high = encoding.valid or (None, None)
    if low is not None:
        flags |= raw < low
    if high is not None:
        flags |= raw > high
    return flags & ~np.isin(raw, list(encoding.constants))


def _classes(raw: NDArray[np.float64], legend: Legend, special: dict[float, str]) -> Decoded:
    labels = {c.code: c.label for c in legend.classes}
    codes = class_codes(legend, raw)
    flags = np.isin(raw, list(special)) | ~np.isin(codes, list(labels))
    values = np.where(flags, np.nan, codes).astype(np.float32)
    met = {int(code): labels[int(code)] for code in np.unique(codes[~flags])}
    return Decoded(values, flags, None, _met(raw, flags, special, NOT_IN_LEGEND), met)


def _presence(raw: NDArray[np.float64], encoding: Encoding, special: dict[float, str]) -> Decoded:
    """Give 1 for yes and 0 for no: a measured no is not a missing value."""
    yes, no = np.isin(raw, encoding.present), np.isin(raw, encoding.absent)
    flags = ~(yes | no)
    values = np.where(flags, np.nan, yes).astype(np.float32)
    return Decoded(values, flags, None, _met(raw, flags, special, OUTSIDE), {})


def _met(
    raw: NDArray[np.float64], flags: NDArray[np.bool_], special: dict[float, str], otherwise: str
) -> dict[int, str]:
    """Name the codes that were left out."""
    found = np.unique(raw[flags & ~np.isnan(raw)])
    return {int(code): special.get(float(code), otherwise) for code in found}


def _refusal(layer: Variable, encoding: Encoding) -> NotDecodable:
    hints = {
        "date": "Decode it as dates: averaging the stored numbers would be wrong.",
        "bits": "Read its bits as the product manual lists them.",
        "class": "Look into the file's own attribute table.",
    }
    reason = f" {encoding.note}" if encoding.note else ""
    return NotDecodable(
        f"The stored numbers of {layer.name} are no values that can be scaled.{reason}"
        if encoding.kind in hints
        else f"How {layer.name} is stored has not been verified.{reason}",
        hint=hints.get(encoding.kind, "Take scale and offset from the file's own header."),
    )


def _words(label: str) -> str:
    """Compare labels by their words, so that `Bare/sparse` and `Bare or sparse` are the same."""
    return " ".join(word for word in re.findall(r"[a-z]+", label.lower().replace("-", "")) if word != "or")


@cache
def _sentinel2() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "sentinel2.yaml").read_text(encoding="utf-8"))
    return data
