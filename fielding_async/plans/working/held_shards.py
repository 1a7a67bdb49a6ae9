"""Which shards a session held last, and so whether what it remembers of their runs is of use."""

from weakref import WeakKeyDictionary

from attrs import define

from fielding_async.engine.engine import Engine

from .shard_store import Claim

__all__ = ["HeldShard", "held_shard"]


@define
class HeldShard:
    """A shard that a session held last under `epoch`.

    `fresh`: up to this place what the session remembers of the runs of the rows is from since it holds the shard
    without a break. An ETag from before another worker wrote would only be refused; and if the reply to that is lost,
    it can often not be told whether the write was applied.
    """

    epoch: int
    fresh: int = 0


_sessions: "WeakKeyDictionary[Engine, dict[tuple[str, int], HeldShard]]" = WeakKeyDictionary()


def held_shard(engine: Engine, digest: str, claim: Claim) -> HeldShard:
    """Return what a session knows of a shard that it has claimed now, over all of its calls of `work`."""
    shards = _sessions.setdefault(engine, {})
    before = shards.get((digest, claim.shard))
    fresh = before.fresh if before is not None and before.epoch == claim.epoch - 1 else 0
    held = shards[digest, claim.shard] = HeldShard(claim.epoch, fresh)
    return held
