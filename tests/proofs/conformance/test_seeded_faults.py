"""Faults seeded on purpose in the sandbox, each caught by Schemathesis."""

from pathlib import Path

import pytest

from .document import PATHS, needs_document, operations
from .fuzz_counts import NAMES
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
    ("no ETag", "get_project_by_id", "MissingHeaders"),
    ("no Location", "get_target_group", "MissingHeaders"),
    ("bad enum", "get_list_target_groups", "JsonSchemaError"),
]


@pytest.mark.parametrize(("fault", "operation_id", "finding"), SEEDED)
def test_a_seeded_fault_is_caught(tmp_path: Path, fault: str, operation_id: str, finding: str) -> None:
    """A fault in what the sandbox accepts or answers is found, at the operation that has it."""
    (document,) = (name for name in PATHS if operation_id in operations(name))
    row = operations(document)[operation_id]
    words = ("--phases", "coverage", "--include-operation-id", operation_id)
    ran = run(tmp_path, "--document", document, "--fault", fault, "--", *words)
    assert ran.code == 1, ran.output[-8_000:]
    assert ran.findings[finding] == [NAMES[row.method, row.path]]


def test_no_fault_is_found_where_none_was_seeded(tmp_path: Path) -> None:
    """Through the same door, with nothing wrong with it, nothing is found."""
    seeded = sorted({row[1] for row in SEEDED} & operations().keys())
    included = (f"--include-operation-id={operation_id}" for operation_id in seeded)
    ran = run(tmp_path, "--fault", "none", "--", "--phases", "coverage", *included)
    assert (ran.code, ran.findings) == (0, {}), ran.output[-8_000:]
