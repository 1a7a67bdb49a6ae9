"""Faults seeded on purpose in the sandbox, each caught by Schemathesis."""

from pathlib import Path

import pytest

from fielding_async.core.wire.operations import OPERATIONS

from .document import needs_document
from .fuzz_runs import needs_schemathesis, run

pytestmark = [pytest.mark.slow, pytest.mark.once, needs_document, needs_schemathesis]

SEEDED = [
    ("no ETag", "get_fielding_run", "MissingHeaders"),
    ("no ETag", "pause_fielding_run", "MissingHeaders"),
    ("no Location", "create_bulk_pause_target_groups_job", "MissingHeaders"),
    ("bad enum", "get_fielding_run", "JsonSchemaError"),
    ("missing field", "get_fielding_runs_by_target_group_id", "JsonSchemaError"),
    ("undocumented status", "complete_fielding_run", "UndefinedStatusCode"),
    ("missing Authorization accepted", "update_fielding_run", "MissingHeaderNotRejected"),
    ("missing Authorization accepted", "get_bulk_pause_target_groups_job", "IgnoredAuth"),
    ("missing Cint-API-Version accepted", "resume_fielding_run", "MissingHeaderNotRejected"),
    ("missing If-Match accepted", "pause_fielding_run", "MissingHeaderNotRejected"),
    ("missing Idempotency-Key accepted", "create_bulk_launch_target_groups_job", "MissingHeaderNotRejected"),
]


@pytest.mark.parametrize(("fault", "operation_id", "finding"), SEEDED)
def test_a_seeded_fault_is_caught(tmp_path: Path, fault: str, operation_id: str, finding: str) -> None:
    """A fault in what the sandbox accepts or answers is found, at the operation that has it."""
    ran = run(tmp_path, "--fault", fault, "--", "--phases", "coverage", "--include-operation-id", operation_id)
    (row,) = (row for row in OPERATIONS if row.operation_id == operation_id)
    assert ran.code == 1, ran.output[-8_000:]
    assert ran.findings[finding] == [row.name]


def test_no_fault_is_found_where_none_was_seeded(tmp_path: Path) -> None:
    """Through the same door, with nothing wrong with it, nothing is found."""
    included = (f"--include-operation-id={operation_id}" for operation_id in sorted({row[1] for row in SEEDED}))
    ran = run(tmp_path, "--fault", "none", "--", "--phases", "coverage", *included)
    assert (ran.code, ran.findings) == (0, {}), ran.output[-8_000:]
