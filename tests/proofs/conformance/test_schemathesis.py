"""Schemathesis, with all its checks, against the running sandbox.

`FIELDING_FUZZ_EXAMPLES` is the number of examples per operation (100). A run by hand, with more of them:
`python -m tests.proofs.conformance.fuzz --examples 1000 --seed 7`.
"""

import os
from typing import Any

import pytest

from fielding_async.core.wire.operations import OPERATIONS

from .document import needs_document, operations
from .fuzz_runs import Ran, needs_schemathesis, run

pytestmark = [pytest.mark.slow, pytest.mark.once, needs_document, needs_schemathesis]

EXAMPLES = int(os.environ.get("FIELDING_FUZZ_EXAMPLES", "100"))
PHASES = ("examples", "coverage", "fuzzing", "stateful")


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
