"""`fielding.request`: what goes over the wire, how often, and what each reply becomes; over real sockets."""

import asyncio
import json
import logging
import pickle
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from fielding_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    FieldingSession,
    Limits,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProtocolError,
    RateLimitError,
    RawResponse,
    ResponseHeaders,
    Retry,
    ServerError,
    SessionClosedError,
    Timeout,
    TransportError,
)
from fielding_async.sandbox import Reply, Sandbox, Status
from tests.proofs.faults.raw_server import Connection, Play, RawRequest, RawServer, head, lost, raw
from tests.tools.sessions import QUICK, TOKEN, session
from tests.tools.spans import Watched

WRITES = ("POST", "PUT", "PATCH", "DELETE")
ROADS = ("fast", "public")
PATH = "/things/7"


def ok(body: bytes = b'{"a": 1}', status: str = "200 OK", *headers: str) -> bytes:
    """Return a reply."""
    return head(status, *headers, length=len(body)) + body


def script(server: RawServer, method: str, *plays: Play | bytes) -> None:
    """Let these answer requests of a method, one each, in this order."""
    operation = "update" if method == "PUT" else "get"
    server.script(operation, *(raw(play, applied=False) if isinstance(play, bytes) else play for play in plays))


@asynccontextmanager
async def open_session(server: RawServer, road: str = "fast", **arguments: Any) -> AsyncGenerator[FieldingSession]:
    """Yield a session; with a trace configuration requests take the public road of aiohttp."""
    http = None if road == "fast" else aiohttp.ClientSession(trace_configs=[aiohttp.TraceConfig()])
    arguments.setdefault("timeout", Timeout(total=20, attempt=20))
    arguments.setdefault("limits", Limits(adaptive=False))
    try:
        async with FieldingSession(TOKEN, base_url=server.url, http=http, retry=QUICK, **arguments) as fielding:
            yield fielding
    finally:
        if http is not None:
            await http.close()


async def caught(call: Any) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(BaseException) as found:  # noqa: PT011 - each test says which
        await call
    return found.value


def two_tokens() -> Callable[[], Awaitable[str]]:
    """Return a callable that returns one token, then another."""
    tokens = iter(["first-token-of-the-test", "second-token-of-the-test"])

    async def token() -> str:
        return next(tokens)

    return token


# -- what is sent


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("method", ["GET", *WRITES])
async def test_the_request_is_that_of_the_arguments(method: str, road: str) -> None:
    """Method, path, query, headers and body arrive byte for byte, with token, version and trace, each header once."""
    async with RawServer() as server, open_session(server, road) as fielding:
        script(server, method, ok())
        body = None if method == "GET" else {"name": "é", "list": [1, 2.5, None]}
        got = await fielding.request(
            method,
            "/a/%C3%A9%2Cb;c=d/~x'!",
            params={"q": "a+b&c=d %2F", "flag": True, "id": [1, 2]},
            json=body,
            headers={"If-Match": 'W/"é"', "x-team": "one"},
        )
    (request,) = server.requests
    assert request.method == method
    assert request.path == "/v1/a/%C3%A9%2Cb;c=d/~x'!?q=a%2Bb%26c%3Dd%20%252F&flag=true&id=1&id=2"
    assert request.values("If-Match") == ['W/"é"'.encode()]
    assert request.values("X-Team") == [b"one"]
    assert request.values("Authorization") == [f"Bearer {TOKEN}".encode()]
    assert request.values("Cint-API-Version") == [b"2025-12-18"]
    assert request.values("Accept") == [b"application/json"]
    assert request.values("Accept-Encoding") == [b"identity"]
    assert request.values("Cache-Control") == ([b"no-cache"] if method == "GET" else [])
    assert [value[3:35].decode() for value in request.values("traceparent")] == [got.trace_id]
    if body is None:
        assert (request.body, request.values("Content-Type")) == (b"", [])
    else:
        assert json.loads(request.body) == body
        assert request.values("Content-Type") == [b"application/json"]
    assert (got.status, got.json) == (200, {"a": 1})


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("method", WRITES)
async def test_a_write_without_a_body_says_so(method: str, road: str) -> None:
    """A write without `json=` has no content, and no type of one."""
    async with RawServer() as server, open_session(server, road) as fielding:
        script(server, method, head("204 No Content", 'ETag: W/"8"'))
        got = await fielding.request(method, PATH)
    (request,) = server.requests
    assert (request.body, request.values("Content-Type")) == (b"", [])
    assert request.values("Content-Length") in ([b"0"], [])
    assert (got.status, got.json, got.headers["etag"]) == (204, None, 'W/"8"')


async def test_a_path_cannot_leave_the_base_url() -> None:
    """A base URL with a doubled slash leads to its own server all the same."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "GET", ok())
        async with FieldingSession(TOKEN, base_url=server.url.replace("/v1", "//v1")) as other:
            await other.request("GET", PATH, params={"a": "b"})
        assert fielding.stats().requests == 0
    assert [request.path for request in server.requests] == ["//v1/things/7?a=b"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", PATH),
        ("GET", "https://evil.example/"),
        ("GET", "/a/../b"),
        ("POST", "/x/fielding-runs/y/pause"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(arguments: tuple[str, str]) -> None:
    """A bad argument is a `ConfigurationError`; a bad `timeout` too, and the server sees nothing."""
    async with RawServer() as server, open_session(server) as fielding:
        with pytest.raises(ConfigurationError):
            await fielding.request(*arguments)
        with pytest.raises(ConfigurationError, match="timeout"):
            await fielding.request("GET", PATH, timeout=-1)
    assert server.requests == []


async def test_a_default_header_of_the_callers_session_is_not_sent_twice() -> None:
    """A header that the caller's `aiohttp.ClientSession` sends as well is refused; its other ones are sent as ever."""
    async with RawServer() as server, aiohttp.ClientSession(headers={"X-Team": "one", "Cache-Control": "x"}) as http:
        script(server, "GET", ok())
        async with FieldingSession(TOKEN, base_url=server.url, http=http) as fielding:
            with pytest.raises(ConfigurationError, match=r"X-Team.*default header of the aiohttp.ClientSession"):
                await fielding.request("GET", PATH, headers={"X-Team": "two"})
            await fielding.request("GET", PATH)
    assert server.requests[0].values("X-Team") == [b"one"]


async def test_outside_its_session_nothing_is_sent() -> None:
    """Before it is entered and after it is closed, a session refuses the call, and says which."""
    fielding = FieldingSession(TOKEN, base_url="http://127.0.0.1:1/v1")
    with pytest.raises(SessionClosedError, match="has not been entered"):
        await fielding.request("GET", PATH)
    async with fielding:
        pass
    with pytest.raises(SessionClosedError, match="is closed"):
        await fielding.request("GET", PATH)


# -- how often it is sent


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "connection of the pool"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_write_whose_reply_is_lost_is_sent_once(method: str, road: str, reused: bool, reset: bool) -> None:
    """After a disconnect nothing is sent again, by aiohttp neither: the outcome is unknown, and said so."""
    async with RawServer() as server, open_session(server, road) as fielding:
        if reused:
            script(server, "GET", ok())
            await fielding.request("GET", PATH)
        script(server, method, lost(applied=False, reset=reset))
        error = await caught(fielding.request(method, PATH, json={"a": 1}))
        stats = fielding.stats()
    assert isinstance(error, OutcomeUnknownError)
    assert [request.method for request in server.requests] == [*["GET"] * reused, method]
    if reused:
        assert {request.connection for request in server.requests} == {1}
    assert str(error).startswith(
        f"{method} {PATH}: the request may or may not have been applied, and is not sent again"
    )
    assert "GET what it changes" in str(error)
    assert isinstance(error.__cause__, TransportError)
    assert (error.method, error.path, error.current) == (method, PATH, None)
    assert (stats.unknown, stats.lost_replies, stats.requests) == (1, 1, len(server.requests))


PAGE = b"<html>blocked</html>"


@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (ok(b"{}", "500 Internal Server Error"), ServerError),
        (ok(b'{"object": "e"}', "503 Service Unavailable", "Retry-After: 0"), ServerError),
        (ok(b"", "502 Bad Gateway"), ServerError),
        (ok(b"", "408 Request Timeout"), APIError),
        (ok(b"", "302 Found", "Location: https://elsewhere.example/"), ProtocolError),
        (ok(b"", "304 Not Modified"), ProtocolError),
        (ok(b"no json"), ProtocolError),
        (ok(b'{"a": NaN}'), ProtocolError),
        (ok(PAGE), ProtocolError),
        (ok(PAGE, "403 Forbidden"), PermissionDeniedError),
        (ok(PAGE, "401 Unauthorized"), AuthenticationError),
        (ok(PAGE, "404 Not Found"), NotFoundError),
        (ok(PAGE, "412 Precondition Failed"), ProtocolError),
        (head("200 OK", length=100) + b'{"a": ', TransportError),
        (b"HTTP/1.1 banana\r\n\r\n", TransportError),
    ],
)
async def test_what_may_have_been_applied_is_unknown(play: bytes, cause: type[Exception]) -> None:
    """Each reply that does not tell what became of a write ends it, after one request, with that reply as the cause."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "POST", lost(play, applied=False))
        error = await caught(fielding.request("POST", PATH, headers={"Idempotency-Key": "k-1"}))
    assert isinstance(error, OutcomeUnknownError)
    assert isinstance(error.__cause__, cause)
    assert len(server.requests) == 1
    assert "with the same Idempotency-Key" in error.message
    assert error.idempotency_key == "k-1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, APIError),
        (412, PreconditionFailedError),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_refusal_is_the_error_of_its_status(method: str, status: int, kind: type[APIError]) -> None:
    """An answer of the exchange's own that refuses is an `APIError` with the fields of its body."""
    body = b'{"id": "i", "object": "so_it_is", "detail": "why", "invalid_params": null}'
    async with RawServer() as server, open_session(server) as fielding:
        script(server, method, ok(body, f"{status} No"))
        error = await caught(fielding.request(method, PATH, params={"secret": "search"}))
    assert type(error) is kind
    assert isinstance(error, APIError)
    assert (error.status, error.object, error.detail, error.method, error.path) == (
        status,
        "so_it_is",
        "why",
        method,
        PATH,
    )
    assert "search" not in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "play",
    [
        lost(applied=False),
        lost(applied=False, reset=True),
        ok(b"{}", "503 Service Unavailable"),
        ok(b"", "408 Request Timeout"),
        head("200 OK", length=100) + b"half",
    ],
)
async def test_a_get_is_repeated(play: Play | bytes) -> None:
    """A GET is sent again after whatever a read is repeated after."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "GET", play if callable(play) else lost(play, applied=False), ok(b"[1]"))
        got = await fielding.request("GET", PATH, params={"a": 1})
    assert (got.json, len(server.requests)) == ([1], 2)


async def test_a_get_without_json_is_a_protocol_error() -> None:
    """A reply to a GET that is no JSON is a `ProtocolError` with its status, and is not asked for again."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "GET", ok(PAGE), ok(b"", "302 Found"))
        first = await caught(fielding.request("GET", PATH))
        second = await caught(fielding.request("GET", PATH))
    assert isinstance(first, ProtocolError)
    assert (first.status, first.method, first.path) == (200, "GET", PATH)
    assert "an HTML page in place of JSON" in first.message
    assert isinstance(second, ProtocolError)
    assert "302: a redirect, which is not followed (2xx expected)" in second.message
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", WRITES)
async def test_after_a_429_a_write_is_sent_again(method: str) -> None:
    """A 429 says that nothing was applied: the session pauses, and the request is sent again."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, method, ok(b"{}", "429 Slow", "Retry-After: 0.01"), ok())
        got = await fielding.request(method, PATH)
        assert fielding.stats().refusals == 1
    assert (got.status, len(server.requests)) == (200, 2)


async def test_a_pause_beyond_the_deadline_is_a_rate_limit_error() -> None:
    """A pause that would outlast the call ends it with nothing applied."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "POST", ok(b"{}", "429 Slow", "Retry-After: 60"))
        error = await caught(fielding.request("POST", PATH, timeout=5))
    assert isinstance(error, RateLimitError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_401_renews_the_token_and_is_sent_again(method: str) -> None:
    """A 401 of the exchange's own says that nothing was applied: with another token the request is sent once more."""
    async with RawServer() as server:
        script(server, method, ok(b'{"object": "unauthorized"}', "401 Unauthorized"), ok())
        async with FieldingSession(two_tokens(), base_url=server.url, retry=QUICK) as fielding:
            got = await fielding.request(method, PATH)
    assert got.status == 200
    assert [request.values("Authorization")[0] for request in server.requests] == [
        b"Bearer first-token-of-the-test",
        b"Bearer second-token-of-the-test",
    ]


async def test_a_401_of_something_in_between_is_not_replayed() -> None:
    """A 401 that is a page may hide a write that was applied: no other token is tried."""
    async with RawServer() as server:
        script(server, "POST", ok(PAGE, "401 Unauthorized"))
        async with FieldingSession(two_tokens(), base_url=server.url, retry=QUICK) as fielding:
            error = await caught(fielding.request("POST", PATH))
    assert isinstance(error, OutcomeUnknownError)
    assert len(server.requests) == 1


async def test_after_a_401_a_lost_reply_is_unknown() -> None:
    """The second request of a replay may be applied: it is not repeated either."""
    async with RawServer() as server:
        script(server, "POST", ok(b"", "401 Unauthorized"), lost(applied=False))
        async with FieldingSession(two_tokens(), base_url=server.url, retry=QUICK) as fielding:
            error = await caught(fielding.request("POST", PATH))
    assert isinstance(error, OutcomeUnknownError)
    assert len(server.requests) == 2


async def test_what_never_left_is_sent_again() -> None:
    """Where no connection could be made, nothing was sent: the attempts go on, and end in a `TransportError`."""
    async with RawServer() as server:
        url = server.url
    async with FieldingSession(TOKEN, base_url=url, retry=Retry(max_attempts=3, base=0.001)) as fielding:
        error = await caught(fielding.request("POST", PATH))
    assert isinstance(error, TransportError)
    assert (error.method, error.path) == ("POST", PATH)


async def test_a_write_that_runs_out_of_time_is_unknown() -> None:
    """A reply that does not come in time leaves the write unknown, as a `TimeoutError` too."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "DELETE", raw(b"", applied=False))
        error = await caught(fielding.request("DELETE", PATH, timeout=0.3))
    assert isinstance(error, OutcomeUnknownError)
    assert "no reply within" in error.message
    assert len(server.requests) == 1


# -- cancelled


def until(arrived: asyncio.Event, go_on: asyncio.Event, data: bytes) -> Play:
    """Answer once `go_on` is set."""

    async def play(server: RawServer, connection: Connection, request: RawRequest) -> None:
        arrived.set()
        await go_on.wait()
        await connection.send(data)

    return play


@pytest.mark.parametrize("road", ROADS)
async def test_a_cancelled_write_leaves_a_note_and_goes_on(caplog: pytest.LogCaptureFixture, road: str) -> None:
    """The `CancelledError` and the log say that the write is in doubt, and a second line what became of it."""
    caplog.set_level(logging.WARNING, "fielding_async")
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server, open_session(server, road) as fielding:
        script(server, "PATCH", until(arrived, go_on, ok()))
        task = asyncio.create_task(fielding.request("PATCH", PATH, json=[1]))
        await arrived.wait()
        task.cancel()
        error = await caught(task)
        go_on.set()
        await fielding.aclose(drain=20)
    assert isinstance(error, asyncio.CancelledError)
    (note,) = error.__notes__
    assert "PATCH /things/7 was cancelled, and may or may not be applied" in note
    first, second = [record.getMessage() for record in caplog.records]
    assert "request: PATCH /things/7 was cancelled, and may or may not be applied" in first
    assert "the write of the cancelled call was accepted (200)" in second
    assert len(server.requests) == 1


async def test_a_cancelled_get_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A GET that is cancelled ends at once, without a note."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "GET", until(arrived, go_on, ok()))
        task = asyncio.create_task(fielding.request("GET", PATH))
        await arrived.wait()
        task.cancel()
        error = await caught(task)
        go_on.set()
    assert not getattr(error, "__notes__", [])
    assert caplog.records == []


async def test_a_session_that_closes_leaves_a_write_unknown() -> None:
    """Cut by the closing of its session, a write that was sent is unknown, and a GET is refused."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "POST", until(arrived, go_on, ok()))
        task = asyncio.create_task(fielding.request("POST", PATH))
        await arrived.wait()
        await fielding.aclose()
        error = await caught(task)
        go_on.set()
    assert isinstance(error, OutcomeUnknownError)
    assert (error.method, error.path) == ("POST", PATH)
    assert isinstance(error.__cause__, SessionClosedError)


# -- what comes back


async def test_the_headers_are_a_frozen_mapping() -> None:
    """Names in any case, repeated ones joined; cookies are left out, and a value that shows the token is replaced."""
    lines = ("ETag: 1", "Link: <a>", "link: <b>", "Set-Cookie: sid=1", "Set-Cookie2: x", f"X-Echo: Bearer {TOKEN}")
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "GET", ok(json.dumps({"echo": TOKEN}).encode(), "201 Made", *lines))
        script(server, "PUT", head("204 No Content", *lines))
        got = await fielding.request("GET", PATH)
        empty = await fielding.request("PUT", PATH)
    for headers in (got.headers, empty.headers):
        assert headers["etag"] == headers["ETAG"] == headers.get("Etag") == "1"
        assert headers["Link"] == "<a>, <b>"
        assert "set-cookie" not in headers
        assert "Set-Cookie2" not in headers
        assert headers["X-Echo"] == "(left out: it shows a secret)"
        with pytest.raises(KeyError):
            headers["Nothing"]
        with pytest.raises(TypeError):
            headers["a"] = "b"  # type: ignore[index]
    assert got.json == {"echo": "***"}
    assert TOKEN not in repr(got) + repr(dict(got.headers))
    assert pickle.loads(pickle.dumps(got)) == got
    assert list(got.headers) == ["etag", "link", "x-echo", "content-length"]
    assert len(got.headers) == 4
    first, second, third = (ResponseHeaders(pairs) for pairs in ([("A", "1")], [("a", "1")], [("a", "2")]))
    assert first == second
    assert hash(first) == hash(second)
    assert first != third
    assert repr(first) == "<ResponseHeaders: a>"


@pytest.mark.parametrize(
    ("body", "value"), [(b"", None), (b" \r\n", None), (b"null", None), (b"0", 0), (b'"x"', "x"), (b"[]", [])]
)
async def test_the_body_is_any_json(body: bytes, value: object) -> None:
    """`json` is the value of the body; `None` where there is none."""
    async with RawServer() as server, open_session(server) as fielding:
        script(server, "GET", ok(body))
        got = await fielding.request("GET", PATH)
    assert isinstance(got, RawResponse)
    assert got.json == value


# -- with the sandbox, and what is recorded


async def test_it_shares_the_pace_and_the_session_of_all_calls(sandbox: Sandbox) -> None:
    """Over the sandbox a list of runs reads as with the handle; the count of requests is the session's."""
    ref = sandbox.add_run("live")
    path = f"/demand/accounts/101/projects/{ref.project_id}/target-groups/{ref.target_group_id}/fielding-runs"
    async with session(sandbox) as fielding:
        sandbox.script(Status(500), Reply(200, (), b'{"data": []}'), on="list")
        assert (await fielding.request("GET", path)).json == {"data": []}
        got = await fielding.request("GET", path)
        with pytest.raises(NotFoundError):
            await fielding.request("POST", "/demand/nowhere", json={})
        assert fielding.stats().requests == 4
    assert got.json["data"][0]["id"] == ref.fielding_run_id


async def test_its_spans_have_no_path_for_a_name() -> None:
    """The call's span is `fielding.request`, that of the attempt the method, without template, query or body."""
    watched = Watched()
    async with RawServer() as server:
        url, port = server.url, server.port
        script(server, "PATCH", ok(b"{}", "404 Not Found"))
        async with open_session(server, **watched.providers) as fielding:
            await caught(fielding.request("PATCH", PATH, params={"search": "x"}, json={}))
    (call,) = watched.trees()
    (attempt,) = call.children
    assert (call.name, call.attributes["fielding.operation"]) == ("fielding.request", "request")
    assert call.attributes["error.type"] == "NotFoundError"
    assert (attempt.name, attempt.kind) == ("PATCH", "CLIENT")
    assert attempt.attributes == {
        "http.request.method": "PATCH",
        "url.full": f"{url}{PATH}",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 404,
        "error.type": "404",
    }
    ((labels, count),) = watched.metrics()["http.client.request.duration"]
    assert count == 1
    assert "url.template" not in labels
