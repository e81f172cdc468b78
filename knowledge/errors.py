"""Every expected failure is a `ClmsError`: a plain sentence for the user and a hint for the next step."""


class ClmsError(Exception):
    """An expected failure, told in words a user can act on."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """What went wrong, one sentence."""
        self.hint = hint
        """What to try next, one sentence; empty when there is nothing to try."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ProductNotFound(ClmsError):
    """No product or edition has this id or name."""


class SourceInvalid(ClmsError):
    """A product file or a document cannot be read as what it claims to be."""


class IndexMissing(ClmsError):
    """The search index has not been built yet."""


class EmbeddingUnavailable(ClmsError):
    """The sentence encoder cannot be loaded; keyword search still works."""


class SourceUnavailable(ClmsError):
    """A document's server does not answer as it should; a later run may find it."""


class SourceGone(ClmsError):
    """A document is no longer where it was."""


class IngestBusy(ClmsError):
    """Another process is writing the index."""


class NotDecodable(ClmsError):
    """How a layer's numbers are to be read is not verified, or they are not numbers to be scaled."""
