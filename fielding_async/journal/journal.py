"""The journal of a batch: intents made durable in groups before their writes leave, ends noted after."""

import asyncio
import copy
import os
import stat
from collections.abc import Callable, Iterator, Sized
from functools import partial

from attrs import Factory, define

from fielding_async.core.actions import Action
from fielding_async.core.batch_values import Done
from fielding_async.core.errors import ConfigurationError, JournalError, OutcomeUnknownError, SkippedError
from fielding_async.core.models import FieldingRun

from .file_thread import Storage
from .lines import NO_ROW, commit_line, end_line, failure_line, intent_line, settled_line
from .locked_file import read_lines
from .replay import Replay
from .values import Binding, EndState, JournalRow, JournalSummary

__all__ = ["Journal", "check_path", "journal_rows", "read_journal"]

_LINGER = 0.004  # seconds that the first record of a group waits for more


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

    Raises `ConfigurationError` if it cannot be read or is no journal.
    """
    replay = Replay()
    binding = None
    for binding in _read(path, replay):  # noqa: B007
        pass
    assert binding is not None  # noqa: S101 - the first line yields it, or raises
    return JournalSummary(
        base_url=binding.base_url,
        api_version=binding.api_version,
        plan=binding.plan,
        counts=replay.counts(),
        outcomes=dict(replay.outcomes),
    )


read_journal.__module__ = "fielding_async"


def journal_rows(path: "str | os.PathLike[str]") -> Iterator[JournalRow]:
    """Yield the rows that did not end well, in the order in which they ended; rows in flight come last.

    Raises `ConfigurationError` if the journal cannot be read or is no journal.
    """
    replay = Replay(keep=True)
    for _ in _read(path, replay):
        if replay.rows:
            yield from replay.rows
            replay.rows.clear()
    yield from replay.in_flight()


journal_rows.__module__ = "fielding_async"


def _read(path: "str | os.PathLike[str]", replay: Replay) -> Iterator[Binding]:
    text = check_path(path)
    try:
        fd = os.open(text, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigurationError(f"journal={text!r}: is not a regular file")
            yield from read_lines(fd, f"journal={text!r}", replay)
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigurationError(f"journal={text!r}: cannot be read: {error.strerror or error}") from error


def _nobody(rows: list[int]) -> None:
    """Stand for a batch that is not there yet."""


@define(eq=False)
class _Group:
    """What waits for a group of lines: intents for leave to be sent, and rows whose ends are to be told of."""

    waiters: "list[asyncio.Future[None]]" = Factory(list["asyncio.Future[None]"])
    ends: list[int] = Factory(list[int])

    def confirm(self, error: JournalError | None) -> None:
        """Let the intents go: they are durable, or cannot be made so."""
        for waiter in self.waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                one_more = copy.copy(error)  # each has a traceback of its own
                one_more.__cause__ = error.__cause__
                waiter.set_exception(one_more)


class Journal:
    """The journal of one batch, on its event loop.

    `replay`: what earlier batches left in it. `error`: what went wrong in writing; from then on nothing is written any
    more, and no intent is confirmed.
    """

    def __init__(self, storage: Storage, binding: Binding) -> None:
        self._storage = storage
        self._binding = binding
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []
        self._group = _Group()  # who waits for what was added since the last one
        self._writing: _Group | None = None
        self._timer: asyncio.Handle | None = None
        self._look: asyncio.Handle | None = None
        self._closed = False
        self._rows: Sized = ()
        self._recorded: Callable[[list[int]], None] = _nobody
        self.replay: Replay = Replay()
        self.error: JournalError | None = None

    async def open(self) -> None:
        """Lock it and read it. Raises `ConfigurationError` if it cannot be used, or belongs to something else."""
        try:
            await self._storage.load(self._binding, self.replay)
        except BaseException:
            self._storage.close()
            raise

    def serve(self, rows: Sized, recorded: Callable[[list[int]], None]) -> None:
        """Take note of the `rows` under way, and of what to call with the numbers of those whose ends are on record.

        It is called for ends that cannot be put on record as well.
        """
        self._rows = rows
        self._recorded = recorded

    @property
    def name(self) -> str:
        """What to call it in an error."""
        return self._storage.name

    # -- records

    def intend(self, number: int, digest: int, action: Action, base: FieldingRun) -> "asyncio.Future[None]":
        """Return a future of the moment when an intent is durable, or of `JournalError` if it cannot be made so."""
        durable: asyncio.Future[None] = self._loop.create_future()
        if self._is_open():
            self._group.waiters.append(durable)
            self._add(intent_line(number, digest, action, base))
            if self._all_wait() and self._look is None:
                # a row that has just ended may make room for another one first
                self._look = self._loop.call_soon(self._write_if_all_wait)
        else:
            durable.set_exception(self._failed())
        return durable

    def settled(self, number: int, digest: int) -> None:
        """Note that the last intent of a row cannot be applied any more, or never left."""
        if self._is_open():
            self._add(settled_line(number, digest))

    def ended(self, digest: int, done: Done) -> None:
        """Note how a row ended; it is told of with others, later."""
        number, error = done.number, done.error
        if not self._is_open():
            self._loop.call_soon(self._recorded, [number])
            return
        if error is None:
            line = end_line(number, digest, done.action, done.result())
        else:
            state: EndState = "failed"
            if isinstance(error, OutcomeUnknownError):
                state = "unknown"
            elif isinstance(error, SkippedError):
                state = "skipped"
            ref, action = (None, None) if digest == NO_ROW else (done.ref, done.action)
            line = failure_line(number, digest, ref, action, state, error)
        self._group.ends.append(number)
        self._add(line)

    # -- group commit

    def _is_open(self) -> bool:
        return self.error is None and not self._closed

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        if self._timer is None and self._writing is None:
            self._timer = self._loop.call_later(_LINGER, self._write)

    def _all_wait(self) -> bool:
        """Whether nothing more can come before the group is durable: every row under way waits for it."""
        return self._writing is None and len(self._group.waiters) >= len(self._rows)

    def _write_if_all_wait(self) -> None:
        self._look = None
        if self._all_wait():
            self._write()

    def _write(self) -> None:
        self._stop_waiting()
        if self._writing is None and self._lines:
            self._begin()

    def _stop_waiting(self) -> None:
        for handle in (self._timer, self._look):
            if handle is not None:
                handle.cancel()
        self._timer = self._look = None

    def _begin(self) -> None:
        """Have all that was added written as one group."""
        self.replay.commits += 1
        blob = b"".join([commit_line(self.replay.commits), *self._lines])
        self._lines.clear()
        group = self._writing = self._group
        self._group = _Group()
        self._storage.write(blob, partial(self._written, group))

    def _written(self, group: "_Group", problem: OSError | None) -> None:
        self._writing = None
        if problem is not None:
            self.error = self._failed(problem)
            self._lines.clear()
            self._end(group)
            group, self._group = self._group, _Group()
        self._end(group)
        if self._all_wait():
            self._write()
        elif self._lines:
            self._timer = self._loop.call_later(_LINGER, self._write)

    def _end(self, group: "_Group") -> None:
        group.confirm(self.error)
        if group.ends:
            self._recorded(group.ends)

    def _failed(self, problem: BaseException | None = None) -> JournalError:
        problem = problem or (self.error and self.error.__cause__)
        why = getattr(problem, "strerror", None) or problem or "the batch was left"
        error = JournalError(f"{self._storage.name}: cannot be written: {why}; nothing more is sent")
        error.__cause__ = problem
        return error

    async def flush(self) -> None:
        """Return once all that was noted is durable. Raises `JournalError` if it cannot be made so."""
        if self.error is not None:
            raise self._failed()
        self._write()
        group = self._group if self._lines else self._writing
        if group is not None:
            durable: asyncio.Future[None] = self._loop.create_future()
            group.waiters.append(durable)
            await durable

    async def aclose(self) -> None:
        """Make everything durable, unlock and close. Raises `JournalError` if it could not all be made durable."""
        try:
            await self.flush()
        finally:
            closed = self.close_soon()
            try:
                await asyncio.shield(closed)
            except asyncio.CancelledError:
                await asyncio.shield(closed)  # who resumes at once is not to find it locked
                raise

    def close_soon(self) -> "asyncio.Future[None]":
        """Begin a last write and the closing after it, and wait for nothing."""
        self._stop_waiting()
        if self._lines and self._is_open():
            # behind the write that may be under way: the storage keeps the order
            self._begin()
        self._closed = True
        return self._storage.close()
