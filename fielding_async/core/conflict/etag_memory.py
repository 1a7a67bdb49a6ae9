"""What a session remembers of its runs: the last ETag of each and the run it belongs to, as one pair, in a bounded LRU.

Beside the pair it remembers which ETags are past, and under which ones a write may still be applied. The assignments of
assistants are remembered in the same way, in a memory of their own.
"""

import sys
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Union

from attrs import define

from fielding_async.core.models import RunRef

from .resource import RUNS, Resource, State

if TYPE_CHECKING:
    from fielding_async.core.assistant.assignment import AssistantRef

__all__ = ["ETagMemory", "Fetch", "Memories", "Ref"]

Ref = Union[RunRef, "AssistantRef"]
"""What names a resource."""

_RETIRED_KEPT = 64
_UNKNOWN = sys.maxsize  # the version of a doubt about an ETag of which no version is known
_DROPPED_AT_ONCE = 256  # one in so many entries of a full memory, as finding the oldest may take a while


@define(eq=False)
class Fetch:
    """A GET of a run that is in progress.

    `is_current` turns false when a write of this session starts or ends, or a later GET is stored: what the GET returns
    may then be older than what is known, and is not stored.
    """

    ref: Ref
    is_current: bool = True


@define(eq=False, weakref_slot=False)
class _Entry:
    """What is known of one run. There may be tens of thousands of entries.

    `run`: the pair; `None` when forgotten. `bare_etag`: the ETag that a write under a hint left, which is known without
    its run. `highest_version_seen`: the highest that the server has shown. `retired`: the latest ETag that is known to
    be past; `earlier`: those before it, in their order. `doubts`: the ETags under which a cancelled or unknown write
    may still be applied, each with the version that it belongs to.
    """

    run: State | None = None
    bare_etag: str | None = None
    highest_version_seen: int = -1
    retired: str | None = None
    earlier: list[str] | None = None
    doubts: dict[str | None, int] | None = None

    def retire(self, etag: str | None) -> None:
        """Note that an ETag is past; `None`: that the resource exists now."""
        if self.doubts:
            self.doubts.pop(etag, None)
        if etag is None:
            return
        if self.retired is not None:
            self._keep(self.retired)
        self.retired = etag
        if self.run is not None and self.run.etag == etag:
            self.run = None
        if self.bare_etag == etag:
            self.bare_etag = None

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


class ETagMemory:
    """Pairs of ETag and run. A pair is a `FieldingRun` whose `etag` is not `None`. No I/O, no clock."""

    def __init__(self, size: int, resource: Resource = RUNS) -> None:
        self._size = size
        self._version_of = resource.version
        self._unversioned = _UNKNOWN if resource.keeps_pair else None
        # the least recently used first; an OrderedDict would take a sixth more memory for each run
        self._entries: dict[Ref, _Entry] = {}
        self.fetches: dict[Ref, list[Fetch]] = {}
        """The GETs in progress, in the order in which they were sent. Most of the time there are none."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, ref: Ref) -> State | None:
        """Return the pair of a run, and mark it as recently used."""
        entry = self._entries.pop(ref, None)
        if entry is None:
            return None
        self._entries[ref] = entry
        return entry.run

    def bare_etag(self, ref: Ref) -> str | None:
        """Return the ETag of a run of which nothing else is known, unless a write under it may still be applied."""
        entry = self._entries.get(ref)
        etag = None if entry is None else entry.bare_etag
        return None if etag is None or self.in_doubt(ref, etag) else etag

    def _entry(self, ref: Ref) -> _Entry:
        entry = self._entries.pop(ref, None)
        if entry is None:
            if len(self._entries) >= self._size:
                for oldest in list(islice(self._entries, max(1, self._size // _DROPPED_AT_ONCE))):
                    del self._entries[oldest]
            entry = _Entry()
        self._entries[ref] = entry
        return entry

    # -- GETs

    def fetch_started(self, ref: Ref) -> Fetch:
        """Note that a GET is sent. Must be followed by `fetch_ended`, whatever becomes of it."""
        fetch = Fetch(ref)
        self.fetches.setdefault(ref, []).append(fetch)
        return fetch

    def fetch_ended(self, fetch: Fetch, run: State | None, *, is_aged: bool = False) -> bool:
        """Store what the GET returned, unless something newer has become known since it was sent.

        Returns whether it may be reported to others: nothing newer is known, and no cache answered.
        `is_aged`: a cache answered, so the pair that is known, if there is one, stays.
        """
        fetches = self.fetches[fetch.ref]
        position = fetches.index(fetch)
        del fetches[position]
        if not fetches:
            del self.fetches[fetch.ref]
        if run is None or self.is_past(fetch.ref, run):
            return False
        entry = self._entry(fetch.ref)
        # the server has shown this version, whether the run is stored or not
        known = self._version_of(run)
        version = -1 if known is None else known
        entry.highest_version_seen = max(entry.highest_version_seen, version)
        if entry.doubts:
            # a write in doubt under an older ETag can only meet 412 now
            entry.doubts = {
                etag: version if doubted == _UNKNOWN and etag == run.etag else doubted
                for etag, doubted in entry.doubts.items()
                if etag == run.etag or version <= doubted
            }
        if not fetch.is_current:
            return False
        for earlier in fetches[:position]:
            earlier.is_current = False
        if run.etag is not None and not (is_aged and entry.run is not None):
            entry.run, entry.bare_etag = run, None
        return not is_aged

    def is_past(self, ref: Ref, run: State) -> bool:
        """Whether a GET returned a state that is known to be over: a read that lags behind."""
        entry = self._entries.get(ref)
        if entry is None:
            return False
        if entry.is_retired(run.etag):
            return True
        version = self._version_of(run)
        return version is not None and version < entry.highest_version_seen

    def _outdate_fetches(self, ref: Ref) -> None:
        if not self.fetches:
            return  # spares hashing the ref
        for fetch in self.fetches.get(ref, ()):
            fetch.is_current = False

    # -- writes

    def write_started(self, ref: Ref) -> None:
        """Note that a write is sent: what GETs sent before it return must not be stored."""
        self._outdate_fetches(ref)

    def write_refused(self, ref: Ref) -> None:
        """Note that a write ended which changed nothing and showed nothing new: the pair stays."""
        self._outdate_fetches(ref)

    def write_accepted(self, ref: Ref, base: State, after: State | None, *, has_changed: bool = True) -> None:
        """Store the run as it is after a write under the ETag of `base`.

        `after`: `None` if what the server has now is not known, so that the pair is forgotten. `has_changed`: what was
        written is not what was there, so that the ETag of `base` is past, unless `after` has it.
        """
        self._outdate_fetches(ref)
        entry = self._entry(ref)
        entry.run, entry.bare_etag = after, None
        if entry.doubts:
            for etag in [etag for etag, doubted in entry.doubts.items() if etag != base.etag and doubted != _UNKNOWN]:
                del entry.doubts[etag]  # the server accepted this ETag, so every other one that it has shown is past
        if has_changed and (after is None or base.etag != after.etag):
            entry.retire(base.etag)

    def retire(self, ref: Ref, base: State) -> None:
        """Note that the ETag of `base` is past: the server refused it, or accepted a write under it."""
        self._entry(ref).retire(base.etag)

    def forget(self, ref: Ref) -> None:
        """Forget the pair of a run."""
        self._outdate_fetches(ref)
        entry = self._entries.get(ref)
        if entry is not None:
            entry.run = entry.bare_etag = None

    def start_over(self, ref: Ref) -> None:
        """Forget the pair of a run and which ETags are past: others wrote to it, and ETags that return may be back.

        What may still be applied, and the highest version, stay known.
        """
        self.forget(ref)
        entry = self._entries.get(ref)
        if entry is not None:
            entry.retired = entry.earlier = None

    def forget_past(self, ref: Ref, etag: str | None) -> None:
        """Forget a pair with an ETag that another session says is past; `None`: whatever it is. It proves nothing."""
        entry = self._entries.get(ref)
        if entry is None:
            return
        if entry.run is not None and etag in {None, entry.run.etag}:
            entry.run = None
        if etag in {None, entry.bare_etag}:
            entry.bare_etag = None

    def forget_where(self, matches: Callable[[Any], bool]) -> list[Any]:
        """Forget the pairs of all runs that match: jobs change runs without a write of this session. Returns these."""
        matching = [ref for ref in {*self._entries, *self.fetches} if matches(ref)]
        for ref in matching:
            self.forget(ref)
        return matching

    def keep_bare_etag(self, ref: Ref, etag: str | None) -> None:
        """Keep the ETag of a run of which nothing else is known."""
        self._entry(ref).bare_etag = etag

    # -- doubt

    def doubt(self, ref: Ref, base: State) -> None:
        """Note that a write sent under the ETag of `base` may still be applied."""
        entry = self._entry(ref)
        if not entry.is_retired(base.etag):
            known = self._version_of(base)
            if known is None:
                known = self._unversioned
            version = entry.highest_version_seen if known is None else known
            entry.doubts = {**(entry.doubts or {}), base.etag: version}

    def in_doubt(self, ref: Ref, etag: str | None) -> bool:
        """Whether a write that was sent under this very ETag may still be applied."""
        entry = self._entries.get(ref)
        return entry is not None and entry.doubts is not None and etag in entry.doubts


class Memories(dict[Resource, ETagMemory]):
    """The memory of each kind of resource. Made when first asked for, as many programs write runs alone."""

    def __init__(self, maxsize: int) -> None:
        super().__init__()
        self._maxsize = maxsize

    def __missing__(self, resource: Resource) -> ETagMemory:
        memory = self[resource] = ETagMemory(self._maxsize, resource)
        return memory
