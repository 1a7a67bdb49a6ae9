"""Made-up ids, from a source of random bits that is passed in."""

from typing import Protocol
from uuid import UUID

__all__ = ["IdGenerator", "RandomBits"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# two characters for ten bits, the lower five first
_PAIRS = [_ALPHABET[number & 31] + _ALPHABET[number >> 5] for number in range(1024)]


class RandomBits(Protocol):
    """A source of random bits, such as `random.Random(seed)`."""

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of `k` random bits."""
        ...


class IdGenerator:
    """Makes ids. The same random bits give the same ids in the same order."""

    def __init__(self, bits: RandomBits) -> None:
        self._bits = bits

    def ulid(self) -> str:
        """Return 26 characters of `[0-9A-Z]`."""
        bits = self._bits.getrandbits(130)
        return "".join([_PAIRS[bits >> 10 * place & 1023] for place in range(13)])

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        return str(UUID(int=self._bits.getrandbits(128), version=4))

    def hex(self, digits: int) -> str:
        """Return that many lower-case hexadecimal digits, not all zero."""
        return f"{self._bits.getrandbits(4 * digits) or 1:0{digits}x}"
