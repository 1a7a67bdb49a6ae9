"""The session's life, its settings, and what it makes of a caller's own aiohttp session."""

import asyncio
import json
import logging
import multiprocessing
import pickle
import subprocess
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from fielding_async import (
    APIError,
    AuthenticationError,
    BearerToken,
    ClientCredentials,
    ConfigurationError,
    FieldingError,
    FieldingSession,
    InvalidParam,
    Limits,
    Retry,
    RunRef,
    SessionClosedError,
    Timeout,
    Update,
)
from fielding_async.sandbox import Reply, Sandbox, Status

from .tools.sessions import REF, TOKEN, run_value, session

ULID = "01BTGNYV6HRNK8K8VKZASZCFP0"
LOOPBACK = "http://127.0.0.1:9/v1"


async def test_leaving_closes_what_was_opened(sandbox: Sandbox) -> None:
    """Leaving `async with` closes our connections; the session says that it is closed."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        assert "open" in repr(fielding)
    with pytest.raises(SessionClosedError, match="closed"):
        await run.get()
    assert "closed" in repr(fielding)
    await fielding.aclose()


async def test_a_session_is_entered_once(sandbox: Sandbox) -> None:
    """Entering a session twice, or after it was closed, fails."""
    fielding = session(sandbox)
    async with fielding:
        with pytest.raises(SessionClosedError, match="already"):
            await fielding.__aenter__()
    with pytest.raises(SessionClosedError, match="closed"):
        async with fielding:
            pass


async def test_a_session_that_was_not_entered_sends_nothing(sandbox: Sandbox) -> None:
    """Use outside `async with` is a clear error, and no request."""
    with pytest.raises(SessionClosedError, match="not been entered"):
        await session(sandbox).run(sandbox.add_run()).get()
    assert sandbox.requests == ()


def test_a_session_can_be_built_before_any_loop_runs() -> None:
    """A session built in sync code works in the loop that runs later; in a second loop it says so."""
    fielding = FieldingSession("token", base_url=LOOPBACK)
    assert fielding.base_url == LOOPBACK

    async def enter() -> None:
        await fielding.__aenter__()

    async def use() -> None:
        with pytest.raises(SessionClosedError, match="event loop"):
            await fielding.run(REF).get()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(enter())
        second.run(use())
        first.run(fielding.aclose())


async def test_use_from_another_thread_is_refused(sandbox: Sandbox) -> None:
    """A session used from a loop in another thread says so, and sends nothing."""
    ref = sandbox.add_run("live")
    found: list[BaseException] = []
    async with session(sandbox) as fielding:

        def other() -> None:
            try:
                asyncio.run(fielding.run(ref).get())
            except SessionClosedError as error:
                found.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        await asyncio.to_thread(thread.join)
    assert "thread" in str(found[0])
    assert sandbox.requests == ()


def _in_child(fielding: FieldingSession, pipe: Any) -> None:
    async def use() -> None:
        try:
            await fielding.run(REF).get()
        except SessionClosedError as error:
            pipe.send(str(error))

    asyncio.run(use())


def test_the_name_is_in_the_repr_and_no_secret_is() -> None:
    """A session shows its name, its address and its state; without a name, the address and the state."""
    named = FieldingSession(TOKEN, base_url=LOOPBACK, name="billing's")
    assert repr(named) == f'<FieldingSession "billing\'s" {LOOPBACK} (not entered)>'
    assert repr(FieldingSession(TOKEN, base_url=LOOPBACK)) == f"<FieldingSession {LOOPBACK} (not entered)>"
    assert FieldingSession(TOKEN, base_url=LOOPBACK, name="é" * 100)


@pytest.mark.parametrize("name", ["", " ", "a" * 101, "a\nb", " a", "a ", "a\x1b[0m", "\u202e", 7, b"a", True])
def test_what_is_no_name_is_refused(name: Any) -> None:
    """A name is 1 to 100 printable characters, so that it fits in a line of a log; anything else is refused."""
    with pytest.raises(ConfigurationError, match="name"):
        FieldingSession(TOKEN, base_url=LOOPBACK, name=name)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_use_from_a_forked_child_is_refused() -> None:
    """A session entered in a parent process says so in a forked child."""
    fielding = FieldingSession("token", base_url=LOOPBACK)
    with asyncio.Runner() as runner:
        runner.run(fielding.__aenter__())
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        child = fork.Process(target=_run_outside_loop, args=(fielding, theirs))
        child.start()
        assert ours.poll(20)
        assert "process" in ours.recv()
        child.join()
        runner.run(fielding.aclose())


def _run_outside_loop(fielding: FieldingSession, pipe: Any) -> None:
    asyncio._set_running_loop(None)
    _in_child(fielding, pipe)


# -- settings


def test_no_token_names_the_variables() -> None:
    """Without any token the error names the environment variables that would do."""
    with pytest.raises(ConfigurationError) as caught:
        FieldingSession()
    for name in ("FIELDING_TOKEN", "FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET"):
        assert name in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET"])
def test_half_of_the_credentials_names_the_other_half(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Of client id and secret in the environment, the error says which is missing."""
    missing = ({"FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET"} - {name}).pop()
    monkeypatch.setenv(name, "half-of-the-credentials")
    with pytest.raises(
        ConfigurationError, match=rf"^no token: {name} is set, and {missing} is not: set {missing} too"
    ) as caught:
        FieldingSession()
    assert "half-of-the-credentials" not in str(caught.value)


async def test_the_token_endpoint_comes_from_the_environment_for_credentials_from_there(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`FIELDING_TOKEN_URL` is checked as `token_url=` is, and is not the endpoint of credentials that are passed."""
    sandbox.add_client("client", "secret-of-the-client")
    monkeypatch.setenv("FIELDING_TOKEN_URL", sandbox.token_url)
    credentials = ClientCredentials("client", "secret-of-the-client")
    assert FieldingSession(credentials)._settings.auth is credentials
    assert credentials.token_url == "https://auth.cint.com/oauth/token"
    monkeypatch.setenv("FIELDING_CLIENT_ID", "client")
    monkeypatch.setenv("FIELDING_CLIENT_SECRET", "secret-of-the-client")
    async with FieldingSession(base_url=sandbox.url) as fielding:
        assert (await fielding.run(sandbox.add_run("live")).get()).status == "live"
    monkeypatch.setenv("FIELDING_TOKEN_URL", "http://auth.example/token")
    with pytest.raises(ConfigurationError, match=r"^FIELDING_TOKEN_URL=.* plain http is for loopback hosts only"):
        FieldingSession()


async def test_settings_come_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """`FIELDING_TOKEN` and `FIELDING_BASE_URL` are read when the arguments are left out."""
    monkeypatch.setenv("FIELDING_TOKEN", TOKEN)
    monkeypatch.setenv("FIELDING_BASE_URL", sandbox.url + "/")
    async with FieldingSession() as fielding:
        assert (await fielding.run(sandbox.add_run("live")).get()).status == "live"


def test_no_frame_shows_a_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback with local variables, of a session that cannot be made, holds no token, secret or password."""
    for name in ("FIELDING_TOKEN", "FIELDING_CLIENT_SECRET"):
        monkeypatch.setenv(name, f"hunter2-{name}")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@127.0.0.1")
    monkeypatch.setenv("FIELDING_BASE_URL", "http://example.com")
    with pytest.raises(ConfigurationError, match="loopback") as caught:
        FieldingSession()
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb) if frame.f_code.co_filename != __file__]
    assert len(frames) > 2
    assert "hunter2" not in "".join(repr(frame.f_locals) for frame in frames)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"auth": ""}, "token"),
        ({"auth": "two words"}, "token"),
        ({"auth": "line\nbreak"}, "token"),
        ({"auth": 5}, "auth"),
        ({"base_url": "http://api.example.com/v1"}, "loopback"),
        ({"base_url": "ftp://api.example.com"}, "base_url"),
        ({"base_url": "https://user:hush-hush@api.example.com"}, "base_url"),
        ({"base_url": "https://api.example.com?x=1"}, "base_url"),
        ({"base_url": "api.example.com"}, "base_url"),
        ({"api_version": "2025"}, "api_version"),
        ({"etag_cache_size": 0}, "etag_cache_size"),
        ({"limits": 5}, "limits"),
        ({"http": "a session"}, "http"),
        ({"ssl": "/path/ca.pem"}, "ssl"),
    ],
    ids=str,
)
def test_a_bad_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    """A bad setting is a `ConfigurationError` that names it and never shows a secret."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        FieldingSession(**{"auth": "token", **arguments})
    assert "hush-hush" not in str(caught.value)
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits(concurrency=0),
        lambda: Limits(rate=0),
        lambda: Limits(rate=float("nan")),
        lambda: Limits(burst=0),
        lambda: Limits(max_pause=-1),
        lambda: Retry(max_attempts=0),
        lambda: Retry(base=-1),
        lambda: Timeout(total=0),
        lambda: Timeout(attempt=None),  # type: ignore[arg-type]
        lambda: Timeout(connect=True),
        lambda: Timeout(queue=0),
        lambda: Timeout(queue="2"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_limit_is_named(make: Any) -> None:
    """Limits, retries and timeouts say which value breaks which rule."""
    with pytest.raises(ConfigurationError, match="must be"):
        make()


@pytest.mark.parametrize("adaptive", ["no", None, 0, 1])
def test_adaptive_is_true_or_false(adaptive: Any) -> None:
    """What only looks like a yes or no is a `ConfigurationError` that names the argument and the rule."""
    with pytest.raises(ConfigurationError, match=rf"Limits\(adaptive={adaptive!r}\): must be True or False"):
        Limits(adaptive=adaptive)


def test_ids_are_checked_when_the_handle_is_made() -> None:
    """A handle of an id that cannot be one is refused before anything is sent."""
    fielding = FieldingSession("token", base_url=LOOPBACK)
    for account_id in (-1, 2**31, "101", True, None, 1.5):
        with pytest.raises(ConfigurationError, match="account_id"):
            fielding.run(account_id, ULID, ULID, "r")  # type: ignore[arg-type]
    for bad in ("", "short", ULID.lower(), ULID + "0", "É" * 26, 5, None):
        with pytest.raises(ConfigurationError, match="project_id"):
            fielding.project(1, bad)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="target_group_id"):
            fielding.project(1, ULID).target_group(bad)  # type: ignore[arg-type]
    for bad in ("", ".", "..", "a/b", "a?b", "a#b", "a\\b", "a%2f", "a b", "a\nb", "a\x00", "a\u2028b", 5, None):
        with pytest.raises(ConfigurationError, match="fielding_run_id"):
            fielding.run(RunRef(1, ULID, ULID, bad))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="RunRef"):
        fielding.run(1, ULID)  # type: ignore[call-overload]


def test_handles_are_values() -> None:
    """Handles are equal and hash alike when session and ids are, and cannot be changed."""
    fielding, other = FieldingSession("token", base_url=LOOPBACK), FieldingSession("token", base_url=LOOPBACK)
    run = fielding.run(REF)
    assert run == fielding.project(101, REF.project_id).target_group(REF.target_group_id).run(REF.fielding_run_id)
    assert run == fielding.run(account_id=101, project_id="0" * 26, target_group_id="1" * 26, fielding_run_id="run")
    assert hash(run) == hash(fielding.run(REF))
    assert run != other.run(REF)
    assert run.ref == REF
    with pytest.raises(AttributeError):
        run.ref = REF  # type: ignore[misc]


async def test_bad_arguments_of_calls_send_nothing(sandbox: Sandbox) -> None:
    """Naive datetimes, an end before its start, an empty update, a wrong `seen`: clear errors, and no request."""
    now = datetime.now(UTC)
    naive = datetime(2030, 1, 1)
    async with session(sandbox) as fielding:
        run: Any = fielding.run(REF)
        project = fielding.project(101, ULID)
        group = project.target_group(ULID)
        mistakes: list[tuple[Any, str]] = [
            (lambda: run.update(end_fielding_at=naive), "end_fielding_at.*aware"),
            (lambda: run.update(start_fielding_at=now, end_fielding_at=now), "end_fielding_at.*after"),
            (lambda: run.update(end_fielding_at="2030-01-01"), "end_fielding_at.*datetime"),
            (lambda: run.update(), "Update"),
            (lambda: run.update(lambda _: None, end_fielding_at=now), "and only one of them"),
            (lambda: run.update(5), "callable"),
            (lambda: run.perform("pause"), "action"),
            (lambda: run.pause(on_conflict="ignore"), "on_conflict"),
            (lambda: run.pause(seen=5), "seen"),
            (lambda: run.pause(seen=run_value(etag=None)), "seen.*ETag"),
            (lambda: run.pause(seen=run_value(id="another")), "seen.*another"),
            (lambda: project.relaunch(ULID), "target_group_ids"),
            (lambda: project.relaunch([]), "at least one"),
            (lambda: project.relaunch([ULID, ULID]), "more than once"),
            (lambda: project.relaunch(["x"]), r"target_group_ids\[0\]"),
            (lambda: project.relaunch([ULID], idempotency_key="x" * 256), "idempotency_key"),
            (lambda: group.launch_from_draft(end_fielding_at=naive), "end_fielding_at.*aware"),
            (lambda: group.schedule_from_draft(start_fielding_at=now, end_fielding_at=now), "after"),
        ]
        for mistake, message in mistakes:
            with pytest.raises(ConfigurationError, match=message):
                await mistake()
        with pytest.raises(ConfigurationError, match="aware"):
            Update(end_fielding_at=naive)
    assert sandbox.requests == ()


# -- a caller's own aiohttp session


async def test_a_callers_session_cannot_change_what_we_promise(sandbox: Sandbox) -> None:
    """raise_for_status, default headers, cookies, auth, middlewares and timeouts of the caller's session do not reach
    our requests, and it is left as it was.
    """
    ref = sandbox.add_run("live")
    elsewhere: list[str] = []

    async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        elsewhere.append(str(request.url))
        return await handler(request)

    sandbox.script(Reply(404, (("Set-Cookie", "a=b"),), b"{}"), on="get")
    sandbox.script(Reply(302, (("Location", sandbox.url + "/elsewhere"),), b""), on="pause")
    headers = {
        "Authorization": "Basic abc",
        "If-Match": "*",
        "If-None-Match": "*",
        "X-Gateway": "yes",
        "Range": "bytes=0-1",
    }
    async with aiohttp.ClientSession(
        raise_for_status=True,
        headers=headers,
        cookies={"session": "secret"},
        middlewares=(middleware,),
        timeout=aiohttp.ClientTimeout(total=0.000001),
        auto_decompress=False,
    ) as http:
        http.cookie_jar.update_cookies({"session": "secret"})
        before = list(http.cookie_jar)
        async with session(sandbox, http=http) as fielding:
            run = fielding.run(ref)
            with pytest.raises(FieldingError, match="404"):
                await run.get()
            assert (await run.pause()).effect == "accepted"
        assert not http.closed
        assert list(http.cookie_jar) == before
        assert dict(http.headers) == headers
    assert elsewhere == []
    for request in sandbox.requests:
        assert request.header_values("Authorization") == [f"Bearer {TOKEN}"]
        assert request.header("Cookie") is None
        assert request.header("If-None-Match") is None
        assert request.header("Range") is None
        assert request.header("X-Gateway") == "yes"
    assert [request.header("If-Match") for request in sandbox.requests if request.operation == "get"] == [None, None]


async def test_a_callers_closed_session_is_refused(sandbox: Sandbox) -> None:
    """A closed session of the caller's is a `ConfigurationError` on entry; one closed later is told as such."""
    http = aiohttp.ClientSession()
    fielding = session(sandbox, http=http)
    await http.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await fielding.__aenter__()
    async with aiohttp.ClientSession() as http, session(sandbox, http=http) as fielding:
        await http.close()
        with pytest.raises(SessionClosedError, match="http="):
            await fielding.run(sandbox.add_run()).get()
    assert sandbox.requests == ()


# -- secrets


async def test_a_token_is_never_shown(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """No repr, str, log line or error holds the token, even if a server echoes it."""
    caplog.set_level(logging.DEBUG)
    ref = sandbox.add_run("live")
    echo = f'{{"object":"x_error","detail":"bad token {TOKEN}","invalid_params":null}}'.encode()
    sandbox.script(Status(400, body=echo), Reply(200, (("ETag", '"1"'),), TOKEN.encode()), on="get")
    shown: list[str] = []
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        shown += [repr(fielding), repr(run), repr(fielding.engine().settings)]
        for _ in range(2):
            with pytest.raises(FieldingError) as caught:
                await run.get()
            shown += [repr(caught.value), str(caught.value), str(vars(caught.value))]
            shown += traceback.format_exception(caught.value)
        await run.pause()
    credentials = ClientCredentials("id", "very-secret-secret")
    shown += [repr(BearerToken(TOKEN)), repr(credentials), str(credentials), caplog.text]
    assert not [text for text in shown if TOKEN in text or "very-secret-secret" in text]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500])
async def test_a_token_echoed_anywhere_in_an_error_body_is_taken_out(sandbox: Sandbox, status: int) -> None:
    """No value within an error holds the token, be it pickled, whichever field of the body it came in."""
    ref = sandbox.add_run("live")
    said = [{"name": "Authorization", "reason": f"Bearer {TOKEN}"}, {"name": TOKEN, "reason": "is malformed"}]
    body = {"id": TOKEN, "object": f"x_{TOKEN}", "detail": f"bad token {TOKEN}", "invalid_params": said}
    sandbox.script(Reply(status, (("Content-Type", "application/json"),), json.dumps(body).encode()), on="get")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        with pytest.raises(APIError) as caught:
            await fielding.run(ref).get()
    assert caught.value.invalid_params == (
        InvalidParam("Authorization", "Bearer ***"),
        InvalidParam("***", "is malformed"),
    )
    assert TOKEN.encode() not in pickle.dumps(caught.value)


async def test_a_refused_token_is_an_authentication_error(sandbox: Sandbox) -> None:
    """A static token that the server refuses is told once; there is nothing to renew."""
    async with session(sandbox, auth="another-token") as fielding:
        with pytest.raises(AuthenticationError) as caught:
            await fielding.run(sandbox.add_run()).get()
    assert caught.value.status == 401
    assert len(sandbox.requests) == 1


async def test_errors_pickle(sandbox: Sandbox) -> None:
    """An error that came out of a call survives pickling, with its fields."""
    ref = sandbox.add_run("completed")
    async with session(sandbox) as fielding:
        with pytest.raises(FieldingError) as caught:
            await fielding.run(ref).pause()
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))


async def test_a_large_number_of_runs_at_once(sandbox: Sandbox) -> None:
    """Five hundred runs side by side through one session, with nothing left behind."""
    refs = [sandbox.add_run("live") for _ in range(500)]
    async with session(sandbox) as fielding:
        outcomes = await asyncio.gather(*(fielding.run(ref).pause() for ref in refs))
        engine = fielding.engine()
        assert engine.limiter.in_flight == 0
        assert len(engine.turns) == 0
    assert {outcome.effect for outcome in outcomes} == {"accepted"}
    assert len(sandbox.requests) == 1000


async def test_a_callers_trace_configs_cannot_change_what_is_sent(sandbox: Sandbox) -> None:
    """Hooks of the caller's session see our requests, but what they set does not reach the server."""
    ref = sandbox.add_run("live")
    seen: list[str] = []

    async def meddle(_session: Any, _context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.method)
        params.headers["If-Match"] = "*"
        params.headers["Authorization"] = "Basic abc"
        params.headers["traceparent"] = "00-nonsense"
        params.headers["X-Hook"] = "kept"

    config = aiohttp.TraceConfig()
    config.on_request_start.append(meddle)
    async with aiohttp.ClientSession(trace_configs=[config]) as http, session(sandbox, http=http) as fielding:
        outcome = await fielding.run(ref).pause()
    assert seen == ["GET", "POST"]
    opening, write = sandbox.requests
    assert opening.header("If-Match") is None
    assert write.header_values("If-Match") == [sandbox.history[0].etag_before]
    for request in (opening, write):
        assert request.header_values("Authorization") == [f"Bearer {TOKEN}"]
        assert outcome.trace_id in (request.header("traceparent") or "")
        assert request.header("X-Hook") == "kept"


def test_a_callers_session_of_another_loop_is_refused() -> None:
    """An aiohttp session made on another event loop is a `ConfigurationError` on entry."""

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def enter(http: aiohttp.ClientSession) -> None:
        with pytest.raises(ConfigurationError, match="another event loop"):
            await FieldingSession("token", base_url=LOOPBACK, http=http).__aenter__()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        http = first.run(make())
        second.run(enter(http))
        first.run(http.close())


def test_entering_a_session_loads_what_replies_are_read_with() -> None:
    """An import does not load cattrs; entering a session does, so that the first reply holds nobody up."""
    code = """
import asyncio, sys
from fielding_async import FieldingSession
async def enter():
    before = "cattrs" in sys.modules
    async with FieldingSession("token", base_url="http://127.0.0.1:9/v1"):
        print(before, "cattrs" in sys.modules)
asyncio.run(enter())
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["False", "True"]
