"""Gauges: what goes on in the sessions of a process, read by the metrics' exporters while it happens.

The callbacks run in the exporters' threads, and read snapshots. Sessions are held weakly. Nothing is locked: each step
on the dictionary of the sessions is one operation, and callbacks go through a copy.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple
from weakref import ref

from attrs import frozen
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from fielding_async.core.models import SessionStats

from .session_stats import SessionWatch
from .signal_names import CLASS, METRICS, SESSION_NAME

__all__ = ["Gauges"]

_Merge = Callable[[Iterable[float]], float]


class _Seen(NamedTuple):
    """A session and its snapshot."""

    watch: SessionWatch
    stats: SessionStats


@frozen
class _Reading:
    """How a point of a gauge is read from a session. `merge`: of the sessions that share a point.

    `of_class`: the value of the attribute `fielding.class`, if the point has one.
    """

    merge: _Merge
    read: Callable[[_Seen], float | None]
    of_class: str | None = None


_READINGS: dict[str, tuple[_Reading, ...]] = {
    "fielding.client.pace": (_Reading(min, lambda seen: seen.stats.pace),),
    "fielding.client.pause.remaining": (_Reading(max, lambda seen: seen.stats.pause_left),),
    "fielding.client.queue.length": (
        _Reading(sum, lambda seen: seen.stats.waiting - seen.stats.waiting_batch, "call"),
        _Reading(sum, lambda seen: seen.stats.waiting_batch, "batch"),
    ),
    "fielding.client.queue.oldest_wait": (_Reading(max, lambda seen: seen.stats.oldest_wait),),
    "fielding.client.turn_queue.length": (_Reading(sum, lambda seen: seen.stats.waiting_turns),),
    "fielding.client.slot.usage": (_Reading(sum, lambda seen: seen.stats.in_flight),),
    "fielding.client.slot.limit": (_Reading(sum, lambda seen: seen.watch.slots),),
    "fielding.client.etag_cache.size": (_Reading(sum, lambda seen: seen.stats.runs_cached),),
}


class Gauges:
    """The gauges of one meter, for all sessions of the process that use it.

    Sessions of one name share a point, as do those without a name: a second point with the same attributes would
    replace the first.
    """

    def __init__(self, meter: Meter) -> None:
        self._watches: dict[int, ref[SessionWatch]] = {}
        self._keys = count()
        for name, readings in _READINGS.items():
            row = METRICS[name]
            create: Any = (
                meter.create_observable_gauge
                if row.kind == "observable gauge"
                else meter.create_observable_up_down_counter
            )
            create(row.name, [self._callback(readings)], row.unit, row.description)

    def add(self, watch: SessionWatch) -> None:
        """Show a session, from now until it is closed or collected."""
        self._watches[next(self._keys)] = ref(watch)

    def _callback(self, readings: tuple[_Reading, ...]) -> Callable[[CallbackOptions], list[Observation]]:
        def observe(_options: CallbackOptions) -> list[Observation]:
            sessions = [_Seen(watch, watch.stats()) for watch in self._live()]
            return [point for reading in readings for point in _points(reading, sessions)]

        return observe

    def _live(self) -> list[SessionWatch]:
        found: list[SessionWatch] = []
        for key, held in list(self._watches.items()):
            watch = held()
            if watch is not None and watch.is_live:
                found.append(watch)
            else:
                self._watches.pop(key, None)
        return found


def _points(reading: _Reading, sessions: list[_Seen]) -> Iterator[Observation]:
    values: dict[str | None, list[float]] = {}
    for seen in sessions:
        value = reading.read(seen)
        if value is not None:
            values.setdefault(seen.watch.name, []).append(value)
    for name, found in values.items():
        attributes: dict[str, str] = {}
        if name is not None:
            attributes[SESSION_NAME] = name
        if reading.of_class is not None:
            attributes[CLASS] = reading.of_class
        yield Observation(reading.merge(found), attributes)
