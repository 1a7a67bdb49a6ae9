"""Ids and trace headers that the sandbox makes up, from dice that are handed in."""

from typing import Protocol
from uuid import UUID

__all__ = ["Dice", "Ids"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Dice(Protocol):
    """Where the randomness comes from: a `random.Random(seed)` will do."""

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of `k` random bits."""
        ...


class Ids:
    """A maker of ids; the same dice give the same ids in the same order."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    def ulid(self) -> str:
        """Return 26 characters of `[0-9A-Z]`."""
        bits = self._dice.getrandbits(130)
        return "".join(_ALPHABET[bits >> 5 * place & 31] for place in range(26))

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        return str(UUID(int=self._dice.getrandbits(128), version=4))

    def hex(self, digits: int) -> str:
        """Return that many lower-case hexadecimal digits, not all zero."""
        return f"{self._dice.getrandbits(4 * digits) or 1:0{digits}x}"
