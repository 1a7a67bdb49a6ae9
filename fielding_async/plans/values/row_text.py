"""A row of a plan as texts: what is stored of it, what the plan's digest is made of, and which shard it belongs to.

A digest is of what the rows ask for, in their order. It and the shard of a run are the same in whatever process they
are computed.
"""

import json
from hashlib import blake2b

from fielding_async.core.actions import Action, Update
from fielding_async.core.dates import to_text
from fielding_async.core.models import RunRef
from fielding_async.journal.records import read_action

__all__ = ["MOST_SHARDS", "action_text", "asked_for", "read_action_text", "shard_count", "shard_of"]

MOST_SHARDS = 128
"""The most parts that a plan is worked off in, each by one worker at a time.

So many workers can take part at once. More parts would be no use, as few exchanges let one account do so many requests
at a time, and would cost: each part has a journal of its own, whose commits no other part shares.
"""

_ROWS_PER_SHARD = 16  # of a small plan: fewer would have no commit in common


def shard_count(rows: int) -> int:
    """Return in how many shards a plan of so many rows is divided; some of them may get no run."""
    return max(1, min(MOST_SHARDS, rows // _ROWS_PER_SHARD))


def shard_of(ref: RunRef, shards: int) -> int:
    """Return the shard of a run. `ref` must have been checked."""
    if shards == 1:
        return 0
    text = f"{ref.account_id}/{ref.project_id}/{ref.target_group_id}/{ref.fielding_run_id}"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) % shards


def action_text(action: Action) -> str:
    """Return an action as it is stored: its name, or for an update a JSON list with its dates."""
    if not isinstance(action, Update):
        return action.name
    dates = (action.start_fielding_at, action.end_fielding_at)
    return json.dumps([action.name, *(date and to_text(date) for date in dates)], separators=(",", ":"))


def read_action_text(text: str) -> Action:
    """Return the action of a stored text. Raises `ValueError`, `KeyError` or `TypeError` if it is none."""
    return read_action(json.loads(text) if text.startswith("[") else text)


def asked_for(ref: RunRef, action: Action, if_match: str | None) -> str:
    """Return what a row asks for, as the columns of a line of COPY, newline included. All must have been checked.

    Two rows have the same text only if they ask for the same.
    """
    under = "\\N" if if_match is None else if_match.replace("\\", "\\\\")
    return (
        f"{ref.account_id}\t{ref.project_id}\t{ref.target_group_id}\t{ref.fielding_run_id}"
        f"\t{action_text(action)}\t{under}\n"
    )
