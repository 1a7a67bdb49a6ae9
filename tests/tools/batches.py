"""Batches that are read to their end."""

from pathlib import Path
from typing import Any

from fielding_async import Batch, Done
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import session

__all__ = ["all_rows", "collect_into", "performed"]


async def all_rows(batch: Batch) -> list[Done]:
    """Return the rows of a batch."""
    return [done async for done in batch]


async def collect_into(seen: list[Done], batch: Batch) -> None:
    """Add the rows of a batch, up to what it raises."""
    async for done in batch:
        seen.append(done)


async def performed(box: Sandbox, rows: Any, path: Path, **arguments: Any) -> list[Done]:
    """Perform rows with a journal, in a session of their own."""
    async with session(box) as fielding, fielding.perform_all(rows, journal=path, **arguments) as batch:
        return await all_rows(batch)
