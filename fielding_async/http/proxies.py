"""Proxies: which one the requests to an origin go through, chosen for each origin. The environment is an argument.

Plain http goes to this machine only, without a proxy. For https the proxy is the one that the caller names (`proxy=`,
or that of the session passed as `http=`), else that of the environment. As with curl, that is `https_proxy`, else
`all_proxy`, each in small letters before capitals; not for loopback hosts, nor for hosts that `NO_PROXY` names.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

import aiohttp
from attrs import field, frozen

from fielding_async.core.addresses import is_loopback_host, is_plain
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.redaction import Secret

__all__ = ["NO_PROXIES", "PROXY_VARIABLES", "Proxies", "Proxy", "bypasses", "parse_proxy", "resolve_proxies"]

_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
PROXY_VARIABLES = frozenset((*_VARIABLES, *_EXCEPTIONS))
"""The variables that are read."""

_LEAST_SECRET = 8  # characters; removing a shorter text would garble every message


@frozen(eq=False)
class Proxy:
    """An HTTP proxy. `url`: scheme, host and port, never credentials. `headers`: what it is sent with CONNECT.

    `source`: the argument or variable that names it.
    """

    url: str
    source: str
    headers: Mapping[str, str] = field(factory=dict[str, str])
    secrets: tuple[Secret, ...] = field(default=(), repr=False)


@frozen(eq=False)
class Proxies:
    """The proxies of a session. `named`: the one that the caller named; `environment`: the variables about proxies."""

    named: Proxy | None = None
    environment: Mapping[str, Secret] = field(factory=dict[str, Secret], repr=False)

    def for_url(self, url: str) -> Proxy | None:
        """Return the proxy for the origin of a URL. Raises `ConfigurationError` for a variable that is no proxy."""
        return self.choice(url)[0]

    def choice(self, url: str) -> tuple[Proxy | None, str]:
        """Return the proxy for the origin of a URL, and why it is that one, or none. Raises as `for_url`."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_plain(url):
            return None, "plain http goes to this machine, without a proxy"
        if self.named is not None:
            return self.named, f"from {self.named.source}"
        name = self._first(_VARIABLES)
        if name is None:
            return None, "HTTPS_PROXY is not set"
        if is_loopback_host(host):
            return None, f"{name} is not used for loopback hosts"
        exceptions = self._first(_EXCEPTIONS)
        if exceptions is not None and bypasses(self.environment[exceptions], host, parts.port or 443):
            return None, f"{exceptions} names it"
        return self._of_variable(name), f"from {name}"

    def _first(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.environment), None)

    def _of_variable(self, name: str) -> Proxy:
        value = self.environment[name]
        # as with curl, it may have no scheme
        return parse_proxy(name, value if "://" in value else Secret(f"http://{value}"))

    def secrets(self) -> list[str]:
        """Return what must never be shown: passwords of proxies, alone and with their users, plain and as sent.

        A text of fewer than eight characters is no secret.
        """
        found = list(self.named.secrets) if self.named else []
        name = self._first(_VARIABLES)
        if name is not None:
            with suppress(ConfigurationError):  # then it is never used
                found += self._of_variable(name).secrets
        return [secret for secret in dict.fromkeys(found) if len(secret) >= _LEAST_SECRET]


NO_PROXIES = Proxies()
"""No proxy for any origin."""


def resolve_proxies(
    proxy: object,
    http: aiohttp.ClientSession | None,
    environment: Mapping[str, str],
    urls: Sequence[tuple[str, str]],
) -> Proxies:
    """Return the proxies of a session, checked for the URLs that it sends requests to.

    `proxy`: the argument. `http`: the caller's session, whose proxy and `trust_env` count. `urls`: each with the name
    of its argument. Raises `ConfigurationError` for what is no proxy, and for one that the caller named together with a
    plain http URL.
    """
    named: Proxy | None = None
    if proxy is not None:
        named = parse_proxy("proxy", proxy)
    elif http is not None:
        named = _inherited(http)
    is_read = http is None or http.trust_env
    names = PROXY_VARIABLES if is_read else ()
    found = Proxies(named, {name: Secret(environment[name]) for name in names if environment.get(name)})
    for name, url in urls:
        if named is not None and is_plain(url):
            raise ConfigurationError(
                f"{named.source}: a proxy cannot be used with {name}={url!r}: plain http goes to this machine only; to"
                " watch the requests, run the debugging proxy in reverse mode (mitmproxy --mode"
                f" reverse:{url}) and set {name} to its address"
            )
        found.for_url(url)
    return found


def _inherited(http: aiohttp.ClientSession) -> Proxy | None:
    """Return the proxy of a caller's session, with its credentials."""
    if getattr(http, "_default_proxy", None) is None:
        return None
    found = parse_proxy("http: its proxy", Secret(getattr(http, "_default_proxy", "")))
    auth = getattr(http, "_default_proxy_auth", None)
    return found if auth is None else _with_credentials(found, auth.login, auth.password, auth.encode())


def parse_proxy(source: str, value: object) -> Proxy:
    """Return the proxy at a URL. Raises `ConfigurationError`, without the URL: it may hold a password.

    `source`: the argument or variable that it comes from, for the message.
    """
    if isinstance(value, str):
        value = Secret(value)
    try:
        proxy = _parsed(source, value) if isinstance(value, str) else None
    except ValueError:
        proxy = None
    if proxy is None:
        raise ConfigurationError(
            f"{source}: must be http://HOST:PORT or https://HOST:PORT; in a user or password, # is %23, / is %2F, @ is"
            " %40, : is %3A (for SOCKS, pass http= with a connector for it)"
        )
    return proxy


def _parsed(source: str, value: str) -> Proxy | None:
    """Return a proxy, or `None` if a URL is not that of one. May raise `ValueError`, too."""
    if not value.isprintable() or " " in value:
        return None
    parts = urlsplit(value)
    host, port = parts.hostname, parts.port
    # what follows a path, query or fragment may be the rest of a password
    if parts.scheme not in {"http", "https"} or not host or port == 0 or parts.path not in {"", "/"}:
        return None
    if parts.query or parts.fragment or value[-1] in "?#":
        return None
    address = f"[{host}]" if ":" in host else host
    proxy = Proxy(f"{parts.scheme}://{address}:{port or (443 if parts.scheme == 'https' else 80)}", source)
    if parts.username is None and parts.password is None:
        return proxy
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user:  # RFC 7617, section 2
        return None
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    found = _with_credentials(proxy, user, password, f"Basic {pair}")
    return Proxy(found.url, source, found.headers, (*found.secrets, Secret(parts.password or "")))


def _with_credentials(proxy: Proxy, user: str, password: str, header: str) -> Proxy:
    secrets = (password, f"{user}:{password}", header.removeprefix("Basic "))
    return Proxy(
        proxy.url,
        proxy.source,
        {"Proxy-Authorization": Secret(header)},
        tuple(Secret(secret) for secret in secrets) if password else (),
    )


# -- NO_PROXY


def bypasses(exceptions: str, host: str, port: int) -> bool:
    """Whether a list of exceptions as in `NO_PROXY` names a host: then no proxy is used for it.

    Entries are separated by commas or spaces: `*` for all hosts, a name for itself and its subdomains (a leading dot
    changes nothing), an IP address, a network such as `127.0.0.0/8` or `fd00::/8`, `[::1]`; a name or an address may
    have a port, which must be equal then.
    """
    host = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
    return any(_names(entry, host, port) for entry in exceptions.lower().replace(",", " ").split())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, wanted = _split_port(entry)
    if wanted is not None and wanted != port:
        return False
    name = name.removeprefix("[").replace("]", "", 1)
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        name = name.removeprefix("*").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        network = ip_network(name, strict=False)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _split_port(entry: str) -> tuple[str, int | None]:
    """Return an entry without its port, and the port. More than one colon without brackets: an address of IPv6."""
    name, colon, port = entry.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return name, int(port)
    return entry, None
