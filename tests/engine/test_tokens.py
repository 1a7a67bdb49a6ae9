"""Tokens: where they come from, one fetch shared by all, renewal; over real sockets."""

import asyncio
from itertools import count

import pytest

from fielding_async import (
    AuthenticationError,
    ClientCredentials,
    ConfigurationError,
    FieldingError,
    Limits,
    Outcome,
    PermissionDeniedError,
    ProtocolError,
    Retry,
    Timeout,
    TransportError,
)
from fielding_async.core.token_life import Token, Trial
from fielding_async.sandbox import Cut, Hold, Reply, Sandbox, Status
from tests.tools.sessions import effects, sent, session


@pytest.fixture
def credentials(sandbox: Sandbox) -> ClientCredentials:
    """Return credentials that the sandbox accepts."""
    sandbox.add_client("client", "client-secret")
    return ClientCredentials("client", "client-secret", token_url=sandbox.token_url)


async def test_many_tasks_share_one_token_request(sandbox: Sandbox, credentials: ClientCredentials) -> None:
    """200 tasks that start at once with no token make exactly one token request."""
    refs = [sandbox.add_run("live") for _ in range(200)]
    async with session(sandbox, auth=credentials) as fielding:
        outcomes = await asyncio.gather(*(fielding.run(ref).pause() for ref in refs))
    assert effects(outcomes) == {"accepted"}
    assert len(sent(sandbox, "token")) == 1
    (asked,) = sent(sandbox, "token")
    assert asked.header("Authorization") is None
    assert b'"grant_type": "client_credentials"' in asked.body


async def test_a_token_that_expires_under_many_tasks_is_renewed_once(
    sandbox: Sandbox, credentials: ClientCredentials
) -> None:
    """A token that expires mid-flight under 200 tasks is renewed once, and no task fails."""
    refs = [sandbox.add_run("live") for _ in range(200)]
    async with session(sandbox, auth=credentials, limits=Limits(concurrency=50)) as fielding:
        tasks = [asyncio.create_task(fielding.run(ref).pause()) for ref in refs]
        while len(sent(sandbox, "pause")) < 40:
            assert not any(task.done() and task.exception() for task in tasks)
            await asyncio.sleep(0)
        sandbox.expire_tokens()
        outcomes: list[Outcome] = await asyncio.gather(*tasks)
    assert effects(outcomes) == {"accepted"}
    assert len(sent(sandbox, "token")) == 2
    assert [request.status for request in sandbox.requests].count(403) > 0


async def test_calls_forbidden_for_good_fetch_one_more_token_at_most(
    sandbox: Sandbox, credentials: ClientCredentials
) -> None:
    """1,000 calls that are forbidden for good make at most one extra token request, and each ends in 403; others among
    them that succeed do not start it anew.
    """
    refs = [sandbox.add_run("live") for _ in range(50)]
    async with session(sandbox, auth=credentials) as fielding:
        warm = [fielding.run(ref) for ref in refs]
        await asyncio.gather(*(run.get() for run in warm))
        sandbox.script(*[Status(403)] * 2000, on="pause")
        calls = [asyncio.create_task(warm[number % 50].pause()) for number in range(1000)]
        reads = [asyncio.create_task(run.get()) for run in warm]
        results = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(*reads)
    sandbox.clear_faults()
    assert {type(result) for result in results} == {PermissionDeniedError}
    assert len(sent(sandbox, "token")) == 2


async def test_a_401_renews_and_replays_once(sandbox: Sandbox, credentials: ClientCredentials) -> None:
    """A 401 is answered with a new token once; a second 401 stands."""
    ref = sandbox.add_run("live")
    async with session(sandbox, auth=credentials) as fielding:
        sandbox.script(Status(401), on="get")
        assert (await fielding.run(ref).get()).status == "live"
        sandbox.script(Status(401), Status(401), on="get")
        with pytest.raises(AuthenticationError):
            await fielding.run(ref).get()
    assert len(sent(sandbox, "token")) == 3
    used = [request.header("Authorization") for request in sent(sandbox, "get")]
    assert len(set(used)) == 3


async def test_a_token_is_renewed_before_its_end(sandbox: Sandbox, credentials: ClientCredentials) -> None:
    """A token close to its end is renewed before a request is sent with it: the server never sees an old one."""
    ref = sandbox.add_run("live")
    # no reply is as fast as that: the token is over when it arrives
    sandbox.script(
        Reply(200, body=b'{"access_token":"short-lived-token","expires_in":1e-9,"token_type":"Bearer"}'), on="token"
    )
    async with session(sandbox, auth=credentials) as fielding:
        assert (await fielding.run(ref).get()).status == "live"
    assert len(sent(sandbox, "token")) == 2
    assert [request.status for request in sent(sandbox, "get")] == [200]


async def test_a_callables_token_is_kept_until_it_is_refused(sandbox: Sandbox) -> None:
    """An async callable is asked once, and again when a 401 or 403 asks for another token."""
    ref = sandbox.add_run("live")
    numbers = count()
    tokens = [f"callable-token-{number}" for number in range(3)]
    sandbox.add_client("unused", "unused-secret")

    async def token() -> str:
        return tokens[next(numbers)]

    async with Sandbox(require_token=tokens[1]) as strict:
        ref = strict.add_run("live")
        async with session(strict, auth=token) as fielding:
            for _ in range(5):
                await fielding.run(ref).get()
        assert [request.status for request in strict.requests] == [401, *[200] * 5]


async def test_a_callables_own_error_does_not_get_lost(sandbox: Sandbox) -> None:
    """What a token callable raises is the cause of a `TransportError`; a bad return value names the rule."""

    async def failing() -> str:
        raise LookupError("vault is sealed")

    async def blank() -> str:
        return ""

    def plain() -> str:
        return "token"

    async with session(sandbox, auth=failing) as fielding:
        with pytest.raises(TransportError, match="LookupError") as caught:
            await fielding.run(sandbox.add_run()).get()
    assert isinstance(caught.value.__cause__, LookupError)
    async with session(sandbox, auth=blank) as fielding:
        with pytest.raises(ConfigurationError, match="callable"):
            await fielding.run(sandbox.add_run()).get()
    async with session(sandbox, auth=plain) as fielding:
        with pytest.raises(ConfigurationError, match="async"):
            await fielding.run(sandbox.add_run()).get()
    assert sandbox.requests == ()


async def test_bad_credentials_are_told_and_never_shown(sandbox: Sandbox) -> None:
    """Refused credentials are an `AuthenticationError` that tells what to check, without the secret."""
    sandbox.add_client("client", "right-secret")
    wrong = ClientCredentials("client", "wrong-secret", token_url=sandbox.token_url)
    async with session(sandbox, auth=wrong) as fielding:
        with pytest.raises(AuthenticationError, match="check the client id and secret") as caught:
            await fielding.run(sandbox.add_run()).get()
    assert "wrong-secret" not in str(vars(caught.value))
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("fault", [Cut("before"), Status(503), Cut("after")], ids=str)
async def test_a_token_request_that_fails_is_tried_again(
    sandbox: Sandbox, credentials: ClientCredentials, fault: Cut | Status
) -> None:
    """A token request that gets lost or meets a 5xx is tried again, like any other read."""
    sandbox.script(fault, on="token")
    async with session(sandbox, auth=credentials) as fielding:
        assert (await fielding.run(sandbox.add_run("live")).get()).status == "live"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token":5}',
        b'{"access_token":"two words"}',
        b'{"access_token":"t","expires_in":"x"}',
    ],
    ids=str,
)
async def test_a_token_reply_that_makes_no_sense_is_a_protocol_error(
    sandbox: Sandbox, credentials: ClientCredentials, body: bytes
) -> None:
    """A token endpoint that answers nonsense is a `ProtocolError` that names the field."""
    sandbox.script(Reply(200, body=body), on="token")
    async with session(sandbox, auth=credentials) as fielding:
        with pytest.raises(ProtocolError, match="token"):
            await fielding.run(sandbox.add_run("live")).get()


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (301, ProtocolError, "301 from the token endpoint: a redirect, which is not followed"),
        (302, ProtocolError, "302 from the token endpoint: a redirect, which is not followed"),
        (307, ProtocolError, "307 from the token endpoint: a redirect, which is not followed"),
        (404, TransportError, "404 from the token endpoint"),
        (407, TransportError, "407 from the token endpoint"),
    ],
)
async def test_a_token_endpoint_that_answers_so_for_good_is_asked_once(
    sandbox: Sandbox, credentials: ClientCredentials, status: int, error: type[FieldingError], said: str
) -> None:
    """A redirect is neither followed nor asked for again: each request shows the secret."""
    sandbox.script(Reply(status, (("Location", f"{sandbox.url}/elsewhere"),), b""), on="token")
    async with session(sandbox, auth=credentials) as fielding:
        with pytest.raises(error, match=said):
            await fielding.run(sandbox.add_run("live")).pause()
    assert [request.operation for request in sandbox.requests] == ["token"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_token_endpoint_that_is_busy_is_asked_again(
    sandbox: Sandbox, credentials: ClientCredentials, status: int
) -> None:
    """An answer that passes is followed by another attempt."""
    sandbox.script(Status(status), on="token")
    async with session(sandbox, auth=credentials) as fielding:
        assert (await fielding.run(sandbox.add_run("live")).pause()).effect == "accepted"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ('"86399"', None),
        ("86399.5", None),
        ("null", None),
        ("0", r"\$\.expires_in is 0: the token has ended before it is used"),
        ('"0"', r"\$\.expires_in is 0"),
        ("-5", r"\$\.expires_in is -5"),
        ('""', "not a number of seconds"),
        ('"-5"', "not a number of seconds"),
        ('"5s"', "not a number of seconds"),
        ('"\u0665"', "not a number of seconds"),
        ('"9999999999999"', "not a number of seconds"),
        ("true", "not a number of seconds"),
        ("NaN", "not a number of seconds"),
        ("1e999", "not a number of seconds"),
        ("[1]", "not a number of seconds"),
    ],
)
async def test_how_long_a_token_lasts_is_read_with_tolerance(
    sandbox: Sandbox, credentials: ClientCredentials, seconds: str, said: str | None
) -> None:
    """Digits in a text are a number (RFC 6749 has a number); 0 is one that is of no use, and is told as that."""
    token = "a-token-that-the-test-gives-out"
    body = f'{{"access_token":"{token}","expires_in":{seconds}}}'.encode()
    async with Sandbox(require_token=token) as box:
        box.add_client("client", "client-secret")
        box.script(Reply(200, body=body), on="token")
        auth = ClientCredentials("client", "client-secret", token_url=box.token_url)
        async with session(box, auth=auth) as fielding:
            run = fielding.run(box.add_run("live"))
            if said is None:
                assert (await run.get()).status == "live"
            else:
                with pytest.raises(ProtocolError, match=said):
                    await run.get()
        assert len(sent(box, "token")) == 1


async def test_a_slow_token_does_not_outlast_the_deadline(sandbox: Sandbox, credentials: ClientCredentials) -> None:
    """A call's deadline holds while it waits for a token; the fetch goes on for the others."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="token")
    async with session(sandbox, auth=credentials) as fielding:
        patient = asyncio.create_task(fielding.run(ref).get())
        with pytest.raises(TimeoutError):
            await fielding.run(ref).get(timeout=0.1)
        hold.release()
        assert (await patient).status == "live"
    assert len(sent(sandbox, "token")) == 1


async def test_a_lost_write_followed_by_a_token_failure_is_still_judged(sandbox: Sandbox) -> None:
    """Once a write may have been applied, not even a failing token source ends the call in another class."""
    tokens = iter(["first-token"])

    async def token() -> str:
        try:
            return next(tokens)
        except StopIteration:
            raise LookupError("no more") from None

    async with Sandbox(require_token="first-token") as strict:
        ref = strict.add_run("live")
        async with session(strict, auth=token, retry=Retry(base=0.001)) as fielding:
            await fielding.run(ref).get()
            strict.script(Cut("after"), Status(401), on="pause")
            with pytest.raises(FieldingError) as caught:
                await fielding.run(ref).pause()
    assert type(caught.value).__name__ == "OutcomeUnknownError"


# -- the pure part


def test_a_token_is_due_before_its_end_by_either_clock() -> None:
    """A token is due a tenth of its life, at most a minute, before its end; by the wall clock too: laptops sleep."""
    token = Token.lasting("t", 86_400, monotonic=1000, wall=5000)
    assert not token.is_due(1000 + 86_339, 5000 + 86_339)
    assert token.is_due(1000 + 86_340, 5000)
    assert token.is_due(1000, 5000 + 86_340)
    assert not token.is_over(1000 + 86_399, 5000)
    assert token.is_over(1000, 5000 + 86_400)
    short = Token.lasting("t", 100, monotonic=0, wall=0)
    assert short.is_due(90, 0)
    assert not short.is_due(89, 0)


def test_a_403_is_tried_with_another_token_once() -> None:
    """A 403 calls for another token while that may help: at its end, or once; for a callable again after a while."""
    token = Token.lasting("t", 1000, monotonic=0, wall=0)
    assert token.renewal_may_help(403, 10, 10)
    token.refused_again(10)
    assert not token.renewal_may_help(403, 900, 900)
    assert token.renewal_may_help(403, 1000, 900)
    assert token.renewal_may_help(401, 10, 10)
    fresh = Token("t", trial=Trial.PENDING)
    assert not fresh.renewal_may_help(403, 0, 0)
    fresh.worked()
    assert fresh.renewal_may_help(403, 0, 0)
    fresh.refused_again(0)
    fresh.worked()
    assert not fresh.renewal_may_help(403, 299, 0)
    assert fresh.renewal_may_help(403, 300, 0)


async def test_a_callable_that_never_returns_hangs_nobody(sandbox: Sandbox) -> None:
    """A token source that hangs is given up: with the call's time limit, and by itself after an attempt's."""

    async def never() -> str:
        await asyncio.get_running_loop().create_future()
        return "never"

    async with session(sandbox, auth=never, timeout=Timeout(total=0.1)) as fielding:
        with pytest.raises(TimeoutError):
            await fielding.run(sandbox.add_run()).get()
    async with session(sandbox, auth=never, timeout=Timeout(total=None, attempt=0.1)) as fielding:
        with pytest.raises(TransportError, match="TimeoutError"):
            await fielding.run(sandbox.add_run()).get()
    assert sandbox.requests == ()


async def test_a_callable_that_was_cancelled_cancels_nobody(sandbox: Sandbox) -> None:
    """A token source whose own work was cancelled is a `TransportError`: the caller was not cancelled."""

    async def cancelled() -> str:
        raise asyncio.CancelledError

    async with session(sandbox, auth=cancelled) as fielding:
        with pytest.raises(TransportError, match="CancelledError"):
            await fielding.run(sandbox.add_run()).get()
