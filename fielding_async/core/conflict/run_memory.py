"""What a session remembers of its runs: the last ETag of each and the run it belongs to, as one pair, in a bounded LRU.

Beside the pair it remembers which ETags are past, and under which ones a write may still be applied.
"""

from collections.abc import Callable
from itertools import islice

from attrs import define

from fielding_async.core.models import FieldingRun, RunRef

__all__ = ["Fetch", "RunMemory"]

_RETIRED_KEPT = 64
_DROPPED_AT_ONCE = 256  # one in so many entries of a full memory, as finding the oldest may take a while


@define(eq=False)
class Fetch:
    """A GET of a run that is under way.

    `is_current` turns false when a write of this session starts or ends, or a later GET is stored: what the GET returns
    may then be older than what is known, and is not stored.
    """

    ref: RunRef
    is_current: bool = True


@define(eq=False, weakref_slot=False)
class _Entry:
    """What is known of one run. There may be tens of thousands of entries.

    `run`: the pair; `None` when forgotten. `highest_version_seen`: the highest that the server has shown. `retired`:
    the latest ETag that is known to be past; `earlier`: those before it, in their order. `doubts`: the ETags under
    which a cancelled or unknown write may still be applied, each with the version that it belongs to.
    """

    run: FieldingRun | None = None
    highest_version_seen: int = -1
    retired: str | None = None
    earlier: list[str] | None = None
    doubts: dict[str, int] | None = None

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
        if len(self.earlier) > 2 * _RETIRED_KEPT:  # not with every write: each one comes through here
            del self.earlier[:_RETIRED_KEPT]

    def is_retired(self, etag: str | None) -> bool:
        """Whether an ETag is known to be past."""
        return etag is not None and (etag == self.retired or (self.earlier is not None and etag in self.earlier))


class RunMemory:
    """Pairs of ETag and run. A pair is a `FieldingRun` whose `etag` is not `None`. No I/O, no clock."""

    def __init__(self, size: int) -> None:
        self._size = size
        # the least recently used first; an OrderedDict would take a sixth more memory for each run
        self._entries: dict[RunRef, _Entry] = {}
        self.fetches: dict[RunRef, list[Fetch]] = {}
        """The GETs under way, in the order in which they were sent. Most of the time there are none."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, ref: RunRef) -> FieldingRun | None:
        """Return the pair of a run, and mark it as recently used."""
        entry = self._entries.pop(ref, None)
        if entry is None:
            return None
        self._entries[ref] = entry
        return entry.run

    def _entry(self, ref: RunRef) -> _Entry:
        entry = self._entries.pop(ref, None)
        if entry is None:
            if len(self._entries) >= self._size:
                for oldest in list(islice(self._entries, max(1, self._size // _DROPPED_AT_ONCE))):
                    del self._entries[oldest]
            entry = _Entry()
        self._entries[ref] = entry
        return entry

    # -- GETs

    def fetch_started(self, ref: RunRef) -> Fetch:
        """Note that a GET is sent. Must be followed by `fetch_ended`, whatever becomes of it."""
        fetch = Fetch(ref)
        self.fetches.setdefault(ref, []).append(fetch)
        return fetch

    def fetch_ended(self, fetch: Fetch, run: FieldingRun | None, *, is_aged: bool = False) -> None:
        """Store what the GET returned, unless something newer has become known since it was sent.

        `is_aged`: a cache answered, so the pair that is known, if there is one, stays.
        """
        fetches = self.fetches[fetch.ref]
        position = fetches.index(fetch)
        del fetches[position]
        if not fetches:
            del self.fetches[fetch.ref]
        if run is None or self.is_past(fetch.ref, run):
            return
        entry = self._entry(fetch.ref)
        # the server has shown this version, whether the run is stored or not
        version = -1 if run.version is None else run.version
        entry.highest_version_seen = max(entry.highest_version_seen, version)
        if entry.doubts:
            # a write in doubt under an older ETag can only meet 412 now
            entry.doubts = {
                etag: doubted for etag, doubted in entry.doubts.items() if etag == run.etag or version <= doubted
            }
        if not fetch.is_current:
            return
        for earlier in fetches[:position]:
            earlier.is_current = False
        if run.etag is not None and not (is_aged and entry.run is not None):
            entry.run = run

    def is_past(self, ref: RunRef, run: FieldingRun) -> bool:
        """Whether a GET returned a state that is known to be over: a read that lags behind."""
        entry = self._entries.get(ref)
        if entry is None:
            return False
        return entry.is_retired(run.etag) or (run.version is not None and run.version < entry.highest_version_seen)

    def _outdate_fetches(self, ref: RunRef) -> None:
        if not self.fetches:
            return  # spares hashing the ref
        for fetch in self.fetches.get(ref, ()):
            fetch.is_current = False

    # -- writes

    def write_started(self, ref: RunRef) -> None:
        """Note that a write is sent: what GETs sent before it return must not be stored."""
        self._outdate_fetches(ref)

    def write_refused(self, ref: RunRef) -> None:
        """Note that a write ended which changed nothing and showed nothing new: the pair stays."""
        self._outdate_fetches(ref)

    def write_accepted(self, ref: RunRef, base: FieldingRun, after: FieldingRun) -> None:
        """Store the run as it is after a write under the ETag of `base`."""
        self._outdate_fetches(ref)
        entry = self._entry(ref)
        entry.run = after
        if entry.doubts:
            for etag in [etag for etag in entry.doubts if etag != base.etag]:
                del entry.doubts[etag]  # the server accepted this ETag, so every other one is past
        if base.etag != after.etag:
            entry.retire(base.etag)

    def retire(self, ref: RunRef, base: FieldingRun) -> None:
        """Note that the ETag of `base` is past: the server refused it, or accepted a write under it."""
        self._entry(ref).retire(base.etag)

    def forget(self, ref: RunRef) -> None:
        """Forget the pair of a run."""
        self._outdate_fetches(ref)
        entry = self._entries.get(ref)
        if entry is not None:
            entry.run = None

    def forget_where(self, matches: Callable[[RunRef], bool]) -> None:
        """Forget the pairs of all runs that match: jobs change runs without a write of this session."""
        for ref in [ref for ref in {*self._entries, *self.fetches} if matches(ref)]:
            self.forget(ref)

    # -- doubt

    def doubt(self, ref: RunRef, base: FieldingRun) -> None:
        """Note that a write sent under the ETag of `base` may still be applied."""
        entry = self._entry(ref)
        if base.etag is not None and not entry.is_retired(base.etag):
            version = entry.highest_version_seen if base.version is None else base.version
            entry.doubts = {**(entry.doubts or {}), base.etag: version}

    def in_doubt(self, ref: RunRef, etag: str | None) -> bool:
        """Whether a write that was sent under this very ETag may still be applied."""
        entry = self._entries.get(ref)
        return entry is not None and entry.doubts is not None and etag in entry.doubts
