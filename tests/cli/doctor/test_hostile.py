"""`fielding doctor` where the settings are odd, or what is in between is."""

import pytest

from fielding_async.cli.doctor.checks import shown_proxy, untrusted_check
from fielding_async.sandbox import RawReply, Sandbox
from tests.cli.conftest import Cli

from .test_doctor import line, states

WORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"http://me:{WORD}@proxy.example:3128", "http://proxy.example:3128"),
        (f"http://me:{WORD}#x@proxy.example:3128", "http://proxy.example:3128"),
        (f"http://me:x/{WORD}@proxy.example:3128", "http://proxy.example:3128"),
        (f"http://me:x?{WORD}@proxy.example:3128/path", "http://proxy.example:3128"),
        (f"http://me:x@{WORD}@proxy.example", "http://proxy.example"),
        (f"me:{WORD}@proxy.example", "http://proxy.example"),
        (f"me:{WORD}://x@proxy.example", "http://proxy.example"),
        (f"http://me:{WORD}@[::1", "http://[::1"),
        (f"http://me:{WORD}@", "http://"),
        ("http://proxy\x1b[31m", "http://proxy\\x1b[31m"),
        ("proxy.example:3128", "http://proxy.example:3128"),
    ],
)
def test_nothing_of_a_proxys_password_is_shown_whatever_is_in_it(url: str, shown: str) -> None:
    """Of a proxy scheme, host and port are shown, and nothing that stands before the last @."""
    assert shown_proxy(url) == shown


@pytest.mark.parametrize("at", ["[::1", "host:99999", "", "/"])
def test_a_proxy_that_is_no_url_is_a_bad_setting_and_no_secret(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """It is named by its variable, with what to do, and without its password."""
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://me:{WORD}@{at}")
    ended = cli("doctor")
    assert ended.status == 2
    assert line(ended, "proxy").startswith("failed")
    assert "http_proxy, in the environment: must be" in line(ended, "proxy")
    assert "in a user or password, # is %23" in line(ended, "proxy")
    assert WORD not in ended.out + ended.err


@pytest.mark.parametrize("form", ["HTTP://LOCALHOST:{port}/v1", "http://LocalHost:{port}/v1/"])
def test_a_base_url_in_capitals_is_checked_as_any_other(
    box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Plain http is not taken for TLS, and the replies are seen: clock, ETags and that it is a sandbox."""
    port = box.url.rpartition(":")[2].partition("/")[0]
    monkeypatch.setenv("FIELDING_BASE_URL", form.format(port=port))
    ended = cli("doctor", "--run", box.add_run("live"), "--json")
    assert ended.status == 0
    assert set(states(ended).values()) == {"ok"}
    assert {"clock", "ETags", "server"} <= set(states(ended))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (62, "another server answers there: look at FIELDING_BASE_URL"),
        (64, "another server answers there: look at FIELDING_BASE_URL"),
        (10, "look at this machine's clock; if that is right"),
        (9, "look at this machine's clock; if that is right"),
        (18, "behind a proxy that reads along"),
        (20, "behind a proxy that reads along"),
    ],
)
def test_the_advice_on_a_certificate_is_about_what_is_wrong_with_it(code: int, advice: str) -> None:
    """A wrong name, a wrong time and an unknown issuer are mended in different places."""
    found = untrusted_check(code, "no good")
    assert (found.state, found.text) == ("failed", "the certificate is not trusted: no good")
    assert found.advice is not None
    assert found.advice.startswith(advice)


def test_a_403_that_is_not_the_apis_is_a_failure(box: Sandbox, cli: Cli) -> None:
    """The page of a proxy or a firewall is not taken for the API's word on account 0."""
    page = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    box.script(RawReply(page), on="get")
    ended = cli("doctor")
    assert ended.status == 1
    assert line(ended, "access").startswith("failed   access     a 403, but not in the form that the API has")


def test_a_proxy_that_wants_a_password_is_not_blamed_on_the_base_url(box: Sandbox, cli: Cli) -> None:
    """A 407 sends one to the proxy's variable."""
    page = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    box.script(RawReply(page), on="get")
    ended = cli("doctor")
    assert ended.status == 1
    assert "the proxy wants a user and password: look at HTTP_PROXY" in line(ended, "access")
