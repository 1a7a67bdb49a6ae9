"""The requests of `fielding doctor`: name resolution, a connection, TLS, and GETs of a run. It never writes."""

import asyncio
import os
import socket
import ssl
import time
from typing import Any, cast
from urllib.parse import urlsplit

from attrs import define, field

from fielding_async import FieldingSession
from fielding_async.cli.shared.output import printable
from fielding_async.cli.shared.sandbox_detection import names_sandbox
from fielding_async.core.config import Retry, Timeout
from fielding_async.core.errors import (
    AuthenticationError,
    FieldingError,
    NotFoundError,
    PermissionDeniedError,
)
from fielding_async.core.models import RunRef
from fielding_async.core.redaction import CleanHeaders
from fielding_async.http.caller_session import ClientSession
from fielding_async.http.client_sessions import TimedReply, recording_session

from .checks import (
    Check,
    access_check,
    certificate_check,
    clock_check,
    etag_check,
    shown_proxy,
    untrusted_check,
)

__all__ = ["Probe"]

NO_SUCH_RUN = RunRef(0, "0" * 26, "0" * 26, "fielding-doctor")
"""A run that does not exist: a GET of it shows whether the token is accepted, and shows nobody's data."""

_INVALID_TOKEN = "fielding-doctor-asks-with-no-token-of-anybody"  # noqa: S105 - as it says
_TIMEOUT = 10.0  # seconds


def _proxy_variable(url: str) -> str:
    """Return the environment variable of the proxy for a URL: in small letters if that is set, else in capitals."""
    name = f"{urlsplit(url).scheme}_proxy"
    return name if os.environ.get(name) else name.upper()


@define
class Probe:
    """Checks a server layer by layer. Each step returns its checks; after a failed one, later steps make no sense."""

    base_url: str
    proxy: str | None = None
    replies: list[TimedReply] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]

    @property
    def sandbox(self) -> bool:
        """Whether a reply said that the server is a sandbox."""
        return any(names_sandbox(reply.headers.get("Server")) for reply in self.replies)

    async def reach(self) -> Check:
        """Resolve the name of the server or its proxy, and open a connection."""
        where = "the proxy " * (self.proxy is not None)
        target = self.proxy or self.base_url
        shown = shown_proxy(target)
        host, port = _host_and_port(target)
        advice = "look at FIELDING_BASE_URL and at your network"
        if self.proxy:
            advice = f"look at {_proxy_variable(self.base_url)}, or unset it"
        try:
            async with asyncio.timeout(_TIMEOUT):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            return Check("network", "failed", f"{where}{host}: no answer from the name servers", advice)
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else None
            return Check("network", "failed", f"{where}{host}: the name has no address ({said or error})", advice)
        began = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            text = f"{where}{host}, port {port}: no connection within {_TIMEOUT:.0f} s"
            return Check("network", "failed", text, f"is a firewall in the way? {advice}")
        except OSError as error:
            reason = "the connection was refused" if isinstance(error, ConnectionRefusedError) else _reason(error)
            return Check("network", "failed", f"{where}{host}, port {port}: {reason}", advice)
        took = (time.monotonic() - began) * 1000
        writer.close()
        address = printable(str(found[0][4][0]))
        return Check("network", "ok", f"{where}{shown} is {address}; connected in {took:.0f} ms")

    async def tls(self) -> Check:
        """Make a TLS connection, if the URL is https and no proxy is used."""
        if urlsplit(self.base_url).scheme == "http":
            return Check("TLS", "ok", "not used: plain http, on this machine only")
        if self.proxy is not None:
            return Check("TLS", "ok", "through the proxy; the requests below check it")
        host, port = _host_and_port(self.base_url)
        try:
            async with asyncio.timeout(_TIMEOUT):
                _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
        except ssl.SSLCertVerificationError as error:
            return untrusted_check(error.verify_code, error.verify_message)
        except TimeoutError:
            return Check("TLS", "failed", f"no TLS connection within {_TIMEOUT:.0f} s", "is this port for https?")
        except (OSError, ssl.SSLError) as error:
            return Check("TLS", "failed", f"no TLS connection: {_reason(error)}", "is this port for https?")
        tls = cast("ssl.SSLObject", writer.get_extra_info("ssl_object"))
        found = certificate_check(tls.version(), cast("dict[str, Any]", tls.getpeercert() or {}), time.time())
        writer.close()
        return found

    async def get_run(self, ref: RunRef | None) -> list[Check]:
        """GET a run twice, or (`None`) one that does not exist, and check token, clock and ETags by the replies."""
        async with recording_session(self.base_url, self.replies.append) as http:
            error = await self._get(http, None, ref or NO_SUCH_RUN, times=2 if ref else 1)
            checks_token = False
            if isinstance(error, NotFoundError) and error.object is not None:
                # a server may answer 404 without checking the token
                refusal = await self._get(http, _INVALID_TOKEN, ref or NO_SUCH_RUN)
                checks_token = isinstance(refusal, AuthenticationError | PermissionDeniedError)
        checks = [access_check(error, ref, checks_token=checks_token, proxy=_proxy_variable(self.base_url))]
        if not self.replies:
            return [*checks, Check("clock", "warning", "not checked: there was no reply")]
        checks.append(clock_check(self.replies[0]))
        if ref is None:
            advice = "name a run to look at: fielding doctor --run ACCOUNT/PROJECT/TARGET-GROUP/RUN"
            checks.append(Check("ETags", "warning", "not checked: that takes a run", advice))
        elif len(self.replies) >= 2 and all(reply.status == 200 for reply in self.replies[-2:]):
            checks.append(etag_check(self.replies[-2:]))
        else:
            checks.append(Check("ETags", "warning", "not checked: the run could not be read"))
        return checks

    async def _get(self, http: ClientSession, token: str | None, ref: RunRef, times: int = 1) -> FieldingError | None:
        """GET a run, with this token or (`None`) that of the settings; return the error if there was one."""
        retry, timeout = Retry(max_attempts=2), Timeout(total=30)
        async with FieldingSession(token, http=http, retry=retry, timeout=timeout) as fielding:
            try:
                for _ in range(times):
                    await fielding.run(ref).get()
            except FieldingError as error:
                return error
            finally:
                redactor = fielding.engine().secrets.redactor
                for reply in self.replies:  # they come past the session
                    reply.headers = CleanHeaders(reply.headers, redactor)
        return None


def _host_and_port(url: str) -> tuple[str, int]:
    """Return host and port of a URL. Raises `ValueError` if it has no host."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _reason(error: Exception) -> str:
    return printable(str(getattr(error, "strerror", None) or error or type(error).__name__))
