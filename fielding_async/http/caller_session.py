"""What is taken over of a caller's `aiohttp.ClientSession`; its proxy is in `proxies`."""

import re

import aiohttp

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.wire.response_headers import is_sendable

from .connection import names_of_limits

__all__ = ["ClientSession", "check_client_session", "inherited_headers", "missing_of"]

ClientSession = aiohttp.ClientSession

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110 section 5.6.2

# Headers that a caller's session must not set: they change what a request or its reply means.
_NOT_INHERITED = frozenset(
    """
    accept accept-encoding authorization cint-api-version connection content-encoding content-length content-type cookie
    date expect host idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive
    prefer proxy-authorization range te traceparent tracestate trailer transfer-encoding upgrade x-http-method
    x-http-method-override x-method-override
    """.split()  # noqa: SIM905 - words, not a table
)


def check_client_session(http: object) -> ClientSession | None:
    """Return an `http=` that is an open `aiohttp.ClientSession` or `None`; raises `ConfigurationError`."""
    if http is None or isinstance(http, aiohttp.ClientSession):
        if http is not None and http.closed:
            raise ConfigurationError("http: the aiohttp.ClientSession is closed: pass an open one")
        return http
    raise ConfigurationError(
        f"http: must be an aiohttp.ClientSession, not {type(http).__name__}: leave it out to have one made"
    )


def inherited_headers(http: aiohttp.ClientSession) -> list[tuple[str, str]]:
    """Return the default headers of a caller's session that are taken over.

    Raises `ConfigurationError` for one that would break the request.
    """
    found = [(name, value) for name, value in http.headers.items() if name.lower() not in _NOT_INHERITED]
    for name, value in found:
        if not _TOKEN.fullmatch(name) or not is_sendable(value.replace("\t", " ")):
            raise ConfigurationError(
                f"http: the aiohttp.ClientSession's header {briefly(name)} must have a token for its name, and no"
                " control characters in its value"
            )
    return found


def missing_of(http: aiohttp.ClientSession | None) -> list[str]:
    """Return what of a caller's session cannot be seen, where there is no public way to see it."""
    if http is None:
        return []
    names = ("_default_proxy", "_default_proxy_auth", *(f"_{name}" for name in names_of_limits()))
    of_connector = ("_loop", "_ssl") if isinstance(http.connector, aiohttp.TCPConnector) else ("_loop",)
    missing = [name for name in names if not hasattr(http, name)]
    return [*missing, *(name for name in of_connector if not hasattr(http.connector, name))]
