"""TLS: which contexts a session may be given, and what its requests say about TLS."""

import ssl
import warnings

import aiohttp

from fielding_async.core.errors import ConfigurationError

__all__ = ["check_connector", "check_ssl", "ssl_of_requests"]

_RULE = (
    "must be an ssl.SSLContext of a client, True, False or None; for certificates in a file,"
    " ssl.create_default_context(cafile=…)"
)


def check_ssl(value: object) -> ssl.SSLContext | bool | None:
    """Return an `ssl=` that can be used. Raises `ConfigurationError`: aiohttp verifies nothing for some other values.

    Warns of `False`.
    """
    if value is False:
        warnings.warn(
            "ssl=False: no certificate is verified, and whoever answers in place of the exchange gets the token",
            stacklevel=3,
        )
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, ssl.SSLContext):
        raise ConfigurationError(f"ssl: {_RULE}, not {type(value).__name__}")
    if value.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ConfigurationError(f"ssl: {_RULE}, not one for servers (PROTOCOL_TLS_SERVER)")
    return value


def check_connector(http: aiohttp.ClientSession) -> None:
    """Check the TLS context of the connector of a caller's session. Raises `ConfigurationError`."""
    found = getattr(http.connector, "_ssl", None)
    if isinstance(found, ssl.SSLContext) and found.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ConfigurationError(
            "http: the ssl= of its connector must be a context of a client, not one for servers (PROTOCOL_TLS_SERVER)"
        )


def ssl_of_requests(value: ssl.SSLContext | bool | None) -> ssl.SSLContext | bool:
    """Return what each request says about TLS: for `None`, that the connector decides.

    For aiohttp `True` means that as well, so that `True` becomes a context of our own, which verifies.
    """
    if value is not True:
        return True if value is None else value
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context
