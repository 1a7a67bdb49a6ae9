"""The 22 operations of the Demand API that this SDK uses, one row each.

Source: the published description of API version 2025-12-18, tags Fielding and Fielding (Batch).
"""

import re
from typing import Literal

from attrs import field, frozen

__all__ = ["BY_NAME", "OPERATIONS", "Operation", "operation"]

Precondition = Literal["none", "if-match", "idempotency-key"]

_PROJECT = "/demand/accounts/{account_id}/projects/{project_id}"
_TARGET_GROUP = _PROJECT + "/target-groups/{target_group_id}"
_ID = re.compile(r"\{\w+\}")
_RUN = _TARGET_GROUP + "/fielding-runs/{fielding_run_id}"


@frozen
class Operation:
    """One operation: its name here, its id in the API's description, method, path, precondition and success status.

    `name` is also the name of the span: `fielding.<name>`. `pattern` is the path with `%s` for each id, in order.
    """

    name: str
    operation_id: str
    method: Literal["GET", "POST", "PUT"]
    path: str
    success: int
    precondition: Precondition = "none"
    pattern: str = field(init=False, repr=False)
    is_write: bool = field(init=False, repr=False)
    """Whether it changes something on the server."""
    is_action: bool = field(init=False, repr=False)
    """Whether it is a run action: a write with `If-Match`."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "pattern", _ID.sub("%s", self.path))
        object.__setattr__(self, "is_write", self.precondition != "none")
        object.__setattr__(self, "is_action", self.precondition == "if-match")


def _action(name: str, success: int = 204) -> Operation:
    operation_id = f"{name.replace('-', '_')}_fielding_run"
    return Operation(name, operation_id, "POST", f"{_RUN}/{name}", success, "if-match")


def _draft(name: str) -> tuple[Operation, Operation]:
    verb = name.split("-", maxsplit=1)[0]
    path = f"{_TARGET_GROUP}/fielding-run-jobs/{name}"
    job = f"{verb}_fielding_run_from_draft_job"
    return (
        Operation(name, f"create_{job}", "POST", path, 201, "idempotency-key"),
        Operation(f"{name}-status", f"get_{job}", "GET", path + "/{job_id}", 200),
    )


def _bulk(verb: str) -> tuple[Operation, Operation]:
    path = f"{_PROJECT}/batch-jobs/{verb}-fielding-runs-by-target-group-id"
    job = f"bulk_{verb}_target_groups_job"
    return (
        Operation(f"bulk-{verb}", f"create_{job}", "POST", path, 201, "idempotency-key"),
        Operation(f"bulk-{verb}-status", f"get_{job}", "GET", path + "/{job_id}", 200),
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation("list", "get_fielding_runs_by_target_group_id", "GET", f"{_TARGET_GROUP}/fielding-runs", 200),
    Operation("get", "get_fielding_run", "GET", _RUN, 200),
    Operation("update", "update_fielding_run", "PUT", _RUN, 202, "if-match"),
    _action("launch-now", 200),
    _action("pause"),
    _action("resume"),
    _action("complete"),
    _action("relaunch"),
    *_draft("launch-from-draft"),
    *_draft("schedule-from-draft"),
    *_bulk("launch"),
    *_bulk("pause"),
    *_bulk("resume"),
    *_bulk("complete"),
    *_bulk("relaunch"),
)

BY_NAME: dict[str, Operation] = {row.name: row for row in OPERATIONS}


def operation(name: str) -> Operation:
    """Return the row of that name."""
    return BY_NAME[name]
