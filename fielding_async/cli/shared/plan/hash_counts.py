"""Counts among the hashes of very many values, in little memory: a set of them all would take 70 bytes each. Pure."""

from array import array
from collections import Counter, OrderedDict

__all__ = ["cache_misses", "distinct", "first_again"]

_PARTS = 64


def distinct(hashes: "array[int]") -> tuple[int, set[int]]:
    """Return how many hashes there are, and which are there more than once. A part at a time: a set of all is large."""
    parts = [array("q") for _ in range(_PARTS)]
    for value in hashes:
        parts[value % _PARTS].append(value)
    count, repeated = 0, set[int]()
    for part in parts:
        known = set(part)
        count += len(known)
        if len(known) < len(part):
            repeated.update(value for value, times in Counter(part).items() if times > 1)
    return count, repeated


def first_again(hashes: "array[int]", repeated: set[int]) -> int:
    """Return the place of the first hash that was there before."""
    known: set[int] = set()
    for place, value in enumerate(hashes):
        if value in known:
            return place
        if value in repeated:
            known.add(value)
    raise AssertionError("no hash is there twice")


def cache_misses(hashes: "array[int]", distinct: int, size: int) -> int:
    """Return how often a value is not among the last `size` different ones. `distinct`: how many hashes there are."""
    if distinct <= size or distinct == len(hashes):
        return distinct
    known: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for value in hashes:
        misses += value not in known
        known[value] = None
        known.move_to_end(value)
        if len(known) > size:
            known.popitem(last=False)
    return misses
