"""What a sandbox has: accounts, projects and target groups, added by name, or as runs and drafts need them."""

import re
from datetime import datetime, timedelta
from typing import Any

from fielding_async.core.errors import ConfigurationError

from .request_pipeline import RequestPipeline
from .serving import checks
from .serving.checks import aware
from .serving.query_form import REFERENCE, TARGET_GROUP_STATUSES, UUID_FORM
from .serving.request_form import PROJECT_ID
from .token_control import TokenControl
from .world.records import DraftRef, JobFailure

__all__ = ["Population"]

_ACCOUNT = 101  # the account of what names none
_DAY = timedelta(days=1)
_LONGEST_NAME = 128  # characters
_MOST_GOAL = 10**6
_BEFORE_LIVE = {"draft", "scheduled"}


class Population(TokenControl):
    """The part of a `Sandbox` that adds accounts, projects and target groups."""

    def __init__(self, pipeline: RequestPipeline, host: str, port: int, hosts: tuple[str, ...]) -> None:
        super().__init__(pipeline, host, port, hosts)
        self._project = pipeline.ids.ulid()

    @property
    def project_id(self) -> str:
        """The project of runs, drafts and target groups that are added without one."""
        return self._project

    def add_account(self, account_id: int | None = None, *, name: str | None = None) -> int:
        """Add an account, and return its id. It is also added when a project, target group, run or draft needs it.

        `account_id`: 0 to 2147483647; if left out, the lowest free id from 101. `name`: 1 to 128 characters. Raises
        `ConfigurationError` for a bad argument, or if the account exists already.
        """
        _check_name(name, 1)
        with self._pipeline.lock:
            known = self._pipeline.engine.catalog.accounts
            if account_id is None:
                account_id = _ACCOUNT
                while account_id in known:
                    account_id += 1
            _check_account(account_id)
            if account_id in known:
                raise ConfigurationError(f"account_id={account_id!r}: must be a new id, and exists already")
            return self._pipeline.engine.catalog.account(account_id, name).id

    def add_project(
        self,
        account_id: int | None = None,
        *,
        project_id: str | None = None,
        name: str | None = None,
        status: str = "active",
        project_manager_id: str | None = None,
        customer_reference_number: str | None = None,
    ) -> str:
        """Add a project, and return its id. A project is also added when a target group, run or draft needs it.

        `account_id`: 0 to 2147483647; if left out, 101. `project_id`: 26 characters of 0-9 and A-Z. `name`: 1 to 128
        characters. `status`: `"active"` or `"inactive"`; it does not change by itself. `project_manager_id`: a UUID.
        `customer_reference_number`: 3 to 128 letters, digits, `-`, `_` and spaces.

        The id, the name and the project manager are generated if they are left out. Raises `ConfigurationError` for a
        bad argument, or if the account has this project already.
        """
        account_id = _ACCOUNT if account_id is None else account_id
        _check_account(account_id)
        _check_id("project_id", project_id)
        _check_name(name, 1)
        _check_status(status, ("active", "inactive"))
        _check_manager(project_manager_id)
        _check_reference(customer_reference_number)
        with self._pipeline.lock:
            catalog = self._pipeline.engine.catalog
            project_id = project_id or self._pipeline.ids.ulid()
            if catalog.project(account_id, project_id) is not None:
                raise ConfigurationError(f"project_id={project_id!r}: must be a new id, and exists already")
            return catalog.add_project(
                account_id,
                project_id,
                self._pipeline.now(),
                name=name,
                status=status,
                manager=project_manager_id,
                reference=customer_reference_number,
            ).id

    def add_target_group(
        self,
        account_id: int | None = None,
        project_id: str | None = None,
        *,
        target_group_id: str | None = None,
        name: str | None = None,
        status: str = "live",
        country: str = "us",
        language: str = "eng",
        project_manager_id: str | None = None,
        customer_reference_number: str | None = None,
        filling_goal: int = 1000,
        exclusion_enabled: bool = False,
        created_at: datetime | None = None,
    ) -> str:
        """Add a target group without a run, and return its id.

        `add_run(target_group_id=…)` gives the target group a run. From then on, the status of the target group is the
        status of its run. Until then, it is `status`: `"draft"`, `"scheduled"`, `"live"`, `"paused"`, `"completed"` or
        `"archived"`. A job can launch or schedule a draft, like a draft from `add_draft`.

        `project_id`: if left out, `Sandbox.project_id`. `account_id`: if left out, the account of the project, or 101
        if there is no such project. `target_group_id`: 26 characters of 0-9 and A-Z; if left out, it is generated.
        `name`: 5 to 128 characters; if left out, it is generated. `project_manager_id`: a UUID; if left out, that of
        the project. `customer_reference_number`: 3 to 128 letters, digits, `-`, `_` and spaces. `country`: two letters
        of a-z. `language`: three letters of a-z. `filling_goal`: 1 to 1000000 completes. `created_at`: an aware
        datetime. If left out, it is now for drafts and scheduled target groups, and a day ago for other target groups,
        which have been live since then.

        Raises `ConfigurationError` for a bad argument, or if the target group exists already.
        """
        _check_name(name, 5)
        _check_status(status, TARGET_GROUP_STATUSES)
        for key, value, form in (("country", country, "[a-z]{2}"), ("language", language, "[a-z]{3}")):
            if not _matches(form, value):
                raise ConfigurationError(f"{key}={value!r}: must be {form[-2]} letters of a-z")
        _check_manager(project_manager_id)
        _check_reference(customer_reference_number)
        checks.whole("add_target_group", "filling_goal", filling_goal, 1, _MOST_GOAL)
        checks.flag("add_target_group", "exclusion_enabled", exclusion_enabled)
        created_at = aware("created_at", created_at)
        with self._pipeline.lock:
            now = self._pipeline.now()
            group = self._group_ref(account_id, project_id, target_group_id)
            self._refuse_known(group)
            created_at = created_at or (now if status in _BEFORE_LIVE else now - _DAY)
            catalog = self._pipeline.engine.catalog
            stored = catalog.add_group(
                group.account_id,
                group.project_id,
                group.target_group_id,
                now,
                name=name,
                status=status,
                country=country,
                language=language,
                manager=project_manager_id,
                reference=customer_reference_number,
                goal=filling_goal,
                exclusion=exclusion_enabled,
                created_at=created_at,
            )
            if status not in _BEFORE_LIVE:
                catalog.set_live_time(stored, created_at, now)
        return group.target_group_id

    def add_draft(
        self,
        *,
        account_id: int | None = None,
        project_id: str | None = None,
        target_group_id: str | None = None,
        failure: JobFailure | None = None,
    ) -> DraftRef:
        """Add a draft target group, which a job can launch or schedule, and return its ids.

        Ids have the defaults of `add_target_group`. With a `failure`, the job fails with this code and these reasons.
        Raises `ConfigurationError` for a bad argument, or if the target group exists already.
        """
        if failure is not None:
            checks.instance("add_draft", "failure", failure, JobFailure, "JobFailure('QuotaInvalid', 'No quota.')")
        with self._pipeline.lock:
            group = self._group_ref(account_id, project_id, target_group_id)
            self._refuse_known(group)
            self._pipeline.engine.add_draft(group, failure, self._pipeline.now())
        return group

    def _group_ref(self, account_id: int | None, project_id: str | None, target_group_id: str | None) -> DraftRef:
        """Return the ids of a target group that exists or is to be made. What is left out is found by what is given."""
        _check_id("project_id", project_id)
        _check_id("target_group_id", target_group_id)
        if account_id is not None:
            _check_account(account_id)
        catalog = self._pipeline.engine.catalog
        known = catalog.group_by_id(target_group_id) if target_group_id else None
        if known is not None:
            parent = known.project
            if account_id in {None, parent.account.id} and project_id in {None, parent.id}:
                return DraftRef(parent.account.id, parent.id, known.id)
        project_id = project_id or self._project
        if account_id is None:
            project = catalog.project_by_id(project_id)
            account_id = _ACCOUNT if project is None else project.account.id
        return DraftRef(account_id, project_id, target_group_id or self._pipeline.ids.ulid())

    def _refuse_known(self, group: DraftRef) -> None:
        if self._pipeline.engine.runs.has_group(group):
            raise ConfigurationError(f"target_group_id={group.target_group_id!r}: must be a new id, and exists already")


def _matches(form: str | re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(form, value) is not None


def _check_account(account_id: Any) -> None:
    if isinstance(account_id, bool) or not isinstance(account_id, int) or not 0 <= account_id < 2**31:
        raise ConfigurationError(f"account_id={account_id!r}: must be a whole number from 0 to 2147483647")


def _check_id(name: str, value: str | None) -> None:
    if value is not None and not _matches(PROJECT_ID, value):
        is_case = isinstance(value, str) and PROJECT_ID.fullmatch(value.upper())
        hint = f"; did you mean {value.upper()!r}?" if is_case else ""
        raise ConfigurationError(f"{name}={value!r}: must be 26 characters of 0-9 and A-Z{hint}")


def _check_name(name: str | None, least: int) -> None:
    if name is not None and not (isinstance(name, str) and least <= len(name) <= _LONGEST_NAME):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"name={name!r}: must have {least} to {_LONGEST_NAME} characters")


def _check_status(status: str, allowed: tuple[str, ...]) -> None:
    if not isinstance(status, str) or status not in allowed:  # pyright: ignore[reportUnnecessaryIsInstance]
        hint = checks.did_you_mean(status, allowed)
        raise ConfigurationError(f"status={status!r}: must be one of {', '.join(allowed)}{f'; {hint}' if hint else ''}")


def _check_manager(value: str | None) -> None:
    if value is not None and not _matches(UUID_FORM, value):
        raise ConfigurationError(f"project_manager_id={value!r}: must be a UUID")


def _check_reference(value: str | None) -> None:
    if value is not None and not _matches(REFERENCE, value):
        raise ConfigurationError(
            f"customer_reference_number={value!r}: must have 3 to 128 characters of letters, digits, '-', '_' and blank"
        )
