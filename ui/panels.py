"""Draws the right side of the page: warnings, maps, tables, files and sources as plain, accessible HTML."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from assistant.schema import Answer
from knowledge.schema import Citation
from tools.schema import Artifact, Plan, Recommendation, Statistics, StatisticsRow
from ui.turn import OUTCOME_WORDS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

EMPTY = '<p class="quiet">Maps, numbers and files appear here once something has been computed.</p>'
_PICTURES = ("map", "chart")
DIVERGING = "RdBu"
_MOST_POLYGONS = 1000
"""Above this many outlines the interactive map is slower to draw than the picture is to read."""


def result_html(question: str, artifacts: Sequence[Artifact], answer: Answer | None) -> str:
    """Give the whole panel for one question; sections without content are left out."""
    parts = [f'<p class="asked">For: <q>{escape(question)}</q></p>']
    if answer:
        parts.append(warnings_html(answer.warnings))
    parts += [_picture(artifact) for artifact in artifacts if artifact.kind in _PICTURES]
    if answer:
        parts += [table_html(statistics) for statistics in answer.statistics]
        parts.append(_recommendation(answer.recommendation) if answer.recommendation else "")
    parts.append(_files(artifacts))
    if answer:
        parts.append(_sources(answer.citations))
    return "".join(parts)


def warnings_html(warnings: Iterable[str]) -> str:
    """Give the warnings; those on synthetic data come first and stand out."""
    ordered = sorted(warnings, key=lambda warning: "synthetic" not in warning.lower())
    return "".join(_warning(warning) for warning in ordered)


def table_html(statistics: Statistics) -> str:
    """Give one run's rows: value, valid pixels, valid share and outcome in words."""
    dated = any(row.date for row in statistics.rows)
    heads = [
        "Unit or area",
        *(["Date"] if dated else []),
        _value_head(statistics.unit),
        "Valid pixels",
        "Valid",
        "Outcome",
    ]
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    rows = "".join(_row(row, dated=dated) for row in statistics.rows)
    return (
        '<section aria-label="Statistics"><h3>Numbers</h3>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of statistics"><table>'
        f"<caption>{escape(statistics.method)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def artifact_url(artifact: Artifact) -> str:
    """Give the address of a file, relative so that it also works behind a path prefix."""
    return f"artifacts/{escape(artifact.id, quote=True)}"


def polygon_figure(answer: Answer) -> "Figure | None":
    """Give an interactive map of the polygons and their values, without tiles; None when there are none to draw."""
    plan = answer.plan
    if not (plan and plan.polygons and answer.statistics) or plan.output != "per_polygon":
        return None
    features = plan.polygons.collection["features"]
    if not 0 < len(features) <= _MOST_POLYGONS:
        return None
    rows = {row.label: row for row in answer.statistics[-1].rows}
    units = [(feature, _row_of(feature, rows)) for feature in features]
    # Classes have several rows for each polygon, none of which is its one value.
    return _draw(plan, units) if any(row for _, row in units) else None


def _warning(warning: str) -> str:
    synthetic = "synthetic" in warning.lower()
    label = "Not real" if synthetic else "Note"
    css = "note synthetic" if synthetic else "note"
    return f'<p class="{css}" role="note"><strong>{label}.</strong> {escape(warning)}</p>'


def _picture(artifact: Artifact) -> str:
    url, title = artifact_url(artifact), escape(artifact.title, quote=True)
    return (
        f'<figure><a href="{url}" target="_blank" rel="noopener" aria-label="Open {title} in full size">'
        f'<img src="{url}" alt="{title}"></a><figcaption>{title}</figcaption></figure>'
    )


def _value_head(unit: str) -> str:
    return f"Value ({unit})" if unit and unit != "1" else "Value"


def _row(row: StatisticsRow, *, dated: bool) -> str:
    value = "no value" if row.value is None else f"{row.value:.4g}"
    date = f"<td>{escape(row.date or '')}</td>" if dated else ""
    return (
        f'<tr class="{row.outcome}"><th scope="row">{escape(row.label)}</th>{date}<td class="number">{value}</td>'
        f'<td class="number">{row.valid_pixels:,} of {row.total_pixels:,}</td>'
        f'<td class="number">{row.valid_share:.0%}</td><td>{OUTCOME_WORDS[row.outcome]}</td></tr>'
    )


def _recommendation(recommendation: Recommendation) -> str:
    title, url = escape(recommendation.title), recommendation.url or ""
    if url.startswith("https://"):
        title = f'<a href="{escape(url, quote=True)}" target="_blank" rel="noopener noreferrer">{title}</a>'
    others = [f"{other.title}: {other.lacks}" for other in recommendation.alternatives]
    folded = [("Cautions", recommendation.cautions), ("How to get it", recommendation.access), ("Not chosen", others)]
    return (
        f'<section aria-label="Product"><h3>Product</h3><p>{title}</p>{_bullets(recommendation.why)}'
        f"{''.join(_folded(name, lines) for name, lines in folded)}</section>"
    )


def _files(artifacts: Sequence[Artifact]) -> str:
    if not artifacts:
        return ""
    items = "".join(
        f'<li><a href="{artifact_url(artifact)}" download>{escape(artifact.title)}</a> '
        f'<span class="quiet">{escape(artifact.kind)}, {size_words(artifact.size_bytes)}</span></li>'
        for artifact in artifacts
    )
    return f'<section aria-label="Files"><h3>Files</h3><ul class="files">{items}</ul></section>'


def _sources(citations: Sequence[Citation]) -> str:
    lines = [f"{c.place}: “{c.quote}”{'' if c.verified else ' (quote not verified)'}" for c in citations]
    return _folded(f"Sources ({len(lines)})", lines)


def _folded(name: str, lines: Sequence[str]) -> str:
    return f"<details><summary>{escape(name)}</summary>{_bullets(lines)}</details>" if lines else ""


def _bullets(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def size_words(size_bytes: int) -> str:
    """Give a file size in the unit a person would use."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def _row_of(feature: dict[str, Any], rows: dict[str, StatisticsRow]) -> StatisticsRow | None:
    names = (feature.get("properties", {}).get("name"), feature.get("id"))
    return next((rows[str(name)] for name in names if str(name) in rows), None)


def _draw(plan: Plan, units: list[tuple[dict[str, Any], StatisticsRow | None]]) -> "Figure":
    from plotly.graph_objects import Figure, Layout

    values = [row.value for _, row in units if row and row.value is not None]
    # What is a difference has gain and loss: the colours part at zero, as in the picture.
    signed = bool(plan.against or plan.reference)
    low, high = _value_range(values, signed=signed)
    colours = DIVERGING if signed else "YlGn"
    latitude = (plan.place.bbox[1] + plan.place.bbox[3]) / 2
    layout = Layout(
        margin={"l": 0, "r": 0, "t": 48, "b": 8},
        height=360,
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="#f4f4f0",
        xaxis={"visible": False},
        yaxis={"visible": False, "scaleanchor": "x", "scaleratio": 1 / math.cos(math.radians(latitude))},
        dragmode="pan",
    )
    return Figure(
        [*(_outline(feature, row, low, high, colours) for feature, row in units), _scale(low, high, colours)], layout
    )


def _value_range(values: Sequence[float], *, signed: bool) -> tuple[float, float]:
    """Give the values at both ends of the colours; around zero where they have a sign."""
    if signed:
        from tools.render import LEAST_DIFFERENCE

        most = max(*map(abs, values), LEAST_DIFFERENCE)
        return -most, most
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return low, high if high > low else low + 1


def _outline(feature: dict[str, Any], row: StatisticsRow | None, low: float, high: float, colours: str) -> "Scatter":
    from plotly.colors import sample_colorscale
    from plotly.graph_objects import Scatter

    xs, ys = _rings(feature["geometry"])
    name = escape(str(feature.get("properties", {}).get("name") or feature.get("id", "")))
    colour, text = "#c9c9c9", f"{name}<br>no value"
    if row and row.value is not None:
        share = (row.value - low) / (high - low) if high > low else 0.5
        colour = sample_colorscale(colours, [share])[0]
        text = f"{name}<br>{row.value:.4g}<br>{row.valid_pixels:,} of {row.total_pixels:,} pixels valid"
    return Scatter(
        x=xs,
        y=ys,
        fill="toself",
        fillcolor=colour,
        line={"color": "#1f2937", "width": 1},
        mode="lines",
        text=text,
        hoverinfo="text",
        hoveron="fills",
    )


def _scale(low: float, high: float, colours: str) -> "Scatter":
    from plotly.graph_objects import Scatter

    marker = {"color": [low, high], "cmin": low, "cmax": high, "colorscale": colours, "showscale": True, "size": 0.1}
    return Scatter(x=[None, None], y=[None, None], mode="markers", marker=marker, hoverinfo="skip")


def _rings(geometry: dict[str, Any]) -> tuple[list[float | None], list[float | None]]:
    """Give the outer rings as one line with gaps."""
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    xs: list[float | None] = []
    ys: list[float | None] = []
    for part in parts:
        xs += [point[0] for point in part[0]] + [None]
        ys += [point[1] for point in part[0]] + [None]
    return xs, ys
