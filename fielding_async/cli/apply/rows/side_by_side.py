"""Many GETs, several at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from fielding_async.core.errors import FieldingError

__all__ = ["for_each"]

_Item = TypeVar("_Item")


async def for_each(
    items: Iterable[_Item], act: Callable[[_Item], Awaitable[None]], *, concurrency: int
) -> FieldingError | None:
    """Do something for each item, for so many at a time. Returns the first `FieldingError`, which ends it all."""
    left = iter(items)
    failed: FieldingError | None = None

    async def work() -> None:
        for item in left:
            await act(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(work())
    except* FieldingError as group:
        failed = next(error for error in group.exceptions if isinstance(error, FieldingError))
    return failed
