"""The 22 operations of the exchange and its token endpoint: names, methods, paths, and what each demands."""

import re
from typing import Literal
from urllib.parse import unquote

from attrs import Factory, field, frozen

__all__ = ["ACTIONS", "BULK_ACTIONS", "OPERATIONS", "TOKEN_PATH", "Operation", "Route", "Unrouted", "route"]

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a secret

Kind = Literal["list", "get", "update", "action", "draft", "draft-status", "bulk", "bulk-status", "token"]
BodyKind = Literal["none", "empty", "update", "launch", "schedule", "ids", "token"]

ACTIONS = ("launch-now", "pause", "resume", "complete", "relaunch")
BULK_ACTIONS = ("launch", "pause", "resume", "complete", "relaunch")

_PROJECT = "/v1/demand/accounts/{account_id}/projects/{project_id}"
_GROUP = _PROJECT + "/target-groups/{target_group_id}"
_RUN = _GROUP + "/fielding-runs/{fielding_run_id}"


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


@frozen
class Operation:
    """One operation: `action` is the run action or job that it stands for, `body` what body it takes."""

    name: str
    method: str
    template: str
    kind: Kind
    action: str = ""
    body: BodyKind = "none"
    if_match: bool = False
    key: bool = False
    pattern: re.Pattern[str] = field(
        init=False,
        repr=False,
        eq=False,
        default=Factory(lambda self: _pattern(self.template), takes_self=True),
    )

    @property
    def writes(self) -> bool:
        """Whether it may change a run or make a job."""
        return self.kind in {"update", "action", "draft", "bulk"}


def _draft(name: str, body: BodyKind) -> tuple[Operation, Operation]:
    path = f"{_GROUP}/fielding-run-jobs/{name}"
    return (
        Operation(name, "POST", path, "draft", name, body, key=True),
        Operation(f"{name}-status", "GET", path + "/{job_id}", "draft-status", name),
    )


def _bulk(action: str) -> tuple[Operation, Operation]:
    path = f"{_PROJECT}/batch-jobs/{action}-fielding-runs-by-target-group-id"
    return (
        Operation(f"bulk-{action}", "POST", path, "bulk", action, "ids", key=True),
        Operation(f"bulk-{action}-status", "GET", path + "/{job_id}", "bulk-status", action),
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation("get", "GET", _RUN, "get"),
    Operation("update", "PUT", _RUN, "update", "update", "update", if_match=True),
    *(Operation(action, "POST", f"{_RUN}/{action}", "action", action, "empty", if_match=True) for action in ACTIONS),
    Operation("list", "GET", _GROUP + "/fielding-runs", "list"),
    *_draft("launch-from-draft", "launch"),
    *_draft("schedule-from-draft", "schedule"),
    *(operation for action in BULK_ACTIONS for operation in _bulk(action)),
    Operation("token", "POST", TOKEN_PATH, "token", "", "token"),
)


@frozen
class Route:
    """Where a request leads: its operation and the decoded ids of its path."""

    operation: Operation
    ids: dict[str, str]


@frozen
class Unrouted:
    """A request that leads nowhere: an unknown path or, with `allowed` methods, another method."""

    allowed: tuple[str, ...] = ()


def route(method: str, raw_path: str) -> Route | Unrouted:
    """Find the operation for a method and a raw (still encoded) path; a query string is passed over."""
    path = raw_path.split("?", 1)[0].split("#", 1)[0]
    allowed: list[str] = []
    for operation in OPERATIONS:
        match = operation.pattern.fullmatch(path)
        if match is None:
            continue
        if operation.method == method:
            return Route(operation, {name: unquote(value) for name, value in match.groupdict().items()})
        allowed.append(operation.method)
    return Unrouted(tuple(allowed))
