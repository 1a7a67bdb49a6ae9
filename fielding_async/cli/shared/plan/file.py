"""The file of a plan. It is read twice, to check it and to send it, and opened once, so that it is the same file."""

import io
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from fielding_async.core.errors import ConfigurationError

from .file_kinds import check_head
from .line_reader import read_lines
from .lines import LONGEST, Lines, Place
from .row import BadLine, Defaults, PlanRow

__all__ = ["STDIN", "PlanFile"]

STDIN = "-"
"""The name of standard input."""

_OWN = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|\d+)/fd/\d+")
"""Names that stand for another file in another process."""

_HEAD = 64  # bytes by which files of other kinds are recognised
_MARK = b"\xef\xbb\xbf"  # of UTF-8, which some programs write first


class PlanFile:
    """The file of a plan. Standard input and pipes are copied to a temporary file first.

    `is_lasting`: a later process can read the plan under the same name. `size`: in bytes. Raises `ConfigurationError`
    if the file cannot be read.
    """

    def __init__(self, name: str) -> None:
        self.name: str = "standard input" if name in {STDIN, "/dev/stdin"} else name
        self.path: Path | None = None if name == STDIN else Path(name)
        self.is_lasting: bool
        self.size: int
        self._counted = Lines(iter(()))  # those of the iterator in use
        try:
            self._file, self.is_lasting = _open(name)
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise self._unreadable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def rows(
        self, defaults: Defaults, on_progress: Callable[[int], None] | None = None, *, start: Place | None = None
    ) -> Iterator[PlanRow | BadLine]:
        """Yield the rows from the start, or those from `start` on, which was the `place` between two rows.

        `on_progress` is called repeatedly with how many bytes have been read. Only one of these iterators can be in
        use. Raises `ConfigurationError` if the file cannot be a plan.
        """
        try:
            self._file.seek(0)
            head = self._file.read(_HEAD)
            check_head(head)
            first = len(_MARK) if head.startswith(_MARK) else 0
            lines = self._counted = Lines(self._lines(first, on_progress), bytes=first)

            def skip() -> None:
                if start is not None:
                    lines.inner = self._lines(start.bytes, on_progress)
                    lines.number, lines.bytes = start

            yield from read_lines(lines, defaults, None if start is None else skip)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.name}: {error.message}") from None
        except OSError as error:
            raise self._unreadable(error) from None

    @property
    def place(self) -> Place:
        """The place behind the last row that was taken from `rows`."""
        return Place(self._counted.number, self._counted.bytes)

    def _lines(self, start: int, on_progress: Callable[[int], None] | None) -> Iterator[str]:
        self._file.seek(start)
        text = io.TextIOWrapper(self._file, "utf-8", "surrogateescape", newline="")
        try:
            number = 0
            while line := text.readline(LONGEST + 1):
                yield line
                number += 1
                if on_progress is not None and number % 4096 == 0:
                    on_progress(self._file.tell())
        finally:
            if not self._file.closed:
                text.detach()  # else it would close the file when it is collected

    def _unreadable(self, error: OSError) -> ConfigurationError:
        remedy = "redirect a file to it" if self.path is None else "name a file that can be read"
        return ConfigurationError(f"{self.name}: cannot be read: {error.strerror or error}: {remedy}")


def _open(name: str) -> tuple[IO[bytes], bool]:
    """Return the file, and whether it is lasting."""
    if name == STDIN:
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise OSError("it is closed")
        return _copy(sys.stdin.buffer), False
    file = Path(name).open("rb")  # noqa: SIM115 - the plan closes it
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file, _OWN.fullmatch(name) is None
    with file:
        return _copy(file), False


def _copy(source: IO[bytes]) -> IO[bytes]:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the plan closes it
    try:
        shutil.copyfileobj(source, spool)
    except BaseException:
        spool.close()
        raise
    return spool
