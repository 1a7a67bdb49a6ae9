"""The lines of a plan, counted, and those among them that are not text. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from attrs import define

from fielding_async.core.errors import ConfigurationError

from .cells.problems import Problem
from .row import BadLine

__all__ = ["LONGEST", "BadTextError", "Lines", "Place", "bad_line", "text_lines"]

LONGEST = 1 << 20
"""The longest line that is accepted, in characters: a file that is not a plan may have no line ends at all."""


class BadTextError(Exception):
    """A line that is not text."""


class Place(NamedTuple):
    """A place in a plan between two lines: how many lines lie before it, and how many bytes."""

    lines: int
    bytes: int


@define(eq=False)
class Lines:
    """Iterates over lines and counts them. A line that is not text raises `BadTextError`; later lines still follow.

    `number`: of the last line, from 1. `bytes`: how many bytes lie before the next line, in UTF-8. Who takes a line
    from `inner` counts it. `held`: a line that was taken from there, to be given back here and counted.
    """

    inner: Iterator[str]
    number: int = 0
    bytes: int = 0
    held: str | None = None

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = next(self.inner) if self.held is None else self.held
        self.held = None
        self.number += 1
        if len(line) > LONGEST:
            raise ConfigurationError(
                f"line {self.number} is longer than {LONGEST:,} characters: this is no plan: name another file"
            )
        is_ascii = line.isascii()
        self.bytes += len(line) if is_ascii else len(line.encode("utf-8", "surrogateescape"))
        if is_ascii and "\0" not in line:
            return line
        if "\0" in line:
            raise BadTextError("holds a NUL character")
        if any("\udc80" <= character <= "\udcff" for character in line):
            raise BadTextError("is not UTF-8 text")
        return line


def text_lines(lines: Lines) -> Iterator[str | BadLine]:
    """Yield each line, or a bad line in place of one that is not text."""
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except BadTextError as error:
            yield bad_line(lines.number, str(error))
            continue
        yield line


def bad_line(line: int, text: str, more: str = "") -> BadLine:
    """Return a line with one problem. `text` is the same for all lines with this problem, `more` is about this one."""
    return BadLine(line, (Problem(text, text + more),))
