"""What the map beside the chat shows for an answer: layers with their legends, polygons with their numbers."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from assistant.phrases import translate
from assistant.schema import Answer
from knowledge.lexicon import Language
from tools.errors import ArtifactNotFound
from tools.map_style import MapStyle, layer_bounds, read_style
from tools.schema import Artifact, Plan, Polygons, StatisticsRow
from tools.workspace import Workspace
from ui.page_words import group, say
from ui.panels import pixels_words

MOST_POLYGONS = 2000
"""Above this many outlines the map is slower to draw than the picture is to read."""
_RISING, _SIGNED = "YlGn", "RdBu"

Layer = dict[str, Any]
Shown = dict[str, Any]


def map_value(
    language: Language,
    conversation: str,
    *,
    layers: Sequence[Layer] = (),
    units: Shown | None = None,
    area: Polygons | None = None,
    tiles: tuple[str, str] = ("", ""),
    colour_question: str = "",
    turn: str = "",
    shown: Sequence[str] = (),
) -> Shown:
    """Give all that the map's script draws: labels, layers, polygons of the answer, area of the next question."""
    url, credit = tiles
    return {
        "words": {**group(language, "map_"), "map": say(language, "map"), "licence": say(language, "licence")},
        "conversation": conversation,
        "layers": list(layers),
        "units": units,
        "area": area.collection if area else None,
        "go_to_area": not layers and not units,
        "colour_question": colour_question,
        # Which layers are ticked when this turn comes; later the reader chooses.
        "turn": turn,
        "shown": list(shown),
        "tiles": url,
        # Leaflet reads this as HTML.
        "tiles_credit": escape(credit),
    }


def colour_question(plan: Plan | None, language: Language) -> str:
    """Give the question for a true-colour image of what a plan computed from satellite bands; empty for other plans."""
    if plan is None or plan.layer or plan.place.kind == "uploaded area":
        return ""
    place = plan.place.name.partition(" (")[0]
    return say(language, "ask_true_colour", place=place, start=plan.period.start, end=plan.period.end)


def map_layers(artifacts: Sequence[Artifact], workspace: Workspace, language: Language = "en") -> list[Layer]:
    """Give the maps among the files as layers, each with its place, legend, dates, source and licence line."""
    layers = []
    for artifact in artifacts:
        style = read_style(Path(artifact.path)) if artifact.kind == "map" else None
        try:
            west, south, east, north = layer_bounds(workspace, style) if style else (0, 0, 0, 0)
        except ArtifactNotFound:
            continue  # The GeoTIFF is gone: the picture still shows what it showed.
        if style:
            layers.append(_layer(artifact.id, style, [[south, west], [north, east]], language))
    return layers


def map_units(answer: Answer, layers: Sequence[Layer], language: Language) -> Shown | None:
    """Give the polygons of an answer with their rows, coloured by value where each has one; None without polygons."""
    plan = answer.plan
    features = plan.polygons.collection["features"] if plan and plan.polygons else []
    if not plan or not answer.statistics or not 0 < len(features) <= MOST_POLYGONS:
        return None
    statistics = answer.statistics[-1]
    rows: dict[str, list[StatisticsRow]] = {}
    for row in statistics.rows:
        rows.setdefault(row.label, []).append(row)
    found = [(feature, _rows_of(feature, rows)) for feature in features]
    values = [own[0].value for _, own in found if len(own) == 1 and own[0].value is not None]
    ramp = _ramp(plan, values, statistics.unit, layers)
    drawn = [_unit(feature, own, ramp, statistics.unit, language) for feature, own in found]
    return {"collection": {"type": "FeatureCollection", "features": drawn}, "ramp": ramp, "filled": not layers}


def _layer(artifact_id: str, style: MapStyle, bounds: list[list[float]], language: Language) -> Layer:
    told = ("title", "dates", "source", "licence", "unit")
    return {
        "id": artifact_id,
        "url": f"maps/{artifact_id}.png",
        "bounds": bounds,
        "ramp": style.ramp(),
        "low": f"{style.low:.3g}",
        "high": f"{style.high:.3g}",
        "mixed": bool(style.bands),
        "classes": [{"label": translate(one.label, language), "color": one.color} for one in style.classes],
        "synthetic": style.synthetic,
        **{name: translate(getattr(style, name), language) for name in told},
    }


def _ramp(plan: Plan, values: Sequence[float], unit: str, layers: Sequence[Layer]) -> Shown | None:
    """Give the colours of the polygons: those of the map where there is one, else from the lowest to the highest."""
    if not values:
        return None
    like = next((one for one in layers if one["ramp"]), None)
    if like:
        return {name: like[name] for name in ("ramp", "low", "high", "unit")}
    signed = bool(plan.against or plan.reference)
    most = max(map(abs, values))
    low, high = (-most, most) if signed else (min(values), max(values))
    style = MapStyle(
        raster_id="", title="", dates="", source="", colormap=_SIGNED if signed else _RISING, low=low, high=high
    )
    return {"ramp": style.ramp(), "low": f"{low:.4g}", "high": f"{high:.4g}", "unit": unit}


def _rows_of(feature: dict[str, Any], rows: dict[str, list[StatisticsRow]]) -> list[StatisticsRow]:
    names = (feature.get("properties", {}).get("name"), feature.get("id"))
    return next((rows[str(name)] for name in names if str(name) in rows), [])


def _unit(
    feature: dict[str, Any], rows: list[StatisticsRow], ramp: Shown | None, unit: str, language: Language
) -> Shown:
    name = str(feature.get("properties", {}).get("name") or feature.get("id", ""))
    dated = any(row.date for row in rows)
    head = say(language, "value_head") + (f" ({unit})" if unit not in ("", "1") else "")
    heads = [*([say(language, "date_head")] if dated else []), head, say(language, "valid_head")]
    cells = [
        [
            *([row.date or ""] if dated else []),
            value_words(row, language),
            pixels_words(row, language),
        ]
        for row in rows
    ]
    value = rows[0].value if len(rows) == 1 else None
    tip = f"{name}: {value_words(rows[0], language)}" if len(rows) == 1 else name
    told = {"name": name, "tip": tip, "heads": heads, "rows": cells, "color": _colour(value, ramp)}
    return {"type": "Feature", "geometry": feature["geometry"], "properties": told}


def value_words(row: StatisticsRow, language: Language) -> str:
    """Give a row's value, or why it has none."""
    if row.value is not None:
        return f"{row.value:.4g}"
    return f"{say(language, 'no_value')} ({say(language, f'outcome_{row.outcome}')})"


def _colour(value: float | None, ramp: Shown | None) -> str:
    if value is None or ramp is None:
        return ""
    low, high = float(ramp["low"]), float(ramp["high"])
    share = (value - low) / (high - low) if high > low else 0.5
    colours: list[str] = ramp["ramp"]
    return colours[min(len(colours) - 1, max(0, round(share * (len(colours) - 1))))]
