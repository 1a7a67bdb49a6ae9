"""The connections of `fielding doctor`: name resolution, TCP, a proxy's CONNECT and TLS, for one origin. No request."""

import asyncio
import socket
import ssl
import time
from typing import Any, cast
from urllib.parse import urlsplit

from attrs import frozen

from fielding_async.cli.shared.output import printable
from fielding_async.core.addresses import is_loopback_address, is_plain
from fielding_async.http.proxies import Proxy

from .checks import Check, certificate_check, proxy_refusal, untrusted_check

__all__ = ["Origin"]

_TIMEOUT = 10.0  # seconds
_MOST = 64 * 1024  # bytes of the head of a proxy's reply


class _RefusedByProxyError(Exception):
    """The proxy answered CONNECT with another status than 2xx."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@frozen
class Origin:
    """The server at a URL, the variable that names it, and the proxy for it. After a failed check, stop."""

    url: str
    setting: str
    proxy: Proxy | None = None

    async def reach(self) -> Check:
        """Resolve the name of the server or its proxy, and open a connection."""
        where = "the proxy " * (self.proxy is not None)
        target = self.proxy.url if self.proxy else self.url
        host, port = _host_and_port(target)
        advice = f"check {self.setting} and your network"
        if self.proxy:
            advice = f"check {self.proxy.source}, or unset it"
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
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        writer.close()
        address = printable(str(found[0][4][0]))
        if is_plain(self.url) and not is_loopback_address(peer):
            text = f"{host} is {printable(peer)}, which is not this machine"
            return Check("network", "failed", text, f"plain http is for this machine only: set {self.setting} to https")
        shown = f"{urlsplit(target).scheme}://{urlsplit(target).netloc}"
        return Check("network", "ok", f"{where}{shown} is {address}; connected in {took:.0f} ms")

    async def tls(self) -> Check:
        """Make a TLS connection, through the proxy if there is one."""
        if is_plain(self.url):
            return Check("TLS", "ok", "not used: plain http, on this machine only")
        context = ssl.create_default_context()
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_TIMEOUT):
                writer = await self._connect(context)
            tls = cast("ssl.SSLObject", writer.get_extra_info("ssl_object"))
            return certificate_check(tls.version(), cast("dict[str, Any]", tls.getpeercert() or {}), time.time())
        except _RefusedByProxyError as error:
            assert self.proxy is not None  # noqa: S101 - it answered
            return proxy_refusal(self.proxy, error.status)
        except ssl.SSLCertVerificationError as error:
            return untrusted_check(error.verify_code, error.verify_message, self.setting)
        except TimeoutError:
            return Check("TLS", "failed", f"no TLS connection within {_TIMEOUT:.0f} s", "is this port for https?")
        except (OSError, EOFError, ValueError) as error:
            return Check("TLS", "failed", f"no TLS connection: {_reason(error)}", "is this port for https?")
        finally:
            if writer is not None:
                writer.close()

    async def _connect(self, context: ssl.SSLContext) -> asyncio.StreamWriter:
        host, port = _host_and_port(self.url)
        if self.proxy is None:
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            return writer
        is_tls = not is_plain(self.proxy.url)
        reader, writer = await asyncio.open_connection(
            *_host_and_port(self.proxy.url), ssl=context if is_tls else None, limit=_MOST
        )
        try:
            target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            own = "".join(f"{name}: {value}\r\n" for name, value in self.proxy.headers.items())
            writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{own}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if not 200 <= status < 300:
                raise _RefusedByProxyError(status)
            await writer.start_tls(context, server_hostname=host)
        except BaseException:
            writer.close()
            raise
        return writer


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _reason(error: Exception) -> str:
    return printable(str(getattr(error, "strerror", None) or error or type(error).__name__))
