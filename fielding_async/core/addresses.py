"""The base URL and the API version of a session, checked; addresses of this machine. The environment is an argument."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigurationError

__all__ = [
    "BASE_URL",
    "check_api_version",
    "check_url",
    "is_loopback_address",
    "is_loopback_host",
    "is_plain",
    "resolve_base_url",
]

BASE_URL = "https://api.cint.com/v1"
_API_VERSION = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_NEVER = re.compile(r"[ ?#\\]")  # after ? or #, even at the end, every path would be part of the query or fragment


def resolve_base_url(base_url: str | None, environment: Mapping[str, str]) -> str:
    """Return the base URL without a trailing slash: the argument, `FIELDING_BASE_URL`, or the exchange's own."""
    if base_url is not None:
        return check_url("base_url", base_url)
    if environment.get("FIELDING_BASE_URL"):
        return check_url("FIELDING_BASE_URL", environment["FIELDING_BASE_URL"])
    return BASE_URL


def check_url(name: str, value: Any) -> str:
    """Return an https URL (http for loopback hosts) without a trailing slash; raises `ConfigurationError`."""
    rule = "must be a URL such as https://host/path, without user, query or fragment"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or _NEVER.search(value):
        raise ConfigurationError(f"{name}: {rule}")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{name}: {rule}") from None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise ConfigurationError(f"{name}: {rule}")
    if parts.scheme == "http" and not is_loopback_host(host):
        raise ConfigurationError(
            f"{name}={value!r}: plain http is for loopback hosts only (localhost, 127.0.0.0/8, [::1]); use https"
        )
    return value.rstrip("/")


def is_plain(url: str) -> bool:
    """Whether requests to a URL are sent without TLS."""
    return urlsplit(url).scheme == "http"


_LOOPBACK = IPv4Network("127.0.0.0/8")
_ONE = IPv6Address("::1")
_MAPPED_LOOPBACK = IPv6Network("::ffff:127.0.0.0/104")


def is_loopback_host(host: str) -> bool:
    """Whether the host of a URL, by its name alone, is this machine: `localhost`, `127.0.0.0/8` or `::1`.

    Other names are not, `api.localhost` included: name servers decide where they lead.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address == _ONE if isinstance(address, IPv6Address) else address in _LOOPBACK


@lru_cache(maxsize=64)
def is_loopback_address(text: str) -> bool:
    """Whether an IP address, as a socket names its peer, is this machine; addresses of IPv4 may be mapped into IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        return address == _ONE or address in _MAPPED_LOOPBACK
    return address in _LOOPBACK


def check_api_version(value: Any) -> str:
    """Return an API version (YYYY-MM-DD); raises `ConfigurationError`."""
    if not isinstance(value, str) or not _API_VERSION.fullmatch(value):
        raise ConfigurationError(f"api_version={value!r}: must be a date as YYYY-MM-DD")
    return value
