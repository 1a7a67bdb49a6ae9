"""The engine: the parts of an entered session, and the start of each call."""

import asyncio
import os
import random
import ssl as ssl_module
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, frozen

from fielding_async.core.config import DEFAULT, Limits, Retry, Timeout, TimeoutArg, check_timeout
from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.credentials import Auth, TokenSource
from fielding_async.core.errors import SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.core.redaction import Secrets
from fielding_async.core.wire.structuring import load_cattrs
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.caller_session import ClientSession
from fielding_async.http.proxies import NO_PROXIES, Proxies
from fielding_async.http.transport import GoingOn, OwnTasks, Transport
from fielding_async.telemetry.call_trace import CallTrace, Position
from fielding_async.telemetry.otel_providers import Providers, TracerProvider
from fielding_async.telemetry.session_stats import SessionWatch

from .attempt import AttemptRunner
from .backoff_waits import Uniform
from .call import Call, CallsUnderWay, TimeLimit
from .limiter import Limiter
from .run_turns import RunTurns
from .sender import RequestSender
from .token_keeper import TokenKeeper

if TYPE_CHECKING:
    from fielding_async.telemetry.meters import MeterProvider

__all__ = ["Engine", "EngineSource", "Settings", "open_engine"]


_forks = [0]
"""How many forks lie between the first process and this one. To ask the system for its id takes longer."""


def _forked() -> None:
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


_MOST_STEPS = 100  # of the event loop, that a cancelled closing takes at most


@frozen(kw_only=True)
class Settings:
    """The settings of a session, checked."""

    auth: Auth | TokenSource
    base_url: str
    api_version: str
    limits: Limits
    retry: Retry
    timeout: Timeout
    etag_cache_size: int
    http: ClientSession | None = None
    proxies: Proxies = NO_PROXIES
    ssl: ssl_module.SSLContext | bool | None = None
    tracer_provider: TracerProvider | None = None
    meter_provider: "MeterProvider | None" = None
    name: str | None = None
    transport: Transport | None = None
    dice: random.Random | None = None


async def open_engine(settings: Settings) -> "Engine":
    """Return all parts of a session; if one cannot be made, what was opened is closed again."""
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
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._forks = _forks[0]
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
        self.limiter: Limiter = Limiter(settings.limits, dice.uniform, self.loop)
        self.sender: RequestSender = RequestSender(
            AttemptRunner(
                transport,
                self.limiter,
                self.keeper,
                settings.timeout,
                settings.base_url,
                settings.api_version,
                self.secrets,
                self.loop,
            ),
            settings.retry,
            dice.uniform,
            self.loop,
        )
        self.memory: RunMemory = RunMemory(settings.etag_cache_size)
        self.turns: RunTurns = RunTurns(self.limiter)
        self.uniform: Uniform = dice.uniform
        self.calls: CallsUnderWay = CallsUnderWay()
        self._refuses = False
        self._idle: asyncio.Future[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self.on_close: dict[Callable[[], None], None] = {}
        """What is called when the session starts to close, in this order."""
        self.watch: SessionWatch = SessionWatch(
            self.limiter, self.turns, self.memory, name=settings.name, slots=settings.limits.concurrency
        )
        """What is going on in the session, for its `stats()` and for gauges."""
        self._providers = Providers(
            dice.getrandbits,
            self.loop.time,
            settings.tracer_provider,
            settings.meter_provider,
            watch=self.watch,
        )

    @property
    def closing(self) -> bool:
        """Whether calls under way are being cut off, or the session is closed."""
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
            raise SessionClosedError("the session is closed" if self.is_over else "the session is being closed")
        if (
            _forks[0] != self._forks
            or threading.get_ident() != self._thread
            or asyncio.get_running_loop() is not self.loop
        ):
            self.check_place()

    def check_place(self) -> None:
        """Raise `SessionClosedError` unless this is the loop, thread and process of the session."""
        if os.getpid() != self._process:
            raise SessionClosedError("the session was entered in another process (it cannot be used after a fork)")
        if threading.get_ident() != self._thread:
            raise SessionClosedError("the session was entered in another thread")
        if asyncio.get_running_loop() is not self.loop:
            raise SessionClosedError("the session was entered on another event loop")

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
        `is_background`: it is a row of a batch, or polls a job, and lets other calls go first.
        Raises `SessionClosedError`, and `ConfigurationError` for a bad `timeout`.
        """
        self.check()
        if self._providers.awaits_globals:
            self._providers.take_up_globals()
        own = timeout if timeout is DEFAULT else check_timeout(timeout)
        limit = self.settings.timeout if own is DEFAULT else own
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

    # -- its end

    async def aclose(self, drain: float = 0.0) -> None:
        """Refuse new calls, end those under way after `drain` seconds, and close what was opened.

        A cancellation ends the wait for calls under way, and the session is still closed: all that could still send is
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
        """Return what is done when no call and no attempt is under way, or when they have been cut off."""
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
        """End everything under way, at once, and return the task that sees it to its end."""
        if self._ending is None:
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)
            self.watch.close()
            self.turns.close(_session_closed)
            self.sender.close_now()
            self._ending = self.loop.create_task(self.sender.aclose(), name="fielding-async closing")
        return self._ending

    def abandon(self) -> bool:
        """Close what can be closed of a session that nobody can close any more. Returns whether it was left open.

        It may be called in any thread, and after the event loop has ended.
        """
        if self._ending is not None or os.getpid() != self._process:
            return False
        self.watch.close()
        transport = self.sender.attempts.transport
        if self.loop.is_closed() or asyncio._get_running_loop() is self.loop:
            transport.close_now()
        else:
            self.loop.call_soon_threadsafe(transport.close_now)
        return True


class EngineSource(Protocol):
    """What a handle needs of its session."""

    def engine(self) -> Engine:
        """Return the live engine, or raise `SessionClosedError`."""
        ...


def _session_closed() -> SessionClosedError:
    return SessionClosedError("the session was closed while the call was waiting for its turn")
