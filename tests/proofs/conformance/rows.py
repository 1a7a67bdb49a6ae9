"""The rows of the client's table of operations, by the document that describes them; none where it is absent."""

from fielding_async.core.wire.operations import BY_NAME, Operation

from .document import operations

__all__ = ["DISCOVERY", "OPERATIONS"]

OPERATIONS: tuple[Operation, ...] = tuple(row for row in BY_NAME.values() if row.operation_id in operations())
"""Those of runs and jobs."""

DISCOVERY: tuple[Operation, ...] = tuple(row for row in BY_NAME.values() if row.operation_id in operations("discovery"))
"""Those of accounts, projects, target groups and the Fielding Assistant."""
