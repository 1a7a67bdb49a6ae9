"""The settings of a session, as its engine is made from them, and the event loop that it is entered on."""

import asyncio
import random
import ssl as ssl_module
from typing import TYPE_CHECKING

from attrs import frozen

from fielding_async.core.config import Limits, Retry, Timeout
from fielding_async.core.credentials import Auth, TokenSource
from fielding_async.core.errors import SessionClosedError
from fielding_async.http.caller_session import ClientSession
from fielding_async.http.proxies import NO_PROXIES, Proxies
from fielding_async.http.transport import Transport
from fielding_async.telemetry.otel_providers import TracerProvider

from .membership import SharedSource

if TYPE_CHECKING:
    from fielding_async.telemetry.meters import MeterProvider

__all__ = ["Settings", "running_loop", "wrong_place"]

_PLACES = {
    "process": "in another process and cannot be used after a fork: make one in each process",
    "thread": "in another thread: use it there (asyncio.run_coroutine_threadsafe), or make one in each thread",
    "event loop": "on another event loop: make one for each asyncio.run, or do all work in one",
}


def wrong_place(kind: str) -> SessionClosedError:
    """Return the error for a session that was entered elsewhere. `kind`: of what is another one."""
    return SessionClosedError(f"the session was entered {_PLACES[kind]}")


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio. Raises `SessionClosedError` if there is none, as under trio."""
    loop = asyncio._get_running_loop()
    if loop is None:
        raise SessionClosedError(
            "there is no running event loop of asyncio: use the session in a coroutine that asyncio.run(…) runs (under"
            " trio, run it in a thread of its own)"
        )
    return loop


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
    shared: SharedSource | None = None
    transport: Transport | None = None
    dice: random.Random | None = None
