"""Which requests are served, and the headers of every response. Pure.

- `Host` must be one of the names that the app is served under: a page of another site whose name was made to resolve
  to this machine (DNS rebinding) is refused.
- A request that changes something must come from the app's own page, or from a program that is no browser (CSRF): by
  `Sec-Fetch-Site`, and by `Origin`. A proxy in front has to pass `Host` on as it came.
"""

import re
from collections.abc import Collection, Mapping

from .answers import Problem

__all__ = ["BAD_BODY", "HEADERS", "LOOPBACK", "MOST_BYTES", "TOO_LARGE", "refusal"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
MOST_BYTES = 65_536  # of the body of a request
# a body without Content-Length is measured as it is read
TOO_LARGE = Problem(413, "too-large", f"Nothing was done: the body has more than {MOST_BYTES} bytes.")
BAD_BODY = Problem(400, "bad-request", 'Nothing was done: send {} or {"seen": TEXT}.')

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(:[0-9]{1,5})?")
_SAFE = {"GET", "HEAD", "OPTIONS"}


def refusal(method: str, path: str, headers: Mapping[str, str], hosts: Collection[str]) -> Problem | None:
    """Return why a request is not served, or `None`.

    `headers`: looked up by lower-case names. `hosts`: names without port.
    """
    host = headers.get("host", "").lower()
    match = _HOST.fullmatch(host)
    if match is None:
        return Problem(400, "bad-host", "The Host header of the request is missing or malformed.")
    if match[1] not in hosts:
        return Problem(421, "wrong-host", "This app is not served under that name. Start it with --allow-host NAME.")
    if method in _SAFE:
        return None
    origin = headers.get("origin", "").lower()
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"} or (
        origin and origin.partition("://")[2] != host
    ):
        return Problem(403, "other-site", "Nothing was done: the request comes from another site.")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        return TOO_LARGE
    # a form of another site cannot send this type without asking the app first (CORS)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if path.startswith("/api/") and kind != "application/json":
        return Problem(415, "not-json", "Nothing was done: send the body as application/json.")
    return None
