"""The `Transport` of a session: one attempt over aiohttp, with a value as its result.

Requests take one of two paths: the fast one, below aiohttp's `ClientSession`, or the public one. Which is decided
on entry, in `AiohttpTransport.__init__`. No exception of aiohttp leaves this module.
"""

import asyncio
import re
import ssl as ssl_module
import sys
from collections.abc import Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from fielding_async.__about__ import __version__
from fielding_async.core.errors import ConfigurationError, SessionClosedError
from fielding_async.core.wire.replies import Attempted, Lost, NotSent
from fielding_async.telemetry.log_lines import warn_once

from .caller_session import inherited_headers, missing_of
from .connection import ConnectTime, head_limits
from .deadline_timer import DeadlineTimer
from .failures import DisconnectedError, describe, is_final, refuses_our_certificate
from .fast_path import FastPath
from .proxies import NO_PROXIES, Proxies
from .public_path import PublicPath, Route
from .self_check import missing_public_parts, run_at_once, try_fast_path, try_public_path
from .tls import check_connector, ssl_of_requests
from .transport import HeldBack, Outgoing, ended, in_own_task

__all__ = ["AiohttpTransport"]

_TURNS = 3  # of the loop, in which transports finish closing, so that no socket outlives the session
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*", re.ASCII)
_ENCODED = re.compile(r"/(?!/)(?:[A-Za-z0-9/_.~!$&'()*+,;=:@?-]|%[0-9A-Fa-f]{2})*", re.ASCII)

_SOFTWARE = f"Python/{sys.version_info.major}.{sys.version_info.minor} aiohttp/{aiohttp.__version__}"
_HEADERS = [("Accept", "application/json"), ("User-Agent", f"fielding-async/{__version__} {_SOFTWARE}")]


@lru_cache(maxsize=4096)  # most runs are asked for more than once
def _is_plain(path: str) -> bool:
    return _PLAIN_PATH.fullmatch(path) is not None


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _cut_off(outgoing: Outgoing) -> Attempted:
    reason = "the session was closed"
    return Lost(reason) if outgoing.left else NotSent(reason)


def _unusable(reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"aiohttp {aiohttp.__version__} cannot be used ({reason}): install the version that was current when this"
        " package was released"
    )


class AiohttpTransport:
    """`Transport` over a connector of our own or the caller's.

    The caller's session itself is never used or changed. Its connector, trace configs, default headers without protocol
    meaning and limits on the heads of replies are taken over; none of its other settings has an effect. `proxies`: one
    is looked up for each origin.

    Raises `ConfigurationError`, also for a version of aiohttp that cannot be used.
    """

    def __init__(
        self,
        *,
        base_url: str,
        concurrency: int,
        http: aiohttp.ClientSession | None,
        proxies: Proxies = NO_PROXIES,
        ssl: ssl_module.SSLContext | bool | None = None,
    ) -> None:
        missing = missing_public_parts()
        if missing:
            raise _unusable(f"without {', '.join(missing)}")
        self._http = http
        headers = _HEADERS
        if http is None:
            # for each slot, and for the token
            self._connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=concurrency + 1)
        else:
            if http.closed or http.connector is None:
                raise ConfigurationError("http: the aiohttp.ClientSession is closed: pass an open one")
            if getattr(http.connector, "_loop", None) not in {None, asyncio.get_running_loop()}:
                raise ConfigurationError(
                    "http: the aiohttp.ClientSession belongs to another event loop: make it on this one"
                )
            self._connector = http.connector
            headers = inherited_headers(http)
            names = {name.lower() for name, _ in headers}
            headers = [*(pair for pair in _HEADERS if pair[0].lower() not in names), *headers]
            check_connector(http)
        self._proxies = proxies
        self._ssl = ssl_of_requests(ssl)
        self._routes: dict[str, Route] = {}
        self._origin_text = base_url[: len(base_url) - len(urlsplit(base_url).path)]
        self._origin = URL(self._origin_text)
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Task[None] | None = None
        self._is_closing = False
        self._tasks: dict[asyncio.Task[Attempted], Outgoing] = {}  # of the public path
        self._timer = DeadlineTimer(self._loop)
        self._connect_time = ConnectTime(0.0, self._timer)
        self._limits = head_limits(http)
        self._open(http, headers)

    def _open(self, http: aiohttp.ClientSession | None, headers: list[tuple[str, str]]) -> None:
        """Choose the path, after both have been tried; open what it needs."""
        # something in the place of aiohttp's methods is not shown requests of our own
        is_watched = FastPath.is_known() and not FastPath.is_open()
        try:
            if not is_watched:
                try_public_path(_HEADERS)
            self._public = PublicPath(self._connector, headers, list(http.trace_configs) if http else [], self._limits)
            self._public.adopt_spans()
        except Exception as error:
            raise _unusable(describe(error)) from error
        misfit = ", ".join([*missing_of(http), *([] if FastPath.is_known() else ["_request"])])
        if not misfit and not is_watched:
            try:
                try_fast_path(_HEADERS)
            except Exception as error:  # noqa: BLE001 - whatever it is, it does not fit
                misfit = describe(error)
        if misfit:
            warn_once(
                f"private parts of aiohttp {aiohttp.__version__} have changed ({misfit}): requests use only its public"
                " parts, which takes more CPU"
            )
        self._is_fast = not (misfit or is_watched) and FastPath.is_usable(self._public.session, self._connector)
        self._fast_paths: dict[str, FastPath | None] = {}
        self._fast_path = self._fast_path_to(self._origin_text)

    def most_connections(self) -> int | None:
        """Return how many connections the caller's connector lets one origin have; `None` if it has no limit."""
        limits = () if self._http is None else (self._connector.limit, self._connector.limit_per_host)
        return min((limit for limit in limits if limit > 0), default=None)

    def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Coroutine[Any, Any, Attempted]:
        """Perform one attempt, or go on with it.

        Raises `HeldBack`, and `SessionClosedError` if the caller closed their own session.
        """
        if self._http is not None and self._http.closed and outgoing.rest is None:
            raise SessionClosedError(
                "the aiohttp.ClientSession passed as http= has been closed: close it after the FieldingSession"
            )
        connect_time = self._connect_time
        if connect_time.seconds != connect_timeout:
            connect_time = self._connect_time = ConnectTime(connect_timeout, self._timer)
        path, fast_path = self._plain_path(outgoing.url), self._fast_path
        if path is None:
            path, fast_path = self._elsewhere(outgoing.url)
        rest: Any = outgoing.rest
        if rest is not None:
            if not isinstance(rest, tuple):
                return ended(outgoing, rest)
            timeout = outgoing.due - self._loop.time()
        elif path is None or not FastPath.is_open():
            fast_path = None
        if fast_path is None:
            # others may put spans into the context of its task
            return in_own_task(outgoing, self._attempt(outgoing, timeout, connect_time, "", None), self._tasks)
        return self._attempt(outgoing, timeout, connect_time, path or "", fast_path)

    async def _attempt(
        self, outgoing: Outgoing, timeout: float, connect_time: ConnectTime, path: str, fast_path: FastPath | None
    ) -> Attempted:
        if self._is_closing:
            if outgoing.rest is not None and fast_path is not None:
                FastPath.give_up(outgoing)
            return _cut_off(outgoing)
        unsent, final = "could not connect", False
        limit = self._timer.start(timeout)
        try:
            if fast_path is not None:
                return await fast_path.send(outgoing, path, connect_time)
            return await self._by_public_path(outgoing, connect_time)
        except HeldBack:
            raise
        except asyncio.CancelledError:
            if not limit.undo():
                outgoing.due = limit.due
                raise
            if outgoing.rest is not None and fast_path is not None:
                FastPath.give_up(outgoing)
            if self._closing is not None:
                return _cut_off(outgoing)
            reason, timed_out = f"no {'reply' if outgoing.left else outgoing.waits_for} within {timeout:.3g} s", True
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must learn whether the request was sent
            reason, timed_out, final = describe(error), False, is_final(error)
            if outgoing.left and refuses_our_certificate(error):
                return NotSent(f"could not connect ({reason})", is_final=True)
            if not (final or isinstance(error, OSError | DisconnectedError)):
                unsent = "the request could not be sent"
        finally:
            if limit.expired or limit.timer is not None:
                self._timer.stop(limit)
            else:
                self._timer.limits.pop(limit, None)  # the usual case
        if outgoing.left:
            return Lost(f"the reply was lost ({reason})", timed_out=timed_out)
        return NotSent(f"{unsent} ({reason})", is_final=final)

    def _plain_path(self, url: str) -> str | None:
        """Return the path of a URL of our origin, if it can be sent as it is."""
        if not url.startswith(self._origin_text):
            return None
        path = url[len(self._origin_text) :]
        return path if _is_plain(path) else None

    def _elsewhere(self, url: str) -> tuple[str | None, FastPath | None]:
        """Return the path of a URL of another origin (that of tokens), and the way there."""
        origin = _origin_of(url)
        if "@" in origin or not _PLAIN_PATH.fullmatch(url, len(origin)):
            return None, None
        return url[len(origin) :], self._fast_path_to(origin)

    def _fast_path_to(self, origin: str) -> FastPath | None:
        if not self._is_fast or not FastPath.is_open():
            return None
        if origin not in self._fast_paths:
            self._fast_paths[origin] = self._open_fast_path(origin)
        return self._fast_paths[origin]

    def _open_fast_path(self, origin: str) -> FastPath | None:
        peer = run_at_once(self._public.request_to(URL(origin), self._route_to(origin)))
        return FastPath(self._connector, peer, self._limits)

    def _route_to(self, origin: str) -> Route:
        """Return how an origin is reached: the one place in which that is decided."""
        route = self._routes.get(origin)
        if route is None:
            proxy = self._proxies.for_url(origin)
            route = Route(None, None, self._ssl) if proxy is None else Route(proxy.url, proxy.headers, self._ssl)
            self._routes[origin] = route
        return route

    async def _by_public_path(self, outgoing: Outgoing, connect_time: ConnectTime) -> Attempted:
        path = self._plain_path(outgoing.url)
        if path is None:
            url, origin = self._url_of(outgoing.url), _origin_of(outgoing.url)
        else:
            # parsing a whole URL takes three times as long
            url, origin = self._origin.with_path(path, encoded=True), self._origin_text
        return await self._public.send(outgoing, url, self._route_to(origin), connect_time)

    def _url_of(self, url: str) -> URL:
        """Return a URL as aiohttp takes it. What is encoded already is sent byte for byte."""
        if url.startswith(self._origin_text) and _ENCODED.fullmatch(target := url[len(self._origin_text) :]):
            return self._origin.join(URL(target, encoded=True))
        return URL(url)

    def give_up(self, outgoing: Outgoing) -> None:
        """Close the connection of the attempt, or cancel its task."""
        rest: Any = outgoing.rest
        if isinstance(rest, tuple):
            FastPath.give_up(outgoing)
        else:
            rest.cancel()
            outgoing.rest = None

    def close_now(self) -> None:
        """End the attempts in progress; start to close the session, and the connector if it is our own."""
        if self._closing is not None:
            return
        self._is_closing = True
        if self._loop.is_closed():
            self._close_in_one_step()
            return
        self._timer.cut_all()
        self._closing = self._loop.create_task(self._close(), name="fielding-async closing connections")
        self._closing.add_done_callback(self._close_if_cancelled)

    def _close_if_cancelled(self, closing: asyncio.Task[None]) -> None:
        if closing.cancelled():  # by a program that cancels all tasks; perhaps before its first step
            self._close_in_one_step()

    def _close_in_one_step(self) -> None:
        self._timer.close()
        for closing in (self._public.aclose(), self._close_connector()):
            with suppress(StopIteration, RuntimeError):
                closing.send(None)  # what can still be done is done in its first step
            closing.close()

    async def _close(self) -> None:
        self._timer.close()
        try:
            await self._public.aclose()
        finally:
            await self._close_connector()

    async def _close_connector(self) -> None:
        if self._http is None:
            await self._connector.close()
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close the session, and the connector if it is our own."""
        self.close_now()
        if self._closing is not None:
            await asyncio.shield(self._closing)
