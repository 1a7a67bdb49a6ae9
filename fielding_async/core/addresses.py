"""The base URL and the API version of a session, checked. The environment is an argument."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigurationError

__all__ = ["BASE_URL", "check_api_version", "check_url", "resolve_base_url"]

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
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(f"{name}={value!r}: plain http is for loopback hosts only; use https")
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_api_version(value: Any) -> str:
    """Return an API version (YYYY-MM-DD); raises `ConfigurationError`."""
    if not isinstance(value, str) or not _API_VERSION.fullmatch(value):
        raise ConfigurationError(f"api_version={value!r}: must be a date as YYYY-MM-DD")
    return value
