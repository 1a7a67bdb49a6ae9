"""What `fielding doctor` does to find out: names, sockets, TLS, and two looks at a run. Nothing is ever written."""

import asyncio
import os
import socket
import ssl
import time
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from attrs import define, field
from yarl import URL

from fielding_async.__about__ import SANDBOX
from fielding_async.cli.shared.output import clean
from fielding_async.core.addresses import BASE_URL
from fielding_async.core.config import Retry, Timeout
from fielding_async.core.errors import (
    APIError,
    AuthenticationError,
    FieldingError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from fielding_async.core.models import RunRef
from fielding_async.session import FieldingSession

from .checks import (
    Check,
    Look,
    certificate_check,
    clock_check,
    etag_check,
    host_and_port,
    shown_proxy,
    untrusted_check,
)

__all__ = ["Probe", "is_sandbox"]

NOBODY = RunRef(0, "0" * 26, "0" * 26, "fielding-doctor")
"""A run that does not exist: asking for it shows whether the token is taken, and shows nothing of anybody's."""

_NO_TOKEN = "fielding-doctor-asks-with-no-token-of-anybody"  # noqa: S105 - as it says
_PROXY_WANTS_A_PASSWORD = 407
_PATIENCE = 10.0


def _proxy_variable(url: str) -> str:
    """Return the name of the variable that names the proxy for a URL; small letters win, as everywhere."""
    name = f"{urlsplit(url).scheme}_proxy"
    return name if os.environ.get(name) else name.upper()


async def is_sandbox(base_url: str) -> bool:
    """Whether a sandbox answers at a URL, and says so itself. Sends one request, without a token."""
    try:
        async with (
            aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as http,
            http.get(base_url, allow_redirects=False) as reply,
        ):
            return _names_sandbox(reply.headers.get("Server"))
    except (aiohttp.ClientError, OSError, ValueError):
        return False


def _names_sandbox(server: str | None) -> bool:
    return (server or "").startswith(f"{SANDBOX}/")


@define
class Probe:
    """Looks at a server from below: each step says what it saw, and whether going on makes sense."""

    base_url: str
    proxy: str | None = None
    looks: list[Look] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]

    @property
    def sandbox(self) -> bool:
        """Whether the server said that it is a sandbox."""
        return any(_names_sandbox(look.headers.get("Server")) for look in self.looks)

    async def reach(self) -> Check:
        """Resolve the name, and open a connection."""
        where = "the proxy " * (self.proxy is not None)
        target = self.proxy or self.base_url
        shown = shown_proxy(target)
        host, port = host_and_port(target)
        advice = "look at FIELDING_BASE_URL and at your network"
        if self.proxy:
            advice = f"look at {_proxy_variable(self.base_url)}, or unset it"
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            return Check("network", "failed", f"{where}{host}: no answer from the name servers", advice)
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else None
            return Check("network", "failed", f"{where}{host}: the name has no address ({said or error})", advice)
        began = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            text = f"{where}{host}, port {port}: no connection within {_PATIENCE:.0f} s"
            return Check("network", "failed", text, f"is a firewall in the way? {advice}")
        except OSError as error:
            reason = "the connection was refused" if isinstance(error, ConnectionRefusedError) else _reason(error)
            return Check("network", "failed", f"{where}{host}, port {port}: {reason}", advice)
        took = (time.monotonic() - began) * 1000
        writer.close()
        address = clean(str(found[0][4][0]))
        return Check("network", "ok", f"{where}{shown} is {address}; connected in {took:.0f} ms")

    async def tls(self) -> Check:
        """Make a TLS connection, if there is to be one."""
        if urlsplit(self.base_url).scheme == "http":
            return Check("TLS", "ok", "not used: plain http, on this machine only")
        if self.proxy is not None:
            return Check("TLS", "ok", "through the proxy; the requests below check it")
        host, port = host_and_port(self.base_url)
        try:
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
        except ssl.SSLCertVerificationError as error:
            return untrusted_check(error.verify_code, error.verify_message)
        except TimeoutError:
            return Check("TLS", "failed", f"no TLS connection within {_PATIENCE:.0f} s", "is this port for https?")
        except (OSError, ssl.SSLError) as error:
            return Check("TLS", "failed", f"no TLS connection: {_reason(error)}", "is this port for https?")
        tls = cast("ssl.SSLObject", writer.get_extra_info("ssl_object"))
        found = certificate_check(tls.version(), cast("dict[str, Any]", tls.getpeercert() or {}), time.time())
        writer.close()
        return found

    async def ask(self, ref: RunRef | None) -> list[Check]:
        """Look at a run twice, or at one that does not exist; say what that shows of token, clock and ETags."""
        async with aiohttp.ClientSession(trust_env=True, trace_configs=[self._watcher()]) as http:
            error = await _look(http, None, ref or NOBODY, times=2 if ref else 1)
            asks_token = False
            if isinstance(error, NotFoundError) and error.object is not None:
                # of what is not there a server may say so to anybody
                stranger = await _look(http, _NO_TOKEN, ref or NOBODY)
                asks_token = isinstance(stranger, AuthenticationError | PermissionDeniedError)
        checks = [_answer_check(error, ref, asks_token=asks_token, proxy=_proxy_variable(self.base_url))]
        if not self.looks:
            return [*checks, Check("clock", "warning", "not checked: there was no reply")]
        checks.append(clock_check(self.looks[0]))
        if ref is None:
            advice = "name a run to look at: fielding doctor --run ACCOUNT/PROJECT/TARGET-GROUP/RUN"
            checks.append(Check("ETags", "warning", "not checked: that takes a run", advice))
        elif len(self.looks) >= 2 and all(look.status == 200 for look in self.looks[-2:]):
            checks.append(etag_check(self.looks[-2:]))
        else:
            checks.append(Check("ETags", "warning", "not checked: the run could not be read"))
        return checks

    def _watcher(self) -> aiohttp.TraceConfig:
        origin = URL(self.base_url).origin()  # as aiohttp has it: in small letters, without a port that goes unsaid

        async def sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
            context.sent = time.time()

        async def received(
            _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
        ) -> None:
            if params.url.origin() == origin:  # and not those to the token endpoint
                now = time.time()
                status, headers = params.response.status, params.response.headers
                self.looks.append(Look(status, headers, getattr(context, "sent", now), now))

        config = aiohttp.TraceConfig()
        config.on_request_headers_sent.append(sent)
        config.on_request_end.append(received)
        return config


async def _look(http: aiohttp.ClientSession, token: str | None, ref: RunRef, times: int = 1) -> FieldingError | None:
    """Look at a run, with a token or that of the settings, and return what came of it if not the run."""
    async with FieldingSession(token, http=http, retry=Retry(max_attempts=2), timeout=Timeout(total=30)) as fielding:
        try:
            for _ in range(times):
                await fielding.run(ref).get()
        except FieldingError as error:
            return error
    return None


def _answer_check(error: FieldingError | None, ref: RunRef | None, *, asks_token: bool, proxy: str) -> Check:
    """Say what the answer to a look at a run shows of the token.

    `asks_token`: whether the same look with a token that is none was refused, so that a 404 shows something of it.
    `proxy`: the variable that names one.
    """
    if error is None:
        return Check("access", "ok", "the token is accepted, and the run can be read")
    text = clean(error.message)
    if isinstance(error, NotFoundError | PermissionDeniedError) and error.object is None:
        text = f"a {error.status}, but not in the form that the API has"
        return Check("access", "failed", text, "look at FIELDING_BASE_URL, and at what is in front of the server")
    if isinstance(error, NotFoundError):
        path = f"look at the path of FIELDING_BASE_URL (on the exchange it is {urlsplit(BASE_URL).path})"
        if ref is None:
            if asks_token:
                return Check("access", "ok", "the token is accepted (by the 404 for a run that does not exist)")
            text = "a 404 that comes without a good token too: it shows nothing of the token"
            return Check("access", "warning", text, f"{path}, and name a run that there is: --run RUN")
        if asks_token:
            return Check(
                "access", "warning", f"the token is accepted, but there is no run {ref}", "look at the four ids"
            )
        text = f"there is no run {ref}, and the 404 comes without a good token too"
        return Check("access", "warning", text, f"look at the four ids; {path}")
    if isinstance(error, AuthenticationError):
        advice = "look at the token, at the client id and secret, and whether they are for this server"
        return Check("access", "failed", f"the token is not accepted: {text}", advice)
    if isinstance(error, PermissionDeniedError):
        if ref is None:
            advice = "to tell an expired token from that, name a run you may see: --run RUN"
            return Check("access", "warning", "the token does not open account 0, as may be expected (403)", advice)
        return Check("access", "failed", f"not allowed: {text}", "the token has expired, or is for another account")
    if isinstance(error, RateLimitError):
        advice = "others may be using up what the account is allowed: try again later"
        return Check("access", "failed", text, advice)
    if isinstance(error, ServerError):
        advice = f"the server, or what is in front of it, answers {error.status}: try again later"
        return Check("access", "failed", text, advice)
    if isinstance(error, APIError) and error.status == _PROXY_WANTS_A_PASSWORD:
        return Check("access", "failed", text, f"the proxy wants a user and password: look at {proxy}")
    if isinstance(error, APIError):
        return Check("access", "failed", text, f"the server answers {error.status}: is FIELDING_BASE_URL right?")
    return Check("access", "failed", text, "look at FIELDING_BASE_URL, at the network and at proxies")


def _reason(error: Exception) -> str:
    return clean(str(getattr(error, "strerror", None) or error or type(error).__name__))
