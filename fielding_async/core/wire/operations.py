"""The operations of the API that this SDK uses, one row each.

Source: the published description of API version 2025-12-18. `OPERATIONS` are the 22 of the tags Fielding and Fielding
(Batch), `DISCOVERY` those that find what to act on, `ASSISTANT` those of the tag Fielding Assistant.
"""

import re
from typing import Literal

from attrs import field, frozen

__all__ = ["ANY_SUCCESS", "ASSISTANT", "BY_NAME", "DISCOVERY", "OPERATIONS", "Method", "Operation", "operation"]

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Precondition = Literal["none", "if-match", "if-match-or-none", "idempotency-key", "not known"]
"""What a write must be sent with. `if-match-or-none`: `If-Match`, or `If-None-Match: *` for what does not exist yet."""

ANY_SUCCESS = 0
"""In place of a status: any 2xx is a success, as which one is documented is not known."""

_PROJECTS = "/demand/accounts/{account_id}/projects"
_PROJECT = _PROJECTS + "/{project_id}"
_TARGET_GROUP = _PROJECT + "/target-groups/{target_group_id}"
_ID = re.compile(r"\{\w+\}")
_RUN = _TARGET_GROUP + "/fielding-runs/{fielding_run_id}"
_ASSISTANT = _TARGET_GROUP + "/fielding-assistant-assignment"


@frozen
class Operation:
    """One operation: its name here, its id in the API's description, method, path, precondition and success status.

    `name` is also the name of the span: `fielding.<name>`. `pattern` is the path with `%s` for each id, in order.
    """

    name: str
    operation_id: str
    method: Method
    path: str
    success: int
    precondition: Precondition = "none"
    pattern: str = field(init=False, repr=False)
    is_write: bool = field(init=False, repr=False)
    """Whether it changes something on the server."""
    is_action: bool = field(init=False, repr=False)
    """Whether it is a write under an ETag: a run action, or the update of an assistant."""
    needs_etag: bool = field(init=False, repr=False)
    """Whether its success is documented with an ETag, so that one without is not taken for a success as it is."""
    is_sent_once: bool = field(init=False, repr=False)
    """Whether it is a write of which a second one may do something else: nothing it has keeps that from happening."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "pattern", _ID.sub("%s", self.path))
        object.__setattr__(self, "is_write", self.precondition != "none")
        object.__setattr__(self, "is_action", self.precondition in {"if-match", "if-match-or-none"})
        object.__setattr__(self, "needs_etag", self.precondition == "if-match")
        object.__setattr__(self, "is_sent_once", self.precondition == "not known")


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

DISCOVERY: tuple[Operation, ...] = (
    Operation("list-accounts", "get_user_accounts", "GET", "/accounts", 200),
    Operation("list-projects", "list_account_projects", "GET", _PROJECTS, 200),
    Operation("get-project", "get_project_by_id", "GET", _PROJECT, 200),
    Operation("project-overview", "project_overview", "GET", f"{_PROJECT}/overview", 200),
    Operation("list-target-groups", "get_list_target_groups", "GET", f"{_PROJECT}/target-groups", 200),
    Operation("target-group-overview", "get_target_group_overview", "GET", f"{_TARGET_GROUP}/overview", 200),
    Operation("list-changes", "get_target_group_changelog", "GET", f"{_TARGET_GROUP}/changelog", 200),
)

ASSISTANT: tuple[Operation, ...] = (
    Operation("get-assistant", "get_fielding_assistant_assignment", "GET", _ASSISTANT, 200),
    Operation(
        "update-assistant",
        "create_or_update_fielding_assistant_assignment",
        "PUT",
        _ASSISTANT,
        204,
        "if-match-or-none",
    ),
)

BY_NAME: dict[str, Operation] = {row.name: row for row in (*OPERATIONS, *DISCOVERY, *ASSISTANT)}


def operation(name: str) -> Operation:
    """Return the row of that name."""
    return BY_NAME[name]
