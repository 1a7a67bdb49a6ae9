"""How many entries of a log are kept, and how many bytes."""

from collections import deque

from attrs import frozen

__all__ = ["Bound", "Kept"]


@frozen
class Kept:
    """What a log may keep: the latest `entries`, as many of them as have `size` bytes in all; `None` is no bound."""

    entries: int | None = None
    size: int | None = None


class Bound:
    """Counts the entries of a log. `dropped`: how many of them have fallen out. The latest never does."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._sizes: deque[int] = deque()
        self._total = 0
        self.dropped: int = 0

    def add(self, size: int) -> int:
        """Count a new entry of so many bytes; return how many of the oldest are to be dropped for it."""
        self._sizes.append(size)
        self._total += size
        over = 0
        while len(self._sizes) > 1 and self._is_full():
            self._total -= self._sizes.popleft()
            over += 1
        self.dropped += over
        return over

    def _is_full(self) -> bool:
        entries, size = self._kept.entries, self._kept.size
        return (entries is not None and len(self._sizes) > entries) or (size is not None and self._total > size)
