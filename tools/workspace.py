"""Where made files go: unguessable ids, whole-file writes, one JSON sidecar for each artifact."""

import errno
import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from knowledge.errors import ClmsError
from tools.errors import ArtifactNotFound, WorkspaceUnwritable
from tools.object_store import ObjectStore
from tools.schema import Artifact, ArtifactKind

_ID = re.compile(r"[0-9a-f]{32}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,12}){1,2}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EIO})


class Draft:
    """A file being written: fill `path`; `artifact` is there once the `with` block has ended well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Write the whole file here."""
        self._artifact: Artifact | None = None

    @property
    def artifact(self) -> Artifact:
        """The finished artifact.

        Raises:
            RuntimeError: The `with` block has not ended yet.
        """
        if self._artifact is None:
            raise RuntimeError("The artifact exists only after the `with` block has ended.")
        return self._artifact

    def finish(self, artifact: Artifact) -> None:
        """Record the artifact the file has become."""
        self._artifact = artifact


class Workspace:
    """The folder of artifacts. A file appears under its final name only when it is complete."""

    def __init__(self, root: Path, store: ObjectStore | None = None) -> None:
        """Keep the folder, and the bucket that others share it by, where there is one."""
        self.root = root
        self._store = store

    @contextmanager
    def new(self, kind: ArtifactKind, title: str, media_type: str, suffix: str, fingerprint: str) -> Iterator[Draft]:
        """Hand out a temporary path; turn the file written there into an artifact when the block ends.

        Args:
            kind: What the file is for.
            title: Words shown to the user.
            media_type: For example `image/png`.
            suffix: Ending of the file name with its dot, for example `.png`.
            fingerprint: Fingerprint of the plan that the file belongs to.

        Raises:
            WorkspaceUnwritable: The disk is full or the folder cannot be written.
        """
        if not _SUFFIX.fullmatch(suffix):
            raise ValueError(f"Not a file suffix: {suffix!r}")
        artifact_id = uuid.uuid4().hex
        final = self.root / f"{artifact_id}{suffix}"
        draft = Draft(self.root / f".{artifact_id}.part{suffix}")
        sidecar = self._sidecar(artifact_id)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            yield draft
            artifact = Artifact(
                id=artifact_id,
                kind=kind,
                title=title,
                media_type=media_type,
                path=str(final),
                size_bytes=draft.path.stat().st_size,
                sha256=file_sha256(draft.path),
                plan_fingerprint=fingerprint,
            )
            draft.path.replace(final)
            self._write_whole(sidecar, artifact.model_dump_json(indent=2))
            if self._store:
                self._store.put(final)
                self._store.put(sidecar)  # last: what has no sidecar is not there
        except OSError as error:
            _remove(draft.path, final, sidecar)
            # Failures of rasterio and of the network are OSErrors too: only the file system's own are ours to tell.
            if error.errno not in _FULL | _UNWRITABLE:
                raise
            raise _unwritable(self.root, error) from error
        except BaseException:
            _remove(draft.path, final, sidecar)
            raise
        draft.finish(artifact)

    def save(
        self, content: bytes | str, kind: ArtifactKind, title: str, *, media_type: str, suffix: str, fingerprint: str
    ) -> Artifact:
        """Write `content` as one new artifact; text becomes UTF-8."""
        with self.new(kind, title, media_type, suffix, fingerprint) as draft:
            draft.path.write_bytes(content.encode() if isinstance(content, str) else content)
        return draft.artifact

    def get(self, artifact_id: str) -> Artifact:
        """Give the artifact with this id; its path always lies inside the workspace.

        Raises:
            ArtifactNotFound: No complete artifact has this id.
        """
        missing = ArtifactNotFound("There is no file with this id.", "Ask the question again to make the file anew.")
        if not _ID.fullmatch(artifact_id):
            raise missing
        sidecar = self._sidecar(artifact_id)
        try:
            if self._store and not sidecar.exists():
                self._fetch(self._store, sidecar)
            artifact = Artifact.model_validate_json(sidecar.read_bytes())
        except (OSError, ValidationError) as error:
            raise missing from error
        # Only the name is taken from the sidecar: the data folder may have been moved, and no path may lead outside.
        path = self.root / Path(artifact.path).name
        if not path.name.startswith(artifact_id) or path.is_symlink() or not path.is_file():
            raise missing
        return artifact.model_copy(update={"path": str(path)})

    def _fetch(self, store: ObjectStore, sidecar: Path) -> None:
        """Copy what another process has made: the file first, for whoever has the sidecar has all.

        Raises:
            WorkspaceUnwritable: The copy cannot be kept: the disk is full or the folder cannot be written.
        """
        told = sidecar.with_name(f".{sidecar.name}.{uuid.uuid4().hex}")
        try:
            if store.fetch(sidecar.name, told):
                name = Path(Artifact.model_validate_json(told.read_bytes()).path).name
                if name.startswith(sidecar.name.partition(".")[0]) and store.fetch(name, self.root / name):
                    told.replace(sidecar)
        except OSError as error:
            if error.errno not in _FULL | _UNWRITABLE:
                raise
            raise _unwritable(self.root, error) from error
        finally:
            _remove(told)

    def _sidecar(self, artifact_id: str) -> Path:
        return self.root / f"{artifact_id}.artifact.json"

    def _write_whole(self, path: Path, text: str) -> None:
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remove(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue  # The folder is unwritable; the first error is the one to tell.


def _unwritable(root: Path, error: OSError) -> ClmsError:
    if error.errno in _FULL:
        return WorkspaceUnwritable("The result could not be saved: the disk is full.", f"Free some space in {root}.")
    return WorkspaceUnwritable(
        "The result could not be saved: the folder for results cannot be written.",
        f"Check that {root} exists and is writable, or set CLMS_DATA_DIR to another folder.",
    )
