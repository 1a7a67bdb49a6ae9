"""The stage for lists and overviews: accounts, projects and target groups that requests find, and their cursors."""

import json
import urllib.request
from datetime import timedelta
from typing import Any, ClassVar

from fielding_async.sandbox import Sandbox
from tests.tools.waits import HANG

from .fuzz_assistants import ASSISTANT, AssistantRequests
from .fuzz_counts import ASTRAY, NAMES, TOKEN, VERSION, Counts, is_positive, name_of, phase_of

__all__ = ["DiscoveryStage"]

_MOST = {"list-projects": 100, "list-target-groups": 100, "list-changes": 50}
_STATUSES = ("live", "paused", "completed", "scheduled")


class DiscoveryStage(Counts):
    """Prepares accounts, projects and target groups that requests are about, and the cursors that they go on from."""

    configuration: ClassVar[str] = "schemathesis-discovery.toml"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._projects = [
            sandbox.add_project(101, status=status, customer_reference_number=reference)
            for status in ("active", "inactive")
            for reference in (None, "AB-00246246")
            for _ in range(8)
        ]
        self._project = self._projects[0]
        self._launched = [
            sandbox.add_run(_STATUSES[number % len(_STATUSES)], project_id=self._project) for number in range(40)
        ]
        self._drafts = [sandbox.add_draft(project_id=self._project) for _ in range(8)]
        changed = self._launched[0]
        for number in range(60):
            end = sandbox.now + timedelta(days=9 + number)
            sandbox.touch(changed, status=_STATUSES[number % 2], end_fielding_at=end)
        self._cursors: dict[str, str] = {}
        self._path = f"/demand/accounts/101/projects/{self._project}"
        self._assistant: AssistantRequests | None = None
        if {*ASSISTANT} <= {*NAMES.values()}:
            self._assistant = AssistantRequests(sandbox, f"{self._path}/target-groups/{changed.target_group_id}")

    def prepare(self, case: Any) -> None:
        """Lead a request to what exists, where nothing of the kind was negated on purpose."""
        name = name_of(case)
        self.calls[name] += 1
        number = self.calls[name]
        astray = phase_of(case) == "fuzzing" and number % ASTRAY == 0
        if case.path_parameters and is_positive(case, "path") and not astray:
            ids = self._ids(name, number)
            case.path_parameters.update({key: ids[key] for key in case.path_parameters})
        if "Cint-API-Version" in case.headers:
            case.headers["Cint-API-Version"] = VERSION
        if name in _MOST and case.query and is_positive(case, "query"):
            self._sensible(name, case.query)
        if name in ASSISTANT and self._assistant is not None:
            self._assistant.prepare(case, number)

    def _ids(self, name: str, number: int) -> dict[str, Any]:
        groups = self._drafts if name == "get-target-group" and number % 2 else self._launched
        first = name in {"list-changes", *ASSISTANT}
        group = self._launched[0] if first else groups[number % len(groups)]
        return {"account_id": 101, "project_id": self._project, "target_group_id": group.target_group_id}

    def is_known(self, case: Any, failure: Any, response: Any) -> bool:
        """Return whether a finding is one that schemathesis-discovery.toml lists as difference 1 or 6."""
        name, found = name_of(case), type(failure).__name__
        if name == "project-overview":
            return (found, response.status_code) == ("UndefinedStatusCode", 400)
        if name == "get-assistant":
            return found == "JsonSchemaError" and '"currency_scale":null' in response.text
        if name == "update-assistant":
            return found == "AcceptedNegativeData" and '"currency_scale": null' in json.dumps(case.body)
        return False

    def _sensible(self, name: str, query: dict[str, Any]) -> None:
        """Bring the size of a page within its bounds, and put in cursors that were given out."""
        if isinstance(query.get("page_size"), int):
            query["page_size"] = query["page_size"] % _MOST[name] + 1
        for cursor in ("start_after", "end_before"):
            if cursor in query:
                query[cursor] = self._cursor(name)

    def _cursor(self, name: str) -> str:
        """Return a cursor of a list that requests of this operation are about."""
        if name not in self._cursors:
            path = {
                "list-projects": "/demand/accounts/101/projects",
                "list-target-groups": f"{self._path}/target-groups",
                "list-changes": f"{self._path}/target-groups/{self._launched[0].target_group_id}/changelog",
            }[name]
            request = urllib.request.Request(
                f"{self.sandbox.url}{path}?page_size=7",
                headers={"Authorization": f"Bearer {TOKEN}", "Cint-API-Version": VERSION},
            )
            with urllib.request.urlopen(request, timeout=HANG) as reply:
                self._cursors[name] = json.load(reply)["next_cursor"]
        return self._cursors[name]
