"""The documents say what is true: settings, links and commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

from assistant import Assistant
from assistant.schema import Answer
from assistant.settings import Settings
from tools.toolbox import Toolbox
from ui.api import add_doors
from ui.openai_api import ClmsFields

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_every_setting_is_in_the_settings_page_and_the_example_file() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    example = (ROOT / ".env.example").read_text()
    names = {f"CLMS_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"^\| `(CLMS_\w+)`", page, re.M)) == names
    assert set(re.findall(r"^# (CLMS_\w+)=", example, re.M)) == names
    for field in Settings.model_fields.values():
        assert field.description
        assert field.description in page
        assert field.description in example


def test_the_settings_page_gives_the_real_defaults() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        if name == "data_dir":
            continue
        default = field.get_default()
        shown = "(empty)" if default is None else f"`{default}`"
        assert f"| `CLMS_{name.upper()}` | {shown} |" in page


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_exists(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_readme_names_make_targets_and_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make (\w+)", readme, re.M))
    assert {"run", "test", "evals"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
    commands = set(re.findall(r"clms-assistant (\w+)", readme))
    assert commands
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "ui.cli", command, "--help"], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == 0, command


def test_the_api_page_names_every_route_of_the_door(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    app = FastAPI()
    settings = Settings(data_dir=tmp_path)
    add_doors(app, Assistant(settings), settings)
    routes = {
        f"{method.upper()} {path}" for path, operations in app.openapi()["paths"].items() for method in operations
    }
    assert len(routes) > 4
    told = set(re.findall(r"^\| `((?:GET|POST|DELETE) \S+)` \|", page, re.M))
    assert told - {"GET /", "GET /openapi.json"} == routes


def test_the_api_page_names_every_field_of_requests_and_replies() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    asked, given = page.split("## What a reply holds beyond its text")
    fields = re.compile(r"^\| `(\w+)` \|", re.M)
    assert set(fields.findall(asked)) == set(ClmsFields.model_fields)
    assert set(fields.findall(given)) == set(Answer.model_fields) - {"text", "usage"}


def test_the_architecture_page_names_every_tool_and_modules_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert tuple(re.findall(r"^\| `(\w+)` \|", page.split("## The tools")[1], re.M)) == Toolbox.TOOLS
    names = set(re.findall(r"`(?:\w+/)*(\w+\.(?:py|yaml))`", page))
    assert len(names) > 15
    for name in names:
        folders = ("ui", "assistant", "tools", "knowledge", "evals")
        assert any(list((ROOT / folder).rglob(name)) for folder in folders), name
