"""`clms-assistant hub sync` at the command line."""

from pathlib import Path

from click.testing import CliRunner

from tests.servers.cog import Source
from tests.sync.helpers import PLACE, copies_in
from tools.hub.archive import Archive
from tools.hub.copies import Copies
from ui.cli import main


def test_the_command_tells_the_estimate_first_and_a_dry_run_copies_nothing(source: Source, tmp_path: Path) -> None:
    command = ["hub", "sync", "--place", PLACE, "--collection", "s2", "--since", "2025-01-01", "--until", "2025-12-31"]
    command += ["--from", f"{source.base_url}/stac", "--bands", "B04,B08", "--max-kb-per-s", "100000"]
    dry = CliRunner().invoke(main, [*command, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "To copy: 6 files of 3 scenes, about 0." in dry.output
    hub = tmp_path / "data" / "hub"
    assert copies_in(hub) == {}
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert "s2: 6 files of 3 scenes copied" in first.output
    again = CliRunner().invoke(main, command)
    assert "Nothing new: 3 scenes in the hub, checked." in again.output
    empty = CliRunner().invoke(main, [*command, "--until", "2025-01-02"])
    assert empty.exit_code == 1
    assert "no scene at" in empty.output


def test_the_command_names_what_goes_before_it_goes_and_the_limit(source: Source, tmp_path: Path) -> None:
    command = ["hub", "sync", "--place", PLACE, "--collection", "s2", "--since", "2025-01-01", "--until", "2025-12-31"]
    command += ["--from", f"{source.base_url}/stac", "--bands", "red"]
    assert CliRunner().invoke(main, [*command, "--as", "old"]).exit_code == 0
    size = Copies(tmp_path / "data" / "hub").total_bytes()
    done = CliRunner().invoke(main, [*command, "--max-gb", str(size * 0.7 / 1e9)])
    assert done.exit_code == 0, done.output
    told = done.output.index("not used for the longest time will go: old/S2A")
    assert "3 copied scenes (" in done.output[:told]
    assert told < done.output.index("2 scenes copied") < done.output.index("3 copied scenes removed")
    assert "A higher --max-gb takes the rest." in done.output
    assert Archive(tmp_path / "data" / "hub").collection("old") is None


def test_the_command_ends_with_one_and_names_what_failed(source: Source, tmp_path: Path) -> None:
    source.trouble = {f"{source.items[1]['id']}_B04.tif": ["", "status:403", "status:403"]}
    command = ["hub", "sync", "--place", PLACE, "--collection", "s2", "--since", "2025-01-01", "--until", "2025-12-31"]
    done = CliRunner().invoke(main, [*command, "--from", f"{source.base_url}/stac", "--bands", "red"])
    assert done.exit_code == 1
    assert f"failed: {source.items[1]['id']}: The server wants a key" in done.output
    assert "Run the same command again" in done.output
