"""Runs Schemathesis, with all its checks, against a sandbox: `python -m tests.proofs.conformance.fuzz --help`.

Sandbox and Schemathesis share one process, so that each request can be led to a run, a draft or a job that exists and
is in a fitting state, under an ETag that is in force. What is generated of another kind is left as it is: what is
absent stays absent, and what is wrong stays wrong.
"""

import argparse
import json
import os
import sys
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.cli import schemathesis as command

from fielding_async.core.models import RunRef
from fielding_async.core.wire.operations import Operation
from fielding_async.sandbox import Behaviour, FailureReason, JobFailure, Sandbox
from tests.tools.waits import HANG

from .document import PATHS, operations
from .faulty import FAULTS, Door
from .fuzz_counts import ASTRAY, NAMES, TOKEN, VERSION, Counts, is_positive, phase_of
from .fuzz_discovery import DiscoveryStage
from .rows import OPERATIONS

CONFIGURATIONS = Path(__file__).parent
ROWS = {(row.method, row.path): row for row in OPERATIONS}
FITTING = {
    "launch-now": ("scheduled",),
    "pause": ("live",),
    "resume": ("paused",),
    "complete": ("live", "scheduled"),
    "relaunch": ("completed",),
    "update": ("scheduled", "live", "paused"),
    "get": ("scheduled", "live", "paused", "completed"),
    "list": ("scheduled", "live", "paused", "completed"),
}
FAILURE = JobFailure("TargetGroupInvalidState", "It cannot be launched.", (FailureReason("n", "r", "d"),))


class Stage(Counts):
    """Prepares runs, drafts and jobs that requests are about."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._runs = {name: sandbox.add_run("live") for name in FITTING}
        self._jobs: dict[str, tuple[dict[str, Any], str]] = {}

    def prepare(self, case: Any) -> None:
        """Lead a request to what exists, where nothing of the kind was negated on purpose."""
        row = ROWS[case.operation.method.upper(), case.operation.path]
        self.calls[row.name] += 1
        number = self.calls[row.name]
        phase = phase_of(case)
        astray = phase == "fuzzing" and number % ASTRAY == 0
        if is_positive(case, "path") and not astray and not (phase == "stateful" and self._exists(case)):
            ids = self._ids(row, number)
            case.path_parameters.update({name: ids[name] for name in case.path_parameters if name in ids})
        headers = case.headers
        if "Cint-API-Version" in headers:
            headers["Cint-API-Version"] = VERSION
        if row.precondition == "if-match" and "If-Match" in headers:
            stale = phase == "fuzzing" and number % ASTRAY == 1 and headers["If-Match"]
            headers["If-Match"] = headers["If-Match"] if stale else self.sandbox.inspect(self._runs[row.name]).etag
        if headers.get("idempotency-key") == "":
            headers["idempotency-key"] = f"key-{number}"
        if isinstance(case.body, dict) and is_positive(case, "body"):
            self._sensible(case.body)

    def _ids(self, row: Operation, number: int) -> dict[str, Any]:
        if row.name in FITTING:
            ref = self._runs[row.name]
            states = FITTING[row.name]
            now = self.sandbox.now
            start = now + timedelta(days=1) if states[number % len(states)] == "scheduled" else now - timedelta(days=1)
            self.sandbox.touch(
                ref,
                status=states[number % len(states)],
                start_fielding_at=start,
                end_fielding_at=now + timedelta(days=9),
            )
            return _of(ref)
        if row.name.endswith("-from-draft"):
            return _of(self.sandbox.add_draft(failure=FAILURE if number % 4 == 0 else None))
        if row.name.endswith("-status"):
            kind = row.name.removesuffix("-status")
            if number % 5 == 1 or kind not in self._jobs:
                self._jobs[kind] = self._job(kind, number)
            ids, job_id = self._jobs[kind]
            return {**ids, "job_id": job_id}
        return {"account_id": 101, "project_id": self.sandbox.project_id}

    def _job(self, kind: str, number: int) -> tuple[dict[str, Any], str]:
        row = next(row for row in OPERATIONS if row.name == kind)
        ids = self._ids(row, number)
        body: dict[str, Any] = {"start_fielding_at": "2098-01-01T00:00:00.000Z"} if "schedule" in kind else {}
        body["end_fielding_at"] = "2099-01-01T00:00:00.000Z"
        if kind.startswith("bulk-"):
            body = {"target_group_ids": [*(ref.target_group_id for ref in self._runs.values()), "0" * 26]}
        request = urllib.request.Request(
            self.sandbox.url + row.path.format_map(ids),
            method="POST",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {TOKEN}",
                "Cint-API-Version": VERSION,
                "Idempotency-Key": f"{kind}-{number}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=HANG) as reply:
            return ids, reply.headers["Location"].rsplit("/", 1)[-1]

    def _exists(self, case: Any) -> bool:
        ids = case.path_parameters
        jobs = {job.job_id for job in self.sandbox.jobs}
        return ids.get("job_id") in jobs

    def _sensible(self, body: dict[str, Any]) -> None:
        """Move dates into the future, the end after the start; let a list of ids name one that exists."""
        for name, year in (("start_fielding_at", 2098), ("end_fielding_at", 2099)):
            if isinstance(body.get(name), str):
                body[name] = _in_year(body[name], year)
        if isinstance(body.get("target_group_ids"), list):
            body["target_group_ids"].append(self._runs["get"].target_group_id)


def _of(ref: Any) -> dict[str, Any]:
    ids = {
        "account_id": ref.account_id,
        "project_id": ref.project_id,
        "target_group_id": ref.target_group_id,
    }
    return ids | ({"fielding_run_id": ref.fielding_run_id} if isinstance(ref, RunRef) else {})


def _in_year(text: str, year: int) -> str:
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC).replace(year=year)
    except (ValueError, OverflowError):
        moment = datetime(year, 7, 1, tzinfo=UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


STAGES: dict[str, type[Counts]] = {"fielding": Stage, "discovery": DiscoveryStage}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", choices=sorted(PATHS), default="fielding", help="the document (fielding)")
    parser.add_argument("--examples", type=int, default=100, help="examples per operation in the fuzzing phase")
    parser.add_argument("--report", type=Path, help="write what was counted to this file, as JSON")
    parser.add_argument("--seed", type=int, default=1, help="of what is generated (1)")
    parser.add_argument("--fault", choices=FAULTS, help="get something wrong on purpose")
    parser.add_argument("others", nargs="*", help="further arguments for Schemathesis, after --")
    arguments = parser.parse_args()
    os.environ["FIELDING_FUZZ_TOKEN"] = TOKEN
    with ExitStack() as ends:
        # Location in the form that can be followed, and jobs that are seen processing
        behaviour = Behaviour(location="path", job_polls=1)
        sandbox = ends.enter_context(Sandbox(require_token=TOKEN, keep=1000, behaviour=behaviour))
        stage = STAGES[arguments.document](sandbox)

        @schemathesis.hook
        def before_call(context: Any, case: Any, kwargs: Any) -> None:
            stage.prepare(case)

        @schemathesis.hook
        def after_call(context: Any, case: Any, response: Any) -> None:
            stage.note_reply(case, response.status_code)

        @schemathesis.hook
        def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
            if stage.is_known(case, failure, response):
                return False
            stage.note_failure(case, failure)
            return True

        url = ends.enter_context(Door(sandbox.url, arguments.fault, TOKEN)).url if arguments.fault else sandbox.url
        configuration = CONFIGURATIONS / stage.configuration
        words = ["--config-file", str(configuration), "run", str(PATHS[arguments.document]), "--url", url]
        for row in operations(arguments.document).values():
            if (row.method, row.path) not in NAMES:  # not served yet
                words += ["--exclude-operation-id", row.operation_id]
        words += ["--checks", "all", "--max-examples", str(arguments.examples), "--seed", str(arguments.seed)]
        words += ["--no-color", *arguments.others]
        try:
            code = command.main(args=words, prog_name="schemathesis", standalone_mode=False)
        except SystemExit as end:
            code = end.code
    if arguments.report:
        told = {"statuses": stage.statuses, "failures": {name: sorted(rows) for name, rows in stage.failures.items()}}
        arguments.report.write_text(json.dumps(told, indent=1))
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
