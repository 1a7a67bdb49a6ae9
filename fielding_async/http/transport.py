"""The seam between the engine and HTTP: one attempt as the engine hands it over, and what performs it.

`AiohttpTransport` is what a session uses. Tests and benchmarks pass a `Transport` of their own to
`fielding_async.session.session_over`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from math import inf
from typing import Any, Protocol

from attrs import define

from fielding_async.core.wire.replies import Attempted, Lost, NotSent

__all__ = [
    "Gate",
    "GoingOn",
    "HeldBack",
    "Outgoing",
    "OwnTasks",
    "Queue",
    "Traced",
    "Transport",
    "ended",
    "in_own_task",
]


class HeldBack(Exception):  # noqa: N818 - not an error: the request waits for a new permission
    """The request was ready to be sent, but its permission had lapsed. Nothing was sent."""


class Queue(Protocol):
    """Those that wait at their gates, of one session."""

    @property
    def waiting(self) -> int:
        """How many wait. While there are any, a request that is ready does not ask its gate, but waits as well."""
        ...

    async def wait(self, gate: "Gate") -> bool:
        """Wait until the request may be sent, and use its permission up. Returns `False` if it may not be sent."""
        ...


@define(eq=False)
class Gate:
    """Answers at the socket whether a request may be sent now.

    `ask`: called with the time of `clock`. It returns 0 if the request may be sent, which uses the permission up, and
    otherwise the seconds until it may be, or `None` if the permission has lapsed. `queue`: where a request that may not
    be sent yet waits; left out, it is held back. `permit`: its permission, which the queue reads. `may_leave`: of a
    write on record, whether its record still permits it. `is_shut`: nobody wants the request to be sent any more.
    `turn`: what a request that waits awaits. `waited`: how long that took, in seconds.
    """

    ask: Callable[[float], float | None]
    clock: Callable[[], float]
    queue: Queue | None = None
    permit: object = None
    may_leave: Callable[[], bool] | None = None
    is_shut: bool = False
    turn: asyncio.Future[bool] | None = None
    waited: float = 0.0

    @property
    def holds_back(self) -> bool:
        """Whether the request may not be sent, whatever its permission says."""
        return self.is_shut or (self.may_leave is not None and not self.may_leave())

    def shut(self) -> None:
        """Hold the request back, unless it has been sent."""
        self.is_shut = True
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(False)


class Traced(Protocol):
    """The call that an attempt belongs to, for spans that an instrumentation of aiohttp makes."""

    @property
    def span(self) -> object | None:
        """The call's own span, if it has one; then each attempt has a span of ours."""
        ...

    def lend_context(self) -> None:
        """Put the call's trace into the current task, so that a span which others start is part of it."""
        ...

    def adopt_context(self) -> Mapping[str, str]:
        """Return the headers of the current span, if others started it for this attempt; otherwise none."""
        ...


@define(eq=False)
class Outgoing:
    """One attempt: what is sent, and what happens right before it is sent.

    `gate`: asked when a connection is open and before the first byte; `None`: always open. `on_leave`: called when the
    request may be sent; returns headers to send with it. `traced`: the call that it belongs to, if any. `left`: whether
    a byte may have been sent; whoever performs the attempt says so when it hands the first byte over. `adopted`: the
    headers of a span that others started for it. `waits_for`: what it needs next, as long as it has not left.
    `is_held`: a connection is open, and the request waits at the gate; the time of that wait is no part of the time to
    connect. `outlives`: once it has left, the attempt goes on to its end although the task that makes it is cancelled.
    `rest`: what is needed for that: `send` sets it when it is cancelled, and is then called again with this same
    value, in another task. `due`: when the time of an attempt with a `rest` is over, by the loop's clock.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    gate: Gate | None = None
    traced: Traced | None = None
    on_leave: Callable[[], Mapping[str, str]] | None = None
    left: bool = False
    adopted: Mapping[str, str] | None = None
    waits_for: str = "connection"
    is_held: bool = False
    outlives: bool = False
    rest: Any = None
    due: float = inf

    def leave_now(self) -> bool:
        """Return whether the request may be sent without a wait; if not, await `leave`."""
        gate = self.gate
        if gate is not None and (
            gate.is_shut
            or (gate.may_leave is not None and not gate.may_leave())
            or (gate.queue is not None and gate.queue.waiting)
            or gate.ask(gate.clock()) != 0.0
        ):
            return False
        if self.on_leave is not None:
            self.headers.update(self.on_leave())
        self.left = True
        return True

    async def leave(self) -> None:
        """Wait, if need be, until the request may be sent. Raises `HeldBack` if it may not be sent."""
        if self.leave_now():
            return
        gate = self.gate
        assert gate is not None  # noqa: S101 - otherwise it has left
        if gate.queue is None or gate.holds_back:
            raise HeldBack
        self.is_held = True  # stays so if the wait is cut
        if not await gate.queue.wait(gate):
            raise HeldBack
        self.is_held = False
        if self.on_leave is not None:
            self.headers.update(self.on_leave())
        self.left = True


class Transport(Protocol):
    """Performs HTTP requests for the engine."""

    def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Coroutine[Any, Any, Attempted]:
        """Perform one attempt within `timeout` seconds.

        Awaits `outgoing.leave()` once, right before the first byte. Raises `HeldBack` if the request may not be sent,
        and nothing else: a failure is a value (`NotSent`, `Lost`). Where it is cancelled after a request that
        `outlives` has left, it sets `outgoing.rest`, and goes on when it is called again. (`OwnTasks` does that for
        those that do not.)
        """
        ...

    def close_now(self) -> None:
        """Start to close what was opened, and open nothing more. Waits for nothing; may be called more than once.

        The attempts in progress end at once, as values. (`OwnTasks` sees to that for those that do not.)
        """
        ...

    async def aclose(self) -> None:
        """Close what was opened, and wait until it is closed."""
        ...


class GoingOn(Transport, Protocol):
    """A transport that goes on with what outlives its caller. `OwnTasks` makes one of any other."""

    def give_up(self, outgoing: Outgoing) -> None:
        """End an attempt that has a `rest`, in place of going on with it."""
        ...


async def in_own_task(
    outgoing: Outgoing, sending: Coroutine[Any, Any, Attempted], tasks: "dict[asyncio.Task[Attempted], Outgoing]"
) -> Attempted:
    """Return what comes of `sending`, in a task of its own: one that `outlives` goes on after a cancellation.

    `tasks`: where the task is entered as long as it runs.
    """
    task = asyncio.get_running_loop().create_task(sending)
    tasks[task] = outgoing
    task.add_done_callback(tasks.pop)
    return await ended(outgoing, task)


async def ended(outgoing: Outgoing, task: "asyncio.Task[Attempted]") -> Attempted:
    """Return what comes of an attempt that runs in this task, and was started by `in_own_task`."""
    outgoing.rest = None
    if not outgoing.outlives:
        return await task
    try:
        await asyncio.wait([task])  # it is not cancelled with its caller
    except asyncio.CancelledError:
        outgoing.rest = task
        raise
    return task.result()


class OwnTasks:
    """A transport that runs each attempt in a task of its own, over one that does not handle cancellations.

    So an attempt that `outlives` goes on after a cancellation, and all end when the session closes.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._tasks: dict[asyncio.Task[Attempted], Outgoing] = {}
        self._is_closing = False

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Perform one attempt, or go on with it."""
        caller = asyncio.current_task()
        assert caller is not None  # noqa: S101 - coroutines of the SDK run in tasks
        before = caller.cancelling()
        try:
            if outgoing.rest is not None:
                return await ended(outgoing, outgoing.rest)
            sending = self._inner.send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
            return await in_own_task(outgoing, sending, self._tasks)
        except asyncio.CancelledError:
            if not self._is_closing or caller.cancelling() > before:
                raise
            reason = "the session was closed"
            return Lost(reason) if outgoing.left else NotSent(reason)

    def give_up(self, outgoing: Outgoing) -> None:
        """Cancel the task of the attempt."""
        outgoing.rest.cancel()
        outgoing.rest = None

    def close_now(self) -> None:
        """End the attempts in progress, and start to close."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        self._inner.close_now()

    async def aclose(self) -> None:
        """Close what was opened, and wait until it is closed."""
        await self._inner.aclose()
