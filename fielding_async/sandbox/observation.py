"""What a sandbox shows of itself to its control door, in parts that are small however much it holds."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from time import monotonic
from typing import Any

from fielding_async.core.models import RunRef

from .catalog.records import StoredGroup, StoredProject
from .catalog.statistics import as_of, group_statistics
from .control.json_forms import run_object
from .request_pipeline import RequestPipeline
from .serving.request_log import ReceivedRequest
from .world.records import Write

__all__ = ["Observation"]

_MOST_PROJECTS = 100
_SECONDS = 60  # of the plot


class Observation:
    """Reads a pipeline under its lock. Counting the runs of all projects is repeated only after a write."""

    def __init__(self, pipeline: RequestPipeline) -> None:
        self._pipeline = pipeline
        self._counted: tuple[tuple[int, int], list[dict[str, Any]]] | None = None

    def state(self) -> dict[str, Any]:
        """Return settings and totals."""
        pipeline = self._pipeline
        with pipeline.lock:
            requests, writes = self.latest()
            latency, jitter = pipeline.latency
            return {
                "now": pipeline.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "runs": pipeline.engine.runs.count(),
                "requests": requests,
                "writes": writes,
                "unused_faults": [repr(fault) for fault in islice(pipeline.script.unused(), 100)],
                "failures": len(pipeline.failures.all()),
                "rate_limit": pipeline.traffic.limit,
                "in_flight_limit": pipeline.in_flight_limit,
                "in_flight": pipeline.traffic.in_flight,
                "latency": latency,
                "jitter": jitter,
                "token_required": pipeline.token is not None,
            }

    def latest(self) -> tuple[int, int]:
        """Return the number of the latest request, and the number of the latest write."""
        runs = self._pipeline.engine.runs
        return self._pipeline.requests.count, runs.bound.dropped + len(runs.writes)

    def projects(self) -> list[dict[str, Any]]:
        """Return the projects with how many of their runs have each status: the first hundred."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            mark = (self._pipeline.engine.runs.count(), self.latest()[1])
            if self._counted is None or self._counted[0] != mark:
                found = [_project_object(project) for project in islice(self._projects(), _MOST_PROJECTS)]
                self._counted = (mark, found)
            return self._counted[1]

    def _projects(self) -> "list[StoredProject]":
        return [project for account in self._pipeline.engine.catalog.accounts.values() for project in account.projects]

    def runs(self, project_id: str | None, status: str | None, offset: int, limit: int) -> dict[str, Any]:
        """Return `limit` runs of a project, or of all, from `offset` on in order of creation; `total` is of all."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            groups = [
                group
                for project in self._projects()
                if project_id in {None, project.id}
                for group in project.groups
                if group.run is not None and status in {None, str(group.status)}
            ]
            shown = [self._run_of(group) for group in groups[offset : offset + limit]]
            return {"total": len(groups), "offset": offset, "runs": [run for run in shown if run is not None]}

    def run(self, ref: RunRef) -> dict[str, Any] | None:
        """Return a run; `None` if there is no such run."""
        with self._pipeline.lock:
            group = self._pipeline.engine.catalog.group(ref.account_id, ref.project_id, ref.target_group_id)
            return None if group is None or group.run != ref else self._run_of(group)

    def _run_of(self, group: StoredGroup) -> dict[str, Any] | None:
        now = self._pipeline.now()
        run = None if group.run is None else self._pipeline.engine.inspect(group.run, now)
        if run is None or group.run is None:
            return None
        counts = group_statistics(group, as_of(now))
        return run_object(group.run, run, round(counts.completes / counts.goal, 4))

    def requests_after(self, number: int, most: int) -> Sequence[ReceivedRequest]:
        """Return the requests after this number, the latest `most` of them."""
        with self._pipeline.lock:
            return self._pipeline.requests.after(number, most)

    def request(self, number: int) -> ReceivedRequest | None:
        """Return the request of this number."""
        with self._pipeline.lock:
            return self._pipeline.requests.get(number)

    def writes_after(self, seq: int, most: int) -> Sequence[Write]:
        """Return the writes after this number, the latest `most` of them."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            writes = self._pipeline.engine.runs.writes
            count = min(most, self.latest()[1] - seq, len(writes))
            return tuple(writes[place] for place in range(len(writes) - max(0, count), len(writes)))

    def traffic(self) -> dict[str, Any]:
        """Return the latest 60 seconds in which requests came, and the current second."""
        now = int(monotonic())
        with self._pipeline.lock:
            return {"now": now, "seconds": self._pipeline.traffic.since(now - _SECONDS)}


def _project_object(project: StoredProject) -> dict[str, Any]:
    counts = Counter(str(group.status) for group in project.groups if group.run is not None)
    return {
        "account_id": project.account.id,
        "project_id": project.id,
        "name": project.name,
        "runs": counts.total(),
        "statuses": dict(counts),
    }
