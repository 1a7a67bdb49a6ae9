"""Schemathesis, with all its checks, against the running sandbox.

`FIELDING_FUZZ_EXAMPLES` is the number of examples per operation of runs and jobs (40); of others it is a quarter of
that. A run by hand, with more of them: `python -m tests.proofs.conformance.fuzz --examples 1000 --seed 7`.
"""

import os
from typing import Any

import pytest

from .document import Document, needs_document, operations
from .fuzz_counts import NAMES
from .fuzz_runs import Ran, needs_schemathesis, run

pytestmark = [pytest.mark.slow, pytest.mark.once, needs_document, needs_schemathesis]

_FIELDING = int(os.environ.get("FIELDING_FUZZ_EXAMPLES", "40"))
EXAMPLES: dict[Document, int] = {"fielding": _FIELDING, "discovery": max(1, _FIELDING // 4)}
SERVED = {name: [row for row in operations(name).values() if (row.method, row.path) in NAMES] for name in EXAMPLES}
PHASES = ("examples", "coverage", "fuzzing", "stateful")

each_document = pytest.mark.parametrize("document", EXAMPLES)


class Runs:
    """One run for each document, made when first asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._runs: dict[Document, Ran] = {}

    def of(self, document: Document) -> Ran:
        """The run for a document."""
        if document not in self._runs:
            folder = self._factory.mktemp(f"fuzz-{document}")
            self._runs[document] = run(folder, "--document", document, "--examples", str(EXAMPLES[document]))
        return self._runs[document]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory)


@each_document
def test_nothing_is_found(runs: Runs, document: Document) -> None:
    """All checks, over all phases and operations, find nothing in the sandbox."""
    ran = runs.of(document)
    assert (ran.code, ran.findings) == (0, {}), ran.output[-8_000:]
    assert f"{len(SERVED[document])} selected / {len(operations(document))} total" in ran.output


@pytest.mark.parametrize(
    ("document", "row"),
    [(name, row) for name, rows in SERVED.items() for row in rows],
    ids=lambda part: part if isinstance(part, str) else part.operation_id,
)
def test_every_operation_is_truly_met(runs: Runs, document: Document, row: Any) -> None:
    """Each operation gets its number of examples, mostly of things that exist, and answers as documented."""
    ran, name, least = runs.of(document), NAMES[row.method, row.path], EXAMPLES[document]
    assert ran.count(name, "fuzzing") >= least
    statuses = ran.statuses[name]
    (success,) = row.success
    assert statuses["fuzzing"].get(str(success), 0) >= least // 4
    assert statuses["coverage"].get(str(success), 0) > 0
    assert statuses["coverage"]["401"] > 0
    assert statuses["coverage"]["400"] > 0
    seen = {int(status) for phase in PHASES for status in statuses.get(phase, {})}
    assert seen <= {*row.responses, 405, *([400] if name == "project-overview" else [])}


@each_document
def test_conflicts_and_absences_are_met(runs: Runs, document: Document) -> None:
    """Stale ETags, ids of nothing and launched drafts occur as well."""
    met: dict[str, int] = {}
    for phases in runs.of(document).statuses.values():
        for status, count in phases["fuzzing"].items():
            met[status] = met.get(status, 0) + count
    assert met.get("404", 0) > 0
    assert met.get("412" if document == "fielding" else "301", 0) > 0
