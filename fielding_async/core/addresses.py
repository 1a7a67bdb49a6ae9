"""The base URL and the API version of a session, checked; addresses of this machine. The environment is an argument."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .errors import ConfigurationError, briefly

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

_NEVER = re.compile(r"[ \\]")
_EXCHANGE = "api.cint.com"
_BASE_URL_NAMES = {"base_url", "FIELDING_BASE_URL"}


def resolve_base_url(base_url: str | None, environment: Mapping[str, str]) -> str:
    """Return the base URL without a trailing slash: the argument, `FIELDING_BASE_URL`, or the exchange's own."""
    if base_url is not None:
        return check_url("base_url", base_url)
    if environment.get("FIELDING_BASE_URL"):
        return check_url("FIELDING_BASE_URL", environment["FIELDING_BASE_URL"])
    return BASE_URL


def check_url(name: str, value: Any) -> str:
    """Return an https URL (http for loopback hosts) without a trailing slash; raises `ConfigurationError`."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: must be a str, a URL such as {BASE_URL}, not {type(value).__name__}")
    problem = _problem_of(value)
    if problem is not None:
        raise ConfigurationError(f"{name}: {problem}")
    parts = urlsplit(value)
    if parts.scheme == "http" and not is_loopback_host(parts.hostname or ""):
        raise ConfigurationError(
            f"{name}={value!r}: plain http is for loopback hosts only (localhost, 127.0.0.0/8, [::1]): use https"
        )
    if parts.hostname == _EXCHANGE and not parts.path.strip("/") and name in _BASE_URL_NAMES:
        raise ConfigurationError(
            f"{name}={value!r}: must have the path of the API, without which each request is a 404: use {BASE_URL}"
        )
    return value.rstrip("/")


def _problem_of(value: str) -> str | None:
    """Return the rule that a URL breaks, with the remedy; `None` if it breaks none. The URL may hold a secret."""
    if value != value.strip():
        return "must have no space and no line end around it: remove them"
    if not value.isascii() or not value.isprintable() or _NEVER.search(value):
        return "must be printable ASCII without spaces and backslashes: write other characters as %XX"
    if "?" in value:
        return "must have no query: leave out the ? and what follows it"
    if "#" in value:
        return "must have no fragment: leave out the # and what follows it"
    try:
        parts = urlsplit(value)
        host, scheme = parts.hostname, parts.scheme
    except ValueError:
        return f"must be a URL such as {BASE_URL}: check its host (an IPv6 address is written as [::1])"
    if "://" not in value:
        return f"must start with https://: write a whole URL such as {BASE_URL}"
    if scheme not in {"http", "https"}:
        return f"must start with https://, not {scheme[:20]}://"
    if "@" in parts.netloc:
        return (
            "must have no user and password: leave them out; credentials go into auth=, FIELDING_TOKEN, or"
            " FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET"
        )
    if not host:
        return f"must name a host after {scheme}://, as {BASE_URL} does"
    return None if _has_port(parts) else "must have a port from 1 to 65535, or none: correct or leave out the port"


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


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
        raise ConfigurationError(f'api_version={briefly(value)}: must be a str, a date as "2025-12-18"')
    return value
