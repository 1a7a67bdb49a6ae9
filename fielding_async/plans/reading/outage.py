"""The outage that the workers of a plan are in, from the last group of each shard alone."""

import json
from typing import Any

from fielding_async.journal.chain import group_time
from fielding_async.journal.records import read_event, time_of
from fielding_async.journal.values import JournalEvent
from fielding_async.plans.database.database import Database

from .record import read_plan

__all__ = ["plan_outage"]

_LAST_GROUPS = """
SELECT g.lines FROM fielding_plan_shard AS s
JOIN fielding_plan_group AS g ON g.plan_id = s.plan_id AND g.shard = s.shard AND g.number = s.groups
WHERE s.plan_id = $1::bigint AND s.groups > 0 AND NOT s.finished
"""


async def plan_outage(database: Database, name: object) -> JournalEvent | None:
    """Return the outage of a plan, if there is one; see `PostgresPlans.outage`."""
    plan = await read_plan(database, name)
    async with database.connection() as connection:
        groups = await connection.fetch(_LAST_GROUPS, plan.plan_id)
    found = [event for (lines,) in groups if (event := _outage_in(bytes(lines))) is not None]
    return max(found, key=lambda event: event.time, default=None)


def _outage_in(group: bytes) -> JournalEvent | None:
    """Return the outage with which a group ends: behind it nothing ended well."""
    outage: JournalEvent | None = None
    try:
        time = time_of(group_time(group))
        for line in group.splitlines():
            record: dict[str, Any] = json.loads(line)
            if "event" in record and record["event"] != "pause":
                outage = read_event(record, time) if record["event"] == "outage" else None
            elif "end" in record:
                outage = None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # what is damaged is reported by whoever reads all of it
    return outage
