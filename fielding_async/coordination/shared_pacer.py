"""The pacer of a session that shares its pace: gives out the send times that it has leased, or keeps a pace of its own.

Rules
-----
P1  A request needs a slot, which was leased before and whose time has come; none while nothing spaces requests. The
    next slots are asked for while requests still wait for the last, so that only the first one after idle time waits
    for the store.
P2  A slot that is used a little late (50 ms; 20 ms with a configured rate; a part of the interval where even spacing is
    demanded) counts as in time. One that is later than that is lost, and another is asked for. Where a configured rate
    demands even spacing, a late request moves those behind it: the store leaves time for that behind each slice.
P3  A 429 pauses this session at once, and the others as soon as the store knows. Which pause a 429 belongs to,
    probes and growing pauses are as in `core.pace.pacer`; the store keeps the counts.
P4  While the store cannot be reached, a `Pacer` of this session alone goes on at its part of the pace. Permissions that
    were given before are used up.
"""

from collections.abc import Callable
from math import inf

from attrs import define

from fielding_async.core.pace.fallback import fallback_limits, fallback_rate
from fielding_async.core.pace.group_learner import Seen
from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.core.pace.slot_book import Slot
from fielding_async.engine.membership import Joining, Line
from fielding_async.telemetry.log_lines import warn_once

from .group_state import GroupState

__all__ = ["Refusal", "SharedPacer"]

_LATE, _LATE_CONFIGURED = 0.05, 0.02  # seconds (P2)
_LATE_STRICT, _LATE_EVEN = 0.12, 0.45  # of the interval; the second is less than the store leaves behind a slice (P2)
_CLOSEST = 0.75  # of the interval, between two requests of this session at the socket
_CLOSEST_EVEN = 0.965  # the same, where a configured rate demands even spacing, of an interval that was lengthened
_APART = 0.0005  # seconds since the request before, from which on one comes alone
_LEAST_PAUSE = 0.1  # seconds
_CROWDED = 0.05  # seconds since the permission before, below which requests come one upon the other
_ROUNDING, _FASTEST = 1e-6, 1e9  # seconds; requests a second: what is reported to the leader is finite
_MOST_SEEN = 5000  # observations that wait to be told


@define(eq=False)
class SharedPermit(Permit):
    """A permission of the shared pace. `store_epoch`: the pause that was the latest, as the store counts them."""

    slot: Slot | None = None
    store_epoch: int = 0
    generation: int = 0


@define(eq=False)
class Refusal:
    """A 429 that is to be reported to the store. `retry_after`: seconds; `None`: the server named no usable time."""

    store_epoch: int
    generation: int
    retry_after: float | None
    at: float
    speed: float
    waited: bool


class SharedPacer:
    """A pacer for `Limiter`, over `GroupState`. Does no input or output: `Synchronizer` asks the store.

    `wake`: called when there is something to ask the store for, or to tell it.
    """

    def __init__(self, joining: Joining, expected: int) -> None:
        limits = joining.limits
        self.limits = limits
        self.expected = expected
        self.state: GroupState = GroupState(limits.max_pause)
        self.fallbacks: int = 0
        self.local: Pacer | None = None
        """The pacer of this session alone, while the store cannot be reached."""
        self.wake: Callable[[], None] = lambda: None
        self.on_attach: Callable[[], None] = lambda: None
        """Called when there is a line to serve."""
        self.line: Line | None = None
        self.seen: list[Seen] = []
        """What has not been reported to the leader yet."""
        self.accepted: int = 0
        self.accepted_epoch: int = 0
        """How many requests were accepted that were permitted since the pause of this epoch."""
        self.refusals: list[Refusal] = []
        self.probe: str = ""
        """What is to be reported of a probe: `held`, `done` or `free`; empty: this session has none."""
        self.last_gap: float = inf
        """Seconds between the two latest permissions."""
        self.lost_members: int = 0
        """How many members there were when the store was lost."""
        self._learns = limits.rate is None and limits.adaptive
        self._joining = joining
        self._former: Pacer = Pacer(limits, joining.uniform)  # the last `local`, for permissions of it
        self.last_at: float = -inf
        """When the latest permission was given."""
        self._left_at = -inf
        self._in_flight = 0
        self._probe: SharedPermit | None = None

    def attach(self, line: Line) -> None:
        """Set the line that is asked for its demand, and that is notified of changes."""
        self.line = line
        self.state.on_pause = line.pause_began
        self.on_attach()

    # -- what `Limiter` asks

    @property
    def members(self) -> int:
        """How many sessions share the pace, as last heard; 0 while the store cannot be reached."""
        return self.state.members if self.local is None else 0

    @property
    def interval(self) -> float:
        """The planned seconds between requests of this session."""
        if self.local is not None:
            return self.local.interval
        return self.state.interval * self.state.active

    @property
    def paused_until(self) -> float:
        """The end of the latest pause."""
        return self.state.paused_until if self.local is None else self.local.paused_until

    @property
    def pauses_in_a_row(self) -> int:
        """How many pauses there were in a row with nothing but 429s between them."""
        return self.state.row if self.local is None else self.local.pauses_in_a_row

    @property
    def grace(self) -> float:
        """Seconds by which a slot may be used late (P2)."""
        state = self.state
        if state.is_strict:
            return (_LATE_STRICT if self._learns else _LATE_EVEN) * state.interval
        return _LATE_CONFIGURED if self.limits.rate else _LATE

    def ready_at(self) -> float:
        """Return the time from which the next permission can be given: infinity if the store has to be asked."""
        if self.local is not None:
            return self.local.ready_at()
        return self._ready(self._joining.loop.time(), waited=True)

    def _ready(self, now: float, *, waited: bool) -> float:
        state = self.state
        if now >= state.paused_until and state.is_free(
            now, self._in_flight, is_alone=not waited and now - self.last_at >= _APART
        ):
            return now
        due = state.book.next_due(now, self.grace)
        return inf if due is None else max(due, state.paused_until)

    def try_take(self, now: float, *, waited: bool = False) -> Permit | float:
        """Give a permission; or return the time from which one can be given, infinity if the store has to be asked."""
        if self.local is not None:
            return self.local.try_take(now, waited=waited)
        state = self.state
        ready = self._ready(now, waited=waited)
        if ready > now:
            self.wake()
            return ready
        is_free = state.is_free(now, self._in_flight, is_alone=not waited and now - self.last_at >= _APART)
        slot = None if is_free else state.book.take(now, self.grace)
        if slot is None and not is_free:
            self.wake()
            return inf
        self.last_gap, self.last_at = now - self.last_at, now
        # no request waits while nothing spaces them: that more would be sent is told by those in flight
        is_crowded = waited or (is_free and self._in_flight > 0 and self.last_gap < _CROWDED)
        self._in_flight += 1
        after = 0.0 if slot is None else slot.after
        speed = 1.0 / after if after else state.active / self.last_gap if self.last_gap > 0 else inf
        permit = SharedPermit(
            state.local_epoch,
            now,
            after,
            speed,
            is_crowded,
            slot=slot,
            store_epoch=state.epoch,
            generation=state.generation,
        )
        if slot is not None and slot.is_probe:
            self._probe, self.probe = permit, "held"
        self._see("s", permit)
        if slot is not None:
            self.wake()
        return permit

    def leaves_at(self, permit: Permit, now: float) -> float | None:
        """Return the time from which a permitted request may leave; `None` if its permission has lapsed."""
        if not isinstance(permit, SharedPermit):
            return (self.local or self._former).leaves_at(permit, now)
        state = self.state
        if permit.epoch != state.local_epoch and now < self.paused_until:
            return None
        if permit.slot is None or not permit.after:
            return -inf
        if not state.is_strict:
            return self._left_at + permit.after * _CLOSEST - _ROUNDING
        if now > permit.slot.due + self.grace and not permit.slot.is_probe:
            return None
        return self._left_at + permit.after * (_CLOSEST if self._learns else _CLOSEST_EVEN) - _ROUNDING

    def may_leave(self, permit: Permit, now: float) -> float | None:
        """Use the permission up and return 0, or return the seconds to wait, or `None` if it has lapsed."""
        if (leaves_at := self.leaves_at(permit, now)) is None or leaves_at > now:
            return None if leaves_at is None else leaves_at - now
        self.left(permit, now)
        return 0.0

    def left(self, permit: Permit, now: float) -> None:
        """Note that the request leaves now."""
        if isinstance(permit, SharedPermit):
            permit.used, self._left_at = True, now
        else:
            (self.local or self._former).left(permit, now)

    def ended(self, permit: Permit, now: float) -> None:
        """Note that the request of a permission is over."""
        if not isinstance(permit, SharedPermit):
            (self.local or self._former).ended(permit, now)
            return
        if permit.used and permit.refused:
            return
        self._in_flight -= 1
        is_probe = permit is self._probe
        if is_probe:
            self._probe = None
            self.probe = "done" if permit.used else "free"
        if not permit.used:
            self._give_back(permit, now)
        elif permit.generation == self.state.generation:
            if permit.store_epoch == self.state.epoch:
                self.accepted = self.accepted + 1 if self.accepted_epoch == permit.store_epoch else 1
                self.accepted_epoch = permit.store_epoch
            self._see("a", permit)
        if is_probe:
            self.wake()

    def _give_back(self, permit: SharedPermit, now: float) -> None:
        slot, state = permit.slot, self.state
        is_current = permit.epoch == state.local_epoch and permit.generation == state.generation
        if slot is not None and is_current and not slot.is_probe and slot.due + self.grace >= now:
            state.book.add([slot])

    def throttled(self, permit: Permit, retry_after: float | None, now: float) -> float | None:
        """Note a 429. Returns the seconds of the pause that starts with it; `None` if one was in progress (P3)."""
        if not isinstance(permit, SharedPermit):
            alone = self.local or self._former
            seconds = alone.throttled(permit, retry_after, now)
            if self.local is None:  # the store has been found again since
                self.state.obey(now, alone.paused_until)
                self.wake()
            return seconds
        state, permit.refused = self.state, True
        self._in_flight -= 1
        if permit is self._probe:
            self._probe, self.probe = None, ""
        if self.local is not None:
            seconds = min(retry_after or _LEAST_PAUSE, self.limits.max_pause)
            self.local.take_over(due=now, paused_until=max(self.local.paused_until, now + seconds))
            return None
        if is_reported := permit.generation == state.generation:
            self.refusals.append(
                Refusal(permit.store_epoch, permit.generation, retry_after, permit.at, permit.speed, permit.waited)
            )
        was_paused, is_late = state.paused_until > now, permit.epoch != state.local_epoch
        if not is_late or not was_paused:
            state.begin_pause(now, is_reported=is_reported, in_a_row=not is_late)
        if retry_after is not None or not (is_late and was_paused):
            state.lengthen_pause(now + (_LEAST_PAUSE if retry_after is None else retry_after))
        self.wake()
        return None if was_paused else state.paused_until - now

    # -- what the store is told

    def _see(self, kind: str, permit: SharedPermit) -> None:
        if not self._learns or len(self.seen) >= _MOST_SEEN:
            return
        at = self.state.clock.stored(permit.at)
        self.seen.append((kind, permit.store_epoch, round(at, 6), min(permit.speed, _FASTEST), permit.waited))
        if len(self.seen) == 1:
            self.wake()

    # -- without the store

    def lose_store(self, now: float) -> None:
        """Go on alone (P4)."""
        state, joining = self.state, self._joining
        if self.local is not None:
            return
        rate, parts = fallback_rate(
            configured=self.limits.rate,
            interval=state.last_interval,
            members=state.members,
            expected=self.expected,
        )
        local = Pacer(fallback_limits(self.limits, rate), joining.uniform)
        # the others do the same at the same time: each begins at another moment
        due = now + (joining.uniform(0.0, 1.0) / rate if rate is not None and parts > 1 else 0.0)
        local.take_over(due=due, paused_until=state.paused_until)
        self.lost_members = parts
        self.local = self._former = local
        self.fallbacks += 1
        warn_once("the Redis of shared= cannot be reached: each session paces itself until it can be reached again")
        state.lose()
        self.seen.clear()
        self.refusals.clear()
        self.accepted, self.probe, self._probe = 0, "", None

    def find_store(self) -> None:
        """Go on with the others, as the store has answered."""
        if self.local is not None:
            self.state.take_over_pause(self.local.paused_until)
            self.local = None
