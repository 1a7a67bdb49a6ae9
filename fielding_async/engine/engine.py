"""The engine: the parts of an entered session, and the start of each call."""

import asyncio
import os
import random
import ssl as ssl_module
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

from fielding_async.core.config import MOST_SECONDS, Limits, Retry, Timeout
from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.credentials import Auth, TokenSource
from fielding_async.core.errors import ConfigurationError, SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.core.redaction import Secrets
from fielding_async.core.wire.structuring import load_cattrs
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.caller_session import ClientSession
from fielding_async.http.proxies import NO_PROXIES, Proxies
from fielding_async.http.transport import Transport
from fielding_async.telemetry.call_trace import CallTrace, Position
from fielding_async.telemetry.otel_providers import Providers, TracerProvider

from .attempt import AttemptRunner
from .backoff_waits import Uniform
from .call import Call, TimeLimit
from .limiter import Limiter
from .run_turns import RunTurns
from .sender import RequestSender
from .token_keeper import TokenKeeper

if TYPE_CHECKING:
    from fielding_async.telemetry.meters import MeterProvider

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
    http: ClientSession | None = None
    proxies: Proxies = NO_PROXIES
    ssl: ssl_module.SSLContext | bool | None = None
    tracer_provider: TracerProvider | None = None
    meter_provider: "MeterProvider | None" = None
    transport: Transport | None = None
    dice: random.Random | None = None


async def open_engine(settings: Settings) -> "Engine":
    """Return all parts of a session; if one cannot be made, what was opened is closed again."""
    load_cattrs()
    transport = settings.transport or AiohttpTransport(
        base_url=settings.base_url,
        concurrency=settings.limits.concurrency,
        http=settings.http,
        proxies=settings.proxies,
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
        self.secrets: Secrets = Secrets()
        """What nothing shows. Whoever knows one more adds it."""
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
        self.turns: RunTurns = RunTurns()
        self.uniform: Uniform = dice.uniform
        self.on_close: dict[Callable[[], None], None] = {}
        """What is called when the session starts to close, in this order."""
        self._providers = Providers(dice.getrandbits, self.loop.time, settings.tracer_provider, settings.meter_provider)

    @property
    def closing(self) -> bool:
        """Whether the session closes, or is closed."""
        return self.sender.closing

    def check(self) -> None:
        """Raise `SessionClosedError` unless this is the loop, thread and process of the session, and it is open."""
        if self.sender.closing:
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
        """Start a call, to be used as a context manager.

        `ref`: the run that it is on; otherwise `ids` name what it is on. `link`: the span of the call that it follows.
        Raises `SessionClosedError`, and `ConfigurationError` for a bad `timeout`.
        """
        self.check()
        own = timeout if timeout is DEFAULT else check_timeout(timeout)
        return Call(
            name,
            CallTrace(self._providers, name, ref=ref, ids=ids, link=link),
            TimeLimit(self.settings.timeout.total) if own is DEFAULT else TimeLimit.of_caller(own, self.loop.time()),
            self.secrets,
            ref=ref,
            idempotency_key=idempotency_key,
        )

    async def aclose(self) -> None:
        """End everything under way, and close what was opened."""
        for close in list(self.on_close):
            close()
        self.turns.close(_session_closed)
        await self.sender.aclose()


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
