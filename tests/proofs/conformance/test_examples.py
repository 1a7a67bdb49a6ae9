"""The document's response examples, read by the client."""

import json
from datetime import datetime
from typing import Any

import pytest

from fielding_async.core.wire import bodies

from .document import Example, examples, needs_document, operations, problems
from .rows import OPERATIONS

pytestmark = [pytest.mark.once, needs_document]

NAMES = {row.operation_id: row.name for row in OPERATIONS}
EXAMPLES = list(examples())


def told(value: Any) -> datetime:
    return datetime.fromisoformat(value)


def check_run(run: Any, value: Any) -> None:
    assert (run.id, run.status, run.version) == (value["id"], value["status"], value["version"])
    assert run.start_fielding_at == told(value["start_fielding_at"])
    assert run.end_fielding_at == told(value["end_fielding_at"])
    assert (run.last_changed_at, run.last_changed_by) == (told(value["last_changed_at"]), value["last_changed_by"])


def check_job(job: Any, value: Any) -> None:
    assert (job.job_id, job.status, job.created_by) == (value["job_id"], value["status"], value["created_by"])
    assert job.created_at == told(value["created_at"])
    assert job.ended


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_read_to_the_full(example: Example) -> None:
    """Every example of a response body decodes, and what it says arrives."""
    name, value, body = NAMES[example.operation_id], example.value, json.dumps(example.value).encode()
    if example.status >= 400:
        said = bodies.decode_error(body)
        assert (said.object, said.detail, said.error_id) == (value["object"], value["detail"], value.get("id"))
        return
    match name:
        case "get":
            check_run(bodies.decode_run(body, 'W/"5"'), value)
        case "list":
            runs = bodies.decode_run_list(body)
            assert len(runs) == len(value["data"])
            for run, entry in zip(runs, value["data"], strict=True):
                check_run(run, entry)
        case "launch-now":
            dates = bodies.decode_launched_dates(body)
            assert dates.start_fielding_at == told(value["start_fielding_at"])
            assert dates.end_fielding_at == told(value["end_fielding_at"])
        case _ if name.startswith("bulk-"):
            asked = tuple(entry["target_group_id"] for entry in value["updated_target_groups"]["data"])
            batch = bodies.decode_batch_result(body, (*asked, "Z" * 26))
            check_job(batch, value)
            assert batch.updated == asked
            assert batch.missing == ("Z" * 26,)
            assert [(group.target_group_id, group.code, group.description) for group in batch.failed] == [
                (entry["target_group_id"], entry["failure_reason"]["code"], entry["failure_reason"]["description"])
                for entry in value["failed_target_groups"]["data"]
            ]
        case _:
            job = bodies.decode_draft_result(body)
            check_job(job, value)
            assert job.created_fielding_run_id == value["created_fielding_run_id"]
            assert job.job_trace_id == value["job_trace_id"]
            reason = value["failure_reason"]
            assert (job.failure is None) == (reason is None)
            if job.failure is not None:
                assert (job.failure.code, job.failure.description) == (reason["code"], reason["description"])


def test_there_is_an_example_of_every_kind() -> None:
    """Runs, lists, new dates, both kinds of draft jobs, all bulk jobs and five kinds of errors have examples."""
    good = {NAMES[example.operation_id] for example in EXAMPLES if example.status < 300}
    bulk = {f"bulk-{verb}-status" for verb in ("launch", "pause", "resume", "complete", "relaunch")}
    assert good == {"get", "list", "launch-now", "launch-from-draft-status", "schedule-from-draft-status", *bulk}
    assert {example.status for example in EXAMPLES} >= {400, 401, 403, 404, 412, 422, 500}


NULLS = {"created_fielding_run_id", "failure_reason", "job_trace_id"}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_valid_but_for_nulls(example: Example) -> None:
    """Every example validates against its schema, save draft jobs: theirs show nulls that their schema forbids."""
    schema = operations()[example.operation_id].schema(example.status)
    assert schema is not None
    found = problems(schema, example.value)
    nulls = {name for name in NULLS & set(example.value) if example.value[name] is None}
    assert len(found) == len(nulls)
    assert all(any(problem.startswith(f"$.{name}: None is not") for name in nulls) for problem in found)
