"""Reads what workers wrote down after their leases were over."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from attrs import evolve

from fielding_async.journal.records import CODE_OF, STATES, read_row
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import JournalRowState
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.plan_record import PlanRecord
from fielding_async.plans.values.plan_report import LateRow, LateState

__all__ = ["late_rows", "read_late_rows", "states_of"]

_LATE = """
SELECT shard, epoch, holder, written_at, lines FROM fielding_plan_late
WHERE plan_id = $1::bigint ORDER BY written_at, shard, epoch
"""


async def read_late_rows(database: Database, plan: PlanRecord) -> dict[int, list[LateRow]]:
    """Return what was written down of the rows of each shard, in order of time. `number` is the place in the shard."""
    async with database.connection() as connection:
        found = await connection.fetch(_LATE, plan.plan_id)
    by_shard: dict[int, list[LateRow]] = {}
    for shard, epoch, holder, written_at, lines in found:
        known = {"shard": shard, "epoch": epoch, "holder": holder, "written_at": written_at}
        by_shard.setdefault(shard, []).extend(_rows(bytes(lines), known))
    return by_shard


def late_rows(
    rows: Iterable[LateRow], numbers: Sequence[int], state_of: Callable[[int], JournalRowState]
) -> Iterator[LateRow]:
    """Yield rows with their numbers in the plan. `state_of`: the state on record of the row at a place in the shard."""
    for row in rows:
        if row.number < len(numbers):
            yield evolve(row, number=numbers[row.number], on_record=state_of(row.number))


def states_of(replay: Replay) -> Callable[[int], JournalRowState]:
    """Return what returns the state of the row at a place in a shard that was read to its end."""
    without_end: dict[int, JournalRowState] = {row.number: row.state for row in replay.without_end()}

    def state_of(place: int) -> JournalRowState:
        return replay.state(place) or without_end.get(place, "not begun")

    return state_of


def _rows(lines: bytes, known: dict[str, Any]) -> Iterator[LateRow]:
    """Yield what the records of a group say of rows. What cannot be read is left out: it is no part of the record."""
    for line in lines.splitlines():
        try:
            row = _row(json.loads(line), known)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        if row is not None and row.number >= 0:
            yield row


def _row(record: dict[str, Any], known: dict[str, Any]) -> LateRow | None:
    if "settled" in record:
        return LateRow(number=int(record["settled"]), ref=None, action=None, knew="not applied", **known)
    if "end" not in record and "stuck" not in record:
        return None  # an intent was not durable, so that nothing left under it
    is_stuck = "stuck" in record
    number = int(record["stuck" if is_stuck else "end"])
    row = read_row(record, number, "stuck" if is_stuck else STATES[CODE_OF[record["as"]] - 1], None)
    knew = row.effect or "accepted" if row.state == "done" else row.state
    return LateRow(
        number=number,
        ref=row.ref,
        action=row.action,
        knew=cast("LateState", knew),  # a record has no other
        error=row.error,
        message=row.message,
        trace_id=row.trace_id,
        etag=row.etag,
        conflicts=row.conflicts,
        **known,
    )
