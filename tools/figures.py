"""What all pictures share: an empty figure, its heading, source line and mark, and how it is saved as PNG."""

import textwrap
from typing import Any

from tools.export import subject
from tools.map_style import MapStyle, dates_words
from tools.schema import Artifact, Plan
from tools.spoken import spoken
from tools.workspace import Workspace

WATERMARK = "SYNTHETIC DEMO DATA"
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")  # Okabe-Ito


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Make an empty figure with one set of axes; width and height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def save_figure(
    workspace: Workspace, figure: Any, kind: str, title: str, plan: Plan, style: MapStyle | None = None
) -> Artifact:  # fmt: skip
    """Save a figure as PNG in the workspace; its style goes into it, so that it can be laid over a map or embedded."""
    name = f"{'Map' if kind == 'map' else 'Chart'}: {title}"
    with workspace.new("map" if kind == "map" else "chart", name, "image/png", ".png", plan.fingerprint) as draft:
        figure.savefig(draft.path, format="png", metadata=style.as_text() if style else None)
    return draft.artifact


def heading(title: str, plan: Plan) -> str:
    """Give the title of a picture: at most two lines, then the dates."""
    return "\n".join((*textwrap.wrap(_plain(spoken(title)), 75)[:2], spoken(dates_words(plan))))


def add_footer(figure: Any, text: str) -> None:
    """Write source and notes under a picture."""
    figure.supxlabel(
        "\n".join(textwrap.wrap(_plain(spoken(text)), 115)), fontsize=7, color="#444444", x=0.01, ha="left"
    )


def add_watermark(axes: Any, *, faint: bool) -> None:
    """Write across the picture that its data are invented: faint over bars and lines, bold over a coloured map."""
    from matplotlib.patheffects import withStroke

    halo = [] if faint else [withStroke(linewidth=2, foreground="white", alpha=0.5)]
    axes.text(
        0.5, 0.5, spoken(WATERMARK), fontsize=26, fontweight="bold", color="#b00020", alpha=0.25 if faint else 0.5,
        ha="center", va="center", rotation=25, transform=axes.transAxes, zorder=10, path_effects=halo,
    )  # fmt: skip


def axis_label(plan: Plan, unit: str) -> str:
    """Name the value; an index without a unit has its name alone."""
    name = f"{subject(plan)}{' difference' if plan.against else ''}"
    return spoken(name) if unit in ("", "1") else f"{spoken(name)} ({spoken(unit)})"


def shortened(text: str, length: int) -> str:
    """Cut a name to a length."""
    return _plain(text if len(text) <= length else text[: length - 1] + "…")


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs in a name as a formula."""
    return text.replace("$", r"\$")
