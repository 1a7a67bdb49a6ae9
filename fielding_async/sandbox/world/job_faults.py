"""Faults of jobs: a job that fails as a whole, and a bulk job that leaves target groups out."""

from attrs import field, frozen

from .records import JobFailure

__all__ = ["JobFails", "JobFault", "JobOmits"]


@frozen
class JobFails:
    """Let the job that the request makes end `Failed`, with nothing done. `failure` is for draft jobs."""

    __module__ = "fielding_async.sandbox"

    failure: JobFailure = field(factory=lambda: JobFailure("InternalError", "The job could not be carried out."))


@frozen
class JobOmits:
    """Let the bulk job that the request makes omit these target groups: not changed, and in neither list."""

    __module__ = "fielding_async.sandbox"

    target_group_ids: tuple[str, ...] = field(converter=tuple[str, ...])


JobFault = JobFails | JobOmits
"""A fault of the job that a request makes."""
