"""The rows of a shard as the input of a batch: those on record as done are passed over without being read."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from fielding_async.core.actions import Guarded
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from fielding_async.plans.values.row_text import read_action_text

from .held_shards import HeldShard
from .lease import Lease
from .patience import Patience
from .shard_storage import ShardStorage
from .shard_store import Claim, ShardStore, StoredRow

__all__ = ["shard_pairs"]

_ROWS_AT_ONCE = 500


async def shard_pairs(
    store: ShardStore,
    claim: Claim,
    lease: Lease,
    storage: ShardStorage,
    patience: Patience,
    held: HeldShard,
    start_over: Callable[[RunRef], None],
) -> AsyncIterator[Any]:
    """Yield what a batch takes: pairs, and `DoneRows` for those that are done. The storage must have been loaded.

    `start_over`: called with each run before its first row, unless what the session remembers of it is fresh.

    Raises `StoreLostError` if the database stays away for as long as the lease holds.
    """
    replay, place = storage.replay, 0
    known: set[RunRef] = set()
    while place < claim.rows:
        # a row may have to be sent under the ETag that a guarded one left: then all are passed over one by one
        done = None if replay.left else replay.done_rows(place)
        if done is not None:
            yield done
            place += done.rows
            continue
        before = min(place + _ROWS_AT_ONCE, claim.rows)
        rows = await patience.ask(partial(store.rows, claim.shard, place, before), lambda: lease.until)
        if len(rows) != before - place:
            raise ConfigurationError(
                f"{storage.name}: rows are missing from the plan, or it is being deleted: restore the tables"
                " of plans from a backup, unless it is being deleted"
            )
        for place, row in enumerate(rows, place):  # noqa: B020 - it goes on
            pair = _pair(storage.name, row)
            if pair[0] not in known:
                known.add(pair[0])
                if place >= held.fresh:
                    start_over(pair[0])
            held.fresh = max(held.fresh, place + 1)
            yield pair
        place = before


def _pair(name: str, row: StoredRow) -> tuple[RunRef, Any]:
    account_id, project_id, target_group_id, fielding_run_id, text, if_match = row
    try:
        action = read_action_text(text)
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{name}: has a row with an action that this version does not know: use a newer fielding-async"
        ) from None
    ref = RunRef(account_id, project_id, target_group_id, fielding_run_id)
    return ref, action if if_match is None else Guarded(action, if_match)
