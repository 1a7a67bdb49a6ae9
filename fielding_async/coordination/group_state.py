"""What a member knows of the shared pace: from replies, news and its own 429s. The clock is an argument.

Rules
-----
G1  A pause has a number in the store, its epoch. What a member sees of it, from a reply, from the news or by its own
    429, counts once. No pause lasts longer than `max_pause` from when this member first saw it, by its own clock.
G2  A change of the times of all has a number as well. It concerns the slots that were leased before it.
G3  A store whose count is not above the one before the question was asked, or whose server is another process, has
    been emptied or rolled back: a new generation. Slots of the one before are dropped, and a pause is sent to it.
"""

from collections.abc import Callable
from math import inf

from attrs import frozen

from fielding_async.core.pace.slot_book import Slot, SlotBook
from fielding_async.core.pace.store_clock import StoreClock

from .replies import News, Reply

__all__ = ["Asked", "GroupState"]

_SLIGHT = 1e-3  # seconds by which a pause may be longer without a word to those that wait

_FREE_FOR = 1.2  # seconds for which a member may go on without slots after a reply that says so
_FREELY, _FREELY_ALONE = 6, 32  # requests of all members in flight, whatever the pace, as in `core.pace.pacer` (R7)


@frozen
class Asked:
    """A question to the store. `count`: the highest count that was known then. `has_refusal`: it reported a 429."""

    count: int
    has_refusal: bool


class GroupState:
    """What holds for all members, as one of them has heard it. Times are seconds of its own clock."""

    def __init__(self, max_pause: float) -> None:
        self.clock: StoreClock = StoreClock()
        self.book: SlotBook = SlotBook()
        self.is_known: bool = False
        """Whether the store has answered in this generation."""
        self.interval: float = 0.0
        self.last_interval: float | None = None
        """The interval as last heard; `None` before."""
        self.former_interval: float = 0.0
        """The interval as last heard before this generation; 0 if no pace had been found."""
        self.members: int = 0
        self.active: int = 1
        self.is_strict: bool = False
        self.is_opening: bool = False
        self.waits_for_probe: bool = False
        self.has_batch: bool = False
        self.free_until: float = -inf
        self.epoch: int = 0
        self.local_epoch: int = 0
        """Counts the pauses that this member saw, over all generations."""
        self.paused_until: float = -inf
        self.row: int = 0
        self.window: float = 0.0
        self.leads: bool = False
        self.count: int = 0
        self.generation: int = 0
        self.change: int = 0
        self._server: bytes = b""
        self._max_pause = max_pause
        self._first_seen = -inf  # when this member first saw the latest pause
        self._is_own = False  # its own 429 began it, and the store has not confirmed it yet
        self.on_pause: Callable[[float], None] | None = None
        """Called with the seconds of a pause that others started or lengthened."""

    @property
    def found_interval(self) -> float:
        """The interval as last heard, if it is more than a start; otherwise 0."""
        return 0.0 if self.is_opening or self.last_interval is None else self.last_interval

    # -- pauses

    def begin_pause(self, now: float, *, is_reported: bool, in_a_row: bool) -> None:
        """Note that this member's own 429 starts a pause.

        `is_reported`: it is reported to the store, which has to confirm it. `in_a_row`: the 429 is the first of its
        burst.
        """
        self._first_seen = now
        self._is_own = self._is_own or is_reported
        self.row += in_a_row
        self._end_leases()

    def obey(self, now: float, until: float) -> None:
        """Pause until then for a 429 to a request that this member had permitted alone."""
        if until > max(self.paused_until, now):
            self.begin_pause(now, is_reported=False, in_a_row=False)
            self.lengthen_pause(until)

    def lengthen_pause(self, until: float) -> None:
        """Move the end of the pause to a later time, as far as G1 allows."""
        self.paused_until = max(self.paused_until, min(until, self._first_seen + self._max_pause))

    def _end_leases(self) -> None:
        self.local_epoch += 1
        self.is_opening = False  # until the leader has said how to go on
        self.free_until = -inf
        self.book.drop(inf)

    def _see_pause(self, now: float, epoch: int, until: float, row: int, change: int) -> None:
        """Take up what the store says of the latest pause (G1)."""
        if not self.clock.is_known or epoch < self.epoch:
            return
        self.row = row
        ends = self.clock.local(until)
        if epoch > self.epoch:
            self.epoch = epoch
            if ends <= now:
                return
            if not self._is_own:
                self._first_seen = now
                self._end_leases()
        self.book.drop(change)
        ends = min(ends, self._first_seen + self._max_pause)
        if ends > max(self.paused_until, now) + _SLIGHT:
            self.paused_until = ends
            if self.on_pause is not None:
                self.on_pause(ends - now)

    # -- what comes in

    def hear_reply(self, reply: Reply, sent: float, received: float, asked: Asked, server: bytes) -> bool:
        """Take up a reply. `server`: which process gave it. Returns whether a new generation has started (G3)."""
        is_new = self.is_known and (reply.count <= asked.count or (server != self._server and bool(self._server)))
        self._server = server or self._server
        if not self.clock.observe(sent, received, reply.now):
            # what an earlier reply made too late would meet the slots of others
            self.book.retime(self.clock.local)
        if is_new or not self.is_known:
            self.generation += 1
            self._is_own = False  # what is reported of another generation is dropped
            self.former_interval = self.found_interval
            self.book.drop(inf)
            self.epoch, self.change, self.count = reply.epoch - 1, 0, 0
        self.is_known = True
        self.count = max(self.count, reply.count)
        self.members, self.active = reply.members, reply.active
        self.interval = self.last_interval = reply.interval
        self.is_strict = reply.is_strict
        self.waits_for_probe = reply.waits_for_probe and not reply.is_probe
        self.window, self.leads, self.has_batch = reply.window, reply.leads, reply.has_batch
        self._see_pause(received, reply.epoch, reply.until, reply.row, self.change)
        if asked.has_refusal:
            self._is_own = False
        if reply.epoch >= self.epoch and not self._is_own and reply.change >= self.change:
            self.change = reply.change
            self.is_opening = reply.is_opening
            self.free_until = received + _FREE_FOR if reply.is_free else -inf
            self.book.add(self._slot(reply, at) for at in reply.slots)
        return is_new

    def _slot(self, reply: Reply, at: float) -> Slot:
        return Slot(at, self.clock.local(at / 1e6), reply.change, reply.interval, reply.is_probe)

    def hear_news(self, news: News, now: float) -> None:
        """Take up what happened to all."""
        if news.kind == "move":
            self.book.move(news.change, news.start, news.ratio, news.by)
        elif news.kind == "pause":
            self._see_pause(now, news.epoch, news.until, news.row, news.change)
        elif news.kind == "go":
            self.waits_for_probe = False

    def take_over_pause(self, until: float) -> None:
        """Go on with the pause of the pacer that was used meanwhile."""
        self.paused_until = max(self.paused_until, until)

    def lose(self) -> None:
        """Note that the store cannot be reached."""
        self.is_known = self.leads = False
        self.free_until = -inf
        self._is_own = False
        self.book.drop(inf)

    # -- what may be sent

    def is_free(self, now: float, in_flight: int, *, is_alone: bool) -> bool:
        """Whether a request needs no slot. `is_alone`: it came some time after the one before, and has not waited."""
        if now >= self.free_until and not (self.is_opening and self.is_known):
            return False
        if self.waits_for_probe or now < self.paused_until:
            return False
        if not self.is_opening:
            return True
        most = _FREELY_ALONE if is_alone else _FREELY
        return in_flight < max(1, most // max(self.members, 1))
