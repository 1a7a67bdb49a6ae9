"""Ids of target groups from arguments, files and standard input: where each one stood is kept for the messages."""

import codecs
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_ulid

__all__ = ["Named", "check_ids", "parse_ids", "read_ids"]

_BY_MARK = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))


@frozen
class Named:
    """An id, and where it was named, such as `ids.txt, line 3`."""

    value: str
    where: str


def parse_ids(content: bytes, source: str) -> list[Named]:
    """Return the ids in a text: one a line, with blank lines and comments that begin with `#`.

    A byte order mark and any kind of line end will do. Raises `ConfigurationError` for what is no text.
    """
    encoding = next((name for mark, name in _BY_MARK if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: is not a text file in UTF-8") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [Named(line, f"{source}, line {number}") for number, line in enumerate(lines, 1) if line]


def read_ids(path: Path) -> list[Named]:
    """Return the ids in a file. Raises `ConfigurationError` if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    return parse_ids(content, str(path))


def check_ids(named: Iterable[Named]) -> tuple[str, ...]:
    """Return the ids, in order. Raises `ConfigurationError` for none, one that cannot be one, or one named twice."""
    first: dict[str, str] = {}
    for entry in named:
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
