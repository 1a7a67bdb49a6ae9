"""`fielding doctor` against servers, proxies and settings that are in order, or not."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fielding_async.cli.doctor.connections import Origin
from fielding_async.http.proxies import parse_proxy
from fielding_async.sandbox import DropHeader, RawReply, Reply, Sandbox, SecondWriter, SetHeader, Status
from tests.cli.command_line import SECRET, Cli, Ended
from tests.tools.raw_proxy import RawProxy
from tests.tools.tls import TlsServer, authority


def states(ended: Ended) -> dict[str, str]:
    """The state of each check of a report in JSON."""
    return {check["name"]: check["state"] for check in ended.objects if check["kind"] == "check"}


def line(ended: Ended, name: str) -> str:
    """A line of a report for people, with its advice if it has some."""
    lines = ended.out.splitlines()
    at = next(number for number, text in enumerate(lines) if text[9:].startswith(f"{name} "))
    end = next(number for number, text in enumerate(lines) if number > at and not text.startswith(" "))
    return " ".join(text.strip() for text in lines[at:end])


def test_with_all_in_order_every_line_is_ok(box: Sandbox, cli: Cli) -> None:
    """Against a sandbox with a run to look at nothing is amiss, nothing is written, and it is called a sandbox."""
    ended = cli("doctor", "--run", box.add_run("live"), "--json")
    assert ended.status == 0
    assert set(states(ended).values()) == {"ok"}
    assert ended.objects[-1] == {"kind": "doctor", "sandbox": True, "failed": 0, "warnings": 0, "skipped": 0}
    assert box.history == ()
    assert {request.method for request in box.requests} == {"GET"}


def test_without_a_run_it_says_what_was_not_checked(box: Sandbox, cli: Cli) -> None:
    """ETags take a run: without one the line says that they were not checked, and how to name one."""
    ended = cli("doctor")
    assert (ended.status, ended.err) == (0, "")
    assert "not checked: that takes a run name a run to fetch: fielding doctor --run ACCOUNT" in line(ended, "ETags")
    assert line(ended, "access") == ("ok       access     the token is accepted, and has access to 0 accounts")
    assert ended.out.splitlines()[-1] == "SANDBOX: nothing failed, 0 warnings, 1 not checked"


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ({"FIELDING_TOKEN": ""}, "token", "no token: set FIELDING_TOKEN, or both"),
        ({"FIELDING_TOKEN": f"Bearer {SECRET}"}, "token", 'leave out the word "Bearer"'),
        ({"FIELDING_TOKEN": f"{SECRET}\n"}, "token", "must have no space and no line end around it"),
        ({"FIELDING_BASE_URL": "http://example.com/v1"}, "base URL", "plain http is for loopback hosts only"),
        (
            {"FIELDING_BASE_URL": "example.com"},
            "base URL",
            "must start with https://: write a whole URL such as https://",
        ),
    ],
)
def test_settings_that_will_not_do_exit_with_2(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], name: str, said: str
) -> None:
    """A missing or malformed setting is a failed line with what to do."""
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    ended = cli("doctor")
    assert ended.status == 2
    assert line(ended, name).startswith("failed")
    assert said in line(ended, name)


def test_a_refused_token_is_a_failure_that_does_not_show_it(
    box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 401 is a failed line, and a 403 to a run named is one as well."""
    monkeypatch.setenv("FIELDING_TOKEN", "some-other-token")
    ended = cli("doctor")
    assert ended.status == 1
    assert line(ended, "access").startswith("failed   access     the token is not accepted: 401")
    assert "some-other-token" not in ended.out + ended.err
    monkeypatch.setenv("FIELDING_TOKEN", SECRET)
    box.expire_tokens()
    assert states(cli("doctor", "--json"))["access"] == "failed"
    ended = cli("doctor", "--run", box.add_run())
    assert (ended.status, line(ended, "access")[:25]) == (1, "failed   access     not a")


def test_a_base_url_without_a_path_is_doubtful(box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /v1 there is a hint, since every answer would be a 404."""
    monkeypatch.setenv("FIELDING_BASE_URL", box.url.removesuffix("/v1"))
    assert "it usually ends in /v1" in line(cli("doctor"), "base URL")


@contextmanager
def listening(greeting: bytes | None) -> Iterator[int]:
    """A port on which somebody says something that is not HTTP, or (with `None`) nobody listens at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if greeting is None:
            server.close()
            yield port
            return

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(10_000)
                    connection.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        yield port
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_server_that_is_not_there_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection, a name without an address, and a port that does not speak TLS are told apart."""
    with listening(None) as port:
        monkeypatch.setenv("FIELDING_BASE_URL", f"http://127.0.0.1:{port}/v1")
        ended = cli("doctor")
    assert ended.status == 1
    assert "the connection was refused check FIELDING_BASE_URL" in line(ended, "network")
    assert "there is no connection" in line(ended, "access")
    monkeypatch.setenv("FIELDING_BASE_URL", "https://nowhere.invalid/v1")
    assert "nowhere.invalid: the name has no address" in line(cli("doctor"), "network")
    with listening(b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        monkeypatch.setenv("FIELDING_BASE_URL", f"https://127.0.0.1:{port}/v1")
        ended = cli("doctor")
    assert ended.status == 1
    assert line(ended, "TLS").startswith("failed   TLS        no TLS connection")


def test_a_proxy_is_told_without_its_password(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the environment is named, and what can be looked at is the way to it."""
    with listening(None) as port:
        monkeypatch.setenv("https_proxy", f"http://me:hush-hush@127.0.0.1:{port}")
        monkeypatch.setenv("FIELDING_BASE_URL", "https://nowhere.invalid/v1")
        ended = cli("doctor")
    assert ended.status == 1
    assert "hush-hush" not in ended.out + ended.err
    assert f"http://127.0.0.1:{port} for https://nowhere.invalid (from https_proxy)" in line(ended, "proxy")
    assert f"the proxy 127.0.0.1, port {port}: the connection was refused check https_proxy" in line(ended, "network")


def test_a_server_on_this_machine_is_reached_without_a_proxy(
    box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment names, and the line says why there is none."""
    with listening(None) as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        ended = cli("doctor", "--run", box.add_run("live"))
    assert ended.status == 0
    assert "(plain http goes to this machine, without a proxy)" in line(ended, "proxy")
    assert "ok       TLS        not used: plain http, on this machine only" in ended.out


def test_each_origin_is_looked_at_by_its_own_way(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With client credentials the token endpoint has lines of its own, and a proxy of its own or none."""
    monkeypatch.setenv("FIELDING_TOKEN", "")
    monkeypatch.setenv("FIELDING_CLIENT_ID", "client")
    monkeypatch.setenv("FIELDING_CLIENT_SECRET", "secret-of-the-client")
    monkeypatch.setenv("FIELDING_TOKEN_URL", "https://auth.invalid/token")
    monkeypatch.setenv("FIELDING_BASE_URL", "https://nowhere.invalid/v1")
    monkeypatch.setenv("NO_PROXY", "auth.invalid:443")
    with listening(REFUSAL) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hush-hush@127.0.0.1:{port}")
        ended = cli("doctor", "--json")
    texts = [(check["name"], check["state"], check["text"]) for check in ended.objects if check["kind"] == "check"]
    proxy = f"http://127.0.0.1:{port}"
    assert ("proxy", "ok", f"{proxy} for https://nowhere.invalid (from HTTPS_PROXY)") in texts
    assert ("proxy", "ok", "none for https://auth.invalid (NO_PROXY names it)") in texts
    assert ("proxy", "failed", f"the proxy {proxy} wants another user and password: 407") in texts
    assert any(
        text.startswith("auth.invalid: the name has no address") for _, state, text in texts if state == "failed"
    )
    assert "hush-hush" not in ended.out


def test_a_wrong_token_endpoint_is_named(box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the token endpoint answers sends one to its own variable, not to that of the API."""
    monkeypatch.setenv("FIELDING_TOKEN", "")
    monkeypatch.setenv("FIELDING_CLIENT_ID", "client")
    monkeypatch.setenv("FIELDING_CLIENT_SECRET", "secret-of-the-client")
    monkeypatch.setenv("FIELDING_TOKEN_URL", f"{box.url}/nothing-here")
    ended = cli("doctor")
    said = " ".join(ended.out.split())
    assert "failed access no token: 404 from the token endpoint check FIELDING_TOKEN_URL, and the network" in said


REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


def test_a_proxy_that_wants_a_password_is_named_with_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 407 to CONNECT sends one to the proxy's variable."""
    monkeypatch.setenv("FIELDING_BASE_URL", "https://nowhere.invalid/v1")
    with listening(REFUSAL) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        ended = cli("doctor")
    assert ended.status == 2
    said = " ".join(ended.out.split())
    assert "wants another user and password: 407 set https_proxy to http://USER:PASSWORD@HOST:PORT" in said
    assert "not checked: there is no connection" in line(ended, "access")


def test_a_certificate_is_looked_at_through_a_proxy_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not trusted is a failed line with advice, and one that is tells its issuer."""

    async def examine() -> list[str]:
        async with TlsServer() as server:
            targets = {f"{name}:443": server.port for name in ("exchange.example", "elsewhere.example")}
            async with RawProxy(targets) as box:
                proxy = parse_proxy("HTTPS_PROXY", f"http://{box.address}")
                texts: list[str] = []
                for url in ("https://exchange.example", "https://elsewhere.example"):
                    found = await Origin(url, "FIELDING_BASE_URL", proxy).tls()
                    texts.append(f"{found.state} {found.text} {found.advice}")
                return texts

    untrusted = asyncio.run(examine())[0]
    assert untrusted.startswith("failed the certificate is not trusted: ")
    assert "point SSL_CERT_FILE at its certificates" in untrusted
    with authority().cert_pem.tempfile() as trusted:
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        good, wrong = asyncio.run(examine())
    assert good.startswith("ok TLSv1.3, certificate by trustme")
    assert "another server answers there: check FIELDING_BASE_URL" in wrong


def test_an_answer_that_is_not_the_apis_is_a_failure(box: Sandbox, cli: Cli) -> None:
    """A web server's own 404, and what is no HTTP at all, do not pass for an accepted token."""
    box.script(Reply(404, body=b"<html>not found</html>"), on="list-accounts")
    assert "not in the form that the API has" in line(cli("doctor"), "access")
    box.script(RawReply(b"220 mail\r\n"), RawReply(b"220 mail\r\n"), on="list-accounts")
    ended = cli("doctor")
    assert (ended.status, line(ended, "access")[:8]) == (1, "failed  ")
    assert "not checked: there was no reply" in line(ended, "clock")


def test_a_run_that_does_not_exist_is_a_warning(box: Sandbox, cli: Cli) -> None:
    """The token is accepted, the ids are doubtful, and ETags could not be looked at."""
    ended = cli("doctor", "--run", f"101/{box.project_id}/{'9' * 26}/RUN")
    assert (ended.status, line(ended, "access")[:7]) == (0, "warning")
    assert "not checked: the run could not be read" in line(ended, "ETags")


def test_a_wrong_path_is_told_from_a_right_one(box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wrong path every token gets the same 404: a failure that says which path to set, with a run or without."""
    monkeypatch.setenv("FIELDING_BASE_URL", f"{box.url.removesuffix('/v1')}/v2")
    monkeypatch.setenv("FIELDING_TOKEN", "some-other-token")
    for arguments in ((), ("--run", box.add_run("live"))):
        ended = cli("doctor", *arguments)
        assert (ended.status, line(ended, "access")[:6]) == (1, "failed")
        assert "accepted" not in line(ended, "access")
        assert line(ended, "access").endswith(f"set FIELDING_BASE_URL to {box.url}")
    monkeypatch.setenv("FIELDING_BASE_URL", box.url)
    assert cli("doctor").status == 1


def test_a_server_that_is_busy_or_unwell_is_not_blamed_on_the_settings(box: Sandbox, cli: Cli) -> None:
    """A 429 or 503 is a failure that time may mend."""
    box.script(Status(429, retry_after="300"), on="list-accounts")
    ended = cli("doctor")
    assert (ended.status, line(ended, "access")[:6]) == (1, "failed")
    assert "try again later" in line(ended, "access")
    box.script(Status(503), Status(503), on="list-accounts")
    ended = cli("doctor")
    assert (ended.status, line(ended, "access")[:6]) == (1, "failed")
    assert "try again later: the server, or a proxy in front of it, answers 503" in line(ended, "access")
    assert "FIELDING_BASE_URL" not in line(ended, "access")


def test_etags_that_are_lost_or_changed_on_the_way_are_said(box: Sandbox, cli: Cli) -> None:
    """A run without an ETag fails; a changed run is a warning, for it may have been changed by somebody."""
    ref = box.add_run("live")
    box.script(DropHeader("ETag"), on="get")
    ended = cli("doctor", "--run", ref)
    assert ended.status == 1
    assert line(ended, "ETags").startswith("failed   ETags      a run came without an ETag")
    box.script(SetHeader("X", "1"), SecondWriter(), on="get")
    ended = cli("doctor", "--run", ref)
    assert (ended.status, line(ended, "ETags")[:7]) == (0, "warning")


WORD = "hunter2"


@pytest.mark.parametrize("at", ["[::1", "host:99999", "", "/"])
def test_a_proxy_that_is_no_url_is_a_bad_setting_and_no_secret(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """It is named by its variable, with what to do, and without its password."""
    monkeypatch.setenv("https_proxy", f"http://me:{WORD}@{at}")
    monkeypatch.setenv("FIELDING_BASE_URL", "https://nowhere.invalid/v1")
    ended = cli("doctor")
    assert ended.status == 2
    assert line(ended, "proxy").startswith("failed")
    assert "https_proxy: must be" in line(ended, "proxy")
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


def test_a_403_that_is_not_the_apis_is_a_failure(box: Sandbox, cli: Cli) -> None:
    """The page of a proxy or a firewall is not taken for the API's word on account 0."""
    page = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    box.script(RawReply(page), on="list-accounts")
    ended = cli("doctor")
    assert ended.status == 1
    assert line(ended, "access").startswith("failed   access     a 403, but not in the form that the API has")


def test_a_407_of_the_server_itself_is_not_blamed_on_the_base_url(box: Sandbox, cli: Cli) -> None:
    """What is in front of the server answers it."""
    box.script(RawReply(REFUSAL), on="list-accounts")
    ended = cli("doctor")
    assert ended.status == 1
    assert "a proxy in front of the server needs a user and password" in line(ended, "access")


def test_lines_are_wrapped_to_the_terminal_and_no_path_is_broken(box: Sandbox, cli: Cli) -> None:
    """At 80 columns no line is longer, but for one that a single path or URL makes longer."""
    ref = f"101/{box.project_id}/{'9' * 26}/RUN"
    ended = cli("doctor", "--run", ref)
    lines = ended.out.splitlines()
    assert all(len(text) <= 80 or text.strip() == ref for text in lines)
    assert any(text.strip() == ref for text in lines)


def test_a_server_that_accepts_any_token_is_a_sandbox_or_doubtful(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command of the tutorial: the path is right, and nothing is claimed of the token."""
    with Sandbox() as anybody:
        monkeypatch.setenv("FIELDING_BASE_URL", anybody.url)
        assert line(cli("doctor"), "access") == (
            "ok       access     0 accounts can be read; the server accepts any token"
        )
