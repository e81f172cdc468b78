"""Failures of the tools, one class for each thing that the caller can do about it."""

from typing import TYPE_CHECKING

from knowledge.errors import ClmsError

if TYPE_CHECKING:
    from tools.schema import Estimate, Plan, Question


class ToolInputError(ClmsError):
    """The arguments are wrong; the model or the user can mend them."""


class PlaceNotFound(ToolInputError):
    """No known place has this name."""


class PeriodInvalid(ToolInputError):
    """The words do not say a period, or it lies in the future or before the mission."""


class AreaInvalid(ToolInputError):
    """The attached polygons cannot be read or hold nothing usable."""


class NoScenes(ClmsError):
    """There is honestly nothing: the place is covered, but no scene falls in the period."""


class NotCovered(ClmsError):
    """There is honestly nothing: the collection does not reach this place at all."""


class TooLarge(ClmsError):
    """The estimate is above the limit; the hint holds a smaller alternative."""


class BackendUnavailable(ClmsError):
    """The STAC or openEO service does not answer, or answers nonsense."""


class JobFailed(ClmsError):
    """The back-end took the process graph and could not finish it."""


class ArtifactNotFound(ClmsError):
    """No artifact has this id."""


class WorkspaceUnwritable(ClmsError):
    """The disk is full or the folder of artifacts cannot be written."""


class NotApproved(ClmsError):
    """The run is large and the user has not approved it; only the user can."""

    def __init__(
        self, message: str, question: "Question", plan: "Plan | None" = None, estimate: "Estimate | None" = None
    ) -> None:
        super().__init__(message, hint=f"Choose one: {'; '.join(question.options)}.")
        self.question = question
        """What is asked, with smaller alternatives."""
        self.plan, self.estimate = plan, estimate
        """What would run, and what it would cost."""


class Ambiguous(ToolInputError):
    """Several things could be meant; only the user can choose."""

    def __init__(self, message: str, options: tuple[str, ...]) -> None:
        super().__init__(message, hint=f"Choose one: {'; '.join(options)}.")
        self.options = options
        """Names to choose from; each is of one thing."""


class PlaceAmbiguous(Ambiguous):
    """Several places have this name."""


class LoginRefused(BackendUnavailable):
    """The back-end wants a login."""


class LoginExpired(BackendUnavailable):
    """The back-end no longer accepts the login."""


class QuotaExhausted(BackendUnavailable):
    """The account has no credits left, or has asked too often."""


class JobWaiting(ClmsError):
    """The batch job is not done yet and goes on over there; asked again, it is found."""


class LoginNeeded(ClmsError):
    """The back-end wants a login that only the user can make."""

    def __init__(self, message: str, hint: str, question: "Question") -> None:
        super().__init__(message, hint)
        self.question = question
        """Where to log in, and with which code."""
