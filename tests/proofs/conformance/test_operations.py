"""The table of operations against the document."""

import re

import pytest

from fielding_async.core.wire.operations import OPERATIONS, Operation
from fielding_async.sandbox.serving.routes import OPERATIONS as SERVED

from .document import needs_document, operations

pytestmark = [pytest.mark.once, needs_document]

VERSION = {"cint-api-version"}
PRECONDITION = {"none": set[str](), "if-match": {"if-match"}, "idempotency-key": {"idempotency-key"}}


def test_the_table_has_every_operation_and_no_other() -> None:
    """The 22 operations of the document are the 22 of the table, by their ids."""
    assert sorted(row.operation_id for row in OPERATIONS) == sorted(operations())
    assert len(OPERATIONS) == 22
    assert len({row.name for row in OPERATIONS}) == 22


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_an_operation_is_as_described(row: Operation) -> None:
    """Method, path, path parameters, required headers and the one success status are those of the document."""
    described = operations()[row.operation_id]
    assert (row.method, row.path) == (described.method, described.path)
    assert set(re.findall(r"\{(\w+)\}", row.path)) == described.names("path")
    assert {name.lower() for name in described.names("header")} == VERSION | PRECONDITION[row.precondition]
    assert (row.success,) == described.success
    assert described.names("query") == described.names("cookie") == set()


def test_the_sandbox_serves_every_operation_and_no_other() -> None:
    """The sandbox's routes are those of the document, its own token endpoint aside."""
    served = {(row.method, row.template.removeprefix("/v1")) for row in SERVED if row.kind != "token"}
    assert served == {(row.method, row.path) for row in operations().values()}
