"""Reads journals: line by line into a `Replay`, or for users as a summary or as rows."""

import os
from collections.abc import Iterator

from fielding_async.core.errors import ConfigurationError

from .chain import DamagedError, Head
from .head_file import HeadFile
from .regular_file import open_regular
from .replay import Replay, begins_a_journal
from .values import Binding, JournalEvent, JournalRow, JournalSummary

__all__ = [
    "LONGEST_FIRST_LINE",
    "check_path",
    "damaged",
    "journal_events",
    "journal_rows",
    "read_journal",
    "read_lines",
]

LONGEST_FIRST_LINE = 1 << 20
"""In bytes: a longer first line is not that of a journal."""


def check_path(path: "str | os.PathLike[str]") -> str:
    """Return the path of a journal as a text; raises `ConfigurationError`."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError(
            f"journal={path!r:.100}: must be the path of a file, as a str or an os.PathLike of one"
        )
    return text


def read_journal(path: "str | os.PathLike[str]") -> JournalSummary:
    """Return what a journal holds: without a lock, and also while a batch writes it.

    Raises `ConfigurationError` if it cannot be read, is a symbolic link or is no journal.
    """
    replay = Replay()
    binding = None
    for binding in _read(path, replay):  # noqa: B007
        pass
    assert binding is not None  # noqa: S101 - the first line yields it, or raises
    began_at, last_written_at = replay.written()
    return JournalSummary(
        base_url=binding.base_url,
        api_version=binding.api_version,
        plan=binding.plan,
        counts=replay.counts(),
        outcomes=dict(replay.outcomes),
        began_at=began_at,
        last_written_at=last_written_at,
        format=binding.format,
    )


read_journal.__module__ = "fielding_async"


def journal_rows(path: "str | os.PathLike[str]", *, all: bool = False) -> Iterator[JournalRow]:  # noqa: A002 - reads well
    """Yield the rows that did not end well, or with `all` every row on record.

    Rows come in the order in which they ended; those that are stuck come after them, and those in flight last. The
    journal can be read while a batch writes it. Raises `ConfigurationError` if it cannot be read or is no journal.
    """
    replay = Replay(keep=True, keep_done=all)
    for _ in _read(path, replay):
        if replay.rows:
            yield from replay.rows
            replay.rows.clear()
    yield from replay.without_end()


journal_rows.__module__ = "fielding_async"


def journal_events(path: "str | os.PathLike[str]") -> Iterator[JournalEvent]:
    """Yield the events of whole batches, such as outages, in the order of the file.

    The journal can be read while a batch writes it. Raises `ConfigurationError` if it cannot be read or is no journal.
    """
    replay = Replay(keep=True)
    for _ in _read(path, replay):
        yield from replay.events
        replay.events.clear()
        replay.rows.clear()


journal_events.__module__ = "fielding_async"


def _read(path: "str | os.PathLike[str]", replay: Replay) -> Iterator[Binding]:
    text = check_path(path)
    # before the journal: a batch that writes both has the journal ahead of its head at all times
    head = HeadFile(text, f"journal={text!r}").read()
    try:
        fd = open_regular(text, os.O_RDONLY, f"journal={text!r}")
        try:
            yield from read_lines(fd, f"journal={text!r}", replay, head)
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigurationError(f"journal={text!r}: cannot be read: {error.strerror or error}") from error


def read_lines(fd: int, name: str, replay: Replay, head: Head | None = None) -> Iterator[Binding]:
    """Feed a journal to `replay`, from its start. Yield its binding after the first line and again after every other.

    `head`: how far it must go.

    So a caller can take rows out of `replay` as they come, or stop. Raises `ConfigurationError`, with `name` in front.
    """
    with os.fdopen(fd, "rb", closefd=False) as file:
        file.seek(0)
        first = file.readline(LONGEST_FIRST_LINE)
        if not first.endswith(b"\n"):
            problem = "its first line is incomplete" if begins_a_journal(first) else "is not a journal of this library"
            raise ConfigurationError(f"{name}: {problem}")
        try:
            binding = replay.begin(first, head)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error.message}") from None
        yield binding
        try:
            while line := file.readline():  # of any length: an ETag may be long
                replay.feed(line)
                yield binding
                if not line.endswith(b"\n"):
                    break  # a batch may be about to write the rest of the line
            replay.end()
        except DamagedError as error:
            raise damaged(name, error) from None


def damaged(name: str, error: DamagedError) -> ConfigurationError:
    """Return the error for a journal that cannot be trusted."""
    remedy = "put back the whole file, for writes may be on record in what is missing"
    return ConfigurationError(f"{name}: is damaged: {error}; nothing was sent or changed: {remedy}")
