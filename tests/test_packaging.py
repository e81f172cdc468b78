"""The wheel holds the four packages with their data files, and nothing else at its top."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_top_level_is_the_four_packages(wheel_names: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"assistant", "knowledge", "tools", "ui"}


def test_data_files_travel_with_the_code(wheel_names: list[str]) -> None:
    on_disk = {
        str(path.relative_to(ROOT))
        for package in ("assistant", "knowledge", "tools", "ui")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".yaml", ".md", ".css", ".svg", ".sqlite", ".sql"}
    }
    assert any(name.startswith("knowledge/products/") for name in on_disk)
    assert on_disk <= set(wheel_names)


def test_the_lock_pins_every_dependency_exactly() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.lock").read_text().split()
    assert all("==" in line for line in lines)
    locked = {line.split("==")[0].split("[")[0] for line in lines}
    for requirement in project["dependencies"]:
        name = requirement.split("[")[0].split(">")[0].split("=")[0].split("<")[0]
        assert name in locked


def test_both_locks_agree() -> None:
    run = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    dev = dict(line.split("==") for line in (ROOT / "requirements-dev.lock").read_text().split())
    assert run.items() <= dev.items()
