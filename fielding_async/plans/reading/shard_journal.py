"""Reads the journal of a shard through a `Replay`, in short statements, so that nothing is held up in the database."""

import io
from array import array
from collections.abc import AsyncGenerator

from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.chain import DamagedError
from fielding_async.journal.replay import Replay
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.plan_record import PlanRecord

from .record import ShardRecord

__all__ = ["damaged", "deleted", "feed_shard", "row_numbers"]

_BYTES_AT_ONCE = 1 << 20
_FEWEST, _MOST = 16, 2000  # groups of a statement
_NUMBERS_AT_ONCE = 5000

_GROUPS = """
SELECT number, epoch, lines FROM fielding_plan_group
WHERE plan_id = $1::bigint AND shard = $2::integer AND number >= $3::integer ORDER BY number LIMIT $4::integer
"""
_NUMBERS = """
SELECT number FROM fielding_plan_row
WHERE plan_id = $1::bigint AND shard = $2::integer AND place >= $3::integer ORDER BY place LIMIT $4::integer
"""
_IS_THERE = "SELECT 1 FROM fielding_plan WHERE plan_id = $1::bigint AND state <> 'deleting'"


async def row_numbers(database: Database, plan: PlanRecord, shard: ShardRecord) -> "array[int]":
    """Return the numbers in the plan of a shard's rows, by their place in the shard."""
    numbers = array("q")
    while len(numbers) < shard.rows:
        async with database.connection() as connection:
            found = await connection.fetch(_NUMBERS, plan.plan_id, shard.shard, len(numbers), _NUMBERS_AT_ONCE)
        if not found:
            await _check_is_there(database, plan)
            raise damaged(plan, shard, f"it has {shard.rows:,} rows, and {len(numbers):,} of them are there")
        numbers.extend(number for (number,) in found)
    return numbers


async def feed_shard(database: Database, plan: PlanRecord, shard: ShardRecord, replay: Replay) -> AsyncGenerator[int]:
    """Feed the journal of a shard to `replay`. Yield the epoch of each group after it was fed.

    Raises `ConfigurationError` if it is damaged, or if the plan was deleted meanwhile.
    """
    following, at_once = 0, _FEWEST
    while True:
        async with database.connection() as connection:
            found = await connection.fetch(_GROUPS, plan.plan_id, shard.shard, following, at_once)
        size = 0
        for number, epoch, lines in found:
            data = bytes(lines)
            size += len(data)
            try:
                _feed(replay, shard, following, number, data)
            except DamagedError as error:
                await _check_is_there(database, plan)
                raise damaged(plan, shard, str(error), group=number) from None
            following = number + 1
            yield epoch
        if len(found) < at_once:
            break
        at_once = min(_MOST, max(_FEWEST, _BYTES_AT_ONCE * at_once // max(1, size)))
    try:
        if following:
            replay.end()
        if shard.groups >= max(1, following):
            last = f"with group {following - 1}" if following else "before its first line"
            raise DamagedError(f"it ends {last}, and group {shard.groups} was written")
    except DamagedError as error:
        await _check_is_there(database, plan)
        raise damaged(plan, shard, str(error)) from None


def _feed(replay: Replay, shard: ShardRecord, expected: int, number: int, data: bytes) -> None:
    """Feed a group; raises `DamagedError` unless it is whole, and the one that is expected."""
    if number != expected:
        raise DamagedError(f"group {expected} is missing")
    if not number:
        try:
            replay.begin(data, shard.head)
        except ConfigurationError as error:
            raise DamagedError(error.message) from None
        return
    lines = io.BytesIO(data)
    while line := lines.readline():
        replay.feed_group(line, lines)
    if replay.commits != number:
        raise DamagedError(replay.incomplete or "it is not as it was written")


async def _check_is_there(database: Database, plan: PlanRecord) -> None:
    """Raise `ConfigurationError` if a plan is not there any more: then nothing else is wrong."""
    async with database.connection() as connection:
        if not await connection.fetch(_IS_THERE, plan.plan_id):
            raise deleted(plan)


def deleted(plan: PlanRecord) -> ConfigurationError:
    """Return the error for a plan that was deleted meanwhile."""
    return ConfigurationError(
        f"plan {plan.name!r}: was deleted while it was read: list the plans to see which are there"
    )


def damaged(plan: PlanRecord, shard: ShardRecord, problem: str, *, group: int | None = None) -> ConfigurationError:
    """Return the error for a plan whose record cannot be trusted."""
    where = f"shard {shard.shard}" if group is None else f"shard {shard.shard}, group {group}"
    return ConfigurationError(
        f"plan {plan.name!r}: {where}: is damaged: {problem}: restore the tables of plans from a backup, for writes may"
        " be on record in what is missing"
    )
