"""What `fielding doctor` makes of what it sees: each check a line, and what to do about it. Pure."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import cert_time_to_seconds
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from attrs import frozen

from fielding_async.cli.shared.output import clean
from fielding_async.core.addresses import BASE_URL, resolve_base_url
from fielding_async.core.credentials import resolve_auth
from fielding_async.core.dates import to_text
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.wire.headers import sendable_etag

__all__ = [
    "Check",
    "Look",
    "certificate_check",
    "clock_check",
    "etag_check",
    "host_and_port",
    "settings_checks",
    "shown_proxy",
    "untrusted_check",
]

_NAMES = ("FIELDING_BASE_URL", "FIELDING_TOKEN", "FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET")
_CLOCK_OK, _CLOCK_BAD = 5.0, 300.0  # seconds; the second is how far a webhook's signature may be off
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)
_OUT_OF_DATE, _OTHER_NAME = {9, 10}, {62, 64}  # OpenSSL's X509_V_ERR_*: not yet valid, expired; host, address
_SOON = 14 * 86_400  # seconds that a certificate ought to last still


@frozen
class Check:
    """One line of the report. `advice`: what to do, where something is to be done."""

    name: str
    state: Literal["ok", "warning", "failed"]
    text: str
    advice: str | None = None


@frozen
class Look:
    """One reply, as it came: status, headers, and the wall clock when it was asked for and when it was there."""

    status: int
    headers: Mapping[str, str]
    sent: float
    received: float


# -- settings


def settings_checks(environment: Mapping[str, str], now: datetime) -> list[Check]:
    """Say which settings are in force and from where, without any secret; a failed one cannot be used."""
    return [_base_url(environment), _auth(environment, now), *_strangers(environment)]


def _base_url(environment: Mapping[str, str]) -> Check:
    try:
        url = resolve_base_url(None, environment)
    except ConfigurationError as error:
        return Check("base URL", "failed", clean(error.message), "set FIELDING_BASE_URL to it, or unset the variable")
    if not environment.get("FIELDING_BASE_URL"):
        return Check("base URL", "ok", f"{url} (the exchange; FIELDING_BASE_URL is not set)")
    if url != BASE_URL and not urlsplit(url).path:
        text = f"{url}, from FIELDING_BASE_URL, has no path"
        return Check("base URL", "warning", text, f"it usually ends in /v1: {url}/v1")
    return Check("base URL", "ok", f"{url} (from FIELDING_BASE_URL)")


def _auth(environment: Mapping[str, str], now: datetime) -> Check:
    try:
        resolve_auth(None, environment)
    except ConfigurationError as error:
        message = error.message.replace("pass auth=, or set ", "set ")
        advice = "set FIELDING_TOKEN, or FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET, in the environment"
        token = environment.get("FIELDING_TOKEN", "")
        if token.strip() != token:
            advice = "FIELDING_TOKEN has spaces or a line end around it: take them away"
        elif token[:7].lower() == "bearer ":
            advice = "set FIELDING_TOKEN to the token alone, without the word Bearer"
        return Check("token", "failed", message, advice)
    client = [name for name in _NAMES[2:] if environment.get(name)]
    if not environment.get("FIELDING_TOKEN"):
        return Check("token", "ok", "fetched with FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET, and renewed")
    text = "from FIELDING_TOKEN"
    ends = _end_of(environment["FIELDING_TOKEN"])
    if ends is not None:
        left = (ends - now).total_seconds()
        if left <= 0:
            text = f"from FIELDING_TOKEN, says that it ended at {to_text(ends)}"
            return Check("token", "failed", text, "fetch a new one, or let the SDK do it: set the client id and secret")
        text += f", good for {_duration(left)} by what it says"
        if left < 3600:
            advice = "long work outlives it: let the SDK fetch and renew it with a client id and secret"
            return Check("token", "warning", text, advice)
    if client:
        text += f"; {' and '.join(client)} play no part beside it"
        return Check("token", "warning", text, "unset FIELDING_TOKEN to have tokens fetched and renewed")
    return Check("token", "ok", text)


def _end_of(token: str) -> datetime | None:
    """Return when a JWT says that it ends; `None` if it is none, or does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        loaded: object = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = cast("dict[str, Any]", loaded).get("exp") if isinstance(loaded, dict) else None
        return datetime.fromtimestamp(ends, UTC) if isinstance(ends, int | float) else None
    except (ValueError, OverflowError, OSError, RecursionError):
        return None


def _strangers(environment: Mapping[str, str]) -> list[Check]:
    names = sorted(name for name in environment if name.startswith("FIELDING_") and name not in _NAMES)
    if not names:
        return []
    return [Check("settings", "warning", f"unknown: {clean(', '.join(names))}", f"known are {', '.join(_NAMES)}")]


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def shown_proxy(url: str) -> str:
    """Return a proxy's URL without the user and password that may be in it, even if it is no good URL."""
    scheme = _SCHEME.match(url)
    # a password may hold what ends a host, so that what comes before the last @ is never shown
    rest = (url[scheme.end() :] if scheme else url).rpartition("@")[2]
    return clean((scheme[0] if scheme else "http://") + re.split(r"[/?#]", rest, maxsplit=1)[0])


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL leads. Raises `ValueError` for one that leads nowhere."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


# -- what came back


def certificate_check(version: str | None, certificate: Mapping[str, Any], now: float) -> Check:
    """Say what a TLS connection that was made is worth. `certificate`: as the `ssl` module has it."""
    issuer = dict(cast("tuple[str, str]", pair) for part in certificate.get("issuer", ()) for pair in part)
    by = clean(issuer.get("organizationName") or issuer.get("commonName") or "an issuer without a name")
    left = cert_time_to_seconds(certificate["notAfter"]) - now if "notAfter" in certificate else None
    lasts = "" if left is None else f", good for {_duration(left)}"
    text = f"{version}, certificate by {by}{lasts}"
    if left is not None and left < _SOON:
        return Check("TLS", "warning", text, "whoever runs the server ought to renew its certificate")
    return Check("TLS", "ok", text)


def untrusted_check(code: int, message: str) -> Check:
    """Say what to do about a certificate that was not accepted. `code`: OpenSSL's, as the `ssl` module has it."""
    text = f"the certificate is not trusted: {clean(message)}"
    if code in _OTHER_NAME:
        return Check("TLS", "failed", text, "another server answers there: look at FIELDING_BASE_URL, and at DNS")
    if code in _OUT_OF_DATE:
        advice = "look at this machine's clock; if that is right, whoever runs the server must renew its certificate"
        return Check("TLS", "failed", text, advice)
    return Check("TLS", "failed", text, "behind a proxy that reads along, point SSL_CERT_FILE at its certificates")


def clock_check(look: Look) -> Check:
    """Compare the clock of this machine with the `Date` of a reply, which is cut to whole seconds."""
    date = look.headers.get("Date", "")
    try:
        told = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp() if len(date) < 100 else None
    except (ValueError, TypeError, IndexError, OverflowError):
        told = None
    if told is None:
        return Check("clock", "warning", "not checked: the reply has no Date that can be read")
    # the server's clock was somewhere in [told, told + 1) at some moment between sent and received
    early, late = look.sent - (told + 1), look.received - told
    if early <= 0 <= late:
        return Check("clock", "ok", f"the server's, as far as can be told (within {max(-early, late):.1f} s)")
    off = min(early, late, key=abs)
    text = f"{_apart(abs(off))} {'ahead of' if off > 0 else 'behind'} the server's"
    if abs(off) <= _CLOCK_OK:
        return Check("clock", "ok", text)
    return Check(
        "clock",
        "warning" if abs(off) <= _CLOCK_BAD else "failed",
        text,
        "set this machine's clock (NTP): dates worked out from it, and checks of webhooks, are off by as much",
    )


def _apart(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else _duration(seconds)


def etag_check(looks: Sequence[Look]) -> Check:
    """Say whether the ETags of two looks at one run are of use as `If-Match`. Nothing is written to find out."""
    first, second = (look.headers.get("ETag") for look in looks)
    text = f"{clean(repr(first)[:60])}" if first is not None else "none"
    stripped = "something between here and the server takes it away (a proxy?): no action can be sent without it"
    if first is None or second is None:
        return Check("ETags", "failed", "a run came without an ETag", stripped)
    if not sendable_etag(first):
        return Check("ETags", "failed", f"{text} cannot be sent back as it came", stripped)
    if re.search(r"-(gzip|br|zstd|deflate)\"?$", first):
        return Check(
            "ETags", "failed", f"{text} was changed on its way", "a proxy that compresses adds to it: it must not"
        )
    if first != second:
        changed = "was the run changed between two looks? If it was not: every action would end in conflicts"
        return Check("ETags", "warning", f"{text}, then {clean(repr(second)[:60])}", changed)
    return Check("ETags", "ok", f"{text}, the same on two looks; whether writes heed it cannot be seen without a write")
