"""Failures of the openEO back-end: an openEO error code, an HTTP status and a sentence."""

import errno

from knowledge.errors import ClmsError

# Codes and statuses as listed at https://github.com/Open-EO/openeo-api/blob/master/errors.json
STATUS = {
    "CollectionNotFound": 404,
    "JobNotFound": 404,
    "NotFound": 404,
    "FileNotFound": 404,
    "ProcessGraphNotFound": 404,
    "Internal": 500,
    "StorageFailure": 500,
    "FeatureUnsupported": 501,
    "InfrastructureMaintenance": 503,
}


class OpenEOError(ClmsError):
    """A failure that openEO has a code for; every code not listed in `STATUS` is the caller's: 400."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
        """One of openEO's error codes, for example `ProcessUnsupported`."""

    def __reduce__(self) -> tuple[type["OpenEOError"], tuple[str, str, str]]:
        """Come whole from another process."""
        return OpenEOError, (self.code, self.message, self.hint)

    @property
    def status(self) -> int:
        """HTTP status that goes with the code."""
        return STATUS.get(self.code, 400)


class JobCanceled(ClmsError):
    """Somebody asked for this run to stop."""


def invalid_parameter(process_id: str, parameter: str, reason: str) -> OpenEOError:
    """Say which argument of which process is wrong, and why."""
    message = f"The value passed for parameter '{parameter}' in process '{process_id}' is invalid: {reason}"
    return OpenEOError("ProcessParameterInvalid", message)


def storage_failure(error: Exception) -> OpenEOError:
    """Say that the disk refused: full, read-only, a file broken or gone."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "full" in str(error)
    reason = "its disk is full" if full else "a file could not be read or written"
    return OpenEOError("StorageFailure", f"The back-end cannot go on: {reason}.", "Tell whoever runs the hub.")
