"""Artifacts: whole files, unguessable ids, plain words when the disk says no."""

import errno
import hashlib
from pathlib import Path

import pytest

from tools.errors import ArtifactNotFound, WorkspaceUnwritable
from tools.workspace import Draft, Workspace


def test_a_file_is_kept_and_found_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "artifacts")
    with workspace.new("table", "Parcels", "text/csv", ".csv", "abc") as draft:
        draft.path.write_text("a,b\n")
    found = Workspace(tmp_path / "artifacts").get(draft.artifact.id)
    assert found == draft.artifact
    assert Path(found.path).read_text() == "a,b\n"
    assert found.size_bytes == 4
    assert found.sha256 == hashlib.sha256(b"a,b\n").hexdigest()


def test_nothing_is_left_of_a_file_whose_writing_failed(tmp_path: Path) -> None:
    drafts: list[Draft] = []

    def fail() -> None:
        with Workspace(tmp_path).new("table", "t", "text/csv", ".csv", "abc") as draft:
            drafts.append(draft)
            draft.path.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError):
        _ = drafts[0].artifact


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "0" * 32, "0" * 31, "A" * 32, "0" * 32 + "\n"])
def test_unknown_and_malformed_ids_are_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ArtifactNotFound):
        Workspace(tmp_path).get(bad)


def test_a_changed_sidecar_cannot_lead_outside(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "artifacts")
    artifact = workspace.save("x", "table", "t", media_type="text/csv", suffix=".csv", fingerprint="abc")
    (tmp_path / "secret").write_text("secret")
    sidecar = tmp_path / "artifacts" / f"{artifact.id}.artifact.json"
    sidecar.write_text(artifact.model_copy(update={"path": str(tmp_path / "secret")}).model_dump_json())
    with pytest.raises(ArtifactNotFound):
        workspace.get(artifact.id)


def test_a_moved_folder_still_serves(tmp_path: Path) -> None:
    artifact = Workspace(tmp_path / "old").save(
        "x", "table", "t", media_type="text/csv", suffix=".csv", fingerprint="abc"
    )
    (tmp_path / "old").rename(tmp_path / "new")
    assert Workspace(tmp_path / "new").get(artifact.id).path == str(tmp_path / "new" / f"{artifact.id}.csv")


def test_an_unwritable_folder_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceUnwritable, match="cannot be written") as caught:
        Workspace(tmp_path / "file").save("x", "table", "t", media_type="text/csv", suffix=".csv", fingerprint="abc")
    assert "CLMS_DATA_DIR" in caught.value.hint


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")

    def fill() -> None:
        with Workspace(tmp_path).new("table", "t", "text/csv", ".csv", "abc") as draft:
            draft.path.symlink_to(full)
            draft.path.write_text("x")

    with pytest.raises(WorkspaceUnwritable, match="disk is full"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_other_failures_of_the_writer_pass_through(tmp_path: Path) -> None:
    """Network failures are OSErrors too and must not be told as a full disk."""
    with pytest.raises(ConnectionRefusedError), Workspace(tmp_path).new("table", "t", "text/csv", ".csv", "abc"):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
