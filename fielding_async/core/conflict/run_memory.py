"""The session's memory of its runs: the last ETag of each and the run it belongs to, as one pair, in a bounded LRU.

Also what it knows beyond that pair: which ETags are past, and under which ones a write may still land.
"""

from collections.abc import Callable
from itertools import islice

from attrs import define

from fielding_async.core.models import FieldingRun, RunRef

__all__ = ["Look", "RunStore"]

_RETIRED_KEPT = 64
_AT_ONCE = 256  # the part of a large store that is dropped at once: to find the oldest entry of a dict may take a while


@define(eq=False)
class Look:
    """A GET under way. `fresh` turns false when a write of this session begins or ends, or a later GET is stored."""

    ref: RunRef
    fresh: bool = True


@define(eq=False, weakref_slot=False)
class _Memory:
    """What is known of one run.

    `run`: the pair, `None` when forgotten. `floor`: the highest version that the server has shown. `retired`: the
    latest ETag that is known to be past, `earlier` those before it, in their order. `doubts`: ETags under which a
    cancelled or unknown write may still land, with the version each belongs to.
    """

    run: FieldingRun | None = None
    floor: int = -1
    retired: str | None = None
    earlier: list[str] | None = None
    doubts: dict[str, int] | None = None  # there may be tens of thousands of these memories

    def retire(self, etag: str | None) -> None:
        """Note that an ETag is past."""
        if etag is None:
            return
        if self.doubts:
            self.doubts.pop(etag, None)
        if self.retired is not None:
            self._keep(self.retired)
        self.retired = etag
        if self.run is not None and self.run.etag == etag:
            self.run = None

    def _keep(self, etag: str) -> None:
        if self.earlier is None:
            self.earlier = [etag]
            return
        self.earlier.append(etag)
        if len(self.earlier) > 2 * _RETIRED_KEPT:  # not every time: this is done for every write
            del self.earlier[:_RETIRED_KEPT]

    def is_retired(self, etag: str | None) -> bool:
        """Whether an ETag is known to be past."""
        return etag is not None and (etag == self.retired or (self.earlier is not None and etag in self.earlier))


class RunStore:
    """Pairs of ETag and run. A pair is a `FieldingRun` whose `etag` is not `None`. No I/O, no clock."""

    def __init__(self, size: int) -> None:
        self._size = size
        # the least used first; an OrderedDict would take a sixth more memory for each run
        self._memories: dict[RunRef, _Memory] = {}
        self._looks: dict[RunRef, list[Look]] = {}

    def __len__(self) -> int:
        return len(self._memories)

    def get(self, ref: RunRef) -> FieldingRun | None:
        """Return the pair of a run, and keep it from being dropped soon."""
        memory = self._memories.pop(ref, None)
        if memory is None:
            return None
        self._memories[ref] = memory
        return memory.run

    def _memory(self, ref: RunRef) -> _Memory:
        memory = self._memories.pop(ref, None)
        if memory is None:
            if len(self._memories) >= self._size:
                for oldest in list(islice(self._memories, max(1, self._size // _AT_ONCE))):
                    del self._memories[oldest]
            memory = _Memory()
        self._memories[ref] = memory
        return memory

    # -- GETs

    def begin_look(self, ref: RunRef) -> Look:
        """Note that a GET is sent. Must be followed by `end_look`, whatever becomes of it."""
        look = Look(ref)
        self._looks.setdefault(ref, []).append(look)
        return look

    def end_look(self, look: Look, run: FieldingRun | None) -> None:
        """Store what the GET brought, unless something newer is known since it was sent."""
        looks = self._looks[look.ref]
        position = looks.index(look)
        del looks[position]
        if not looks:
            del self._looks[look.ref]
        if run is None or self.is_past(look.ref, run):
            return
        memory = self._memory(look.ref)
        memory.floor = max(memory.floor, run.version)  # what the server has shown it has shown, stored or not
        if memory.doubts:
            # under a newer ETag a doubtful write can only meet 412
            memory.doubts = {
                etag: version for etag, version in memory.doubts.items() if etag == run.etag or run.version <= version
            }
        if not look.fresh:
            return
        for earlier in looks[:position]:
            earlier.fresh = False
        if run.etag is not None:
            memory.run = run

    def is_past(self, ref: RunRef, run: FieldingRun) -> bool:
        """Whether a GET brought a state that is known to be over: a read that lags behind."""
        memory = self._memories.get(ref)
        return memory is not None and (memory.is_retired(run.etag) or run.version < memory.floor)

    def _outdate_looks(self, ref: RunRef) -> None:
        if not self._looks:
            return  # spares looking the run up
        for look in self._looks.get(ref, ()):
            look.fresh = False

    # -- writes

    def write_began(self, ref: RunRef) -> None:
        """Note that a write leaves: GETs sent before it must not be stored."""
        self._outdate_looks(ref)

    def write_refused(self, ref: RunRef) -> None:
        """Note that a write ended which changed nothing and told nothing new: the pair stands."""
        self._outdate_looks(ref)

    def write_accepted(self, ref: RunRef, base: FieldingRun, left: FieldingRun) -> None:
        """Store the run as an accepted write under the ETag of `base` leaves it, if the reply bore an ETag."""
        self._outdate_looks(ref)
        memory = self._memory(ref)
        memory.run = left if left.etag is not None else None
        if memory.doubts:
            for etag in [etag for etag in memory.doubts if etag != base.etag]:
                del memory.doubts[etag]  # the server took this ETag, so every other one is past
        # without an ETag in the reply only a change of status is sure: other writes may have changed nothing
        if base.etag != left.etag and (left.etag is not None or left.status != base.status):
            memory.retire(base.etag)

    def retire(self, ref: RunRef, base: FieldingRun) -> None:
        """Note that the ETag of `base` is past: the server refused it, or took a write under it."""
        self._memory(ref).retire(base.etag)

    def forget(self, ref: RunRef) -> None:
        """Forget the pair of a run."""
        self._outdate_looks(ref)
        memory = self._memories.get(ref)
        if memory is not None:
            memory.run = None

    def forget_where(self, matches: Callable[[RunRef], bool]) -> None:
        """Forget the pairs of all runs that match; for jobs, which change runs behind our back."""
        for ref in [ref for ref in {*self._memories, *self._looks} if matches(ref)]:
            self.forget(ref)

    # -- doubt

    def doubt(self, ref: RunRef, base: FieldingRun) -> None:
        """Note that a write sent under the ETag of `base` may still land."""
        memory = self._memory(ref)
        if base.etag is not None and not memory.is_retired(base.etag):
            memory.doubts = {**(memory.doubts or {}), base.etag: base.version}

    def in_doubt(self, ref: RunRef, etag: str | None) -> bool:
        """Whether a write may still land that was sent under this very ETag."""
        memory = self._memories.get(ref)
        return memory is not None and memory.doubts is not None and etag in memory.doubts
