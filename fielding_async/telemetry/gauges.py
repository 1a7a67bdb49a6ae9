"""Gauges: the state of the open sessions of a process, read by metric exporters.

The callbacks run in the exporters' threads, and read snapshots. Sessions are held weakly. Nothing is locked: each step
on the dictionary of the sessions is one operation, and callbacks go through a copy.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any, NamedTuple
from weakref import ref

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from fielding_async.core.models import SessionStats

from .session_stats import SessionWatch
from .signal_names import CLASS, GAUGES, SESSION_NAME, Metric

__all__ = ["Gauges"]


class _Seen(NamedTuple):
    """A session and its snapshot."""

    watch: SessionWatch
    stats: SessionStats


_READ: dict[str, Callable[[_Seen], Iterable[tuple[str | None, float | None]]]] = {
    "fielding.client.pace": lambda seen: [(None, seen.stats.pace)],
    "fielding.client.pause.remaining": lambda seen: [(None, seen.stats.pause_left)],
    "fielding.client.queue.oldest_wait": lambda seen: [(None, seen.stats.oldest_wait)],
    "fielding.client.queue.length": lambda seen: [
        ("call", seen.stats.waiting - seen.stats.waiting_batch),
        ("batch", seen.stats.waiting_batch),
    ],
    "fielding.client.turn_queue.length": lambda seen: [(None, seen.stats.waiting_turns)],
    "fielding.client.slot.usage": lambda seen: [(None, seen.stats.in_flight)],
    "fielding.client.slot.limit": lambda seen: [(None, seen.watch.slots)],
    "fielding.client.members": lambda seen: [(None, seen.stats.members)],
    "fielding.client.etag_cache.size": lambda seen: [(None, seen.stats.runs_cached)],
}
"""How the points of each gauge are read from a session: class, where points have one, and value, if there is one."""

_OF_SEVERAL: dict[str | None, Callable[[Iterable[float]], float]] = {"sum": sum, "lowest": min, "highest": max}


class Gauges:
    """The gauges of one meter, for all sessions of the process that use it.

    Sessions of one name share a point, as do those without a name: a second point with the same attributes would
    replace the first.
    """

    def __init__(self, meter: Meter) -> None:
        self._watches: dict[int, ref[SessionWatch]] = {}
        self._keys = count()
        for row in GAUGES.values():
            is_gauge = row.kind == "gauge"
            create: Any = meter.create_observable_gauge if is_gauge else meter.create_observable_up_down_counter
            create(row.name, [partial(self._observe, row)], row.unit, row.description)

    def add(self, watch: SessionWatch) -> None:
        """Give points for a session, from now until it is closed or collected."""
        self._watches[next(self._keys)] = ref(watch)

    def _live(self) -> list[SessionWatch]:
        found: list[SessionWatch] = []
        for key, held in list(self._watches.items()):
            watch = held()
            if watch is not None and watch.is_live:
                found.append(watch)
            else:
                self._watches.pop(key, None)
        return found

    def _observe(self, row: Metric, _options: CallbackOptions) -> list[Observation]:
        """Return the points of a gauge. Called by exporters, in their threads."""
        values: dict[tuple[str | None, str | None], list[float]] = {}
        for watch in self._live():
            for of_class, value in _READ[row.name](_Seen(watch, watch.stats())):
                if value is not None:
                    values.setdefault((watch.name, of_class), []).append(value)
        return [
            Observation(_OF_SEVERAL[row.of_several](found), _attributes(name, of_class))
            for (name, of_class), found in values.items()
        ]


def _attributes(name: str | None, of_class: str | None) -> dict[str, str]:
    attributes: dict[str, str] = {}
    if name is not None:
        attributes[SESSION_NAME] = name
    if of_class is not None:
        attributes[CLASS] = of_class
    return attributes
