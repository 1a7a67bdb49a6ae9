"""The pure checks of `fielding doctor`: settings, proxy, certificate, clock and ETags."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fielding_async.cli.doctor.checks import (
    certificate_check,
    origin_of,
    proxy_check,
    proxy_refusal,
    settings_checks,
    untrusted_check,
)
from fielding_async.cli.doctor.replies import between_check, clock_check, etag_check
from fielding_async.http.client_sessions import TimedReply
from fielding_async.http.proxies import parse_proxy

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_token_is_judged_by_what_it_says_of_itself() -> None:
    """A JWT that has ended is a failure, one that soon will is a warning, and what cannot be read is passed over."""

    def check(token: str, **more: str) -> tuple[str, str]:
        found = settings_checks({"FIELDING_TOKEN": token} | more, NOW)[1]
        assert token not in f"{found.text}{found.advice}"
        return found.state, found.text

    def jwt(**claims: object) -> str:
        return f"head.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"

    at = NOW.timestamp()
    assert check(jwt(exp=at - 1)) == (
        "failed",
        "from FIELDING_TOKEN; its exp says that it expired at 2029-12-31T23:59:59.000Z",
    )
    assert check(jwt(exp=at + 600)) == ("warning", "from FIELDING_TOKEN, valid for 10 minutes by its exp")
    assert check(jwt(exp=at + 86_400)) == ("ok", "from FIELDING_TOKEN, valid for 24 hours by its exp")
    for token in ("a.b.c", jwt(exp="x"), jwt(exp=1e300), jwt(), "a.bnVsbA.c", "plain-token"):
        assert check(token) == ("ok", "from FIELDING_TOKEN")
    assert check("plain-token", FIELDING_CLIENT_ID="me")[0] == "warning"


def test_a_setting_with_a_wrong_name_is_pointed_out() -> None:
    """A variable that looks like a setting and is none is a warning that names the known ones."""
    settings = {"FIELDING_TOKEN": "token", "FIELDING_BASEURL": "x", "FIELDING_PLANS_URL": "postgresql://x"}
    (found,) = settings_checks(settings, NOW)[2:]
    assert (found.state, found.text) == ("warning", "not known, and not read: FIELDING_BASEURL")
    assert found.advice == "did you mean FIELDING_BASE_URL?"


def test_client_credentials_are_named_and_not_shown() -> None:
    """With client credentials the line says where the token comes from."""
    secrets = {"FIELDING_CLIENT_ID": "client-of-ours", "FIELDING_CLIENT_SECRET": "secret-of-ours"}
    found = settings_checks(secrets, NOW)[1]
    assert (found.state, found.text) == (
        "ok",
        "fetched with FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET, and renewed",
    )
    elsewhere = {"FIELDING_TOKEN_URL": "https://auth.example/token"}
    found = settings_checks(secrets | elsewhere, NOW)[1]
    assert "FIELDING_CLIENT_SECRET from https://auth.example/token (FIELDING_TOKEN_URL), and" in found.text
    found = settings_checks(secrets | {"FIELDING_TOKEN_URL": "http://auth.example/token"}, NOW)[1]
    assert (found.state, found.text.partition("=")[0]) == ("failed", "FIELDING_TOKEN_URL")
    found = settings_checks({"FIELDING_CLIENT_ID": "client-of-ours"}, NOW)[1]
    assert found.text.startswith(
        "no token: FIELDING_CLIENT_ID is set, and FIELDING_CLIENT_SECRET is not: set FIELDING_CLIENT_SECRET"
    )


def _look(etag: str | None = None, *, off: float = 0.0, date: str | None = None) -> TimedReply:
    at = NOW.timestamp()
    headers = {"Date": date or format_datetime(NOW - timedelta(seconds=off), usegmt=True)}
    return TimedReply(200, headers | ({"ETag": etag} if etag is not None else {}), at + 0.3, at + 0.4)


@pytest.mark.parametrize(
    ("off", "state", "said"),
    [
        (0, "ok", "the same as the server's (within 0.7 s)"),
        (3, "ok", "2.3 s ahead of the server's"),
        (-3, "ok", "2.6 s behind the server's"),
        (60, "warning", "59.3 s ahead of the server's"),
        (-7300, "failed", "2 hours behind the server's"),
    ],
)
def test_the_clock_is_compared_with_the_servers(off: float, state: str, said: str) -> None:
    """What a Date cut to seconds, and the time the reply took, leave open is not held against the clock."""
    found = clock_check(_look(off=off))
    assert (found.state, found.text) == (state, said)


@pytest.mark.parametrize("date", ["yesterday", "x" * 200, "Tue, 99 Jan 2030 00:00:00 GMT"])
def test_a_date_that_cannot_be_read_says_so(date: str) -> None:
    """Junk in place of a date is no failure of the clock."""
    assert clock_check(_look(date=date)).text == "not checked: the reply has no Date that can be read"


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ('W/"1"', 'W/"1"', "ok"),
        ('W/"1"', 'W/"2"', "warning"),
        ("*", "*", "failed"),
        ('W/"1-gzip"', 'W/"1-gzip"', "failed"),
        ('W/"1"', None, "failed"),
        ("", "", "failed"),
    ],
)
def test_etags_are_judged_by_two_looks(first: str, second: str | None, state: str) -> None:
    """ETags are of use if they are there, can be sent back, were not changed on the way and stay the same."""
    assert etag_check([_look(first), _look(second)]).state == state


def test_what_is_between_is_seen_in_the_replies() -> None:
    """A cache that answers is a failure, a compression that nobody asked for a warning, a gateway no fault."""

    def between(**headers: str) -> tuple[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        found = between_check([_look(), TimedReply(200, named, 0.0, 0.0)])
        return found.state, found.text

    assert between() == ("ok", "no sign of a cache or a gateway in the replies")
    assert between(Via="1.1 squid", Age="0") == (
        "ok",
        "replies come through 1.1 squid (header Via); none from a cache",
    )
    assert between(Age="30") == ("failed", "a cache answered in place of the server (Age: 30)")
    assert between(Content_Encoding="gzip")[0] == "warning"
    assert between_check([]).state == "skipped"


def test_a_certificate_that_soon_ends_is_a_warning() -> None:
    """The issuer and how long the certificate lasts are told."""
    issuer = ((("countryName", "US"),), (("organizationName", "Trust Inc"),))
    now = NOW.timestamp()
    found = certificate_check("TLSv1.3", {"issuer": issuer, "notAfter": "Mar  2 00:00:00 2030 GMT"}, now)
    assert (found.state, found.text) == ("ok", "TLSv1.3, certificate by Trust Inc, good for 60 days")
    found = certificate_check("TLSv1.3", {"issuer": issuer, "notAfter": "Jan  5 00:00:00 2030 GMT"}, now)
    assert (found.state, found.text) == ("warning", "TLSv1.3, certificate by Trust Inc, good for 4 days")
    assert certificate_check("TLSv1.3", {}, now).text == "TLSv1.3, certificate by an issuer without a name"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (62, "another server answers there: check FIELDING_BASE_URL"),
        (64, "another server answers there: check FIELDING_BASE_URL"),
        (10, "check this machine's clock; if that is right"),
        (9, "check this machine's clock; if that is right"),
        (18, "behind a proxy that reads along"),
        (20, "behind a proxy that reads along"),
    ],
)
def test_the_advice_on_a_certificate_is_about_what_is_wrong_with_it(code: int, advice: str) -> None:
    """A wrong name, a wrong time and an unknown issuer are mended in different places."""
    found = untrusted_check(code, "no good", "FIELDING_BASE_URL")
    assert (found.state, found.text) == ("failed", "the certificate is not trusted: no good")
    assert found.advice is not None
    assert found.advice.startswith(advice)


PROXY = parse_proxy("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128")


@pytest.mark.parametrize(
    ("status", "text", "advice"),
    [
        (407, "wants another user and password: 407", "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT"),
        (403, "does not connect: 403", "ask whoever runs it to let the server through"),
        (503, "does not connect: 503", "it may not reach the server"),
    ],
)
def test_a_proxy_that_refuses_is_told_with_its_status_and_advice(status: int, text: str, advice: str) -> None:
    """A password, a rule of the proxy, and a server that it cannot reach are mended in different places."""
    found = proxy_refusal(PROXY, status)
    assert (found.name, found.state, found.text) == ("proxy", "failed", f"the proxy http://proxy.example:3128 {text}")
    assert found.advice is not None
    assert found.advice.startswith(advice)


def test_a_proxy_is_shown_with_its_origin_and_source() -> None:
    """Where there is none, the line says why."""
    origin = origin_of("https://API.example:8443/v1")
    assert origin == "https://api.example:8443"
    text = "http://proxy.example:3128 for https://api.example:8443 (from HTTPS_PROXY)"
    assert proxy_check(origin, PROXY, "from HTTPS_PROXY").text == text
    assert proxy_check(origin, None, "NO_PROXY names it").text == f"none for {origin} (NO_PROXY names it)"
