"""Plans in PostgreSQL, which any number of processes work off together.

Users import `PostgresPlans` from here. May be imported by `queues` and `cli`. Imports `core`, `engine`, `journal` and
`batch`; the one importer of asyncpg and psycopg.
"""

from fielding_async.core.actions import Guarded
from fielding_async.journal.undo.undo_plan import NotUndone, UndoPlan, UndoRow

from .postgres_plans import PostgresPlans
from .submission import PlanPairs
from .values.plan_report import LateRow, LateState, PlanReport, PlanRow
from .values.plan_values import PlanState, PlanStatus, PlanWorker, Submitted, Worked

__all__ = [
    "Guarded",
    "LateRow",
    "LateState",
    "NotUndone",
    "PlanPairs",
    "PlanReport",
    "PlanRow",
    "PlanState",
    "PlanStatus",
    "PlanWorker",
    "PostgresPlans",
    "Submitted",
    "UndoPlan",
    "UndoRow",
    "Worked",
]
