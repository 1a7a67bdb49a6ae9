"""Which hosts and origins a sandbox answers to, so that no web page can reach it under a name of its own."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, cast

from attrs import frozen

from fielding_async.core.errors import ConfigurationError, briefly

__all__ = ["LOOPBACK_ONLY", "HostCheck", "Refused", "checked_names", "is_wildcard"]

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~-]+))(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")
_SCHEMES = ("http://", "https://")  # https: where something in front of the sandbox speaks it

_MALFORMED = "The Host header is missing, doubled or malformed."
_OTHER_HOST = (
    "The sandbox answers to loopback names in Host, such as localhost; others are named by Sandbox(hosts=...)"
    " or fielding sandbox --allow-host."
)
_OTHER_ORIGIN = "The sandbox answers to no web page of another origin."


@frozen
class Refused:
    """The status of a refusal, and why."""

    status: int
    detail: str


def is_wildcard(host: str) -> bool:
    """Whether this address to listen on stands for all addresses of the machine."""
    address = _address(host)
    return not host or (address is not None and address.is_unspecified)


class HostCheck:
    """Accepts requests whose `Host` is a loopback name or address, the address listened on, or one of `names`.

    The owner of a name decides where it resolves to (DNS rebinding). So a page of any site could send requests to a
    server on this machine as if it were of the same origin; but the browser sends the name in `Host`. Ports are not
    compared: a tunnel may have another one. `Origin`, which browsers add for pages of other sites, must match `Host`.

    Source: RFC 9110, 7.2 and 7.4 (421); RFC 9112, 3.2 (400).
    """

    def __init__(self, listens_on: str, names: Iterable[str]) -> None:
        self._is_everywhere = is_wildcard(listens_on)
        self._names = {_normal(name) for name in names}
        if not self._is_everywhere:
            self._names.add(_normal(listens_on))

    def refusal(self, headers: Iterable[tuple[str, str]], local_address: str) -> Refused | None:
        """Return why a request is refused; `None` if it is not. `local_address`: the one that it came to."""
        hosts: list[str] = []
        origins: list[str] = []
        for name, value in headers:
            match name.lower():
                case "host":
                    hosts.append(value)
                case "origin":
                    origins.append(value)
                case _:
                    pass
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None or int(found["port"] or 0) > 65_535 or (found["v6"] and _address(found["v6"]) is None):
            return Refused(400, _MALFORMED)
        if not self._is_ours(_normal(found["v6"] or found["name"]), local_address):
            return Refused(421, _OTHER_HOST)
        own = {scheme + hosts[0].lower() for scheme in _SCHEMES}
        if any(origin.lower() not in own for origin in origins):
            return Refused(403, _OTHER_ORIGIN)
        return None

    def _is_ours(self, name: str, local_address: str) -> bool:
        if name == "localhost" or name in self._names:
            return True
        address = _address(name)
        if address is None:
            return False
        return address.is_loopback or (self._is_everywhere and name == _normal(local_address))


def checked_names(names: Any) -> tuple[str, ...]:
    """Return the names of hosts that a user gave. Raises `ConfigurationError`."""
    rule = "host names or addresses, without scheme or port"
    if not isinstance(names, tuple | list | set | frozenset):
        raise ConfigurationError(f"hosts={briefly(names, 100)}: must be a tuple of {rule}")
    for name in (found := tuple(cast("Iterable[object]", names))):
        if not isinstance(name, str) or not (_NAME.fullmatch(name) or _address(name)):
            raise ConfigurationError(f"hosts={briefly(name, 100)}: must be {rule}")
    return cast("tuple[str, ...]", found)


def _normal(name: str) -> str:
    address = _address(name)
    return str(address) if address is not None else name.lower().removesuffix(".")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


LOOPBACK_ONLY = HostCheck("127.0.0.1", ())
"""For what only this machine may ask: no other name of a host is accepted, whatever is listened on."""
