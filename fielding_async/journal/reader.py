"""Reads journals: line by line into a `Replay`, or for users as a summary or as rows."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import IO

from fielding_async.core.errors import ConfigurationError, briefly

from .chain import DamagedError, Head, group_time
from .head_file import HeadFile
from .records import NOT_A_JOURNAL, ended_counts, time_of
from .regular_file import open_regular
from .replay import Replay, begins_a_journal
from .values import Binding, JournalCounts, JournalEvent, JournalRow, JournalSummary, ResolvedRuns

__all__ = [
    "LONGEST_FIRST_LINE",
    "ReadJournal",
    "check_path",
    "damaged",
    "journal_events",
    "journal_rows",
    "read_head",
    "read_journal",
    "read_lines",
]

_AT_ONCE = 1 << 20  # bytes

LONGEST_FIRST_LINE = 1 << 20
"""In bytes: a longer first line is not that of a journal."""


def check_path(path: "str | os.PathLike[str]") -> str:
    """Return the path of a journal as a text; raises `ConfigurationError`."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError(
            f"journal={briefly(path, 100)}: must be the path of a file, as a str or an os.PathLike of one"
        )
    return text


class ReadJournal(os.PathLike[str]):
    """A journal as it was when it was read last: by `read`, or by the batch that went on with it.

    It stands for the path of a batch's journal. Such a batch reads only what was added since, if the file is otherwise
    as it was; a digest of all of it tells. Then it sets what follows, and notes what it adds.

    `replay`: the state of its rows, `None` if it was not read yet. `head`: what its head said. `file`: device and inode
    of the file. `added`: how many bytes the batch has added. `first_group`, `last_group`: its first and its last group.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self.path: str = check_path(path)
        self.binding: Binding | None = None
        self.replay: Replay | None = None
        self.head: Head | None = None
        self.file: tuple[int, int] | None = None
        self.added: int = 0
        self.first_group: bytes = b""
        self.last_group: bytes = b""

    def __fspath__(self) -> str:
        return self.path

    def read(self) -> JournalSummary:
        """Read it, and return what it holds. Raises as `read_journal` does."""
        replay = Replay(notes_digest=True)
        self.head = read_head(self.path)
        self.binding = _read_all(self.path, replay, self.head)
        self.replay = replay
        return _summary(self.binding, replay.written(), replay.counts(), replay.outcomes, replay.resolved)

    def is_start_of(self, file: IO[bytes], head: Head | None) -> bool:
        """Whether an open file starts as this journal was when it was read. `head`: what its head says now."""
        replay = self.replay
        if replay is None or replay.digest_of_all is None:
            return False
        is_compared = head is None or head in {self.head, Head(replay.commits, replay.digest)}
        if not is_compared and head is not None and head.groups <= replay.commits:
            return False  # it names a group among those that were read
        file.seek(0)
        digest, left = sha256(), replay.good_bytes
        while left and (part := file.read(min(left, _AT_ONCE))):
            digest.update(part)
            left -= len(part)
        return digest.digest() == replay.digest_of_all

    def note_loaded(self, binding: Binding, replay: Replay, fd: int) -> None:
        """Take note of what a batch has read."""
        self.binding, self.replay = binding, replay
        status = os.fstat(fd)
        self.file = status.st_dev, status.st_ino
        self.added = 0
        self.first_group = self.last_group = b""

    def note_added(self, group: bytes) -> None:
        """Take note of a group that is durable."""
        self.added += len(group)
        self.first_group = self.first_group or group
        self.last_group = group

    def finished(self, ended: Mapping[tuple[str, str], int]) -> JournalSummary | None:
        """Return what it holds after a batch, if every row on record has ended, without reading it again.

        `ended`: how many rows have ended in the batch, by the name of the action and the outcome. Returns `None` if the
        file is not as the batch left it.
        """
        binding, replay = self.binding, self.replay
        try:
            status = os.lstat(self.path)
        except OSError:
            return None
        if binding is None or replay is None or (status.st_dev, status.st_ino) != self.file:
            return None
        if status.st_size != replay.good_bytes + self.added:
            return None
        outcomes = Counter(replay.outcomes)
        outcomes.update(ended)
        first, last = replay.written()
        written = first or time_of(group_time(self.first_group)), time_of(group_time(self.last_group)) or last
        return _summary(binding, written, ended_counts(outcomes), outcomes, replay.resolved)


def read_journal(path: "str | os.PathLike[str]") -> JournalSummary:
    """Return a summary of a journal. It takes no lock, so a batch may write the journal at the same time.

    Raises `ConfigurationError` if the journal cannot be read, is a symbolic link, or is not a journal.
    """
    replay = Replay()
    binding = _read_all(path, replay, read_head(path))
    return _summary(binding, replay.written(), replay.counts(), replay.outcomes, replay.resolved)


read_journal.__module__ = "fielding_async"


def _read_all(path: "str | os.PathLike[str]", replay: Replay, head: Head | None) -> Binding:
    binding = None
    for binding in _read(path, replay, head):  # noqa: B007
        pass
    assert binding is not None  # noqa: S101 - the first line yields it, or raises
    return binding


def _summary(
    binding: Binding,
    written: tuple[datetime | None, datetime | None],
    counts: JournalCounts,
    outcomes: Mapping[tuple[str, str], int],
    resolved: ResolvedRuns,
) -> JournalSummary:
    return JournalSummary(
        base_url=binding.base_url,
        api_version=binding.api_version,
        plan=binding.plan,
        counts=counts,
        outcomes=dict(outcomes),
        began_at=written[0],
        last_written_at=written[1],
        format=binding.format,
        resolved_runs=sum(map(len, resolved.values())),
    )


def journal_rows(path: "str | os.PathLike[str]", *, all: bool = False) -> Iterator[JournalRow]:  # noqa: A002 - reads well
    """Yield the rows of a journal that have not ended with success, or with `all` every row that is recorded.

    Rows come in the order in which they ended. Stuck rows come after them, and rows in flight come last. A batch may
    write the journal at the same time. Raises `ConfigurationError` if the journal cannot be read or is not a journal.
    """
    replay = Replay(keep=True, keep_done=all)
    for _ in _read(path, replay, read_head(path)):
        if replay.rows:
            yield from replay.rows
            replay.rows.clear()
    yield from replay.without_end()


journal_rows.__module__ = "fielding_async"


def journal_events(path: "str | os.PathLike[str]") -> Iterator[JournalEvent]:
    """Yield the events of whole batches that a journal has, such as outages, in the order of the file.

    A batch may write the journal at the same time. Raises `ConfigurationError` if the journal cannot be read or is not
    a journal.
    """
    replay = Replay(keep=True)
    for _ in _read(path, replay, read_head(path)):
        yield from replay.events
        replay.events.clear()
        replay.rows.clear()


journal_events.__module__ = "fielding_async"


def read_head(path: "str | os.PathLike[str]") -> Head | None:
    """Return what the head of a journal says, `None` if there is none. Raises `ConfigurationError`.

    It is read before the journal: a batch that writes both has the journal ahead of its head at all times.
    """
    text = check_path(path)
    return HeadFile(text, f"journal={text!r}").read()


def _read(path: "str | os.PathLike[str]", replay: Replay, head: Head | None) -> Iterator[Binding]:
    text = check_path(path)
    try:
        fd = open_regular(text, os.O_RDONLY, f"journal={text!r}")
        try:
            yield from read_lines(fd, f"journal={text!r}", replay, head)
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigurationError(
            f"journal={text!r}: cannot be read: {error.strerror or error}: name a journal"
        ) from error


def read_lines(
    fd: int, name: str, replay: Replay, head: Head | None = None, known: ReadJournal | None = None
) -> Iterator[Binding]:
    """Feed a journal to `replay`, from its start. Yield its binding after the first line and again after every group.

    `head`: how far it must go. `known`: what was read of it before, and need not be read again if it is still so.

    So a caller can take rows out of `replay` as they come, or stop. Raises `ConfigurationError`, with `name` in front.
    """
    with os.fdopen(fd, "rb", closefd=False) as file:
        file.seek(0)
        first = file.readline(LONGEST_FIRST_LINE)
        if not first.endswith(b"\n"):
            is_cut = begins_a_journal(first)
            problem = "its first line is incomplete: nothing was sent yet: delete it" if is_cut else NOT_A_JOURNAL
            raise ConfigurationError(f"{name}: {problem}")
        try:
            binding = replay.begin(first, head)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error.message}") from None
        yield binding
        if known is not None and known.replay is not None:
            if known.is_start_of(file, head):
                replay.adopt(known.replay)
            file.seek(replay.good_bytes)
        try:
            while line := file.readline():  # of any length: an ETag may be long
                last = replay.feed_group(line, file)
                yield binding
                if not last.endswith(b"\n"):
                    break  # a batch may be about to write the rest of the line
            replay.end()
        except DamagedError as error:
            raise damaged(name, error) from None


def damaged(name: str, error: DamagedError) -> ConfigurationError:
    """Return the error for a journal that cannot be trusted."""
    remedy = "put back the whole file, for writes may be on record in what is missing"
    return ConfigurationError(f"{name}: is damaged: {error}: {remedy}")
