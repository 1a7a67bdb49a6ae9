"""The events of all shards and workers of a plan, merged in time. Pure.

Each shard has a record of its own, and a worker has several shards at once: one pause, or one outage, is on record
several times. What overlaps in time is one event.

An outage of a shard ends with its "back". A worker may end during one, and leave no "back". The outage goes on if the
next worker of the shard meets it, too: then the first group of its epoch has an "outage". Otherwise it has ended by
then.
"""

from collections.abc import Iterable
from datetime import datetime

from attrs import define, field, frozen

from fielding_async.journal.values import JournalEvent

__all__ = ["ShardEvents", "merged"]


@frozen
class _Outage:
    """An outage as one shard has it. `end` is `None` if none is on record."""

    start: datetime
    end: datetime | None
    reason: str
    last_reason: str


@define
class ShardEvents:
    """Collects the events of one shard, group by group."""

    outages: list[_Outage] = field(factory=list[_Outage])
    pauses: list[JournalEvent] = field(factory=list[JournalEvent])
    _open: JournalEvent | None = None
    _epoch: int = -1

    def add_group(self, epoch: int, time: datetime | None, events: Iterable[JournalEvent]) -> None:
        """Take the events of a group that was written at this time, by the holder of this epoch."""
        found = tuple(events)
        is_taken_over, self._epoch = epoch != self._epoch, epoch
        if is_taken_over and self._open is not None and not any(event.kind == "outage" for event in found):
            self._end(time or self._open.time, self._open.reason)
        for event in found:
            if event.kind == "pause":
                self.pauses.append(event)
            elif event.kind == "outage":
                self._open = self._open or event
            elif self._open is not None:
                self._end(event.time, event.reason)

    def end(self) -> None:
        """Take note that there are no more groups."""
        if self._open is not None:
            self.outages.append(_Outage(self._open.time, None, self._open.reason, self._open.reason))
            self._open = None

    def _end(self, time: datetime, reason: str) -> None:
        begun = self._open
        assert begun is not None  # noqa: S101 - the callers have looked
        self.outages.append(_Outage(begun.time, max(time, begun.time), begun.reason, reason))
        self._open = None


def merged(shards: Iterable[ShardEvents]) -> tuple[JournalEvent, ...]:
    """Return the events of all shards in order of time, each once."""
    outages: list[_Outage] = []
    pauses: list[JournalEvent] = []
    for shard in shards:
        outages += shard.outages
        pauses += shard.pauses
    found = [*_outage_events(outages), *_pause_events(pauses)]
    return tuple(sorted(found, key=lambda event: event.ended_at or event.time))


def _outage_events(outages: list[_Outage]) -> Iterable[JournalEvent]:
    outages.sort(key=lambda outage: outage.start)
    place = 0
    while place < len(outages):
        first = last = outages[place]
        while last.end is not None and place + 1 < len(outages) and outages[place + 1].start <= last.end:
            place += 1
            following = outages[place]
            if following.end is None or following.end > last.end:
                last = following
        yield JournalEvent(time=first.start, kind="outage", seconds=None, reason=first.reason)
        if last.end is None:
            return  # all that follow begin while it lasts
        seconds = (last.end - first.start).total_seconds()
        yield JournalEvent(time=last.end, kind="back", seconds=seconds, reason=last.last_reason)
        place += 1


def _pause_events(pauses: list[JournalEvent]) -> Iterable[JournalEvent]:
    pauses.sort(key=_began)
    place = 0
    while place < len(pauses):
        same = [pauses[place]]
        end = _ended(pauses[place])
        while place + 1 < len(pauses) and _began(pauses[place + 1]) < end:
            place += 1
            same.append(pauses[place])
            end = max(end, _ended(pauses[place]))
        yield same[0] if len(same) == 1 else _one_pause(same, end)
        place += 1


def _one_pause(same: list[JournalEvent], end: datetime) -> JournalEvent:
    """Return the event for pauses that overlap. Of records that stand for many pauses, that with the most counts."""
    began, count = _began(same[0]), max(pause.count for pause in same)
    seconds = (end - began).total_seconds() if count == 1 else max(pause.seconds or 0.0 for pause in same)
    return JournalEvent(
        time=max(pause.time for pause in same),
        kind="pause",
        seconds=seconds,
        reason=same[0].reason,
        began_at=began,
        ended_at=end,
        count=count,
    )


def _began(pause: JournalEvent) -> datetime:
    return pause.began_at or pause.time


def _ended(pause: JournalEvent) -> datetime:
    return pause.ended_at or pause.time
