"""The row of a plan in the database, found by the plan's name."""

from difflib import get_close_matches
from typing import cast

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.plans.values.plan_values import PlanState

from .connection import Connection

__all__ = ["PlanRecord", "find_plan", "find_plan_or_none"]

_COLUMNS = "plan_id, name, state, digest, row_count, shard_count, base_url, api_version, finished_at IS NOT NULL"
_MOST_NAMES = 3


@frozen(kw_only=True)
class PlanRecord:
    """What the database has of a plan. `is_over`: all of its rows have ended, or it was cancelled."""

    plan_id: int
    name: str
    state: PlanState
    digest: str
    rows: int
    shards: int
    base_url: str | None
    api_version: str | None
    is_over: bool


async def find_plan_or_none(connection: Connection, name: str, *, is_locked: bool = False) -> PlanRecord | None:
    """Return the plan, `None` if there is none of this name. `is_locked`: keep others from changing its row."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM fielding_plan WHERE name = $1::text" + (" FOR UPDATE" if is_locked else ""),  # noqa: S608
        name,
    )
    if not rows:
        return None
    plan_id, _, state, digest, row_count, shard_count, base_url, api_version, is_over = rows[0]
    return PlanRecord(
        plan_id=plan_id,
        name=name,
        state=cast("PlanState", state),
        digest=digest,
        rows=row_count,
        shards=shard_count,
        base_url=base_url,
        api_version=api_version,
        is_over=is_over,
    )


async def find_plan(connection: Connection, name: str, *, is_locked: bool = False) -> PlanRecord:
    """Return the plan. Raises `ConfigurationError` for a name that no plan has, with names like it."""
    found = await find_plan_or_none(connection, name, is_locked=is_locked)
    if found is None:
        names = [
            str(row[0]) for row in await connection.fetch("SELECT name FROM fielding_plan ORDER BY name LIMIT 10000")
        ]
        raise unknown_plan(name, names)
    return found


def unknown_plan(name: str, names: list[str]) -> ConfigurationError:
    """Return the error for a name that none of the plans has."""
    near = get_close_matches(name, names, _MOST_NAMES)
    some = ", ".join(repr(each) for each in names[:_MOST_NAMES])
    if near:
        hint = f"; did you mean {' or '.join(map(repr, near))}?"
    elif len(names) > _MOST_NAMES:
        hint = f"; use one of the {len(names)} in the database, such as {some}"
    elif names:
        hint = f"; use one of those in the database: {some}"
    else:
        hint = "; the database has no plans: submit one first"
    return ConfigurationError(f"plan={name!r}: there is no plan of this name{hint}")
