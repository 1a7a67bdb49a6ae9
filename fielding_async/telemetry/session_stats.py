"""The state of a session: counts, and snapshots that any thread may take.

Nothing here is locked, so that no call of a session waits for a reader. A snapshot reads numbers and lengths one after
the other, so those of a busy session may be a moment apart.
"""

import os
from collections.abc import Mapping, Sized
from typing import Any, Protocol

from attrs import define

from fielding_async.core.models import SessionStats

__all__ = ["LimiterState", "MembershipState", "SessionCounts", "SessionWatch", "TurnsState"]

_MOST_TRIES = 10  # at a snapshot, while another thread changes what is copied


@define(eq=False)
class SessionCounts:
    """The counts of a session; see the attributes of `SessionStats`."""

    requests: int = 0
    conflicts: int = 0
    lost_replies: int = 0
    unknown: int = 0


class LimiterState(Protocol):
    """What is read of a session's limiter. The keys of `waiting_by_class` say whether they are `is_background`."""

    @property
    def in_flight(self) -> int: ...

    @property
    def waiting_by_class(self) -> Mapping[Any, int]: ...

    @property
    def oldest_wait(self) -> float: ...

    @property
    def pace(self) -> float | None: ...

    @property
    def pause_left(self) -> float: ...

    @property
    def refusals(self) -> int: ...


class TurnsState(Protocol):
    """What is read of the turns on a session's runs."""

    @property
    def waiting(self) -> int: ...


class MembershipState(Protocol):
    """What is read of the membership of a session that shares its pace."""

    @property
    def members(self) -> int: ...


class SessionWatch:
    """A view of one session, from any thread.

    `name`: that of the session. `slots`: the most requests in flight. `counts`: what the parts of the session count.
    """

    def __init__(
        self, limiter: LimiterState, turns: TurnsState, memory: Sized, *, name: str | None, slots: int
    ) -> None:
        self._limiter = limiter
        self._turns = turns
        self._memory = memory
        self.name: str | None = name
        self.slots: int = slots
        self.counts: SessionCounts = SessionCounts()
        self.membership: MembershipState | None = None
        self._process = os.getpid()
        self._last = SessionStats()
        self._at_close: SessionStats | None = None

    @property
    def is_live(self) -> bool:
        """Whether the session is open in this process: a forked child has a copy, which can do nothing."""
        return self._at_close is None and os.getpid() == self._process

    def close(self) -> None:
        """Note that the session ends. What depends on the time stays as it is now."""
        if self._at_close is None:
            self._at_close = self.stats()

    def stats(self) -> SessionStats:
        """Return a snapshot. Never raises."""
        for _ in range(_MOST_TRIES):
            try:
                self._last = self._read()
            except RuntimeError:  # what was copied has changed its size
                continue
            break
        return self._last

    def _read(self) -> SessionStats:
        limiter, counts, at_close = self._limiter, self.counts, self._at_close
        waiting = limiter.waiting_by_class
        return SessionStats(
            in_flight=limiter.in_flight,
            waiting=sum(waiting.values()),
            waiting_batch=sum(number for of_class, number in waiting.items() if of_class.is_background),
            waiting_turns=self._turns.waiting,
            # after the session its event loop, and with it the clock, may be gone
            oldest_wait=limiter.oldest_wait if at_close is None else 0.0,
            pace=limiter.pace if at_close is None else at_close.pace,
            pause_left=limiter.pause_left if at_close is None else at_close.pause_left,
            requests=counts.requests,
            refusals=limiter.refusals,
            conflicts=counts.conflicts,
            lost_replies=counts.lost_replies,
            unknown=counts.unknown,
            members=None if self.membership is None else self.membership.members,
            runs_cached=len(self._memory),
        )
