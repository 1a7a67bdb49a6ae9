"""The operations of the API and its token endpoint: names, methods, paths, and what a request must contain."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal
from urllib.parse import unquote

from attrs import frozen

__all__ = [
    "ACTIONS",
    "BULK_ACTIONS",
    "OPERATIONS",
    "OPERATIONS_BY_NAME",
    "TOKEN_PATH",
    "NoRoute",
    "Operation",
    "Route",
    "find_route",
]

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a secret

Kind = Literal[
    "list",
    "get",
    "update",
    "action",
    "draft",
    "draft-status",
    "bulk",
    "bulk-status",
    "discovery",
    "assistant",
    "assistant-update",
    "token",
]
BodyKind = Literal["none", "empty", "update", "launch", "schedule", "ids", "assistant", "token"]

ACTIONS = ("launch-now", "pause", "resume", "complete", "relaunch")
BULK_ACTIONS = ("launch", "pause", "resume", "complete", "relaunch")

_PROJECT = "/v1/demand/accounts/{account_id}/projects/{project_id}"
_GROUP = _PROJECT + "/target-groups/{target_group_id}"
_RUN = _GROUP + "/fielding-runs/{fielding_run_id}"


@cache  # compiled when first used, so that importing the sandbox stays fast
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


@frozen
class Operation:
    """One operation. `action` is the run action that it performs or the job that it makes or reports."""

    name: str
    method: str
    template: str
    kind: Kind
    action: str = ""
    body: BodyKind = "none"
    needs_if_match: bool = False
    needs_key: bool = False

    @property
    def writes(self) -> bool:
        """Whether it may change a run or an assistant, or make a job."""
        return self.kind in {"update", "action", "draft", "bulk", "assistant-update"}


def _draft(name: str, body: BodyKind) -> tuple[Operation, Operation]:
    path = f"{_GROUP}/fielding-run-jobs/{name}"
    return (
        Operation(name, "POST", path, "draft", name, body, needs_key=True),
        Operation(f"{name}-status", "GET", path + "/{job_id}", "draft-status", name),
    )


def _bulk(action: str) -> tuple[Operation, Operation]:
    path = f"{_PROJECT}/batch-jobs/{action}-fielding-runs-by-target-group-id"
    return (
        Operation(f"bulk-{action}", "POST", path, "bulk", action, "ids", needs_key=True),
        Operation(f"bulk-{action}-status", "GET", path + "/{job_id}", "bulk-status", action),
    )


def _action(action: str) -> Operation:
    return Operation(action, "POST", f"{_RUN}/{action}", "action", action, "empty", needs_if_match=True)


OPERATIONS: tuple[Operation, ...] = (
    Operation("get", "GET", _RUN, "get"),
    Operation("update", "PUT", _RUN, "update", "update", "update", needs_if_match=True),
    *(_action(action) for action in ACTIONS),
    Operation("list", "GET", _GROUP + "/fielding-runs", "list"),
    *_draft("launch-from-draft", "launch"),
    *_draft("schedule-from-draft", "schedule"),
    *(operation for action in BULK_ACTIONS for operation in _bulk(action)),
    Operation("list-accounts", "GET", "/v1/accounts", "discovery"),
    Operation("list-projects", "GET", _PROJECT.rpartition("/")[0], "discovery"),
    Operation("get-project", "GET", _PROJECT, "discovery"),
    Operation("project-overview", "GET", _PROJECT + "/overview", "discovery"),
    Operation("list-target-groups", "GET", _GROUP.rpartition("/")[0], "discovery"),
    Operation("get-target-group", "GET", _GROUP, "discovery"),
    Operation("target-group-overview", "GET", _GROUP + "/overview", "discovery"),
    Operation("list-changes", "GET", _GROUP + "/changelog", "discovery"),
    Operation("target-group-overview-by-id", "GET", "/v1/demand/target-groups/{target_group_id}/overview", "discovery"),
    Operation("get-assistant", "GET", _GROUP + "/fielding-assistant-assignment", "assistant"),
    Operation(
        "update-assistant",
        "PUT",
        _GROUP + "/fielding-assistant-assignment",
        "assistant-update",
        body="assistant",
    ),
    Operation("token", "POST", TOKEN_PATH, "token", "", "token"),
)
OPERATIONS_BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}


@frozen
class Route:
    """The operation of a request, and the decoded ids of its path."""

    operation: Operation
    ids: dict[str, str]


@frozen
class NoRoute:
    """A request without an operation. `allowed` are the methods of its path, none if the path is unknown."""

    allowed: tuple[str, ...] = ()


def find_route(method: str, raw_path: str) -> Route | NoRoute:
    """Find the operation for a method and a raw (still encoded) path. A query string is ignored."""
    path = raw_path.split("?", 1)[0].split("#", 1)[0]
    allowed: list[str] = []
    for operation in OPERATIONS:
        match = _pattern(operation.template).fullmatch(path)
        if match is None:
            continue
        if operation.method == method:
            return Route(operation, {name: unquote(value) for name, value in match.groupdict().items()})
        allowed.append(operation.method)
    return NoRoute(tuple(allowed))
