"""The documents say what is true: settings, links and commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.settings import Settings

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
    targets = set(re.findall(r"^make (\w+)", readme, re.M))
    assert {"run", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
    commands = set(re.findall(r"clms-assistant (\w+)", readme))
    assert commands
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "ui.cli", command, "--help"], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == 0, command
