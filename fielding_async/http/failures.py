"""Exceptions of aiohttp as short texts, whether they are bound to recur, and exceptions of our own."""

import os
import re
import socket
import ssl
from http import HTTPStatus

import aiohttp

__all__ = ["DisconnectedError", "NotThisMachineError", "describe", "is_final", "refuses_our_certificate"]

_MAX_SHOWN = 200
_QUOTED = re.compile(r"""[\s:]*(?:(?<!\w)b|(?<=status line ))['"].*""", re.DOTALL)


class DisconnectedError(Exception):
    """The connection cannot be used any more; the text says why.

    aiohttp sends a PUT again by itself after its own error for this; after this one it does not.
    """


class NotThisMachineError(Exception):
    """A connection for plain http does not lead to this machine; the text says where to. Nothing was sent."""


_OUR_CERTIFICATE = re.compile(
    r"ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)"
)
_VERSION = re.compile(r"UNSUPPORTED_PROTOCOL|ALERT_PROTOCOL_VERSION|NO_PROTOCOLS_AVAILABLE|UNSUPPORTED_SSL_VERSION")
_HANDSHAKE = re.compile(r"ALERT_HANDSHAKE_FAILURE|ALERT_INSUFFICIENT_SECURITY|NO_SHARED_CIPHER")
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG")

_UNKNOWN_ISSUER = {18, 19, 20, 21}
"""OpenSSL's X509_V_ERR_*: self-signed, alone or in the chain; no issuer found; nothing to verify the first with."""
_REMEDY = "; for a company's own authority pass ssl=ssl.create_default_context(cafile=…)"

_PASSING = {408, 425, 429}
"""Statuses below 500 of a proxy after which another attempt may succeed."""
_LASTING = {501, 505}
"""Statuses of 500 and more of a proxy after which another attempt is bound to fail."""


def is_final(error: BaseException) -> bool:
    """Whether another attempt to connect is bound to fail as well.

    So it is with a certificate that is not trusted, a handshake that one side refuses, a proxy that refuses to connect,
    and plain http that would leave this machine.
    """
    if isinstance(error, NotThisMachineError | aiohttp.ServerFingerprintMismatch):
        return True
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.status in _LASTING or (error.status < 500 and error.status not in _PASSING)
    if _certificate_error(error) is not None or refuses_our_certificate(error):
        return True
    reason = _tls_reason(error)
    return bool(_VERSION.search(reason) or _HANDSHAKE.search(reason))


def refuses_our_certificate(error: BaseException) -> bool:
    """Whether a server ended the TLS handshake for the certificate of this side, or for want of one.

    With TLS 1.3 that is seen only after a request was written; the server has not read it (RFC 8446, section 4.4.2.4).
    """
    return _OUR_CERTIFICATE.search(_tls_reason(error)) is not None


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """Return the error of the `ssl` module that is behind an exception, or `None`."""
    found: BaseException | None = error
    for _ in range(4):
        if isinstance(found, aiohttp.ClientConnectorCertificateError):
            found = found.certificate_error
        elif isinstance(found, aiohttp.ClientConnectorError):
            found = found.os_error
        if found is None or (isinstance(found, ssl.SSLError) and not isinstance(found, aiohttp.ClientError)):
            return found
        found = found.__cause__
    return None


def _tls_reason(error: BaseException) -> str:
    found = _tls_error(error)
    return (found.reason or "") if found is not None else ""


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    found = _tls_error(error)
    return found if isinstance(found, ssl.SSLCertVerificationError) else None


def describe(error: BaseException) -> str:
    """Return what went wrong in a short line, without anything that the server sent: that may be our own headers."""
    if isinstance(error, NotThisMachineError) or (isinstance(error, DisconnectedError) and not _tls_reason(error)):
        return str(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_by_proxy(error.status)
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return f"the certificate of {error.host}:{error.port} is not the one whose fingerprint the connector asks for"
    if isinstance(error, aiohttp.ClientConnectorError) or _tls_error(error) is not None:
        return _not_connected(error)
    kind = type(error).__name__
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"{kind}: {error.message if isinstance(error.message, str) else 'in the middle of the head of a reply'}"
    if isinstance(error, aiohttp.InvalidURL):
        return kind  # it may be that of a proxy, with a password
    message = getattr(error, "message", None)
    is_of_parser = isinstance(error, aiohttp.ClientResponseError) or (
        # the parser has errors of its own, which are not public
        not isinstance(error, aiohttp.ClientError)
        and type(error).__module__.startswith("aiohttp.")
        and isinstance(message, str)
    )
    if is_of_parser:
        kind, text = "not HTTP", str(message)  # its own text may hold request headers
    else:
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - some errors of the library cannot always be turned into a text
            text = ""
    if is_of_parser or isinstance(error, aiohttp.ClientPayloadError):
        text = _QUOTED.sub("", text)
    text = " ".join(text.split())[:_MAX_SHOWN]
    return f"{kind}: {text}" if text else kind


def _refused_by_proxy(status: int) -> str:
    # not the phrase that the proxy sent
    phrase = f" {HTTPStatus(status).phrase}" if status in _KNOWN else ""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return f"the proxy wants another user and password: {status}{phrase}"
    return f"the proxy refuses to connect: {status}{phrase}"


_KNOWN = {status.value for status in HTTPStatus}


def _not_connected(error: BaseException) -> str:
    """Return what kept a connection from being made: with whom, and the reason of the system or of OpenSSL."""
    where = ""
    if isinstance(error, aiohttp.ClientConnectorError):
        # that of a Unix socket has no name in aiohttp's documentation
        path: object = getattr(error, "path", None)
        where = f"{error.host}:{error.port}" if path is None else f"unix socket {path}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        where = f"the proxy {where}"
    untrusted, reason = _certificate_error(error), _tls_reason(error)
    if untrusted is not None:
        said = untrusted.verify_message or "it cannot be verified"
        text = f"the certificate of {where or 'the server'} is not trusted: {said}"[:_MAX_SHOWN]
        return text + _REMEDY if untrusted.verify_code in _UNKNOWN_ISSUER else text
    said = f" ({_words(reason)})" if reason else ""
    who = where or "the server"
    if _OUR_CERTIFICATE.search(reason):
        return f"{who} refuses the client certificate, or wants one and got none{said}"
    if _VERSION.search(reason):
        return f"{who} has no TLS version in common with this side{said}"
    if _HANDSHAKE.search(reason):
        return f"{who} refuses the TLS handshake: no cipher in common, or it wants a client certificate{said}"
    if _NO_TLS.search(reason):
        return f"{who} does not speak TLS{said}"
    if reason:
        return f"TLS with {who} failed{said}"
    found = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    text = str(found)
    if isinstance(found, OSError):
        is_of_system = found.errno is not None and not isinstance(found, socket.gaierror)
        text = os.strerror(found.errno or 0) if is_of_system else found.strerror or text
        # as asyncio raises it, without a text, where a connection ends within the handshake
        text = text or "the connection was closed while TLS was being agreed on"
    text = " ".join(text.split())
    kind = type(error).__name__
    return f"{kind}: {where}: {text}"[:_MAX_SHOWN] if text else f"{kind}: {where}"


def _words(reason: str) -> str:
    """Return a reason of OpenSSL, such as `TLSV1_ALERT_PROTOCOL_VERSION`, in small letters without underscores."""
    return re.sub(r"^(tls|ssl)v\d+ alert ", "alert ", reason.lower().replace("_", " "))
