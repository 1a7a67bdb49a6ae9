"""Faults of jobs: a job that fails as a whole, and a bulk job that leaves target groups out."""

from typing import Any, cast

from attrs import field, frozen

from fielding_async.sandbox.serving import checks
from fielding_async.sandbox.serving.checks import checked

from .records import JobFailure

__all__ = ["JobFails", "JobFault", "JobOmits"]


def _as_tuple(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list | set | frozenset) else value


@frozen
class JobFails:
    """Let the job that the request makes end `Failed`, with nothing done."""

    __module__ = "fielding_async.sandbox"

    failure: JobFailure = field(
        factory=lambda: JobFailure("InternalError", "The job could not be carried out."),
        validator=checked(checks.instance, JobFailure, "JobFailure('InternalError', 'Nothing was done.')"),
    )
    """Why a draft job failed; a bulk job does not report it."""


@frozen
class JobOmits:
    """Let the bulk job that the request makes omit these target groups.

    The job does not change them, and its result has them neither as updated nor as failed. The fault applies only to
    requests that make a bulk job.
    """

    __module__ = "fielding_async.sandbox"

    target_group_ids: tuple[str, ...] = field(converter=_as_tuple, validator=checked(checks.texts))
    """The ids of the target groups that are omitted, at least one."""


JobFault = JobFails | JobOmits
"""A fault of the job that a request makes."""
