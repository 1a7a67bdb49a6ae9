"""What the scripts reply and what the news say, as values. Times are seconds of the store's clock."""

from collections.abc import Iterator
from typing import Any, Literal

from attrs import frozen

__all__ = ["News", "Reply", "entries", "read_news", "read_reply"]

_STRICT, _OPENING, _PROBE, _LEADS, _IS_PROBE, _FREE, _BATCH = 1, 2, 4, 8, 16, 32, 64
_MICRO = 1e6


@frozen
class Reply:
    """What holds for all, by the reply to a call of `SYNC`.

    `count`: of the calls so far. `now`: the time of the store. `epoch`: the number of the latest pause, `until`: its
    end, `row`: how many came in a row. `change`: the number of the latest change to slots. `members` and `active`: how
    many sessions there are, and how many of them have requests. `interval`: seconds between requests; 0: nothing spaces
    them. `waits_for_probe`: nobody may send until the answer to the probe has come. `leads`: this session learns for
    all; `state`: then, for the first time, what the leader before it knew. `slots`: send times for this session, of
    which the first `pushed` were taken from batches, in microseconds. `is_probe`: the slot is that of the probe.
    `is_free`: requests need no slots for now. `has_batch`: the
    background of some session waits for slots. `window`: seconds for each request that was accepted before the pause.
    """

    count: int
    now: float
    epoch: int
    until: float
    row: int
    change: int
    members: int
    active: int
    interval: float
    is_strict: bool
    is_opening: bool
    waits_for_probe: bool
    leads: bool
    is_probe: bool
    is_free: bool
    has_batch: bool
    state: bytes
    slots: tuple[float, ...]
    pushed: int
    window: float


def read_reply(raw: Any) -> Reply | None:
    """Return the reply of `SYNC`; `None` if it is none."""
    try:
        count, now, epoch, until, row, change, members, active, interval, flags, state, slots, pushed, window = raw
        return Reply(
            count=int(count),
            now=float(now) / _MICRO,
            epoch=int(epoch),
            until=float(until) / _MICRO,
            row=int(row),
            change=int(change),
            members=int(members),
            active=int(active),
            interval=float(interval) / _MICRO,
            is_strict=bool(flags & _STRICT),
            is_opening=bool(flags & _OPENING),
            waits_for_probe=bool(flags & _PROBE),
            leads=bool(flags & _LEADS),
            is_probe=bool(flags & _IS_PROBE),
            is_free=bool(flags & _FREE),
            has_batch=bool(flags & _BATCH),
            state=bytes(state or b""),
            slots=tuple(float(slot) for slot in slots),
            pushed=int(pushed),
            window=float(window) / _MICRO,
        )
    except (TypeError, ValueError):
        return None


@frozen
class News:
    """What happened to all. `kind`: a pause, a move of slots, a new leader, or that asking for slots is worth while.

    `epoch`, `until`, `row`, `change`: as in `Reply`. `start`, `ratio`, `by`: of a move, in microseconds.
    """

    kind: Literal["pause", "move", "leader", "go"]
    epoch: int = 0
    until: float = 0.0
    row: int = 0
    change: int = 0
    start: float = 0.0
    ratio: float = 1.0
    by: float = 0.0


def entries(raw: Any) -> Iterator[tuple[bytes, bytes, dict[bytes, bytes]]]:
    """Yield the entries of a reply to XREAD: stream, id and fields."""
    for stream, found in raw or ():
        for number, fields in found:
            if fields:
                yield stream, number, dict(zip(fields[::2], fields[1::2], strict=True))


def read_news(fields: dict[bytes, bytes]) -> News | None:
    """Return what an entry of the news says; `None` if it says nothing that is known."""
    kind = fields.get(b"k")
    try:
        if kind == b"p":
            return News(
                "pause",
                epoch=int(fields[b"e"]),
                until=float(fields[b"u"]) / _MICRO,
                row=int(fields[b"r"]),
                change=int(fields[b"c"]),
            )
        if kind == b"m":
            start, ratio, by = (float(fields[name]) for name in (b"f", b"x", b"b"))
            return News("move", change=int(fields[b"c"]), start=start, ratio=ratio, by=by)
    except (KeyError, ValueError):
        return None
    return News("leader") if kind == b"l" else News("go") if kind == b"g" else None
