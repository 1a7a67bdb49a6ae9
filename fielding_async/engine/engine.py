"""What a live session is made of, and how its calls are begun and ended: the handles and the jobs stand on this."""

import asyncio
import os
import random
import ssl as ssl_module
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from attrs import frozen
from opentelemetry.trace import TracerProvider

from fielding_async.core.config import MOST_SECONDS, Limits, Retry, Timeout
from fielding_async.core.conflict.run_memory import RunStore
from fielding_async.core.errors import ConfigurationError, SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.core.wire.structuring import load_cattrs
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.transport import Transport
from fielding_async.telemetry.call_trace import CallTrace, Position
from fielding_async.telemetry.otel_providers import Providers

from .attempt_tasks import Flights
from .backoff_waits import Uniform
from .call import Call
from .exchange import Exchanger
from .limiter import Limiter
from .run_turns import Turns
from .token_keeper import Auth, TokenKeeper, TokenSource

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["DEFAULT", "Default", "Engine", "EngineSource", "Settings", "TimeoutArg", "check_timeout", "open_engine"]


class Default(Enum):
    """The type of a `timeout=` that was left out: the session's own `Timeout` applies."""

    DEFAULT = "the session's own"


DEFAULT: Final = Default.DEFAULT
TimeoutArg = float | None | Default
"""Seconds, counted from the call; `None` for no limit; left out, the session's own."""


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
    http: aiohttp.ClientSession | None = None
    proxy: str | None = None
    ssl: ssl_module.SSLContext | bool | None = None
    tracer_provider: TracerProvider | None = None
    meter_provider: "MeterProvider | None" = None
    transport: Transport | None = None
    dice: random.Random | None = None


async def open_engine(settings: Settings) -> "Engine":
    """Return the parts of a session, all of them; if one cannot be made, what was opened is closed again."""
    load_cattrs()
    transport = settings.transport or AiohttpTransport(
        base_url=settings.base_url,
        concurrency=settings.limits.concurrency,
        http=settings.http,
        proxy=settings.proxy,
        ssl=settings.ssl,
    )
    try:
        return Engine(settings, transport)
    except BaseException:
        await transport.aclose()
        raise


class Engine:
    """The parts of an entered session. Bound to the event loop, thread and process it was made in."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self.settings: Settings = settings
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._process = os.getpid()
        dice = settings.dice or random.Random()  # noqa: S311 - jitter and trace ids, not secrets
        self.keeper: TokenKeeper = TokenKeeper(
            settings.auth,
            transport=transport,
            timeout=settings.timeout.attempt,
            connect_timeout=settings.timeout.connect,
            monotonic=self.loop.time,
            wall=time.time,
        )
        self.limiter: Limiter = Limiter(settings.limits, dice.uniform, self.loop)
        self.exchanger: Exchanger = Exchanger(
            flights=Flights(
                transport, self.limiter, settings.timeout, settings.base_url, settings.api_version, self.loop
            ),
            limiter=self.limiter,
            keeper=self.keeper,
            retry=settings.retry,
            timeout=settings.timeout,
            uniform=dice.uniform,
            loop=self.loop,
        )
        self.store: RunStore = RunStore(settings.etag_cache_size)
        self.turns: Turns = Turns()
        self.uniform: Uniform = dice.uniform
        self.on_close: dict[Callable[[], None], None] = {}
        """What is called when the session begins to close, in this order."""
        self._providers = Providers(dice.getrandbits, self.loop.time, settings.tracer_provider, settings.meter_provider)

    def check(self) -> None:
        """Raise `SessionClosedError` unless this is the loop, thread and process of the session, and it is open."""
        if self.exchanger.closing:
            raise SessionClosedError("the session is closed")
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
    ) -> Call:
        """Begin a call: a context manager that completes the errors which come out of it.

        It is on a run, or on what `ids` name; `link`: the call that it follows.
        """
        self.check()
        own = timeout if timeout is DEFAULT else check_timeout(timeout)
        call = Call(
            name,
            CallTrace(self._providers, name, ref=ref, ids=ids, link=link),
            self.settings.timeout.total,
            self.keeper.secrets,
            ref=ref,
            idempotency_key=idempotency_key,
        )
        if own is not DEFAULT:
            call.set_own_timeout(own, self.loop.time())
        return call

    async def aclose(self) -> None:
        """End everything under way, and close what was opened."""
        for tell in list(self.on_close):
            tell()
        self.turns.close(_session_closed)
        await self.exchanger.aclose()


class EngineSource(Protocol):
    """What a handle needs of its session."""

    def engine(self) -> Engine:
        """Return the live engine, or raise `SessionClosedError`."""
        ...


def _session_closed() -> SessionClosedError:
    return SessionClosedError("the session was closed while the call was waiting for its turn")


def check_timeout(timeout: TimeoutArg) -> TimeoutArg:
    """Return a `timeout=` that is a number of seconds above 0, `None` or left out; raises `ConfigurationError`."""
    if timeout is None or timeout is DEFAULT:
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MOST_SECONDS:
        raise ConfigurationError(
            f"timeout={timeout!r:.60}: must be a number of seconds greater than 0, at most {MOST_SECONDS:g}, or None"
        )
    return timeout
