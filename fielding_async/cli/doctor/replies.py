"""The checks of `fielding doctor` on the replies of the server: each gives a line, with advice if it failed. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from fielding_async.cli.shared.output import counted, printable
from fielding_async.core.addresses import BASE_URL
from fielding_async.core.errors import (
    APIError,
    AuthenticationError,
    FieldingError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from fielding_async.core.models import RunRef
from fielding_async.core.wire.response_headers import sendable_etag
from fielding_async.http.client_sessions import TimedReply

from .checks import Check, duration_of, not_checked, origin_of

__all__ = ["access_check", "between_check", "clock_check", "etag_check", "run_check", "server_check"]

_CLOCK_OK, _CLOCK_BAD = 5.0, 300.0  # seconds; the time of a webhook's signature may be wrong by the second
_PROXY_AUTHENTICATION_REQUIRED = 407


def access_check(found: int | FieldingError, base_url: str, *, checks_token: bool | None, is_sandbox: bool) -> Check:
    """Report what the GET of the accounts shows about the path of the base URL and the token.

    `found`: how many accounts there are, or the error. `checks_token`: whether the server refused the same GET with an
    invalid token; `None` if that was not tried.
    """
    if isinstance(found, FieldingError):
        return _path_problem(found, base_url) or _refusal(found)
    text = f"the token is accepted, and has access to {counted(found, 'account')}"
    if checks_token is False:
        text = f"{counted(found, 'account')} can be read; the server accepts any token"
        if not is_sandbox:
            return Check("access", "warning", text, "check that FIELDING_BASE_URL is the server that you mean")
    if not found and not is_sandbox:
        return Check("access", "warning", text, "ask for access to an account, or check whose token it is")
    return Check("access", "ok", text)


def _path_problem(error: FieldingError, base_url: str) -> Check | None:
    """Report a 404 of the list of accounts, which each server of the API has."""
    if not isinstance(error, NotFoundError):
        return None
    path = urlsplit(base_url).path
    if error.object is None:
        return _not_of_the_api(error)
    if path == urlsplit(BASE_URL).path:
        text = "a 404 for the list of accounts, so nothing is known of the token"
        return Check("access", "warning", text, "name a run that you may see: --run RUN")
    text = f"a 404 for the list of accounts: the path of FIELDING_BASE_URL, {path or 'none'}, is not that of the API"
    return Check("access", "failed", text, f"set FIELDING_BASE_URL to {origin_of(base_url)}{urlsplit(BASE_URL).path}")


def run_check(error: FieldingError | None, ref: RunRef, accounts: Check | None) -> Check:
    """Report what the GET of a run shows. `accounts`: what the GET of the accounts showed, after a 404."""
    if error is None:
        return Check("access", "ok", "the token is accepted, and the run can be read")
    if not isinstance(error, NotFoundError) or accounts is None:
        return _refusal(error)
    if error.object is None:
        return _not_of_the_api(error)
    if accounts.state == "ok":
        text = f"the token is accepted, but there is no run {ref}"
        advice = "check the four ids and their order: account, project, target group, run"
        return Check("access", "warning", text, advice)
    return accounts


def _not_of_the_api(error: APIError) -> Check:
    text = f"a {error.status}, but not in the form that the API has"
    return Check("access", "failed", text, "check FIELDING_BASE_URL, and any proxy in front of the server")


def _refusal(error: FieldingError) -> Check:
    text = printable(error.message)
    if error.method == "POST" and not isinstance(error, AuthenticationError):  # the checks themselves are all GETs
        advice = "check FIELDING_TOKEN_URL, and the network and proxies on the way to it"
        return Check("access", "failed", text, advice)
    if isinstance(error, PermissionDeniedError) and error.object is None:
        return _not_of_the_api(error)
    if isinstance(error, AuthenticationError):
        advice = "check the token, or client id and secret, and that they are for this server"
        return Check("access", "failed", f"the token is not accepted: {text}", advice)
    if isinstance(error, PermissionDeniedError):
        advice = "fetch a new token if it has expired; otherwise ask for the permission, or check the account"
        return Check("access", "failed", f"not allowed: {text}", advice)
    if isinstance(error, RateLimitError):
        advice = "try again later; other programs with this account may use up what it is allowed"
        return Check("access", "failed", text, advice)
    if isinstance(error, ServerError):
        advice = f"try again later: the server, or a proxy in front of it, answers {error.status}"
        return Check("access", "failed", text, advice)
    if isinstance(error, APIError) and error.status == _PROXY_AUTHENTICATION_REQUIRED:
        return Check("access", "failed", text, "a proxy in front of the server needs a user and password")
    if isinstance(error, APIError):
        return Check("access", "failed", text, f"check FIELDING_BASE_URL: the server answers {error.status}")
    return Check("access", "failed", text, "check FIELDING_BASE_URL, the network and proxies")


def server_check(base_url: str, *, is_sandbox: bool) -> Check:
    """Report which server it is: a sandbox, the exchange, or another one."""
    if is_sandbox:
        return Check("server", "ok", "this is a SANDBOX: nothing done here happens on the exchange")
    if origin_of(base_url) == origin_of(BASE_URL):
        return Check("server", "ok", "this is the exchange: actions change real fieldwork")
    return Check("server", "ok", f"neither a sandbox nor the exchange's own address ({origin_of(BASE_URL)})")


def between_check(replies: Sequence[TimedReply]) -> Check:
    """Report what of the replies was made or changed by something between here and the server."""
    if not replies:
        return not_checked("between", "there was no reply")
    ages = [age for reply in replies if (age := reply.headers.get("Age", "")).isdecimal() and int(age[:9]) > 0]
    if ages:
        text = f"a cache answered in place of the server (Age: {printable(ages[0][:20])})"
        advice = "let it obey `Cache-Control: no-cache`, or let requests to the server pass by it"
        return Check("between", "failed", text, advice)
    via = sorted({printable(value)[:80] for reply in replies if (value := reply.headers.get("Via"))})
    encoded = sorted({printable(value)[:20] for reply in replies if (value := reply.headers.get("Content-Encoding"))})
    if encoded:
        text = f"replies are compressed ({', '.join(encoded)}), which was not asked for"
        return Check("between", "warning", text, "a proxy that compresses may remove or change ETags: switch that off")
    if via:
        return Check("between", "ok", f"replies come through {', '.join(via)} (header Via); none from a cache")
    return Check("between", "ok", "no sign of a cache or a gateway in the replies")


def clock_check(reply: TimedReply) -> Check:
    """Compare the clock of this machine with the `Date` of a reply, which is in whole seconds."""
    date = reply.headers.get("Date", "")
    try:
        server = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp() if len(date) < 100 else None
    except (ValueError, TypeError, IndexError, OverflowError):
        server = None
    if server is None:
        return not_checked("clock", "the reply has no Date that can be read")
    # the server's clock was somewhere in [server, server + 1) at some moment between sent and received
    early, late = reply.sent - (server + 1), reply.received - server
    if early <= 0 <= late:
        return Check("clock", "ok", f"the same as the server's (within {max(-early, late):.1f} s)")
    off = min(early, late, key=abs)
    text = f"{_difference(abs(off))} {'ahead of' if off > 0 else 'behind'} the server's"
    if abs(off) <= _CLOCK_OK:
        return Check("clock", "ok", text)
    return Check(
        "clock",
        "warning" if abs(off) <= _CLOCK_BAD else "failed",
        text,
        "set this machine's clock (NTP): dates calculated from it, and checks of webhooks, are wrong by as much",
    )


def _difference(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else duration_of(seconds)


def etag_check(replies: Sequence[TimedReply]) -> Check:
    """Report whether the ETags of two GETs of one run can serve as `If-Match`. No write is sent to find out."""
    first, second = (reply.headers.get("ETag") for reply in replies)
    text = f"{printable(repr(first)[:60])}" if first is not None else "none"
    stripped = (
        "let what is between here and the server (a proxy?) pass the header ETag: no action can be sent without it"
    )
    if first is None or second is None:
        return Check("ETags", "failed", "a run came without an ETag", stripped)
    if not sendable_etag(first):
        return Check("ETags", "failed", f"{text} cannot be sent back as it came", stripped)
    if re.search(r"-(gzip|br|zstd|deflate)\"?$", first):
        return Check(
            "ETags", "failed", f"{text} was changed on its way", "let the proxy that compresses leave ETags as they are"
        )
    if first != second:
        changed = "try again: if nobody changed the run between the two GETs, every action will end in conflicts"
        return Check("ETags", "warning", f"{text}, then {printable(repr(second)[:60])}", changed)
    return Check(
        "ETags", "ok", f"{text}, the same in two GETs; no write is sent, so whether writes check it is not known"
    )
