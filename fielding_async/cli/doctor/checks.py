"""The checks of `fielding doctor` on settings, proxies and TLS: each gives a line, with advice if it failed. Pure."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from ssl import cert_time_to_seconds
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from attrs import frozen

from fielding_async.cli.shared.output import printable
from fielding_async.core.addresses import BASE_URL, resolve_base_url
from fielding_async.core.credentials import ClientCredentials, resolve_auth
from fielding_async.core.dates import to_text
from fielding_async.core.errors import ConfigurationError
from fielding_async.http.proxies import Proxy

__all__ = [
    "Check",
    "certificate_check",
    "duration_of",
    "not_checked",
    "origin_of",
    "proxy_check",
    "proxy_refusal",
    "settings_checks",
    "untrusted_check",
]

_CLIENT = ("FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET", "FIELDING_TOKEN_URL")
_NAMES = ("FIELDING_BASE_URL", "FIELDING_TOKEN", *_CLIENT, "FIELDING_PLANS_URL", "FIELDING_SHARED_URL")
_OUT_OF_DATE, _OTHER_NAME = {9, 10}, {62, 64}  # OpenSSL's X509_V_ERR_*: not yet valid, expired; host, address
_SOON = 14 * 86_400  # seconds that a certificate should still be valid
_PROXY_AUTHENTICATION_REQUIRED = 407
_SERVER_ERRORS = 500


@frozen
class Check:
    """One line of the report. `state`: `"skipped"` if it was not checked. `advice`: what to do, if anything is."""

    name: str
    state: Literal["ok", "warning", "failed", "skipped"]
    text: str
    advice: str | None = None


def not_checked(name: str, reason: str, advice: str | None = None) -> Check:
    """Return the line of a check that was not made, with the reason."""
    return Check(name, "skipped", f"not checked: {reason}", advice)


# -- settings


def settings_checks(environment: Mapping[str, str], now: datetime) -> list[Check]:
    """Report the settings in force and their sources, without secrets. A failed check: the setting cannot be used."""
    return [_base_url(environment), _auth(environment, now), *_unknown_settings(environment)]


def _base_url(environment: Mapping[str, str]) -> Check:
    try:
        url = resolve_base_url(None, environment)
    except ConfigurationError as error:
        return Check("base URL", "failed", printable(error.message), f"unset it to use the exchange ({BASE_URL})")
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
        return Check("token", "failed", printable(error.message.removesuffix(", or pass auth=")))
    client = [name for name in _CLIENT if environment.get(name)]
    if isinstance(source, ClientCredentials):
        where = f" from {source.token_url} (FIELDING_TOKEN_URL)" if environment.get("FIELDING_TOKEN_URL") else ""
        return Check("token", "ok", f"fetched with FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET{where}, and renewed")
    text = "from FIELDING_TOKEN"
    expiry = _expiry(environment["FIELDING_TOKEN"])
    if expiry is not None:
        left = (expiry - now).total_seconds()
        if left <= 0:
            text = f"from FIELDING_TOKEN; its exp says that it expired at {to_text(expiry)}"
            return Check("token", "failed", text, "fetch a new one, or let the SDK do it: set the client id and secret")
        text += f", valid for {duration_of(left)} by its exp"
        if left < 3600:
            advice = "let the SDK fetch and renew tokens for work that takes longer: set the client id and secret"
            return Check("token", "warning", text, advice)
    if client:
        text += f"; {' and '.join(client)} are not used beside it"
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
    text = f"not known, and not read: {printable(', '.join(names))}"
    meant = [near[0] for name in names if (near := get_close_matches(name, _NAMES, 1, 0.8))]
    advice = f"did you mean {', '.join(meant)}?" if meant else f"known are {', '.join(_NAMES)}"
    return [Check("settings", "warning", text, advice)]


def duration_of(seconds: float) -> str:
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


def certificate_check(version: str | None, certificate: Mapping[str, Any], now: float) -> Check:
    """Report version and certificate of a TLS connection. `certificate`: as the `ssl` module returns it."""
    issuer = dict(cast("tuple[str, str]", pair) for part in certificate.get("issuer", ()) for pair in part)
    by = printable(issuer.get("organizationName") or issuer.get("commonName") or "an issuer without a name")
    left = cert_time_to_seconds(certificate["notAfter"]) - now if "notAfter" in certificate else None
    lasts = "" if left is None else f", good for {duration_of(left)}"
    text = f"{version}, certificate by {by}{lasts}"
    if left is not None and left < _SOON:
        return Check("TLS", "warning", text, "the operator of the server ought to renew its certificate")
    return Check("TLS", "ok", text)


def untrusted_check(code: int, message: str, setting: str) -> Check:
    """Report a certificate that was not accepted, with advice.

    `code`: OpenSSL's code of the verification error. `setting`: the variable that names the server.
    """
    text = f"the certificate is not trusted: {printable(message)}"
    if code in _OTHER_NAME:
        return Check("TLS", "failed", text, f"another server answers there: check {setting}, and DNS")
    if code in _OUT_OF_DATE:
        advice = "check this machine's clock; if that is right, the operator of the server must renew its certificate"
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
