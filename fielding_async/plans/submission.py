"""Submitting a plan: its rows are read lazily, checked, and copied into the database in one transaction.

The name of a plan is taken last, so that two submitters of one name wait for each other only while one commits. Who is
second, or submits a plan again, finds it there, and compares digests.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from hashlib import sha256
from itertools import islice
from typing import cast

from fielding_async.batch.row import make_row
from fielding_async.core.actions import Action, Guarded
from fielding_async.core.errors import ConfigurationError, FieldingError
from fielding_async.core.models import RunRef

from .database.connection import Connection
from .database.database import Database
from .database.errors import StoreLostError
from .database.plan_record import PlanRecord, find_plan_or_none
from .database.schema import DURABLE
from .values.plan_values import Submitted
from .values.row_text import MOST_SHARDS, asked_for, shard_count, shard_of

__all__ = ["PlanPairs", "check_pairs", "submit"]

PlanPairs = Iterable[tuple[RunRef, Action | Guarded]] | AsyncIterable[tuple[RunRef, Action | Guarded]]
"""The rows of a plan, sync or async. They are read lazily."""

_ROWS_AT_ONCE = 500
_UNSHARDED = 4096  # rows that are read before the number of shards is decided; a plan with more has the most there are
_COLUMNS = (
    *("plan_id", "shard", "place", "number", "account_id", "project_id", "target_group_id", "fielding_run_id"),
    *("action", "if_match"),
)
_Checked = tuple[RunRef, str]  # a run, and what its row asks for, as text


def check_pairs(pairs: PlanPairs) -> None:
    """Raise `ConfigurationError` unless `pairs` can be read for rows."""
    given = cast("object", pairs)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable | AsyncIterable):
        kind = type(pairs).__name__
        hint = ": pass its .items()" if isinstance(given, Mapping) else ""
        raise ConfigurationError(f"pairs: must be an iterable or async iterable of (RunRef, action), not {kind}{hint}")


async def submit(database: Database, pairs: PlanPairs, name: str) -> Submitted:
    """Store a plan; see `PostgresPlans.submit`. `pairs` and `name` must have been checked."""
    async with database.connection() as connection:
        known = await find_plan_or_none(connection, name)
    rows = _Rows(pairs)
    if known is not None:
        async for _ in rows.read():
            pass
        return _compared(known, rows)
    try:
        async with database.connection() as connection:
            await _store(connection, rows, name)
    except _NameIsTakenError:
        async with database.connection() as connection:
            known = await find_plan_or_none(connection, name)
        if known is None:
            raise StoreLostError(f"plan {name!r}: was deleted meanwhile") from None
        return _compared(known, rows)
    except StoreLostError:
        # the reply to the commit may be lost: then it is there
        if not rows.is_read or not await _is_stored(database, rows, name):
            raise
    return Submitted(name=name, rows=rows.count, is_new=True)


class _NameIsTakenError(Exception):
    """Another plan got the name first: what was copied is rolled back."""


class _Rows:
    """The rows of a plan while they are read. `count` and the digest are of all read so far, `copied` of those copied.

    `plan_id`, `shards`: set before, and when the number of rows is known or large. `places`: how many rows each shard
    has. `is_read`: whether all were.
    """

    def __init__(self, pairs: PlanPairs) -> None:
        self._pairs = pairs
        self._hash = sha256(b"fielding plan 1\n")
        self._copied = 0
        self.plan_id: int = 0
        self.count: int = 0
        self.shards: int = MOST_SHARDS
        self.places: list[int] = [0] * MOST_SHARDS
        self.is_read: bool = False

    @property
    def digest(self) -> str:
        """The digest of what the rows ask for."""
        return self._hash.hexdigest()

    async def read(self) -> AsyncGenerator[list[_Checked]]:
        """Yield the rows, some at a time. Raises `ConfigurationError` for a bad one, and what the input raises."""
        async for some in _slices(self._pairs):
            rows = [_checked(number, pair) for number, pair in enumerate(some, self.count)]
            self.count += len(rows)
            self._hash.update("".join([text for _, text in rows]).encode())
            yield rows
        self.is_read = True

    async def lines(self) -> AsyncGenerator[bytes]:
        """Yield the rows as lines of COPY."""
        first: list[_Checked] = []
        async for some in self.read():
            rows = some
            if first or not self._copied:
                first += rows
                if len(first) < _UNSHARDED:
                    continue
                rows, first = first, []
            yield self._lines(rows)
        if first:
            self.shards = shard_count(len(first))
            yield self._lines(first)

    def _lines(self, rows: list[_Checked]) -> bytes:
        plan_id, shards, places = self.plan_id, self.shards, self.places
        lines: list[str] = []
        for number, (ref, text) in enumerate(rows, self._copied):
            shard = shard_of(ref, shards)
            place = places[shard]
            places[shard] = place + 1
            lines.append(f"{plan_id}\t{shard}\t{place}\t{number}\t{text}")
        self._copied += len(rows)
        return "".join(lines).encode()


async def _slices(pairs: PlanPairs) -> AsyncGenerator[list[object]]:
    """Yield the elements of the input, some at a time. Between them other tasks get their turn."""
    if isinstance(pairs, AsyncIterable):  # an input that is both is read as async: it is meant for async code
        some: list[object] = []
        async for pair in pairs:
            some.append(pair)
            if len(some) == _ROWS_AT_ONCE:
                yield some
                some = []
                await asyncio.sleep(0)
        if some:
            yield some
        return
    iterator = iter(pairs)
    while True:
        some = list(islice(iterator, _ROWS_AT_ONCE))
        if not some:
            return
        yield some
        await asyncio.sleep(0)


def _checked(number: int, pair: object) -> _Checked:
    """Return a row that was checked. Raises `ConfigurationError` that names the row, with the words of a batch."""
    row = make_row(number, pair, None)
    if row.problem is not None or row.checked_ref is None:
        raise ConfigurationError(f"pairs: row {number}: {row.problem and row.problem.message}")
    if not isinstance(row.action, Action):
        raise ConfigurationError(
            f"pairs: row {number}: a callable change cannot be stored in a plan: use an Update, or perform_all"
            " without a journal"
        )
    return row.checked_ref, asked_for(row.checked_ref, row.action, row.if_match)


async def _store(connection: Connection, rows: _Rows, name: str) -> None:
    """Copy the rows, and take the name, in one transaction. Raises `_NameIsTakenError`."""
    async with connection.transaction():
        ((rows.plan_id,),) = await connection.fetch(
            "SELECT nextval(pg_get_serial_sequence('fielding_plan', 'plan_id'))"
        )
        await connection.copy_in("fielding_plan_row", _COLUMNS, rows.lines())
        counts = [(shard, count) for shard, count in enumerate(rows.places) if count]
        await connection.fetch(
            "INSERT INTO fielding_plan_shard (plan_id, shard, row_count)"
            " SELECT $1::bigint, shard, row_count FROM unnest($2::integer[], $3::integer[]) AS new (shard, row_count)",
            rows.plan_id,
            [shard for shard, _ in counts],
            [count for _, count in counts],
        )
        taken = await connection.fetch(
            f"WITH durable AS MATERIALIZED (SELECT {DURABLE})"  # noqa: S608
            " INSERT INTO fielding_plan"
            " (plan_id, name, digest, state, row_count, shard_count, finished_at) OVERRIDING SYSTEM VALUE"
            " SELECT $1::bigint, $2::text, $3::text, 'sealed', $4::bigint, $5::integer,"
            " CASE $4::bigint WHEN 0 THEN clock_timestamp() END FROM durable"
            " ON CONFLICT (name) DO NOTHING RETURNING plan_id",
            rows.plan_id,
            name,
            rows.digest,
            rows.count,
            len(counts),
        )
        if not taken:
            raise _NameIsTakenError


async def _is_stored(database: Database, rows: _Rows, name: str) -> bool:
    """Whether these very rows were stored after all. Returns `False` too if that cannot be found out."""
    try:
        async with database.connection() as connection:
            known = await find_plan_or_none(connection, name)
    except (StoreLostError, FieldingError):
        return False
    return known is not None and known.plan_id == rows.plan_id


def _compared(known: PlanRecord, rows: _Rows) -> Submitted:
    """Return the plan that is there already. Raises `ConfigurationError` if it has other rows."""
    if known.state == "deleting":
        raise ConfigurationError(f"plan={known.name!r}: is being deleted: delete it again, or use another name")
    if known.digest != rows.digest:
        raise ConfigurationError(
            f"plan={known.name!r}: is there already with other rows ({known.rows}, digest {known.digest[:12]}; these"
            f" are {rows.count}, digest {rows.digest[:12]}): use another name, or delete that plan"
        )
    return Submitted(name=known.name, rows=known.rows, is_new=False)
