"""The lines of a plan, counted, and those among them that are not text. Pure."""

from collections.abc import Iterator

from attrs import define

from fielding_async.core.errors import ConfigurationError

from .row import BadLine, Problem

__all__ = ["LONGEST", "BadTextError", "Lines", "bad_line", "text_lines"]

LONGEST = 1 << 20
"""The longest line that is accepted, in characters: a file that is not a plan may have no line ends at all."""


class BadTextError(Exception):
    """A line that is not text."""


@define(eq=False)
class Lines:
    """Iterates over lines and counts them. A line that is not text raises `BadTextError`; later lines still follow."""

    inner: Iterator[str]
    number: int = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = next(self.inner)
        self.number += 1
        if len(line) > LONGEST:
            raise ConfigurationError(f"line {self.number} is longer than {LONGEST:,} characters: this is no plan")
        if line.isascii() and "\0" not in line:
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
