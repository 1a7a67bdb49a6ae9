"""The session's memory of its runs: the last ETag of each and the run it belongs to, as one pair, in a bounded LRU.

Also what is in doubt: ETags under which a cancelled or unknown write may still land.
"""

from collections import OrderedDict
from collections.abc import Callable

from attrs import define

from .models import FieldingRun, RunRef

__all__ = ["Look", "RunStore"]


@define(eq=False)
class Look:
    """A GET under way. `fresh` turns false when a write of this session begins or ends, or a later GET is stored."""

    ref: RunRef
    fresh: bool = True


class RunStore:
    """Pairs of ETag and run. A pair is a `FieldingRun` whose `etag` is not `None`. No I/O, no clock."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._runs: OrderedDict[RunRef, FieldingRun] = OrderedDict()
        self._doubts: OrderedDict[RunRef, str] = OrderedDict()
        self._looks: dict[RunRef, list[Look]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, ref: RunRef) -> FieldingRun | None:
        """Return the pair of a run, and keep it from being dropped soon."""
        run = self._runs.get(ref)
        if run is not None:
            self._runs.move_to_end(ref)
        return run

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
        if run is None or not look.fresh:
            return
        for earlier in looks[:position]:
            earlier.fresh = False
        self._store(look.ref, run)
        self._clear_doubt(look.ref, run)

    def _outdate_looks(self, ref: RunRef) -> None:
        for look in self._looks.get(ref, ()):
            look.fresh = False

    # -- writes

    def write_began(self, ref: RunRef) -> None:
        """Note that a write leaves: GETs sent before it must not be stored."""
        self._outdate_looks(ref)

    def write_refused(self, ref: RunRef) -> None:
        """Note that a write ended which changed nothing and told nothing new: the pair stands."""
        self._outdate_looks(ref)

    def write_ended(self, ref: RunRef, run: FieldingRun | None) -> None:
        """Store the run as an accepted write leaves it; `None` forgets the pair."""
        self._outdate_looks(ref)
        if run is None or run.etag is None:
            self._runs.pop(ref, None)
        else:
            self._store(ref, run)
            self._clear_doubt(ref, run)

    def _store(self, ref: RunRef, run: FieldingRun) -> None:
        if run.etag is None or self._size == 0:
            return
        self._runs[ref] = run
        self._runs.move_to_end(ref)
        if len(self._runs) > self._size:
            self._runs.popitem(last=False)

    def forget(self, ref: RunRef) -> None:
        """Forget the pair of a run."""
        self.write_ended(ref, None)

    def forget_where(self, matches: Callable[[RunRef], bool]) -> None:
        """Forget the pairs of all runs that match; for jobs, which change runs behind our back."""
        for ref in [ref for ref in {*self._runs, *self._looks} if matches(ref)]:
            self.forget(ref)

    # -- doubt

    def doubt(self, ref: RunRef, etag: str) -> None:
        """Note that a write sent under this ETag may still land."""
        self._doubts[ref] = etag
        self._doubts.move_to_end(ref)
        if len(self._doubts) > max(self._size, 1024):
            self._doubts.popitem(last=False)

    def in_doubt(self, ref: RunRef, etag: str | None) -> bool:
        """Whether a write may still land that was sent under this very ETag."""
        return etag is not None and self._doubts.get(ref) == etag

    def _clear_doubt(self, ref: RunRef, run: FieldingRun) -> None:
        # under any newer ETag the doubtful write can only meet 412
        if self._doubts and self._doubts.get(ref, run.etag) != run.etag:
            del self._doubts[ref]
