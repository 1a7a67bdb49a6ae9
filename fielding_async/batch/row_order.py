"""Rows of one run one after the other, in input order; after one that failed the later ones are skipped. Pure."""

from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator
from hashlib import blake2b
from typing import Generic, TypeVar

from fielding_async.core.errors import FieldingError
from fielding_async.core.models import RunRef

__all__ = ["Failures", "KeySet", "Lanes"]

_Row = TypeVar("_Row")
_ERRORS_KEPT = 1024


class KeySet:
    """A set of 64-bit keys in 16 to 24 bytes each: a million failed runs must not fill the memory."""

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


def _key(ref: RunRef) -> int:
    return int.from_bytes(blake2b(str(ref).encode(), digest_size=8).digest(), "big") or 1


class Failures:
    """The runs of which a row failed or is unknown, and why: the last thousand errors, and the keys of all."""

    def __init__(self) -> None:
        self._errors: OrderedDict[RunRef, Exception] = OrderedDict()
        self._keys = KeySet()

    def add(self, ref: RunRef, error: Exception) -> None:
        """Note the first failure of a run."""
        if ref in self._errors:
            return
        self._errors[ref] = error
        self._keys.add(_key(ref))
        if len(self._errors) > _ERRORS_KEPT:
            self._errors.popitem(last=False)

    def why(self, ref: RunRef) -> Exception | None:
        """Return what became of an earlier row of this run; `None` if none failed."""
        if not self._keys:
            return None
        error = self._errors.get(ref)
        if error is None and _key(ref) in self._keys:
            return FieldingError("an earlier row of this run failed, too long ago for its error to be kept")
        return error


class Lanes(Generic[_Row]):
    """Which row may start. A run with one row under way and none waiting costs one entry."""

    def __init__(self) -> None:
        self._lanes: dict[RunRef, deque[_Row] | None] = {}
        self.waiting: int = 0
        """How many rows wait behind an earlier one of their run."""

    def offer(self, ref: RunRef, row: _Row) -> bool:
        """Return whether the row may start now; otherwise it waits for those before it."""
        if ref not in self._lanes:
            self._lanes[ref] = None
            return True
        queue = self._lanes[ref]
        if queue is None:
            queue = self._lanes[ref] = deque()
        queue.append(row)
        self.waiting += 1
        return False

    def ended(self, ref: RunRef) -> _Row | None:
        """Note that the row under way has ended. Return the next one of its run, which then is under way."""
        queue = self._lanes[ref]
        if not queue:
            del self._lanes[ref]
            return None
        self.waiting -= 1
        return queue.popleft()

    def __iter__(self) -> Iterator[_Row]:
        """Yield the rows that wait."""
        for queue in self._lanes.values():
            yield from queue or ()
