"""The order of the rows of a run: one after the other; after one that failed the later ones are skipped. Pure."""

from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator
from hashlib import blake2b
from typing import Generic, TypeVar

from fielding_async.core.errors import FieldingError, SkippedError
from fielding_async.core.models import RunRef

__all__ = ["FailedRuns", "RunQueues", "Uint64Set"]

_Row = TypeVar("_Row")
_ERRORS_KEPT = 1024


class Uint64Set:
    """A set of 64-bit integers other than 0, in 16 to 24 bytes each: it may have to hold a million failed runs.

    An open-addressing hash table, in which 0 marks a free slot. The integers must be evenly distributed, as hashes are.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 64))
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def _slot(self, slots: "array[int]", key: int) -> int:
        """Return the slot that holds the key, or the free one where it belongs."""
        mask = len(slots) - 1
        place = key & mask
        while slots[place] not in {0, key}:
            place = (place + 1) & mask
        return place

    def __contains__(self, key: int) -> bool:
        return self._slots[self._slot(self._slots, key)] == key

    def add(self, key: int) -> None:
        """Add a key, which must not be 0."""
        place = self._slot(self._slots, key)
        if self._slots[place]:
            return
        self._slots[place] = key
        self._used += 1
        if self._used * 3 > len(self._slots) * 2:
            grown = array("Q", bytes(16 * len(self._slots)))
            for old in self._slots:
                if old:
                    grown[self._slot(grown, old)] = old
            self._slots = grown


def _hash(ref: RunRef) -> int:
    return int.from_bytes(blake2b(str(ref).encode(), digest_size=8).digest(), "big") or 1


class FailedRuns:
    """The runs with a row that failed or is unknown: hashes of all of them, and the errors of the last thousand."""

    def __init__(self) -> None:
        self._errors: OrderedDict[RunRef, Exception] = OrderedDict()
        self._hashes = Uint64Set()
        self.is_any: bool = False
        """Whether there is one."""

    def add(self, ref: RunRef, error: Exception) -> None:
        """Add a run with its first failure."""
        self.is_any = True
        if ref in self._errors:
            return
        self._errors[ref] = error
        self._hashes.add(_hash(ref))
        if len(self._errors) > _ERRORS_KEPT:
            self._errors.popitem(last=False)

    def error_of(self, ref: RunRef) -> Exception | None:
        """Return the error of an earlier row of this run; `None` if none failed."""
        error = self._errors.get(ref)
        if error is None and _hash(ref) in self._hashes:
            return FieldingError("an earlier row of this run failed, too long ago for its error to be kept")
        return error

    def skipped(self, ref: RunRef | None) -> SkippedError | None:
        """Return the error of a row that is not sent, because an earlier one of its run failed; `None` if none did."""
        why = self.error_of(ref) if self.is_any and ref is not None else None
        if why is None:
            return None
        return SkippedError(f"not sent: an earlier row of this run failed: {why}", because=why, ref=ref)


class RunQueues(Generic[_Row]):
    """A first-in, first-out queue of rows for each run, of which one at a time is in progress.

    A run with one row in progress and none waiting costs one entry of a dict.
    """

    def __init__(self) -> None:
        self._queues: dict[RunRef, deque[_Row] | None] = {}
        self.waiting: int = 0
        """How many rows wait behind an earlier one of their run."""

    def enter(self, ref: RunRef, row: _Row) -> bool:
        """Return whether the row may start now; if not, it waits for those before it."""
        runs = len(self._queues)
        queue = self._queues.setdefault(ref, None)
        if len(self._queues) > runs:
            return True
        if queue is None:
            queue = self._queues[ref] = deque()
        queue.append(row)
        self.waiting += 1
        return False

    def leave(self, ref: RunRef) -> _Row | None:
        """Take note that the row in progress has ended. Return the next one of its run, which may start now, if any."""
        queue = self._queues.pop(ref)
        if not queue:
            return None
        self._queues[ref] = queue
        self.waiting -= 1
        return queue.popleft()

    def __iter__(self) -> Iterator[_Row]:
        """Yield the rows that wait."""
        for queue in self._queues.values():
            yield from queue or ()
