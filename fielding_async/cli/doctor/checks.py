"""The checks of `fielding doctor`: each turns settings or a reply into a line, with advice if it failed. Pure."""

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

from fielding_async.cli.shared.output import printable
from fielding_async.core.addresses import BASE_URL, resolve_base_url
from fielding_async.core.credentials import ClientCredentials, resolve_auth
from fielding_async.core.dates import to_text
from fielding_async.core.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    FieldingError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from fielding_async.core.models import RunRef
from fielding_async.core.wire.response_headers import sendable_etag
from fielding_async.http.client_sessions import TimedReply
from fielding_async.http.proxies import Proxy

__all__ = [
    "Check",
    "access_check",
    "certificate_check",
    "clock_check",
    "etag_check",
    "origin_of",
    "proxy_check",
    "proxy_refusal",
    "settings_checks",
    "untrusted_check",
]

_CLIENT = ("FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET", "FIELDING_TOKEN_URL")
_NAMES = ("FIELDING_BASE_URL", "FIELDING_TOKEN", *_CLIENT)
_CLOCK_OK, _CLOCK_BAD = 5.0, 300.0  # seconds; the time of a webhook's signature may be wrong by the second
_OUT_OF_DATE, _OTHER_NAME = {9, 10}, {62, 64}  # OpenSSL's X509_V_ERR_*: not yet valid, expired; host, address
_SOON = 14 * 86_400  # seconds that a certificate should still be valid
_PROXY_AUTHENTICATION_REQUIRED = 407
_SERVER_ERRORS = 500


@frozen
class Check:
    """One line of the report. `advice`: what to do about it, if something should be done."""

    name: str
    state: Literal["ok", "warning", "failed"]
    text: str
    advice: str | None = None


# -- settings


def settings_checks(environment: Mapping[str, str], now: datetime) -> list[Check]:
    """Report the settings in force and their sources, without secrets. A failed check: the setting cannot be used."""
    return [_base_url(environment), _auth(environment, now), *_unknown_settings(environment)]


def _base_url(environment: Mapping[str, str]) -> Check:
    try:
        url = resolve_base_url(None, environment)
    except ConfigurationError as error:
        return Check(
            "base URL", "failed", printable(error.message), "set FIELDING_BASE_URL to it, or unset the variable"
        )
    if not environment.get("FIELDING_BASE_URL"):
        return Check("base URL", "ok", f"{url} (the exchange; FIELDING_BASE_URL is not set)")
    if url != BASE_URL and not urlsplit(url).path:
        text = f"{url}, from FIELDING_BASE_URL, has no path"
        return Check("base URL", "warning", text, f"it usually ends in /v1: {url}/v1")
    return Check("base URL", "ok", f"{url} (from FIELDING_BASE_URL)")


def _auth(environment: Mapping[str, str], now: datetime) -> Check:
    try:
        source = resolve_auth(None, environment)
    except ConfigurationError as error:
        message = error.message.replace("pass auth=, or set ", "set ")
        advice = "set FIELDING_TOKEN, or FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET, in the environment"
        token = environment.get("FIELDING_TOKEN", "")
        if token.strip() != token:
            advice = "FIELDING_TOKEN has spaces or a line end around it: take them away"
        elif token[:7].lower() == "bearer ":
            advice = "set FIELDING_TOKEN to the token alone, without the word Bearer"
        return Check("token", "failed", message, advice)
    client = [name for name in _CLIENT if environment.get(name)]
    if isinstance(source, ClientCredentials):
        where = f" from {source.token_url} (FIELDING_TOKEN_URL)" if environment.get("FIELDING_TOKEN_URL") else ""
        return Check("token", "ok", f"fetched with FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET{where}, and renewed")
    text = "from FIELDING_TOKEN"
    expiry = _expiry(environment["FIELDING_TOKEN"])
    if expiry is not None:
        left = (expiry - now).total_seconds()
        if left <= 0:
            text = f"from FIELDING_TOKEN, says that it ended at {to_text(expiry)}"
            return Check("token", "failed", text, "fetch a new one, or let the SDK do it: set the client id and secret")
        text += f", good for {_duration(left)} by what it says"
        if left < 3600:
            advice = "long work outlives it: let the SDK fetch and renew it with a client id and secret"
            return Check("token", "warning", text, advice)
    if client:
        text += f"; {' and '.join(client)} play no part beside it"
        return Check("token", "warning", text, "unset FIELDING_TOKEN to have tokens fetched and renewed")
    return Check("token", "ok", text)


def _expiry(token: str) -> datetime | None:
    """Return the `exp` of a token if it is a JWT that has one, else `None`."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        loaded: object = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        expiry = cast("dict[str, Any]", loaded).get("exp") if isinstance(loaded, dict) else None
        return datetime.fromtimestamp(expiry, UTC) if isinstance(expiry, int | float) else None
    except (ValueError, OverflowError, OSError, RecursionError):
        return None


def _unknown_settings(environment: Mapping[str, str]) -> list[Check]:
    names = sorted(name for name in environment if name.startswith("FIELDING_") and name not in _NAMES)
    if not names:
        return []
    return [Check("settings", "warning", f"unknown: {printable(', '.join(names))}", f"known are {', '.join(_NAMES)}")]


def _duration(seconds: float) -> str:
    """Return a length of time in its largest unit of which it has two or more."""
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL as a text."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def proxy_check(origin: str, proxy: Proxy | None, why: str) -> Check:
    """Report which proxy is used for an origin, and where it is named, or why there is none."""
    return Check("proxy", "ok", f"{proxy.url if proxy else 'none'} for {origin} ({why})")


# -- replies


def access_check(error: FieldingError | None, ref: RunRef | None, *, checks_token: bool) -> Check:
    """Report what the GET of a run shows about the token.

    `error`: what the GET raised. `ref`: the run, `None` if it was one that does not exist. `checks_token`: the server
    refused the same GET with an invalid token, so that a 404 shows that the token is valid.
    """
    if error is None:
        return Check("access", "ok", "the token is accepted, and the run can be read")
    text = printable(error.message)
    if isinstance(error, NotFoundError | PermissionDeniedError) and error.object is None:
        text = f"a {error.status}, but not in the form that the API has"
        return Check("access", "failed", text, "look at FIELDING_BASE_URL, and at what is in front of the server")
    if isinstance(error, NotFoundError):
        path = f"look at the path of FIELDING_BASE_URL (on the exchange it is {urlsplit(BASE_URL).path})"
        if ref is None:
            if checks_token:
                return Check("access", "ok", "the token is accepted (by the 404 for a run that does not exist)")
            text = "a 404 that comes without a good token too: it shows nothing of the token"
            return Check("access", "warning", text, f"{path}, and name a run that there is: --run RUN")
        if checks_token:
            return Check(
                "access", "warning", f"the token is accepted, but there is no run {ref}", "look at the four ids"
            )
        text = f"there is no run {ref}, and the 404 comes without a good token too"
        return Check("access", "warning", text, f"look at the four ids; {path}")
    if isinstance(error, AuthenticationError):
        advice = "look at the token, at the client id and secret, and whether they are for this server"
        return Check("access", "failed", f"the token is not accepted: {text}", advice)
    if isinstance(error, PermissionDeniedError):
        if ref is None:
            advice = "to tell an expired token from that, name a run you may see: --run RUN"
            return Check("access", "warning", "the token does not open account 0, as may be expected (403)", advice)
        return Check("access", "failed", f"not allowed: {text}", "the token has expired, or is for another account")
    if isinstance(error, RateLimitError):
        advice = "others may be using up what the account is allowed: try again later"
        return Check("access", "failed", text, advice)
    if isinstance(error, ServerError):
        advice = f"the server, or what is in front of it, answers {error.status}: try again later"
        return Check("access", "failed", text, advice)
    if isinstance(error, APIError) and error.status == _PROXY_AUTHENTICATION_REQUIRED:
        return Check("access", "failed", text, "a proxy in front of the server wants a user and password")
    if isinstance(error, APIError):
        return Check("access", "failed", text, f"the server answers {error.status}: is FIELDING_BASE_URL right?")
    return Check("access", "failed", text, "look at FIELDING_BASE_URL, at the network and at proxies")


def certificate_check(version: str | None, certificate: Mapping[str, Any], now: float) -> Check:
    """Report version and certificate of a TLS connection. `certificate`: as the `ssl` module returns it."""
    issuer = dict(cast("tuple[str, str]", pair) for part in certificate.get("issuer", ()) for pair in part)
    by = printable(issuer.get("organizationName") or issuer.get("commonName") or "an issuer without a name")
    left = cert_time_to_seconds(certificate["notAfter"]) - now if "notAfter" in certificate else None
    lasts = "" if left is None else f", good for {_duration(left)}"
    text = f"{version}, certificate by {by}{lasts}"
    if left is not None and left < _SOON:
        return Check("TLS", "warning", text, "whoever runs the server ought to renew its certificate")
    return Check("TLS", "ok", text)


def untrusted_check(code: int, message: str, setting: str) -> Check:
    """Report a certificate that was not accepted, with advice.

    `code`: OpenSSL's code of the verification error. `setting`: the variable that names the server.
    """
    text = f"the certificate is not trusted: {printable(message)}"
    if code in _OTHER_NAME:
        return Check("TLS", "failed", text, f"another server answers there: look at {setting}, and at DNS")
    if code in _OUT_OF_DATE:
        advice = "look at this machine's clock; if that is right, whoever runs the server must renew its certificate"
        return Check("TLS", "failed", text, advice)
    return Check("TLS", "failed", text, "behind a proxy that reads along, point SSL_CERT_FILE at its certificates")


def proxy_refusal(proxy: Proxy, status: int) -> Check:
    """Report that a proxy did not connect to the server (CONNECT, RFC 9110 section 9.3.6), with advice."""
    if status == _PROXY_AUTHENTICATION_REQUIRED:
        text = f"the proxy {proxy.url} wants another user and password: {status}"
        advice = f"set {proxy.source} to http://USER:PASSWORD@HOST:PORT; in both, @ is %40, : is %3A, / is %2F"
        return Check("proxy", "failed", text, advice)
    text = f"the proxy {proxy.url} does not connect: {status}"
    if status < _SERVER_ERRORS:
        return Check("proxy", "failed", text, "ask whoever runs it to let the server through")
    return Check("proxy", "failed", text, "it may not reach the server: try again later, or ask whoever runs it")


def clock_check(reply: TimedReply) -> Check:
    """Compare the clock of this machine with the `Date` of a reply, which is in whole seconds."""
    date = reply.headers.get("Date", "")
    try:
        server = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp() if len(date) < 100 else None
    except (ValueError, TypeError, IndexError, OverflowError):
        server = None
    if server is None:
        return Check("clock", "warning", "not checked: the reply has no Date that can be read")
    # the server's clock was somewhere in [server, server + 1) at some moment between sent and received
    early, late = reply.sent - (server + 1), reply.received - server
    if early <= 0 <= late:
        return Check("clock", "ok", f"the server's, as far as can be told (within {max(-early, late):.1f} s)")
    off = min(early, late, key=abs)
    text = f"{_difference(abs(off))} {'ahead of' if off > 0 else 'behind'} the server's"
    if abs(off) <= _CLOCK_OK:
        return Check("clock", "ok", text)
    return Check(
        "clock",
        "warning" if abs(off) <= _CLOCK_BAD else "failed",
        text,
        "set this machine's clock (NTP): dates worked out from it, and checks of webhooks, are off by as much",
    )


def _difference(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else _duration(seconds)


def etag_check(replies: Sequence[TimedReply]) -> Check:
    """Report whether the ETags of two GETs of one run can serve as `If-Match`. No write is sent to find out."""
    first, second = (reply.headers.get("ETag") for reply in replies)
    text = f"{printable(repr(first)[:60])}" if first is not None else "none"
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
        return Check("ETags", "warning", f"{text}, then {printable(repr(second)[:60])}", changed)
    return Check("ETags", "ok", f"{text}, the same on two looks; whether writes heed it cannot be seen without a write")
