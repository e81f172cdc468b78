"""What runs on an openEO service cost, as the service tells it, taken from what the user may still use in a day.

Taken before a run is what the service estimates, or 1 where it estimates nothing; what the run did cost corrects that.
https://api.openeo.org: `costs` of `GET /jobs/{job_id}` and of its estimate, header `OpenEO-Costs` of `POST /result`.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, Protocol


class Charge(Protocol):
    """Takes from what a user may use in a day."""

    def __call__(self, what: Literal["pixels", "credits"], amount: int, *, spent: bool = False) -> None:
        """Take so much; raises when that is not left, unless it is `spent` already."""


def free(what: str, amount: int, *, spent: bool = False) -> None:
    """Take nothing."""


def whole(costs: object) -> int:
    """Give costs as whole credits, rounded up; 0 where a service tells none."""
    with suppress(TypeError, ValueError, OverflowError):
        return max(0, math.ceil(float(costs)))  # type: ignore[arg-type]
    return 0


@contextmanager
def paid(charge: Charge) -> Iterator[Callable[[object], None]]:
    """Take one credit before the block, and put what it is told instead; nothing where it is told nothing."""
    charge("credits", 1)
    costs = 0

    def pay(told: object) -> None:
        nonlocal costs
        costs = whole(told)

    try:
        yield pay
    finally:
        charge("credits", costs - 1, spent=True)


def reserve(connection: Any, job: Any, charge: Charge) -> int:
    """Take what the service estimates for a batch job before it starts; gives how much."""
    from openeo.rest import OpenEoApiPlainError

    told = None
    if connection.capabilities().supports_endpoint("/jobs/{job_id}/estimate", method="GET"):
        with suppress(OpenEoApiPlainError):  # it offers estimates, but has none for this job
            told = connection.get(f"/jobs/{job.job_id}/estimate", expected_status=200).json().get("costs")
    amount = 1 if told is None else whole(told)
    charge("credits", amount)
    return amount


def settle(job: Any, reserved: int, charge: Charge) -> None:
    """Take what a batch job did cost instead of what was reserved for it; a job that tells no costs keeps that."""
    import requests
    from openeo.rest import OpenEoApiPlainError

    with suppress(OpenEoApiPlainError, requests.RequestException):  # the job has ended; its costs alone are not known
        told = job.describe().get("costs")
        if told is not None:
            charge("credits", whole(told) - reserved, spent=True)
