"""The address of a database: a URL that is checked, shown without its password, and handed to a driver as a secret."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

from attrs import field, frozen

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.redaction import Redactor, Secret

__all__ = ["PLANS_URL", "Address", "read_address"]

PLANS_URL = "FIELDING_PLANS_URL"

# an @ behind the hosts is refused: what stands before it may be the rest of a password with a / or a ?
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#@]*)?"
    r"(?:\?(?P<query>[^#@]*))?"
)
_PORT = re.compile(r"[0-9]{1,5}")
_HIGHEST_PORT = 65_535
_RULE = "must be a URL such as postgresql://user:password@host:5432/database"
_SECRETS = {"password", "sslpassword", "passwd"}
_MOST_SECONDS = 3600.0
_SHORTEST_PLAIN = 8  # characters; a shorter secret is not searched for: a text that has it is not shown at all


@frozen
class Address:
    """Where the database is. `url` is what a driver gets, without the parameters in `taken`.

    `shown`: host and database, for messages. `connect_timeout`: seconds. `parameters`: those of the URL's query, by
    name. `clean`: takes the URL's secrets out of a text.
    """

    url: Secret
    shown: str
    connect_timeout: float
    parameters: Mapping[str, str] = field(repr=False)
    clean: Callable[[str], str] = field(repr=False, eq=False)

    def without(self, *names: str) -> Secret:
        """Return the URL without these parameters."""
        kept = [(name, value) for name, value in self.parameters.items() if name not in names]
        query = Secret(urlencode(kept, quote_via=quote))
        return Secret(f"{self.url}?{query}" if kept else self.url)


@frozen
class _Parts:
    """The parts of a URL. What may hold a password is a secret, as a traceback may show local variables."""

    scheme: str
    user: Secret | None
    hosts: Secret  # without an @, a password may stand here
    path: str
    parameters: dict[str, Secret]


def _split(url: Secret) -> _Parts | None:
    """Return the parts of a URL, `None` if it is none. Nothing is raised here, where parts of it lie open."""
    found = _URL.fullmatch(url.strip())
    if found is None:
        return None
    pairs = parse_qsl(found["query"] or "", keep_blank_values=True)
    user = None if found["user"] is None else Secret(found["user"])
    parameters = {name: Secret(value) for name, value in pairs}
    return _Parts(found["scheme"].lower(), user, Secret(found["hosts"]), found["path"] or "", parameters)


def _secrets_of(parts: _Parts) -> list[Secret]:
    password = Secret((parts.user or "").partition(":")[2])
    found = [password, Secret(unquote(password))]
    found += [value for name, value in parts.parameters.items() if name in _SECRETS]
    return [secret for secret in found if secret]


def read_address(url: object, environment: Mapping[str, str], *, connect_timeout: float) -> Address:
    """Return the address that `url=`, or else the environment, names. Raises `ConfigurationError`; it shows no URL."""
    source = "url"
    if url is None:
        source, url = PLANS_URL, environment.get(PLANS_URL) or None
        if url is None:
            raise ConfigurationError(f"no database for plans: pass url= or set {PLANS_URL}: it {_RULE}")
    if not isinstance(url, str):
        raise ConfigurationError(f"{source}: {_RULE}, not {type(url).__name__}")
    parts = _split(Secret(url))
    if parts is None:
        raise ConfigurationError(f"{source}: {_RULE}, in which a character with a meaning in URLs is written as %XX")
    if parts.scheme not in {"postgresql", "postgres"}:
        hint = ": write postgresql://, and name the driver with driver=" if "+" in parts.scheme else ""
        raise ConfigurationError(f"{source}: {_RULE}: its scheme is {briefly(parts.scheme, 40)}{hint}")
    parameters = parts.parameters
    if not _has_known_ports(parts):
        raise ConfigurationError(
            f"{source}: {_RULE}: a port is a whole number, 1 to 65535, and an IPv6 address is written as [::1]"
        )
    limit = parameters.pop("connect_timeout", None)
    user = "" if parts.user is None else Secret(f"{parts.user}@")
    hosts = str(parts.hosts) or str(parameters.get("host", "")) or "the local socket"
    database = unquote(parts.path[1:]) or str(parameters.get("dbname", ""))
    return Address(
        url=Secret(f"postgresql://{user}{parts.hosts}{parts.path}"),
        shown=f"PostgreSQL at {hosts}" + (f", database {database!r}" if database else ""),
        connect_timeout=connect_timeout if limit is None else _seconds(limit, source),
        parameters=parameters,
        clean=_cleaner(_secrets_of(parts)),
    )


def _has_known_ports(parts: _Parts) -> bool:
    """Whether each port can be one. What stands in its place is not shown: without an @ it may be a password."""
    ports = str(parts.parameters.get("port", "")).split(",")
    for host in parts.hosts.split(","):
        ports.append(host.rpartition("]")[2].partition(":")[2])
    return all(port == "" or (_PORT.fullmatch(port) and 1 <= int(port) <= _HIGHEST_PORT) for port in ports)


def _seconds(limit: str, source: str) -> float:
    text = str(limit)  # no secret
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise ConfigurationError(
            f"{source}: connect_timeout={briefly(text, 20)}: must be a number of seconds, above 0, at most 3600"
        )
    return seconds


def _cleaner(secrets: list[Secret]) -> Callable[[str], str]:
    redactor = Redactor(secrets)
    short = [secret for secret in secrets if len(secret) < _SHORTEST_PLAIN]

    def clean(text: str) -> str:
        return "(left out: it shows a secret)" if any(secret in text for secret in short) else redactor.text(text)

    return clean
