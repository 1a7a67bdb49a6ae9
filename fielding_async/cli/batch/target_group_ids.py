"""Reads ids of target groups from arguments, files and standard input, and keeps where each one was for messages."""

import codecs
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_ulid

__all__ = ["LocatedId", "check_ids", "parse_ids", "read_ids"]

_BY_MARK = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))


@frozen
class LocatedId:
    """An id, and where it was given, such as `ids.txt, line 3`."""

    value: str
    where: str


def parse_ids(content: bytes, source: str) -> list[LocatedId]:
    """Return the ids in a file's content: one on each line. Blank lines, and comments from a `#` on, are ignored.

    UTF-8, or UTF-16 with a byte order mark; any kind of line end. Raises `ConfigurationError` for other content.
    """
    encoding = next((name for mark, name in _BY_MARK if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: is not a text file in UTF-8") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [LocatedId(line, f"{source}, line {number}") for number, line in enumerate(lines, 1) if line]


def read_ids(path: Path) -> list[LocatedId]:
    """Return the ids in a file. Raises `ConfigurationError` if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    return parse_ids(content, str(path))


def check_ids(ids: Iterable[LocatedId]) -> tuple[str, ...]:
    """Return the ids in order. Raises `ConfigurationError` if there are none, or if one is malformed or repeated."""
    first: dict[str, str] = {}
    for entry in ids:
        if entry.value in first:
            places = first[entry.value]
            places += "" if places == entry.where else f" and {entry.where}"
            raise ConfigurationError(f"{entry.value} is named more than once ({places})")
        try:
            check_ulid("id", entry.value)
        except ConfigurationError:
            problem = f"{entry.value!r} is not a target group id (26 characters out of 0-9 and A-Z)"
            raise ConfigurationError(f"{entry.where}: {problem}") from None
        first[entry.value] = entry.where
    if not first:
        raise ConfigurationError("no target group ids: name some, or a file of them with --from")
    return tuple(first)
