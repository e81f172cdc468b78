"""The command line, from outside."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ui.cli import main

SLOW = ("chromadb", "fastapi", "gradio", "langchain", "matplotlib", "numpy", "pydantic", "rasterio", "torch")
HELP = """
import sys, click, ui.cli
try:
    ui.cli.main(["--help"])
finally:
    print([name for name in sys.argv[1:] if name in sys.modules], file=sys.stderr)
"""
RETRYING = """
import logging, sys, requests
from assistant.telemetry import configure_logging
configure_logging(sys.argv[1])
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(max_retries=1))
try:
    session.get("http://127.0.0.1:9")
except requests.ConnectionError:
    logging.getLogger("tools.backends").warning("The service does not answer.")
"""


def test_help_imports_nothing_slow() -> None:
    found = subprocess.run([sys.executable, "-c", HELP, *SLOW], capture_output=True, text=True, check=True, timeout=60)
    assert "Usage" in found.stdout
    assert found.stderr.strip() == "[]"


@pytest.mark.parametrize(("level", "library_lines"), [("WARNING", False), ("DEBUG", True)])
def test_warnings_of_libraries_stay_off_the_terminal_unless_asked_for(level: str, library_lines: bool) -> None:
    command = [sys.executable, "-c", RETRYING, level]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "The service does not answer." in found.stderr
    assert ("urllib3" in found.stderr) is library_lines


@pytest.mark.parametrize("words", [["--help"], ["ask", "--help"], ["hub", "--help"], ["hub", "add", "--help"]])
def test_help_is_there(words: list[str]) -> None:
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 0
    assert "Usage" in found.output


def test_a_broken_area_is_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    broken = tmp_path / "field.geojson"
    broken.write_text("{")
    found = CliRunner().invoke(main, ["ask", "NDVI of this field", "--area", str(broken)])
    assert found.exit_code == 1
    assert "Error: " in found.output
    assert "Traceback" not in found.output


def test_an_unknown_log_level_is_refused_and_a_known_one_is_read_in_any_case(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLMS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CLMS_LOG_LEVEL", "loud")
    found = CliRunner().invoke(main, ["hub", "list"])
    assert found.exit_code == 1
    assert "CLMS_LOG_LEVEL" in found.output
    assert "Traceback" not in found.output
    monkeypatch.setenv("CLMS_LOG_LEVEL", "error")
    assert CliRunner().invoke(main, ["hub", "list"]).exit_code == 0


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLMS_PORT", "many")
    found = CliRunner().invoke(main, ["doctor"])
    assert found.exit_code == 1
    assert "CLMS_PORT" in found.output


def test_doctor_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLMS_LLM_API_KEY", "sk-very-secret")
    monkeypatch.setenv("CLMS_LLM_BASE_URL", "http://me:word@127.0.0.1:9/v1")
    found = CliRunner().invoke(main, ["doctor"])
    assert found.exit_code == 0, found.output
    assert "very-secret" not in found.output
    assert "me:word" not in found.output
    assert "Packages loaded from" in found.output
