"""The table of operations against the document."""

import re

import pytest

from fielding_async.core.wire.operations import BY_NAME, Operation
from fielding_async.sandbox.serving.routes import OPERATIONS as SERVED

from .document import all_operations, needs_document, operations
from .rows import OPERATIONS

pytestmark = [pytest.mark.once, needs_document]

VERSION = {"cint-api-version"}
PRECONDITION = {
    "none": set[str](),
    "if-match": {"if-match"},
    "if-match-or-none": set[str](),  # required of neither of the two headers alone
    "idempotency-key": {"idempotency-key"},
}


def test_the_table_has_every_operation_of_runs_and_jobs() -> None:
    """The 22 operations of the document of runs and jobs are 22 of the table, and every other one is described too."""
    assert sorted(row.operation_id for row in OPERATIONS) == sorted(operations())
    assert len(OPERATIONS) == 22
    assert {row.operation_id for row in BY_NAME.values()} <= all_operations().keys()


@pytest.mark.parametrize("row", BY_NAME.values(), ids=lambda row: row.name)
def test_an_operation_is_as_described(row: Operation) -> None:
    """Method, path, path parameters, required headers and the one success status are those of the document."""
    described = all_operations()[row.operation_id]
    assert (row.method, row.path) == (described.method, described.path)
    assert set(re.findall(r"\{(\w+)\}", row.path)) == described.names("path")
    assert {name.lower() for name in described.names("header")} == VERSION | PRECONDITION[row.precondition]
    assert (row.success,) == described.success
    assert described.names("query") == described.names("cookie") == set()


def test_the_sandbox_serves_every_operation_and_no_other() -> None:
    """The sandbox's routes are those of the documents, its own token endpoint aside."""
    served = {(row.method, row.template.removeprefix("/v1")) for row in SERVED if row.kind != "token"}
    described = {(row.method, row.path) for row in all_operations().values()}
    assert served <= described
    assert described == served


@pytest.mark.parametrize("row", BY_NAME.values(), ids=lambda row: row.name)
def test_the_sandbox_names_an_operation_as_the_client_does(row: Operation) -> None:
    """An operation has the same name in both, so that faults are aimed by the client's names."""
    served = {(served.method, served.template.removeprefix("/v1")): served.name for served in SERVED}
    assert served[row.method, row.path] == row.name
