"""The journal of a batch: intents are made durable before their writes leave, and ends before they are reported.

Records are committed in groups, each written and synced as one. The first record of a group waits for others for
`_LINGER` seconds; an intent does not wait if every row in progress waits for the same group, for then nothing else can
join it.
"""

import asyncio
import copy
from collections.abc import Callable, Sized
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from attrs import Factory, define

from fielding_async.core.actions import Action
from fielding_async.core.batch_values import Done
from fielding_async.core.errors import JournalError, OutcomeUnknownError, SkippedError
from fielding_async.core.models import FieldingRun, RunRef

from .chain import DamagedError, group_bytes
from .lines import NO_ROW, end_line, event_line, failure_line, intent_line, pause_line, settled_line
from .reader import damaged
from .replay import Replay
from .storage import JournalStorage
from .values import Binding, EndState, JournalEventKind

__all__ = ["Journal"]

_LINGER = 0.004


def _now() -> datetime:
    return datetime.now(UTC)


def _ignore(rows: list[int]) -> None:
    """Stand in for a batch until there is one."""


def _add_nothing() -> None:
    """Stand in for a batch that adds records to groups."""


def _valid(digest: int, done: Done) -> tuple[RunRef | None, Action | None]:
    return (None, None) if digest == NO_ROW else (done.ref, done.action)


@define(eq=False)
class _Group:
    """What happens once a group of lines is durable: the waiting writes leave, and the ends of rows are reported."""

    waiters: "list[asyncio.Future[None]]" = Factory(list["asyncio.Future[None]"])
    ends: list[int] = Factory(list[int])

    def resolve_waiters(self, error: JournalError | None) -> None:
        """Let the writes leave, or with an `error` keep them from it."""
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

    `replay`: what earlier batches left in it. `error`: why it could not be written; from then on nothing is written,
    and every intent fails. `now`: the wall clock, aware; nothing depends on it.
    """

    def __init__(self, storage: JournalStorage, binding: Binding, *, now: Callable[[], datetime] = _now) -> None:
        self._storage = storage
        self._binding = binding
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []  # for the next group
        self._group = _Group()  # the next one
        self._writing: _Group | None = None  # the one that is being made durable
        self._linger: asyncio.Handle | None = None
        self._early_commit: asyncio.Handle | None = None
        self._closed = False
        self._rows: Sized = ()
        self._on_durable_ends: Callable[[list[int]], None] = _ignore
        self.replay: Replay = Replay()
        self.error: JournalError | None = None
        self.before_group: Callable[[], None] = _add_nothing
        """Called before a group is written; what it records is in that group."""

    async def open(self) -> None:
        """Lock it and read it. Raises `ConfigurationError` if it cannot be used, or belongs to something else."""
        try:
            await self._storage.load(self._binding, self.replay)
            try:
                self.replay.end()
            except DamagedError as error:
                raise damaged(self.name, error) from None
        except Exception:
            with suppress(OSError):  # of the two problems the first one is raised
                await self._storage.close()  # whoever learns of it may open the journal again at once
            raise
        except BaseException:
            self._storage.close()
            raise

    def attach(self, rows: Sized, on_durable_ends: Callable[[list[int]], None]) -> None:
        """Set the `rows` in progress, and what to call with the numbers of rows whose ends are durable.

        It is also called for ends that cannot be made durable; `error` is set then.
        """
        self._rows = rows
        self._on_durable_ends = on_durable_ends

    @property
    def name(self) -> str:
        """What to call it in an error."""
        return self._storage.name

    @property
    def may_leave(self) -> Callable[[], bool] | None:
        """Says whether a write that is on record may leave now. `None` for a storage where it always may."""
        return self._storage.may_leave

    # -- records

    def record_intent(
        self, number: int, digest: int, action: Action, base: FieldingRun, ref: RunRef | None = None
    ) -> "asyncio.Future[None]":
        """Record a write that is about to leave. Return a future that is done when the record is durable.

        `ref`: the run, checked. It raises `JournalError` if the record cannot be made durable.
        """
        durable: asyncio.Future[None] = self._loop.create_future()
        if self._is_open():
            self._group.waiters.append(durable)
            self._add(intent_line(number, digest, action, base, ref))
            if self._every_row_waits() and self._early_commit is None:
                # in the next round of the loop: a row that has just ended may start another one first
                self._early_commit = self._loop.call_soon(self._commit_if_every_row_waits)
        else:
            durable.set_exception(self._failure())
        return durable

    def record_settled(self, number: int, digest: int) -> None:
        """Record that the last intent of a row cannot be applied any more, or never left."""
        if self._is_open():
            self._add(settled_line(number, digest))

    def record_end(self, digest: int, done: Done, if_match: str | None = None) -> None:
        """Record how a row ended. It is reported through `attach`, later and with others.

        `if_match`: the only ETag that it might be sent under, as its plan has it.
        """
        number = done.number
        if not self._is_open():
            self._loop.call_soon(self._on_durable_ends, [number])
            return
        if done.error is None:
            line = end_line(number, digest, done.action, done.outcome, if_match)
        else:
            error = done.error
            state: EndState = "failed"
            if isinstance(error, OutcomeUnknownError):
                state = "unknown"
            elif isinstance(error, SkippedError):
                state = "skipped"
            line = failure_line(number, digest, *_valid(digest, done), state, error, if_match)
        self._group.ends.append(number)
        self._add(line)

    def record_stuck(self, digest: int, done: Done, if_match: str | None = None) -> None:
        """Record that a row is set aside with an error for now. It has not ended: another batch tries it again.

        It is not reported through `attach`. Raises `ValueError` for a row without an error.
        """
        if done.error is None:
            raise ValueError(f"row {done.number} ended well, it is not stuck")
        if self._is_open():
            self._add(failure_line(done.number, digest, *_valid(digest, done), "stuck", done.error, if_match))

    def record_event(self, kind: JournalEventKind, seconds: float | None, reason: str) -> None:
        """Record something that happened to the whole batch. `seconds`: how long it took, where that is known."""
        if self._is_open():
            self._add(event_line(kind, seconds, reason))

    def record_pauses(self, seconds: float, reason: str, *, began: float, ended: float, count: int) -> None:
        """Record `count` pauses of the session, which took `seconds` together. Times are those of the loop's clock."""
        if self._is_open():
            now, at = self._now(), self._loop.time()
            first, last = (now - timedelta(seconds=at - time) for time in (began, ended))
            self._add(pause_line(seconds, reason, began=first, ended=last, count=count))

    # -- group commit

    def _is_open(self) -> bool:
        return self.error is None and not self._closed

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        if self._linger is None and self._writing is None:
            self._linger = self._loop.call_later(_LINGER, self._commit)

    def _every_row_waits(self) -> bool:
        """Whether nothing more can join the group: every row in progress waits for it to be durable."""
        return self._writing is None and len(self._group.waiters) >= len(self._rows)

    def _commit_if_every_row_waits(self) -> None:
        self._early_commit = None
        if self._every_row_waits():
            self._commit()

    def _commit(self) -> None:
        """Start to write the group, unless another one is being written: then it follows."""
        self._cancel_timers()
        if self._writing is None and self._lines:
            self._write_group()

    def _cancel_timers(self) -> None:
        for handle in (self._linger, self._early_commit):
            if handle is not None:
                handle.cancel()
        self._linger = self._early_commit = None

    def _write_group(self) -> None:
        group = self._writing = self._group
        self._group = _Group()
        self.before_group()  # no other group is begun for what it adds, as this one is being written
        self.replay.commits += 1
        blob, self.replay.digest = group_bytes(self.replay.commits, self._now(), self._lines, self.replay.digest)
        self._lines.clear()
        self._storage.write(blob, partial(self._on_written, group))

    def _on_written(self, group: "_Group", problem: OSError | None) -> None:
        self._writing = None
        if problem is not None:
            self.error = self._failure(problem)
            self._lines.clear()
            self._report(group)
            group, self._group = self._group, _Group()
        self._report(group)
        if self._every_row_waits():
            self._commit()
        elif self._lines:
            self._linger = self._loop.call_later(_LINGER, self._commit)

    def _report(self, group: "_Group") -> None:
        group.resolve_waiters(self.error)
        if group.ends:
            self._on_durable_ends(group.ends)

    def _failure(self, problem: BaseException | None = None) -> JournalError:
        problem = problem or (self.error and self.error.__cause__)
        why = getattr(problem, "strerror", None) or problem or "the batch was left"
        error = JournalError(f"{self._storage.name}: cannot be written: {why}; nothing more is sent")
        error.__cause__ = problem
        return error

    async def flush(self) -> None:
        """Return once all records so far are durable. Raises `JournalError` if that cannot be."""
        if self.error is not None:
            raise self._failure()
        self._commit()
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
            closed = self.start_closing()
            try:
                await asyncio.shield(closed)
            except asyncio.CancelledError:
                await asyncio.shield(closed)  # whoever resumes the batch at once must not find the journal locked
                raise

    def start_closing(self) -> "asyncio.Future[None]":
        """Start a last write, and closing after it. Return a future of the latter."""
        self._cancel_timers()
        if self._lines and self._is_open():
            # another write may be under way: the storage keeps the order
            self._write_group()
        self._closed = True
        return self._storage.close()
