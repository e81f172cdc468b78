"""Script and notebook that run a result again with nothing but the `openeo` client."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from pprint import pformat
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tools.export import plan_title
from tools.schema import Artifact, Plan, Statistics
from tools.workspace import Workspace

ADDRESS_VARIABLE = "CLMS_OPENEO_URL"
CONNECT = f'''def connect(url: str, *, login: bool = False) -> Any:
    """Connect to an openEO service, logged in with your own account where it wants a login."""
    try:
        connection = openeo.connect(url, retry={{"connect": 1}})  # the client itself waits half a minute
    except (OSError, openeo.BaseOpenEoException) as error:
        raise SystemExit(
            f"No openEO service answers at {{url}} ({{type(error).__name__}}). Start the one of CLMS Assistant with "
            "`clms-assistant serve`, or name another with --url or in {ADDRESS_VARIABLE}."
        ) from None
    if login or connection.capabilities().supports_endpoint("/credentials/oidc"):
        connection.authenticate_oidc()  # shows a link to log in with
    return connection'''
"""Code for scripts and notebooks: how they reach the service, and what they say where they do not."""

_MAIN = """
def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("--url", default=URL, help="openEO service to run on (default: %(default)s)")
    parser.add_argument("--login", action="store_true", help="log in with OpenID Connect, offered or not")
    parser.add_argument("--raster", metavar="FILE", help="also save the map as GeoTIFF, where the result has one")
    options = parser.parse_args()
    connection = connect(options.url, login=options.login)
    rows = run_again(connection, GRAPHS, LABELS, keep_empty=KEEP_EMPTY_DATES)
    print(TITLE)
    if NOTE:
        print(NOTE)
    print(format_table(rows))
    print(compare(rows, EXPECTED))
{sequel}{raster}

if __name__ == "__main__":
    main()
"""

_RUN_CELL = """connection = connect(URL)
rows = run_again(connection, GRAPHS, LABELS, keep_empty=KEEP_EMPTY_DATES)
print(TITLE)
if NOTE:
    print(NOTE)
print(format_table(rows))
print(compare(rows, EXPECTED))"""


@dataclass(frozen=True)
class Sequel:
    """What script and notebook do with the table beyond printing it."""

    modules: tuple[ModuleType, ...]
    """Their texts are carried along in this order, so of ours they import each other alone."""
    lines: tuple[str, ...]
    """Statements that use the modules' functions, the table as `rows`, and the constants."""
    packages: str = "openeo"
    """What must be installed."""
    constants: dict[str, object] = field(default_factory=dict)
    raster: str = ""
    """Statement that saves the map as the GeoTIFF `file` over `connection`, where no graph does that by itself."""

    @property
    def parts(self) -> tuple[str, str]:
        """Give the imports of the modules, each once, and all that follows them."""
        imports: dict[str, None] = {}
        bodies = []
        for module in self.modules:
            text = Path(str(module.__file__)).read_text(encoding="utf-8").split('"""\n\n', 1)[1]
            lines = text.splitlines()
            end = next(place for place, line in enumerate(lines) if line and not line.startswith(("import ", "from ")))
            imports |= dict.fromkeys(line for line in lines[:end] if line and not line.startswith("from tools"))
            bodies.append("\n".join(lines[end:]).rstrip())
        return "\n".join(imports), "\n\n\n".join(bodies)


_RASTER_CELL = """file = ""  # for example "ndvi.tif"
if file:
    """


def _raster_line(graphs: dict[str, Any], sequel: Sequel | None) -> str:
    """Give the statement that saves the map of a result; empty where it has none."""
    if sequel and sequel.raster:
        return sequel.raster
    return 'connection.download(GRAPHS["raster"], file)' if "raster" in graphs else ""


def write_script(
    workspace: Workspace,
    graphs: dict[str, dict[str, Any]],
    plan: Plan,
    *,
    openeo_url: str,
    expected: Statistics,
    note: str = "",
    sequel: Sequel | None = None,
) -> Artifact:
    """Write a Python script that runs `graphs["mean"]` and `graphs["count"]` and prints the same table.

    Args:
        workspace: Where the file goes.
        graphs: Flat process graphs: `mean`, `count` and, for a map, `raster`.
        plan: What was computed.
        openeo_url: Service to run on; the script's `--url` overrides it.
        expected: The numbers of this run, which the script compares its own with.
        note: What a reader must know of the data, for example that they are invented.
        sequel: What is computed from the table.
    """
    imports, functions = sequel.parts if sequel else ("", "")
    then = "".join(f"    {line}\n" for line in (sequel.lines if sequel else ()))
    save = _raster_line(graphs, sequel)
    saving = f"    if file := options.raster:\n        {save}\n" if save else ""
    source = "\n".join(
        (
            _docstring(note, sequel.packages if sequel else "openeo"),
            "",
            "import argparse",
            "import math",
            "import os",
            "from typing import Any",
            "",
            "import openeo",
            *([imports] if imports else []),
            "",
            _constants(graphs, plan, openeo_url, expected, note, sequel),
            "",
            "",
            CONNECT,
            "",
            "",
            _functions(),
            *(["", "", functions] if functions else []),
            "",
            _MAIN.lstrip("\n").replace("{sequel}", then).replace("{raster}", saving),
        )
    )
    title = f"Python script: {plan_title(plan)}"
    return workspace.save(
        source, "script", title, media_type="text/x-python", suffix=".py", fingerprint=plan.fingerprint
    )


def write_notebook(
    workspace: Workspace,
    graphs: dict[str, dict[str, Any]],
    plan: Plan,
    *,
    openeo_url: str,
    expected: Statistics,
    note: str = "",
    sequel: Sequel | None = None,
) -> Artifact:
    """Write a Jupyter notebook that does the same as the script; arguments as for `write_script`."""
    imports, functions = sequel.parts if sequel else ("", "")
    intro = (
        f"# Run this result again\n\n{_bold(note)}Needs only `pip install {sequel.packages if sequel else 'openeo'}`. "
        f"Set `URL` (or the environment variable {ADDRESS_VARIABLE}) to the openEO service: the address of a running "
        "CLMS Assistant followed by `/hub/openeo`, or the service the result came from."
    )
    address, constants = _constants(graphs, plan, openeo_url, expected, note, sequel).split("\n", 1)
    imported = f"import openeo\n{imports}".rstrip()
    url = f"import math\nimport os\nfrom typing import Any\n\n{imported}\n\n{address}"
    cells = [
        ("markdown", intro),
        ("code", url),
        ("markdown", "## The process graphs and the numbers of the first run"),
        ("code", constants),
        ("markdown", "## How the answers become a table"),
        ("code", f"{CONNECT}\n\n\n{_functions()}"),
        *([("markdown", "## What is computed from the table"), ("code", functions)] if functions else []),
        ("markdown", "## Run"),
        ("code", "\n".join((_RUN_CELL, *(sequel.lines if sequel else ())))),
    ]
    if save := _raster_line(graphs, sequel):
        cells += [("markdown", "## Save the map as GeoTIFF"), ("code", f"{_RASTER_CELL}{save}")]
    text = json.dumps(_notebook(cells), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    title = f"Notebook: {plan_title(plan)}"
    return workspace.save(
        text, "notebook", title, media_type="application/x-ipynb+json", suffix=".ipynb", fingerprint=plan.fingerprint
    )


def _notebook(cells: list[tuple[str, str]]) -> dict[str, Any]:
    """Give a notebook in format 4.5. Cell ids are numbers: the same result gives the same file."""
    made: list[dict[str, Any]] = []
    for number, (cell_type, source) in enumerate(cells):
        cell: dict[str, Any] = {"cell_type": cell_type, "id": f"cell-{number}", "metadata": {}, "source": source}
        if cell_type == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _constants(
    graphs: dict[str, dict[str, Any]],
    plan: Plan,
    openeo_url: str,
    expected: Statistics,
    note: str,
    sequel: Sequel | None = None,
) -> str:
    """Give the data as Python literals: names typed by people cannot break out of them."""
    rows = [row.model_dump(exclude={"outcome"}) for row in expected.rows]
    filled = {row.date for row in expected.rows if row.value is not None}
    values: dict[str, object] = {
        "TITLE": plan_title(plan),
        "NOTE": note,
        "KEEP_EMPTY_DATES": any(row.date not in filled for row in expected.rows),
        "LABELS": labels_of(plan, expected),
        "GRAPHS": graphs,
        "EXPECTED": rows,
        **(sequel.constants if sequel else {}),
    }
    return literals(openeo_url, values)


def literals(openeo_url: str, values: dict[str, object]) -> str:
    """Write constants, the address of the service first: the environment may name another one."""
    lines = [f"{name} = {pformat(value, width=110, sort_dicts=False)}" for name, value in values.items()]
    return "\n".join((f"URL = os.environ.get({ADDRESS_VARIABLE!r}) or {public_url(openeo_url)!r}", *lines))


def labels_of(plan: Plan, statistics: Statistics) -> list[str]:
    """Give the label of each computed unit, in the order of the graph's geometries."""
    labels = [row.label for row in statistics.rows]
    if plan.output not in ("series", "phenology"):
        return labels
    units = plan.polygons.collection["features"] if plan.polygons else []
    unique = list(dict.fromkeys(labels))
    if not units or len(units) == len(unique):
        return unique
    return [str(unit["properties"]["name"]) for unit in units]  # two units share a name


def _docstring(note: str, packages: str) -> str:
    first = f"Run a result of CLMS Assistant again. Needs: pip install {packages}."
    return f'"""{first}\n\n{note}\n"""' if note else f'"""{first}"""'


def _bold(note: str) -> str:
    return f"**{note}**\n\n" if note else ""


def _functions() -> str:
    source = Path(__file__).with_name("rerun.py").read_text(encoding="utf-8")
    return source[source.index("def run_again") :].rstrip()


def public_url(url: str) -> str:
    """Give the address without a user name, password or query: files are passed on."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
