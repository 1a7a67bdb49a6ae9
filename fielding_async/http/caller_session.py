"""What is taken over of a caller's `aiohttp.ClientSession`, and of the environment."""

import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.wire.response_headers import is_sendable

__all__ = [
    "ClientSession",
    "check_client_session",
    "check_proxy",
    "environment_proxy",
    "inherited_headers",
    "inherited_proxy",
]

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
    """Return an `http=` that is an `aiohttp.ClientSession` or `None`; raises `ConfigurationError`."""
    if http is None or isinstance(http, aiohttp.ClientSession):
        return http
    raise ConfigurationError(f"http: must be an aiohttp.ClientSession, not {type(http).__name__}")


def inherited_headers(http: aiohttp.ClientSession) -> list[tuple[str, str]]:
    """Return the default headers of a caller's session that are taken over.

    Raises `ConfigurationError` for one that would break the request.
    """
    found = [(name, value) for name, value in http.headers.items() if name.lower() not in _NOT_INHERITED]
    for name, value in found:
        if not _TOKEN.fullmatch(name) or not is_sendable(value.replace("\t", " ")):
            raise ConfigurationError(
                f"http: the aiohttp.ClientSession's header {name!r:.60} must have a token for its name, and no control"
                " characters in its value"
            )
    return found


def inherited_proxy(http: aiohttp.ClientSession) -> str | None:
    """Return the proxy of a caller's session, with its credentials."""
    proxy, auth = getattr(http, "_default_proxy", None), getattr(http, "_default_proxy_auth", None)
    if proxy is None:
        return None
    proxy = check_proxy("http: its proxy", str(proxy))
    return proxy if auth is None else str(URL(proxy).with_user(auth.login).with_password(auth.password))


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).

    As with curl, it may have no scheme. Raises `ConfigurationError`.
    """
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxy = getproxies().get(parts.scheme)
    if not proxy:
        return None
    return check_proxy(f"{parts.scheme}_proxy, in the environment", proxy if "://" in proxy else f"http://{proxy}")


def check_proxy(name: str, proxy: str) -> str:
    """Return `proxy` if it is the URL of one. Raises `ConfigurationError`, without the URL: it may hold a password."""
    try:
        url = URL(proxy)
        is_good = url.scheme in {"http", "https"} and bool(url.host and url.port)
    except (ValueError, TypeError):
        is_good = False
    if is_good:
        return proxy
    raise ConfigurationError(
        f"{name}: must be http://HOST:PORT or https://HOST:PORT; in a user or password, # is %23, / is %2F, @ is %40"
    )
