"""Made files in a bucket, so that several processes share them; each keeps a copy of what it has made or served."""

import uuid
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.errors import BackendUnavailable, ToolInputError, WorkspaceUnwritable


class ObjectStore:
    """A bucket of S3, or of a service that speaks like it.

    Keys and the service's address come from the environment, under the names that all S3 clients read
    (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ALLOW_HTTP`).
    """

    def __init__(self, url: str) -> None:
        """Keep where it is, `s3://bucket/prefix`; nothing is opened yet.

        Raises:
            ToolInputError: It is no such address.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.hostname or parts.username or parts.password or parts.query:
            raise ToolInputError(
                "CLMS_ARTIFACTS_URL is no address of a bucket.",
                "Write it as s3://bucket/prefix; keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        self._url = url

    def put(self, path: Path) -> None:
        """Store a file under its name, whole or not at all.

        Raises:
            WorkspaceUnwritable: It was not taken.
        """
        import obstore
        from obstore.exceptions import BaseError

        try:
            obstore.put(self._store, path.name, path)
        except (BaseError, FileNotFoundError) as error:  # the latter where there is no such bucket
            raise WorkspaceUnwritable(
                "The result could not be saved: the store of files did not take it.",
                "Try again; an admin checks CLMS_ARTIFACTS_URL and the keys of the bucket.",
            ) from error

    def fetch(self, name: str, into: Path) -> bool:
        """Copy a stored file to a path, which appears only when it is whole; False where there is none.

        Raises:
            BackendUnavailable: The store does not answer, or refuses.
        """
        import obstore
        from obstore.exceptions import BaseError

        part = into.with_name(f".{uuid.uuid4().hex}.fetched")
        try:
            found = obstore.get(self._store, name)
            into.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for chunk in found.stream():
                    file.write(chunk)
            part.replace(into)
        except FileNotFoundError:  # the store's own NotFoundError is one
            return False
        except BaseError as error:
            raise BackendUnavailable("The store of files does not answer.", "Try again in a minute.") from error
        finally:
            part.unlink(missing_ok=True)
        return True

    @cached_property
    def _store(self) -> Any:
        from obstore.store import from_url

        return from_url(self._url, retry_config={"max_retries": 2})
