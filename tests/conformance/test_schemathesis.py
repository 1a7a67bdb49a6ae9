"""Schemathesis, with all its checks, against the running sandbox; and faults seeded on purpose, each caught.

`FIELDING_FUZZ_EXAMPLES` is the number of examples per operation (100). A run by hand, with more of them:
`python -m tests.conformance.fuzz --examples 1000 --seed 7`.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from fielding_async.operations import OPERATIONS

from .document import needs_document, operations

pytestmark = [
    needs_document,
    pytest.mark.skipif(find_spec("schemathesis") is None, reason="not at hand: schemathesis"),
]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("FIELDING_FUZZ_EXAMPLES", "100"))
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@frozen
class Ran:
    """What a run of Schemathesis came to: findings by kind, and counts of statuses by operation and phase."""

    code: int
    output: str
    findings: dict[str, list[str]]
    statuses: dict[str, dict[str, dict[str, int]]]

    def count(self, name: str, phase: str) -> int:
        """The number of requests of an operation in a phase."""
        return sum(self.statuses.get(name, {}).get(phase, {}).values())


def run(folder: Path, *words: str) -> Ran:
    """Run Schemathesis in a process of its own."""
    report = folder / "report.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.conformance.fuzz", "--report", str(report), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=1_800,
        check=False,
    )
    told: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"failures": {}, "statuses": {}}
    return Ran(ended.returncode, ended.stdout, told["failures"], told["statuses"])


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("fuzz"), "--examples", str(EXAMPLES))


def test_nothing_is_found(full: Ran) -> None:
    """All checks, over all phases and operations, find nothing in the sandbox."""
    assert (full.code, full.findings) == (0, {}), full.output[-8_000:]
    assert "22 selected / 22 total" in full.output


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_every_operation_is_truly_met(full: Ran, row: Any) -> None:
    """Each operation gets its number of examples, mostly of things that exist, and answers as documented."""
    assert full.count(row.name, "fuzzing") >= EXAMPLES
    statuses = full.statuses[row.name]
    assert statuses["fuzzing"].get(str(row.success), 0) >= EXAMPLES // 4
    assert statuses["coverage"].get(str(row.success), 0) > 0
    assert statuses["coverage"]["401"] > 0
    assert statuses["coverage"]["400"] > 0
    seen = {int(status) for phase in PHASES for status in statuses.get(phase, {})}
    assert seen <= {*operations()[row.operation_id].responses, 405}


def test_conflicts_and_absences_are_met(full: Ran) -> None:
    """Stale ETags and ids of nothing occur as well."""
    met: dict[str, int] = {}
    for row in OPERATIONS:
        for status, count in full.statuses[row.name]["fuzzing"].items():
            met[status] = met.get(status, 0) + count
    assert met.get("412", 0) > 0
    assert met.get("404", 0) > 0


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
