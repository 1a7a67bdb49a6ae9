"""The engine: the parts of an entered session, and the start of each call."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import evolve

from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg, check_timeout
from fielding_async.core.conflict.attempts import RetryLimit
from fielding_async.core.conflict.etag_memory import ETagMemory, Memories
from fielding_async.core.conflict.resource import RUNS
from fielding_async.core.errors import SessionClosedError
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.redaction import Secrets
from fielding_async.core.wire.structuring import load_cattrs
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.transport import GoingOn, OwnTasks
from fielding_async.telemetry.call_trace import CallTrace, Position
from fielding_async.telemetry.otel_providers import Providers
from fielding_async.telemetry.session_stats import SessionWatch

from .attempt import AttemptRunner
from .backoff_waits import Uniform
from .call import Call, CallsUnderWay, TimeLimit
from .fetch import BoundedHints, fetch
from .limiter import Limiter
from .membership import Joining, Membership
from .sender import RequestSender
from .settings import Settings, running_loop, wrong_place
from .token_keeper import TokenKeeper
from .turns import Turns

__all__ = ["Engine", "EngineSource", "open_engine"]

_forks = [0]
"""How many forks lie between the first process and this one. To ask the system for its id takes longer."""


def _forked() -> None:
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

_MOST_STEPS = 100  # of the event loop, that a cancelled closing takes at most


async def open_engine(settings: Settings) -> "Engine":
    """Return all parts of a session; if one cannot be made, what was opened is closed again."""
    running_loop()
    load_cattrs()
    transport: GoingOn
    if settings.transport is not None:
        transport = OwnTasks(settings.transport)
    else:
        limits = settings.limits
        transport = aiohttp_transport = AiohttpTransport(
            base_url=settings.base_url,
            concurrency=limits.concurrency,
            http=settings.http,
            proxies=settings.proxies,
            ssl=settings.ssl,
        )
        most = aiohttp_transport.most_connections()
        if most is not None and most < limits.concurrency:
            # otherwise requests would hold a slot while they wait in the pool
            settings = evolve(settings, limits=evolve(limits, concurrency=most))
    try:
        return Engine(settings, transport)
    except BaseException:
        await transport.aclose()
        raise


class Engine:
    """The parts of an entered session. Bound to the event loop, thread and process it was made in."""

    def __init__(self, settings: Settings, transport: GoingOn) -> None:
        self.settings: Settings = settings
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._thread, self._process, self._forks = threading.get_ident(), os.getpid(), _forks[0]
        dice = settings.dice or random.Random()  # noqa: S311 - jitter and trace ids, not secrets
        self.secrets: Secrets = Secrets()
        """The secrets that no error or log line may show. Parts that learn a new one add it."""
        self.secrets.keep(*settings.proxies.secrets())
        self.keeper: TokenKeeper = TokenKeeper(
            settings.auth,
            secrets=self.secrets,
            transport=transport,
            timeout=settings.timeout.attempt,
            connect_timeout=settings.timeout.connect,
            monotonic=self.loop.time,
            wall=time.time,
        )
        self.membership: Membership | None = None
        if settings.shared is not None:
            joining = Joining(settings.base_url, settings.auth, settings.limits, dice.uniform, self.loop)
            self.membership = settings.shared.join(joining)
        hints = None if self.membership is None else self.membership.hints
        self.hints: BoundedHints | None = None if hints is None else BoundedHints(hints, self.loop.time)
        """Runs as other sessions have read them, if they are shared."""
        pacer = None if self.membership is None else self.membership.pacer
        self.limiter: Limiter = Limiter(settings.limits, dice.uniform, self.loop, pacer)
        runner = AttemptRunner(
            *(transport, self.limiter, self.keeper, settings.timeout, settings.base_url, settings.api_version),
            *(self.secrets, self.loop),
        )
        self.sender: RequestSender = RequestSender(runner, settings.retry, dice.uniform, self.loop)
        self.memories: Memories = Memories(settings.etag_cache_size)
        self.memory: ETagMemory = self.memories[RUNS]
        if hints is not None:
            hints.listen(self.memory.forget_past)
        self.turns: Turns = Turns(self.limiter)
        self.uniform: Uniform = dice.uniform
        self.calls: CallsUnderWay = CallsUnderWay()
        self._refuses = False
        self._idle: asyncio.Future[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self.on_close: dict[Callable[[], None], None] = {}
        """What is called when the session starts to close."""
        self.watch: SessionWatch = SessionWatch(
            self.limiter, self.turns, self.memory, name=settings.name, slots=settings.limits.concurrency
        )
        """What is going on in the session, for its `stats()` and for gauges."""
        self._providers = Providers(
            dice.getrandbits, self.loop.time, settings.tracer_provider, settings.meter_provider, watch=self.watch
        )
        if self.membership is not None:
            self.watch.membership = self.membership
            self.membership.pacer.attach(self.limiter)  # last: it starts tasks

    @property
    def closing(self) -> bool:
        """Whether calls in progress are being cut off, or the session is closed."""
        return self.sender.closing

    @property
    def is_over(self) -> bool:
        """Whether the session has been closed, to the end."""
        return self._ending is not None and self._ending.done()

    @property
    def state(self) -> str:
        """Whether the session is open, in one or two words."""
        return "closed" if self.is_over else "being closed" if self._refuses else "open"

    def check(self) -> None:
        """Raise `SessionClosedError` unless this is the loop, thread and process of the session, and it is open."""
        if self._refuses:
            state = "closed" if self.is_over else "being closed"
            raise SessionClosedError(f"the session is {state}: make a new one for what comes after")
        if (
            _forks[0] != self._forks
            or threading.get_ident() != self._thread
            or asyncio._get_running_loop() is not self.loop
        ):
            self.check_place()

    def check_place(self) -> None:
        """Raise `SessionClosedError` unless this is the loop, thread and process of the session."""
        if os.getpid() != self._process:
            raise wrong_place("process")
        if threading.get_ident() != self._thread:
            raise wrong_place("thread")
        if running_loop() is not self.loop:
            raise wrong_place("event loop")

    def call(
        self,
        name: str,
        timeout: TimeoutArg,
        *,
        ref: RunRef | None = None,
        ids: Mapping[str, Any] | None = None,
        link: Position | None = None,
        idempotency_key: str | None = None,
        is_background: bool = False,
    ) -> Call:
        """Start a call, to be used as a context manager.

        `ref`: the run that it is on; otherwise `ids` name what it is on. `link`: the span of the call that it follows.
        `is_background`: a row of a batch, or a poll of a job, which lets other calls go first.
        Raises `SessionClosedError`, and `ConfigurationError` for a bad `timeout`.
        """
        self.check()
        if self._providers.awaits_globals:
            self._providers.take_up_globals()
        own = timeout if timeout is DEFAULT_TIMEOUT else check_timeout(timeout)
        limit = self.settings.timeout if own is DEFAULT_TIMEOUT else own
        return Call(
            name,
            CallTrace(self._providers, name, ref=ref, ids=ids, link=link),
            TimeLimit.of(limit, self.loop.time, queues=not is_background),
            self.secrets,
            self.calls,
            is_background,
            ref=ref,
            idempotency_key=idempotency_key,
        )

    async def get_run(
        self,
        ref: RunRef,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
        *,
        is_background: bool = False,
        retry_limit: RetryLimit | None = None,
    ) -> FieldingRun:
        """GET a run. `is_background`: as for `call`. Raises what that does, and the errors of a read."""
        with self.call("get", timeout, ref=ref, is_background=is_background) as call:
            call.retry_limit = retry_limit
            run: FieldingRun = (await fetch(self.sender, self.memory, RUNS, call, ref, hints=self.hints)).state
            return run

    # -- its end

    async def aclose(self, drain: float = 0.0) -> None:
        """Refuse new calls, end those in progress after `drain` seconds, and close what was opened.

        A cancellation ends the wait for these calls, and the session is still closed: all that could still send is
        ended before the next step of the event loop. The rest takes a few steps; then the cancellation is raised.
        """
        self._refuse()
        cancelled: asyncio.CancelledError | None = None
        if drain and self._ending is None:
            try:
                await asyncio.wait([self._wait_for_calls()], timeout=drain)
            except asyncio.CancelledError as error:
                cancelled = error
        ending = self._cut()
        steps = 0
        while not ending.done() and steps < _MOST_STEPS:
            try:
                # the cancel scopes of anyio cancel again at each step
                await (asyncio.shield(ending) if cancelled is None else asyncio.sleep(0))
            except asyncio.CancelledError as error:
                cancelled = cancelled or error
                if self.membership is not None:
                    self.membership.close_now()
            steps += cancelled is not None
        if cancelled is not None:
            raise cancelled
        if not ending.cancelled():  # by a loop that ends
            ending.result()

    def _refuse(self) -> None:
        if not self._refuses:
            self._refuses = True
            for close in list(self.on_close):
                close()

    def _wait_for_calls(self) -> "asyncio.Future[None]":
        """Return what is done when no call and no attempt is in progress, or when they have been cut off."""
        if self._idle is None:
            self._idle = self.loop.create_future()
            self.calls.when_none = self._check_idle
            self._check_idle()
        return self._idle

    def _check_idle(self, _ended: "asyncio.Task[Any] | None" = None) -> None:
        assert self._idle is not None  # noqa: S101 - somebody waits for it
        if self.calls or self._idle.done():
            return
        if attempts := [task for task in self.sender.attempts.tasks if not task.done()]:
            attempts[0].add_done_callback(self._check_idle)  # a write that outlives its caller
        else:
            self._idle.set_result(None)

    def _cut(self) -> "asyncio.Task[None]":
        """End everything in progress, at once, and return the task that sees it to its end."""
        if self._ending is None:
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)
            self.watch.close()
            self.turns.close()
            self.sender.close_now()
            self._ending = self.loop.create_task(self._close_parts(), name="fielding-async closing")
        return self._ending

    async def _close_parts(self) -> None:
        try:
            await self.sender.aclose()
        finally:
            if self.membership is not None:
                await self.membership.aclose()

    def abandon(self) -> bool:
        """Close what can be closed of a session that nobody can close any more. Returns whether it was left open.

        It may be called in any thread, and after the event loop has ended.
        """
        if self._ending is not None or os.getpid() != self._process:
            return False
        self.watch.close()
        parts = [self.sender.attempts.transport.close_now]
        if self.membership is not None:
            parts.append(self.membership.close_now)
        for close_now in parts:
            if self.loop.is_closed() or asyncio._get_running_loop() is self.loop:
                close_now()
            else:
                self.loop.call_soon_threadsafe(close_now)
        return True


class EngineSource(Protocol):
    """What a handle needs of its session."""

    def engine(self) -> Engine:
        """Return the live engine, or raise `SessionClosedError`."""
        ...
