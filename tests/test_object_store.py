"""Made files in a bucket: two processes with folders of their own share them; what the bucket refuses is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.settings import Settings
from tests.servers.bucket import SECRET, running_bucket
from tests.servers.dead import dead_url
from tools.errors import ArtifactNotFound, BackendUnavailable, ToolInputError, WorkspaceUnwritable
from tools.schema import Artifact
from tools.workspace import Workspace


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    with running_bucket() as (environment, held):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield held


def _replica(folder: Path) -> Workspace:
    return Settings(data_dir=folder, artifacts_url="s3://clms/files").workspace


def _save(workspace: Workspace) -> Artifact:
    about = {"media_type": "text/csv", "suffix": ".csv", "fingerprint": "f"}
    return workspace.save("parcel,ndvi\n", "table", "Values", **about)


def test_a_file_of_one_process_is_found_by_another(tmp_path: Path, held: dict[str, bytes]) -> None:
    made = _save(_replica(tmp_path / "one"))
    assert sorted(held) == [f"/clms/files/{made.id}.artifact.json", f"/clms/files/{made.id}.csv"]
    other = _replica(tmp_path / "two")
    found = other.get(made.id)
    assert Path(found.path).parent == tmp_path / "two" / "artifacts"
    assert (Path(found.path).read_text(), found.sha256) == ("parcel,ndvi\n", made.sha256)
    held.clear()
    assert other.get(made.id) == found  # it has its copy
    assert not [one for one in other.root.iterdir() if one.name.startswith(".")]


def test_what_is_not_in_the_bucket_is_not_there(tmp_path: Path, held: dict[str, bytes]) -> None:
    made = _save(_replica(tmp_path / "one"))
    del held[f"/clms/files/{made.id}.csv"]
    for missing in (made.id, "0" * 32, "../" + made.id):
        with pytest.raises(ArtifactNotFound):
            _replica(tmp_path / "two").get(missing)
    held[f"/clms/files/{made.id}.artifact.json"] = (
        made.model_copy(update={"path": "/etc/passwd"}).model_dump_json().encode()
    )
    with pytest.raises(ArtifactNotFound):
        _replica(tmp_path / "two").get(made.id)


def test_a_copy_that_cannot_be_kept_is_not_told_as_a_missing_file(tmp_path: Path, held: dict[str, bytes]) -> None:
    made = _save(_replica(tmp_path / "one"))
    (tmp_path / "two").write_text("a file where the data folder should be")
    with pytest.raises(WorkspaceUnwritable, match="cannot be written"):
        _replica(tmp_path / "two").get(made.id)


def test_a_bucket_that_refuses_is_told_without_its_secret(
    tmp_path: Path, held: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    workspace = _replica(tmp_path)
    with pytest.raises(WorkspaceUnwritable, match="did not take it") as refused:
        _save(workspace)
    assert SECRET not in str(refused.value)
    assert not list(workspace.root.iterdir())
    assert SECRET in Settings(data_dir=tmp_path).secrets
    monkeypatch.setenv("AWS_ENDPOINT_URL", dead_url())
    with pytest.raises(BackendUnavailable, match="does not answer"):
        _replica(tmp_path).get("0" * 32)


@pytest.mark.parametrize("url", ["https://example.eu/files", "s3://", "s3://key:secret@clms/files", "files"])
def test_an_address_that_is_no_bucket_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ToolInputError, match="s3://bucket/prefix") as refused:
        Settings(data_dir=tmp_path, artifacts_url=url).workspace  # noqa: B018
    assert "secret@" not in str(refused.value)
