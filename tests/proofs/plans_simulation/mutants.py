"""Workers with a mistake each, which the simulation must find."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fielding_async.journal.journal import Journal
from fielding_async.plans.working.committer import Committer
from fielding_async.plans.working.shard_storage import ShardStorage

from .database import Database

__all__ = ["MUTANTS"]


def _no_epoch(patch: pytest.MonkeyPatch) -> None:
    """A commit does not check the epoch."""
    patch.setattr(Database, "checks_epoch", False)


def _never_asked(patch: pytest.MonkeyPatch) -> None:
    """Nothing is asked at the socket."""
    patch.setattr(ShardStorage, "may_leave", lambda self: True)


def _no_read_back(patch: pytest.MonkeyPatch) -> None:
    """A commit whose reply was lost is taken for one that was made."""

    async def look_for(self: Committer, writes: list[Any]) -> list[Any]:
        for write in writes:
            self._end(write, None)
        return []

    patch.setattr(Committer, "_look_for", look_for)


def _not_awaited(patch: pytest.MonkeyPatch) -> None:
    """A write leaves before its intent is durable."""
    original = Journal.record_intent

    def record_intent(self: Journal, *args: Any) -> asyncio.Future[None]:
        durable = original(self, *args)
        durable.add_done_callback(lambda future: future.cancelled() or future.exception())
        at_once: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        at_once.set_result(None)
        return at_once

    patch.setattr(Journal, "record_intent", record_intent)


MUTANTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], bool | None]] = {
    "no epoch check": (_no_epoch, None),
    "not asked at the socket": (_never_asked, True),
    "no read-back": (_no_read_back, None),
    "intents not awaited": (_not_awaited, None),
}
"""What each one does, and with which ETags it is found: those that return, or either."""
