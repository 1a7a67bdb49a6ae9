"""No traceback with local variables shows a token, a client secret or a password: not of ours, and not of aiohttp."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from fielding_async import BearerToken, ClientCredentials, FieldingError, FieldingSession, Limits, Retry, Timeout
from fielding_async.core.redaction import Secret
from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over
from tests.proofs.faults.raw_server import Connection, RawRequest, RawServer, head, lost
from tests.tools.sessions import REF

from . import frames
from .echoes import JWT, Echo, assert_not_shown, json_reply, operation_of, texts_of

SECRET = "k9Zt" + JWT[200:240] + "q7"
PASSWORD = "pw-" + JWT[300:330]
CREDENTIALS = ClientCredentials("client", SECRET)
QUICK: dict[str, Any] = {
    "retry": Retry(max_attempts=1, base=0.0),
    "limits": Limits(adaptive=False),
    "timeout": Timeout(total=5, attempt=5),
}


def _assert_hidden(text: str) -> None:
    for secret in (JWT, SECRET, PASSWORD):
        assert_not_shown(text, secret)


def _assert_error_hidden(error: BaseException, *, in_rich: bool = False) -> None:
    _assert_hidden(frames.of_error(error))
    if in_rich:
        _assert_hidden(frames.rich_text(error, 80))


async def _raised(awaitable: Awaitable[Any]) -> BaseException:
    try:
        await awaitable
    except (Exception, asyncio.CancelledError) as error:
        return error
    pytest.fail("nothing was raised")


# -- arguments and settings


@pytest.mark.parametrize(
    "make",
    [
        lambda: FieldingSession(JWT + "\n"),
        lambda: FieldingSession(JWT, limits=5),  # type: ignore[arg-type]
        lambda: FieldingSession(JWT, base_url="http://example.com"),
        lambda: FieldingSession(JWT, etag_cache_size=0, proxy=f"http://user:{PASSWORD}@proxy:1"),
        lambda: FieldingSession(BearerToken(JWT), timeout=None),  # type: ignore[arg-type]
        lambda: BearerToken(JWT + " "),
        lambda: ClientCredentials("client", SECRET + "\n"),
        lambda: ClientCredentials("client", SECRET, token_url="http://example.com"),
        lambda: ClientCredentials("\n", SECRET),
        lambda: session_over(Echo(), auth=JWT, limits=5),
    ],
)
def test_a_bad_argument_shows_no_secret(make: Callable[[], object]) -> None:
    """An error for an argument shows no secret among the local variables."""
    with pytest.raises(FieldingError) as caught:
        make()
    _assert_error_hidden(caught.value.with_traceback(_without_this_file(caught.value)))


def _without_this_file(error: BaseException) -> Any:
    """Return the traceback from the first frame that is not a test's: those of a caller are the caller's own."""
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename == __file__:
        found = found.tb_next
    return found


@pytest.mark.parametrize(
    "variables",
    [{"FIELDING_TOKEN": JWT + "\n"}, {"FIELDING_CLIENT_ID": "i d", "FIELDING_CLIENT_SECRET": SECRET}],
    ids=["token", "client"],
)
def test_a_bad_variable_shows_no_secret(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """An error for a variable of the environment shows neither it nor the others."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTHER_SECRET", SECRET)
    with pytest.raises(FieldingError) as caught:
        FieldingSession()
    for name in [*variables, "OTHER_SECRET"]:
        monkeypatch.delenv(name)
    _assert_error_hidden(caught.value.with_traceback(_without_this_file(caught.value)), in_rich=True)
    assert JWT not in os.environ.values()


async def test_no_repr_shows_a_secret() -> None:
    """The reprs and the attributes of sessions, settings, sources of tokens and parts of the engine show no secret."""
    for auth in (JWT, BearerToken(JWT), CREDENTIALS):
        proxy = f"http://user:{PASSWORD}@127.0.0.1:9"
        async with session_over(Echo(), auth=auth, proxy=proxy, **QUICK) as fielding:
            await fielding.run(REF).pause()
            engine = fielding.engine()
            parts: list[Any] = [fielding, engine, *vars(engine).values(), engine.sender, engine.keeper, Secret.of(auth)]
            parts += [part.__dict__ for part in parts if hasattr(part, "__dict__")]
            parts += vars(engine.keeper).values()
            _assert_hidden("\n".join(map(repr, parts)))


# -- errors of calls


STATUSES = (400, 401, 403, 404, 412, 422, 429, 500, 503, 302, 200)


async def _never() -> str:
    await asyncio.get_running_loop().create_future()
    return ""


async def _bad() -> str:
    return JWT + "\n"


async def _raising() -> str:
    raise LookupError("vault")


async def _telling() -> str:
    raise LookupError(f"not {JWT[:100]}")


async def _good() -> str:
    return JWT


class _Raising(Echo):
    """A transport with a fault."""

    def __init__(self, operation: str, error: Callable[[], BaseException]) -> None:
        super().__init__()
        self.operation = operation
        self.error = error

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        if operation_of(outgoing) == self.operation:
            await outgoing.leave()
            raise self.error()
        return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)


def _scripted(operation: str, answer: Attempted) -> Echo:
    echo = Echo()
    echo.operation, echo.answer = operation, answer
    return echo


CASES: dict[str, tuple[Any, Callable[[], Echo]]] = {
    **{
        f"status {status}": (CREDENTIALS, partial(_scripted, "pause", json_reply(status, {"detail": JWT})))
        for status in STATUSES
    },
    "lost": (BearerToken(JWT), lambda: _scripted("pause", Lost(JWT))),
    "not sent": (BearerToken(JWT), lambda: _scripted("get", NotSent(JWT))),
    "a fault of the transport": (CREDENTIALS, lambda: _Raising("pause", lambda: ValueError("fault"))),
    "a fault while a token is fetched": (CREDENTIALS, lambda: _Raising("token", lambda: ValueError("fault"))),
    "a cancellation inside": (CREDENTIALS, lambda: _Raising("get", asyncio.CancelledError)),
    "no token": (CREDENTIALS, lambda: _scripted("token", json_reply(401, {"error": SECRET, "error_description": JWT}))),
    "a cut token": (CREDENTIALS, lambda: _scripted("token", json_reply(400, {"error": "x" * 70 + SECRET}))),
    "no JSON": (CREDENTIALS, lambda: _scripted("token", Response(200, {}, JWT.encode()))),
    "a bad end": (CREDENTIALS, lambda: _scripted("token", json_reply(200, {"access_token": JWT, "expires_in": "x"}))),
    "a bad token": (CREDENTIALS, lambda: _scripted("token", json_reply(200, {"access_token": JWT + "\n"}))),
    "a redirect": (CREDENTIALS, lambda: _scripted("token", Response(302, {"Location": f"/{SECRET}"}))),
    "a lost token": (CREDENTIALS, lambda: _scripted("token", Lost(SECRET))),
    "a callable that hangs": (_never, Echo),
    "a callable with a bad token": (_bad, Echo),
    "a callable that raises": (_raising, Echo),
    "a callable whose token is refused": (_good, lambda: _scripted("pause", json_reply(401, {"detail": JWT}))),
}


SHORT = {"a callable that hangs", "status 412", "status 429"}  # these go on until the time is up
IN_RICH = {"status 400", "a fault of the transport", "a cut token", "a bad token", "a callable with a bad token"}


@pytest.mark.parametrize("case", CASES)
async def test_an_error_shows_no_secret(case: str) -> None:
    """No error shows a secret, in itself or among the local variables of its traceback."""
    auth, make = CASES[case]
    arguments: dict[str, Any] = {**QUICK, "timeout": Timeout(total=0.05)} if case in SHORT else QUICK
    async with session_over(make(), auth=auth, **arguments) as fielding:
        error = await _raised(fielding.run(REF).pause())
    if isinstance(error, FieldingError):
        _assert_hidden(texts_of(error))
    _assert_error_hidden(error, in_rich=case in IN_RICH)


async def test_the_error_of_a_callable_that_tells_a_known_token_is_left_out() -> None:
    """The exception of a token callable is the cause of ours, unless its text shows a token of the session."""
    numbers = iter(range(2))

    async def token() -> str:
        return await (_good() if next(numbers) == 0 else _telling())

    async with session_over(_scripted("pause", json_reply(401, {})), auth=token, **QUICK) as fielding:
        error = await _raised(fielding.run(REF).pause())
    assert isinstance(error, FieldingError)
    assert "LookupError" in str(error)
    _assert_hidden(texts_of(error))
    assert error.__cause__ is None


# -- over sockets


def _hang(waiting: asyncio.Event, data: bytes = b"") -> Any:
    async def play(server: RawServer, connection: Connection, request: RawRequest) -> None:
        await connection.send(data)
        waiting.set()

    return play


ECHOING = head("200 OK", f"X-Echo: {JWT}", f"ETag: {JWT}", length=2000) + b'{"status":"' + JWT.encode()


def _caller(road: str, **callbacks: Any) -> aiohttp.ClientSession | None:
    """Return a session with trace configurations for the road through aiohttp's own, `None` for the fast one."""
    if road == "fast":
        return None
    config = aiohttp.TraceConfig()
    for name, callback in callbacks.items():
        getattr(config, name).append(callback)
    return aiohttp.ClientSession(trace_configs=[config])


@pytest.mark.parametrize("road", ["fast", "public"])
@pytest.mark.parametrize("data", [b"", ECHOING], ids=["no reply", "half of a reply"])
async def test_a_cancelled_call_shows_no_secret(road: str, data: bytes) -> None:
    """Neither a call that waits nor the exception of one that is cancelled shows a secret in a frame."""
    waiting = asyncio.Event()
    http = _caller(road)
    async with RawServer() as server:
        server.script("get", _hang(waiting, data))
        async with FieldingSession(JWT, base_url=server.url, http=http, **QUICK) as fielding:
            task = asyncio.create_task(fielding.run(REF).get())
            await waiting.wait()
            for _ in range(5):
                await asyncio.sleep(0)
            if not data:
                _assert_hidden(frames.of_tasks())
            task.cancel()
            _assert_error_hidden(await _raised(task), in_rich=True)
        if http is not None:
            await http.close()


@pytest.mark.parametrize("road", ["fast", "public"])
async def test_a_call_that_times_out_shows_no_secret(road: str) -> None:
    """The error of a call whose time runs out in the middle of a reply shows no secret in a frame."""
    http = _caller(road)
    async with RawServer() as server:
        server.script("get", _hang(asyncio.Event(), ECHOING))
        arguments: dict[str, Any] = {**QUICK, "timeout": Timeout(total=5, attempt=0.05)}
        async with FieldingSession(JWT, base_url=server.url, http=http, **arguments) as fielding:
            _assert_error_hidden(await _raised(fielding.run(REF).get()))
        if http is not None:
            await http.close()


@pytest.mark.parametrize("stage", ["on_request_start", "on_request_headers_sent"])
async def test_a_trace_configuration_that_raises_sees_no_secret(stage: str) -> None:
    """What a caller's trace configuration raises, and is told of it, has no secret in a frame."""
    told: list[BaseException] = []

    async def raises(*_: object) -> None:
        raise LookupError("of the caller")

    async def tell(_: object, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        told.append(params.exception)

    http = _caller("public", **{stage: raises, "on_request_exception": tell})
    assert http is not None
    async with (
        RawServer() as server,
        http,
        FieldingSession(JWT, base_url=server.url, http=http, **QUICK) as fielding,
    ):
        _assert_error_hidden(await _raised(fielding.run(REF).get()))
    for error in told:
        _assert_error_hidden(error)


BROKEN: dict[str, bytes] = {
    "reason": head(f"400 {JWT}", length=0),
    "status line": f"HTTP/1.1 {JWT}\r\n\r\n".encode(),
    "header without a colon": f"HTTP/1.1 200 OK\r\n{JWT}\r\n\r\n".encode(),
    "header with a control character": f"HTTP/1.1 200 OK\r\nX-Echo: {JWT}\0\r\n\r\n".encode(),
    "name of a header": f"HTTP/1.1 200 OK\r\n{JWT}(: 1\r\nContent-Length: 0\r\n\r\n".encode(),
    "length": f"HTTP/1.1 200 OK\r\nContent-Length: {JWT}\r\n\r\n".encode(),
    "coding": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {JWT}\r\n\r\n".encode(),
    "content coding": f"HTTP/1.1 200 OK\r\nContent-Encoding: {JWT}\r\nContent-Length: 1\r\n\r\n1".encode(),
    "chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{JWT}\r\n".encode(),
    "chunk extension": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{JWT}\r\n12\r\n0\r\n\r\n".encode(),
    "end of a chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1{JWT}\r\n0\r\n\r\n".encode(),
    "not HTTP": f"{JWT}\r\n\r\n".encode(),
}


@pytest.mark.parametrize("road", ["fast", "public"])
async def test_broken_http_shows_no_secret(road: str, caplog: pytest.LogCaptureFixture) -> None:
    """A token that a server echoes in broken HTTP is in no error, traceback or log (asyncio in debug mode)."""
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    async with RawServer() as server:
        for data in BROKEN.values():
            server.script("get", lost(data))
            http = _caller(road)
            async with FieldingSession(JWT, base_url=server.url, http=http, **QUICK) as fielding:
                error = await _raised(fielding.run(REF).get())
            if http is not None:
                await http.close()
            assert isinstance(error, FieldingError)
            _assert_hidden(texts_of(error))
            _assert_error_hidden(error)
    loop.set_debug(False)
    _assert_hidden(caplog.text)
