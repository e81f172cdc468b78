"""The files of a classification: class map, pictures, tables, the description of the model, and what runs it again."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.schema import LegendClass
from tools.advice import Advice
from tools.classification import FIT_PIXELS, HELD_OUT, SEED, TREES, Bands, Result
from tools.classify import ClassWork
from tools.export import data_word, safe_cell, synthetic_note, write_graph
from tools.export_code import CONNECT, literals
from tools.schema import Artifact, Statistics
from tools.workspace import Workspace

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

COLOURS = (
    "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#d62728", "#7f7f7f",
    "#aec7e8", "#98df8a", "#ffbb78", "#c5b0d5", "#c49c94", "#f7b6d2", "#dbdb8d", "#9edae5", "#ff9896", "#c7c7c7",
)  # fmt: skip
"""Colours of classes without an official one, in the order of the classes."""

_MAIN = """

def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("--url", default=URL, help="openEO service to run on (default: %(default)s)")
    parser.add_argument("--login", action="store_true", help="log in with OpenID Connect first, where needed")
    parser.add_argument("--bands", default="bands.tif", help="where the bands are saved (default: %(default)s)")
    options = parser.parse_args()
    classify_again(connect(options.url, login=options.login), options.bands)


if __name__ == "__main__":
    main()
"""
_AGAIN = '''def classify_again(connection: Any, path: str) -> Result:
    """Load the bands, classify them, and compare the classes with those of the first run."""
    connection.download(GRAPH, path)
    result = run_task(read_bands(path), Task(**TASK))
    print(TITLE)
    if NOTE:
        print(NOTE)
    print(format_classes(result.table))
    if result.accuracy:
        print(f"Overall accuracy on held-out polygons: {result.accuracy['overall_percent']:.2f} %")
        print(f"Confusion matrix, rows are the polygons' classes: {result.accuracy['matrix']}")
    print(same_classes(result.table, EXPECTED))
    return result'''
_PACKAGES = "openeo rasterio scikit-learn pyproj shapely"


def make_class_files(
    services: "Services",
    context: "Context",
    work: ClassWork,
    bands: Bands,
    result: Result,
    statistics: Statistics,
    advice: Advice,
) -> tuple[Artifact, ...]:
    """Make all files of a classification."""
    from tools.records import write_records

    context.on_progress("Writing the files")
    workspace, prepared = services.workspace, work.prepared
    note = synthetic_note(scenes=prepared.synthetic, units=False)
    url = services.rerun_url or services.openeo_url
    made = [*_maps(workspace, work, bands, result), write_class_table(workspace, work, bands, result)]
    if result.accuracy:
        made.append(write_matrix(workspace, work, result))
    made.append(write_model(workspace, work, bands, result, statistics))
    made.append(
        write_graph(workspace, work.graph, prepared.plan, title=_named("openEO process graph", work), note=note)
    )
    made += write_code(workspace, work, result, openeo_url=url, note=note)
    product_id = advice.recommendation.product_id if advice.recommendation else ""
    return (*made, *write_records(services, prepared, product_id, made))


def legend(names: Sequence[str]) -> tuple[LegendClass, ...]:
    """Give each class a code and a colour of ours."""
    return tuple(
        LegendClass(code=code, label=name, color=COLOURS[(code - 1) % len(COLOURS)])
        for code, name in enumerate(names, 1)
    )


def _maps(workspace: Workspace, work: ClassWork, bands: Bands, result: Result) -> list[Artifact]:
    from tools.render import render_classes
    from tools.run_files import source_line

    plan, classes = work.prepared.plan, legend(work.task.names)
    title = _title(work)
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", plan.fingerprint) as draft:
        write_codes(draft.path, bands, result, classes, note=data_word(work.prepared.synthetic))
    picture = render_classes(
        workspace,
        Path(draft.artifact.path),
        plan,
        classes=classes,
        title=title,
        synthetic=work.prepared.synthetic,
        source_line=f"{source_line(work.prepared)} Classes and colours are this computation's own.",
    )
    return [picture, draft.artifact]


def write_codes(path: Path, bands: Bands, result: Result, classes: Sequence[LegendClass], *, note: str) -> None:
    """Write the class codes as a GeoTIFF with colours and names; 0 is no class."""
    import rasterio
    from matplotlib.colors import to_rgba

    rows, columns = bands.shape
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": "uint8", "nodata": 0,
        "crs": bands.crs, "transform": bands.transform, "compress": "deflate", "tiled": True,
        "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(result.codes, 1)
        raster.set_band_description(1, "class")
        raster.write_colormap(
            1, {one.code: tuple(int(255 * part) for part in to_rgba(str(one.color))) for one in classes}
        )
        raster.update_tags(data=note, **{f"class_{one.code}": one.label for one in classes})


def write_class_table(workspace: Workspace, work: ClassWork, bands: Bands, result: Result) -> Artifact:
    """Write code, class, pixels, hectares, share and mean bands of each class as CSV."""
    word, header = data_word(work.prepared.synthetic), ("code", "class", "colour", "pixels", "area_ha", "share_percent")
    lines: list[Sequence[Any]] = [(*header, *(f"mean {name}" for name in bands.names), "data")]
    for row, one in zip(result.table, legend(work.task.names), strict=True):
        means = ["" if mean is None else mean for mean in row["means"].values()]
        numbers = (row["pixels"], row["area_ha"], row["share_percent"])
        lines.append((row["code"], safe_cell(row["class"]), one.color, *numbers, *means, word))
    return _csv(workspace, work, "Classes with hectares and mean bands", lines)


def write_matrix(workspace: Workspace, work: ClassWork, result: Result) -> Artifact:
    """Write the confusion matrix of the held-out pixels as CSV, with precision and recall."""
    checked, names = result.accuracy or {}, [safe_cell(name) for name in work.task.names]
    lines: list[Sequence[Any]] = [("class of the polygon", *(f"mapped as {name}" for name in names), "recall_percent")]
    lines += [
        (name, *counts, _cell(one["recall_percent"]))
        for name, counts, one in zip(names, checked["matrix"], checked["classes"], strict=True)
    ]
    lines.append(("precision_percent", *(_cell(one["precision_percent"]) for one in checked["classes"]), ""))
    return _csv(workspace, work, "Confusion matrix of the held-out polygons", lines)


def write_model(
    workspace: Workspace, work: ClassWork, bands: Bands, result: Result, statistics: Statistics
) -> Artifact:
    """Write how the classes were made, and how good they are, as JSON."""
    record: dict[str, Any] = {
        "about": "The model of a classification by CLMS Assistant.",
        "data": data_word(work.prepared.synthetic),
        "method": work.asked.method,
        "how": statistics.method,
        "bands": list(bands.names),
        "seed": SEED,
        "pixels_to_learn_from_at_most": FIT_PIXELS,
        "classes": result.table,
        **({"breaks": list(work.task.breaks)} if work.task.breaks else {}),
        **(_forest(work, bands, result) if result.split else {}),
    }
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return workspace.save(
        text, "provenance", _named("Model", work), media_type="application/json", suffix=".json",
        fingerprint=work.prepared.plan.fingerprint,
    )  # fmt: skip


def _forest(work: ClassWork, bands: Bands, result: Result) -> dict[str, Any]:
    held = result.split.held_out if result.split else ()
    features = work.training.features if work.training else ()
    polygons = [
        {"id": feature["id"], "class": work.task.names[code - 1], "held_out": out}
        for feature, code, out in zip(features, work.task.classes, held, strict=True)
    ]
    return {
        "trees": TREES,
        "held_out_share_of_polygons": HELD_OUT,
        "attribute": work.training.attribute if work.training else "",
        "importance_of_bands": dict(zip(bands.names, result.importances, strict=True)),
        "accuracy_on_held_out_polygons": result.accuracy,
        "polygons": polygons,
    }


def write_code(
    workspace: Workspace, work: ClassWork, result: Result, *, openeo_url: str, note: str
) -> tuple[Artifact, Artifact]:
    """Write the script and the notebook that load the bands and classify them again."""
    constants, functions = _constants(work, result, openeo_url, note), _functions()
    about = f'"""Run a classification of CLMS Assistant again. Needs: pip install {_PACKAGES}.\n\n{note}\n"""'
    imports = (
        "import os\nfrom collections.abc import Sequence\nfrom dataclasses import dataclass\nfrom typing import Any\n"
    )
    source = "\n".join(
        (
            about,
            "",
            "import argparse",
            imports,
            "import openeo",
            "",
            constants,
            "",
            functions,
            "",
            "",
            CONNECT,
            "",
            "",
            _AGAIN,
            _MAIN,
        )
    )
    fingerprint = work.prepared.plan.fingerprint
    script = workspace.save(
        source, "script", _named("Python script", work), media_type="text/x-python", suffix=".py",
        fingerprint=fingerprint,
    )  # fmt: skip
    intro = f"# Run this classification again\n\n{note}\n\nNeeds: `pip install {_PACKAGES}`."
    run = 'result = classify_again(connect(URL), "bands.tif")'
    text = notebook_text(intro, f"{imports}\nimport openeo\n\n{constants}", functions, CONNECT, _AGAIN, run)
    notebook = workspace.save(
        text, "notebook", _named("Notebook", work), media_type="application/x-ipynb+json", suffix=".ipynb",
        fingerprint=fingerprint,
    )  # fmt: skip
    return script, notebook


def _constants(work: ClassWork, result: Result, openeo_url: str, note: str) -> str:
    """Give the data as Python literals: names typed by people cannot break out of them."""
    values: dict[str, object] = {
        "TITLE": _title(work),
        "NOTE": note,
        "GRAPH": work.graph,
        "TASK": {name: getattr(work.task, name) for name in work.task.__dataclass_fields__},
        "EXPECTED": [{key: row[key] for key in ("class", "pixels", "area_ha")} for row in result.table],
    }
    return literals(openeo_url, values)


def _functions() -> str:
    source = Path(__file__).with_name("classification.py").read_text(encoding="utf-8")
    return source[source.index("SEED = ") :].rstrip()


def notebook_text(intro: str, *code: str) -> str:
    """Give a Jupyter notebook of one text cell and some code cells, as it is saved."""
    from nbformat import v4, writes

    cells = [v4.new_markdown_cell(intro), *(v4.new_code_cell(one) for one in code)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same result gives the same file
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return str(writes(v4.new_notebook(cells=cells, metadata=kernel))) + "\n"


def _csv(workspace: Workspace, work: ClassWork, title: str, lines: Sequence[Sequence[Any]]) -> Artifact:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return workspace.save(
        buffer.getvalue(), "table", _named(title, work), media_type="text/csv", suffix=".csv",
        fingerprint=work.prepared.plan.fingerprint,
    )  # fmt: skip


def _named(what: str, work: ClassWork) -> str:
    return f"{what}: {_title(work)}"


def _title(work: ClassWork) -> str:
    plan = work.prepared.plan
    return f"{work.prepared.recipe.title}, {plan.place.name}, {plan.period.label}"


def _cell(percent: float | None) -> str | float:
    return "" if percent is None else percent
