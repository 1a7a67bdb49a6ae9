"""The address of the store, checked; the password in it is shown nowhere."""

import importlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.redaction import Secret

__all__ = ["VARIABLE", "Address", "resolve_address"]

VARIABLE = "FIELDING_SHARED_URL"
_PIP = "pip install 'fielding-async[redis]'"
_RULE = (
    "must be redis://host:port/db, rediss://host:port/db or unix:///path?db=0, with a password's special characters"
    " written as %XX"
)
_OPTIONS = frozenset({"db", "username", "password", "client_name"})
_TLS_OPTIONS = frozenset(
    {
        *("ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname"),
        *("ssl_keyfile", "ssl_password"),
    }
)
_SECRET = ("username", "password", "ssl_password")


class Address:
    """An address that connections can be made to. Its `repr` names host, port and database alone."""

    def __init__(self, shown: str, kind: Any, options: dict[str, Any], tls: Any = None) -> None:
        self._shown = shown
        self._kind = kind
        self._options = options
        self._tls = tls

    def __repr__(self) -> str:
        return self._shown

    def connection(self) -> Any:
        """Return a connection of redis-py that is not open yet."""
        connection = self._kind(**self._options)
        if self._tls is not None:
            connection.ssl_context = self._tls  # to read the certificates takes milliseconds
        return connection


def resolve_address(url: object, environment: Mapping[str, str]) -> Address:
    """Return the address of the argument, or of `FIELDING_SHARED_URL`.

    Raises `ConfigurationError` if there is none, if it is none of Redis, or if redis-py is not installed.
    """
    # What others raise is not raised on here, nor is what a URL is taken apart into a variable here: the frames of an
    # error may be shown with their variables.
    url = Secret.of(url)
    name = "url"
    if url is None:
        name, url = VARIABLE, Secret.of(environment.get(VARIABLE) or None)
        if url is None:
            raise ConfigurationError(f"Shared: no address: pass url= or set {VARIABLE}: it {_RULE}")
    if not isinstance(url, str):
        raise ConfigurationError(f"Shared({name}): must be a str, not {type(url).__name__}")
    place = _read(url)
    if place is None:
        raise ConfigurationError(f"Shared({name}): {_RULE}")
    allowed = _OPTIONS | _TLS_OPTIONS if place.scheme == "rediss" else _OPTIONS
    if not place.names <= allowed:
        raise ConfigurationError(
            f"Shared({name}): an option in the address must be one of {', '.join(sorted(allowed))}"
        )
    redis = _import_redis()
    if redis is None:
        raise ConfigurationError(f"Shared needs redis-py: {_PIP}")
    address = _made(redis, url, place)
    if isinstance(address, str):
        raise ConfigurationError(f"Shared({name}): {address}")
    return address


@frozen
class _Place:
    """What may be shown of a URL. `names`: of its options."""

    scheme: str
    shown: str
    names: frozenset[str]


def _read(url: str) -> _Place | None:
    try:
        parts = urlsplit(url)
        host, port, options = parts.hostname, parts.port, parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return None
    database = parts.path.strip("/")
    is_database = not database or (database.isascii() and database.isdigit())
    is_known = {
        "redis": bool(host) and is_database,
        "rediss": bool(host) and is_database,
        "unix": bool(parts.path.strip("/")) and not parts.netloc.rpartition("@")[2],
    }.get(parts.scheme, False)
    if not is_known or not url.isprintable() or " " in (host or "") or parts.fragment or port == 0:
        return None
    place = f"[{host}]" if host and ":" in host else host or ""
    shown = f"{parts.scheme}://{place}{'' if port is None else f':{port}'}{parts.path}"
    return _Place(parts.scheme, shown, frozenset(options))


def _import_redis() -> Any:
    try:
        return importlib.import_module("redis.asyncio.connection")
    except ImportError:
        return None


def _made(redis: Any, url: str, place: _Place) -> Address | str:
    """Return the address, or what is wrong with the options of the URL."""
    default = {"redis": redis.Connection, "rediss": redis.SSLConnection, "unix": redis.UnixDomainSocketConnection}
    no_wait = importlib.import_module("redis.backoff").NoBackoff()
    try:
        options: dict[str, Any] = redis.parse_url(str(url))
        kind = options.pop("connection_class", default[place.scheme])
        options |= {name: Secret.of(options[name]) for name in _SECRET if name in options}
        if place.scheme == "rediss":
            # redis-py before 6 leaves it out unless it is told
            options.setdefault("ssl_check_hostname", options.get("ssl_cert_reqs") != "none")
        # a command that was sent may have been done: nothing is sent again; the bounds are the client's
        options |= {
            "retry": importlib.import_module("redis.asyncio.retry").Retry(no_wait, 0),
            "retry_on_timeout": False,
            "health_check_interval": 0,
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "decode_responses": False,
            "protocol": 2,
        }
        tls = getattr(kind(**options), "ssl_context", None)
        if tls is not None:
            tls.get()
    except ValueError:
        return _RULE
    except OSError as error:
        return f"its certificates cannot be read ({type(error).__name__})"
    except Exception as error:  # noqa: BLE001 - also the library's own, for options that exclude each other
        return f"{_RULE}; this version of redis-py refuses its options ({type(error).__name__})"
    return Address(place.shown, kind, options, tls)
