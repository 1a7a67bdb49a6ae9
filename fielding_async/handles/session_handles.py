"""The handles that a session gives: its methods that do no I/O.

Handles of jobs and projects are loaded when they are first used, as many programs need none.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, overload

from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import (
    check_account_id,
    check_idempotency_key,
    check_kind,
    check_parents,
    check_ref,
    check_target_group_ids,
)
from fielding_async.core.models import RunRef
from fielding_async.engine.engine import Engine

from .run import Run

if TYPE_CHECKING:
    from fielding_async.core.discovery.projects import AccountItem

    from .account import Account
    from .job import BatchJob, DraftJob
    from .lists import Listing
    from .project import Project

__all__ = ["SessionHandles"]


class SessionHandles(ABC):
    """The part of a session that gives handles."""

    @abstractmethod
    def engine(self) -> Engine:
        """Return the live engine, or raise `SessionClosedError`."""

    @overload
    def run(self, ref: RunRef, /) -> Run: ...

    @overload
    def run(self, ref: Run, /) -> Run: ...

    @overload
    def run(self, ref: str, /) -> Run: ...

    @overload
    def run(self, account_id: int, project_id: str, target_group_id: str, fielding_run_id: str) -> Run: ...

    def run(self, *args: Any, **kwargs: Any) -> Run:
        """Return the handle of a run, from its `RunRef`, a `Run`, its four ids, or the text of its ids.

        The text is `"account/project/target_group/run"`. Raises `ConfigurationError` for a bad id.
        """
        if len(args) == 1 and not kwargs:
            if isinstance(args[0], RunRef):
                return Run(self, check_ref(args[0]))
            if isinstance(args[0], str):
                return Run(self, check_ref(RunRef.parse(args[0])))
            if isinstance(args[0], Run):
                return Run(self, args[0].ref)
        try:
            ref = RunRef(*args, **kwargs)
        except TypeError:
            raise ConfigurationError(
                "run: must be called with a RunRef, a Run, the text account/project/target_group/run, or all of"
                " account_id, project_id, target_group_id and fielding_run_id"
            ) from None
        return Run(self, check_ref(ref))

    def account(self, account_id: int) -> "Account":
        """Return the handle of an account. Raises `ConfigurationError` unless the id is an int from 0 to 2147483647."""
        from .account import Account

        return Account(self, check_account_id(account_id))

    def list_accounts(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> "Listing[AccountItem]":
        """Return a list of the accounts that the token has access to. `timeout`: seconds for the request.

        Source: `GET /accounts`. Raises `ConfigurationError` for a bad `timeout`; the errors of a read are raised by the
        iteration.
        """
        from .account import list_accounts

        return list_accounts(self, timeout)

    def project(self, account_id: int, project_id: str) -> "Project":
        """Return the handle of a project. Raises `ConfigurationError` for a bad id."""
        from .project import Project

        return Project(self, **check_parents(account_id, project_id))

    def draft_job(
        self,
        account_id: int,
        project_id: str,
        target_group_id: str,
        job_id: str,
        *,
        kind: Literal["launch", "schedule"],
        idempotency_key: str | None = None,
    ) -> "DraftJob":
        """Return the handle of a launch-from-draft or schedule-from-draft job whose ids you have stored.

        Raises `ConfigurationError` for a bad id.
        """
        check_kind(kind, "launch", "schedule")
        ids = check_parents(account_id, project_id, target_group_id)
        key = idempotency_key and check_idempotency_key(idempotency_key)
        from .target_group import draft_job

        return draft_job(self, f"{kind}-from-draft", ids, job_id, key=key)

    def batch_job(
        self,
        account_id: int,
        project_id: str,
        job_id: str,
        *,
        kind: Literal["launch", "pause", "resume", "complete", "relaunch"],
        target_group_ids: tuple[str, ...] = (),
        idempotency_key: str | None = None,
    ) -> "BatchJob":
        """Return the handle of a bulk job whose ids you have stored.

        If you pass `target_group_ids`, the result of the job can list the target groups that are `missing` in it.
        Raises `ConfigurationError` for a bad id.
        """
        check_kind(kind, "launch", "pause", "resume", "complete", "relaunch")
        ids = check_parents(account_id, project_id)
        groups = check_target_group_ids(target_group_ids) if target_group_ids else ()
        key = idempotency_key and check_idempotency_key(idempotency_key)
        from .project import batch_job

        return batch_job(self, f"bulk-{kind}", ids, job_id, groups=groups, key=key)
