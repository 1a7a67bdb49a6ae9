"""W3C Trace Context: what comes in, what goes out; with an SDK and without one, over real sockets where it matters.

Source: https://www.w3.org/TR/trace-context/. The cases are those of its own test suite, and properties beside them.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fielding_async import ConfigurationError, FieldingSession, RunRef, trace_context
from fielding_async.core.wire.trace_headers import (
    TraceContext,
    format_tracestate,
    parse_traceparent,
    parse_tracestate,
    read_trace_context,
    traceparent,
)
from fielding_async.sandbox import ReceivedRequest, Sandbox
from tests.tools.sessions import session
from tests.tools.spans import Watched

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE_ID}-{SPAN_ID}-01"
OURS = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-0[0-3]")

HEX = "0123456789abcdef"
trace_ids = st.text(HEX, min_size=32, max_size=32).filter(lambda text: text != "0" * 32)
span_ids = st.text(HEX, min_size=16, max_size=16).filter(lambda text: text != "0" * 16)
KEY_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
keys = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_*/-]{0,255}", fullmatch=True),
    st.from_regex(r"[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}", fullmatch=True),
)
values = st.from_regex(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", fullmatch=True).filter(
    lambda text: text == text.strip()
)
members = st.lists(st.tuples(keys, values), max_size=32, unique_by=lambda member: member[0]).map(tuple)


# -- reading


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        VALID.upper(),
        VALID.replace("a", "A"),
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"0-{TRACE_ID}-{SPAN_ID}-01",
        f".0-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}.-{SPAN_ID}-01",
        f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID[1:]}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
        f"00-{TRACE_ID}-{SPAN_ID}-.0",
        f"{VALID}-",
        f"{VALID}-what-the-future-will-be-like",
        f"{VALID}.",
        f"cc-{TRACE_ID}-{SPAN_ID}-01.what-the-future-will-not-be-like",
        f"{VALID}, {VALID}",
        f"{VALID}\n",
        VALID + "0" * 100_000,
        "\u0660" * 55,
    ],
)
def test_a_malformed_traceparent_is_none(text: str) -> None:
    """What is not exactly a `traceparent` is none: wrong length, case, characters, version ff, ids of zeros."""
    assert parse_traceparent(text) is None


@given(trace_ids, span_ids, st.integers(0, 255), st.integers(1, 254), st.from_regex(r"(-[ -~]*)?", fullmatch=True))
def test_future_versions_are_read_as_far_as_version_00_goes(
    trace_id: str, span_id: str, flags: int, version: int, rest: str
) -> None:
    """A version to come may say more: its beginning is read as version 00."""
    text = f"{version:02x}-{trace_id}-{span_id}-{flags:02x}{rest}"
    assert parse_traceparent(text) == TraceContext(trace_id, span_id, flags)


@given(trace_ids, span_ids, st.integers(0, 255), st.text(" \t"), st.text(" \t"))
def test_what_is_written_can_be_read(trace_id: str, span_id: str, flags: int, before: str, after: str) -> None:
    """A header of ours is read as what it was written from, whatever blanks are around it."""
    text = traceparent(trace_id, span_id, flags)
    assert parse_traceparent(before + text + after) == TraceContext(trace_id, span_id, flags)


@pytest.mark.parametrize("count", [0, 2, 3])
def test_several_traceparents_are_none(count: int) -> None:
    """With none or more than one `traceparent`, though they be equal, there is no context, and no state."""
    assert read_trace_context([VALID] * count, ["a=1"]) is None
    assert read_trace_context(["00-nonsense"], ["a=1"]) is None


@pytest.mark.slow
@given(members, st.data())
def test_a_tracestate_is_kept_in_order_and_whole(state: tuple[tuple[str, str], ...], data: st.DataObject) -> None:
    """Up to 32 members come through in their order, over any number of lines, with blanks and empty members between."""
    lines: list[str] = [""]
    for key, value in state:
        glue = data.draw(st.sampled_from([",", " ,\t", ",,", None]))
        if glue is None:
            lines.append("")
        lines[-1] += f"{glue or ''}{key}={value}"
    assert parse_tracestate(lines) == state


@pytest.mark.slow
@given(members.filter(bool))
def test_a_tracestate_that_goes_out_is_valid(state: tuple[tuple[str, str], ...]) -> None:
    """What goes out is whole up to 4096 characters; beyond, members are left out, never cut, and order is kept."""
    whole = ",".join(f"{key}={value}" for key, value in state)
    text = format_tracestate(state)
    if len(whole) <= 4096:
        assert text == whole
    assert len(text) <= 4096
    kept = parse_tracestate([text])
    assert [member for member in state if member in kept] == list(kept)
    dropped = [member for member in state if member not in kept]
    if any(len(f"{key}={value}") <= 128 for key, value in dropped):  # long ones go first
        assert all(len(f"{key}={value}") <= 128 for key, value in kept)


@pytest.mark.parametrize(
    "line",
    [
        "foo",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,bar=2",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "foo=1=2",
        "foo=",
        "foo=\t1",
        "foo=bar\x7f",
        "foo=\xe9",
        "z" * 257 + "=1",
        "t" * 242 + "@v=1",
        "t@" + "v" * 15 + "=1",
        "foo=" + "v" * 257,
        ",".join(f"bar{number:02d}=1" for number in range(33)),
        "x" * 1_000_000,
    ],
)
def test_a_malformed_tracestate_is_dropped_whole(line: str) -> None:
    """One member that is not valid, or more than 32 of them, and all of `tracestate` is dropped, and only that."""
    assert parse_tracestate(["ok=1", line]) == ()
    assert read_trace_context([VALID], ["ok=1", line]) == TraceContext(TRACE_ID, SPAN_ID, 1)


def test_of_members_with_one_key_the_first_is_kept() -> None:
    """A key that comes twice is kept once, as the latest writer had it."""
    assert parse_tracestate(["foo=1,bar=2", "foo=3"]) == (("foo", "1"), ("bar", "2"))


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "TraceParent", "tracestate", "x"]), st.text() | st.binary())))
@example([(b"traceparent", b"\xff" * 55)])
def test_no_header_makes_the_helper_raise(headers: list[Any]) -> None:
    """Whatever an incoming request bears, a handler goes on."""
    with trace_context(headers):
        assert trace.get_current_span().get_span_context().is_valid in {True, False}


@pytest.mark.parametrize("headers", [5, None, [("traceparent", 5)], {"traceparent": 5}, "traceparent"])
def test_what_are_no_headers_is_refused(headers: Any) -> None:
    """Something other than headers is the caller's mistake, and named."""
    with pytest.raises(ConfigurationError, match="headers"), trace_context(headers):
        pass


# -- a web app between


def only(request: ReceivedRequest, name: str) -> str:
    """Return the value of a header that came once."""
    (value,) = request.header_values(name)
    return value


@asynccontextmanager
async def web_app(fielding: FieldingSession, ref: RunRef, *, by_framework: bool) -> AsyncIterator[str]:
    """Serve a handler that reads a run in the trace that comes in; yields its URL."""

    async def handler(request: web.Request) -> web.Response:
        if by_framework:  # as an instrumented framework, or a middleware of the user's own, does
            token = context.attach(TraceContextTextMapPropagator().extract(request.headers))
            try:
                run = await fielding.run(ref).get()
            finally:
                context.detach(token)
        else:
            with trace_context(request.headers):
                run = await fielding.run(ref).get()
        return web.Response(text=run.status)

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("with_sdk", [False, True], ids=["api alone", "sdk"])
@pytest.mark.parametrize("by_framework", [False, True], ids=["our helper", "a propagator"])
async def test_a_web_apps_incoming_trace_goes_on(sandbox: Sandbox, with_sdk: bool, by_framework: bool) -> None:
    """A `traceparent` that comes in to a web app is continued by our requests, `tracestate` and flags with it."""
    ref = sandbox.add_run("live")
    watched = Watched()
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE," + ",".join(f"k{number}={number}" for number in range(30))
    sent = [("traceparent", VALID), ("tracestate", state)]
    async with (
        session(sandbox, **(watched.providers if with_sdk else {})) as fielding,
        web_app(fielding, ref, by_framework=by_framework) as url,
        aiohttp.ClientSession() as http,
    ):
        async with http.get(url, headers=CIMultiDict(sent)) as reply:
            assert await reply.text() == "live"
        async with http.get(url) as reply:
            assert reply.status == 200
    first, second = sandbox.requests
    match = OURS.fullmatch(only(first, "traceparent"))
    assert match is not None
    assert match[1] == TRACE_ID
    assert match[2] != SPAN_ID
    assert only(first, "traceparent").endswith("-01")
    assert only(first, "tracestate") == state
    assert TRACE_ID not in only(second, "traceparent")
    assert second.header("tracestate") is None
    if with_sdk:
        continued = [span for span in watched.spans() if span.context.trace_id == int(TRACE_ID, 16)]
        assert [span.name.split()[0] for span in continued] == ["fielding.get", "GET"]
        assert continued[0].parent is not None
        assert continued[0].parent.span_id == int(SPAN_ID, 16)


@pytest.mark.parametrize(
    ("headers", "continues"),
    [
        ([("traceparent", VALID)], True),
        ([("Traceparent", f" {VALID}\t")], True),
        ([(b"traceparent", VALID.encode()), (b"tracestate", b"\xff")], True),
        ([("traceparent", VALID), ("traceparent", VALID)], False),
        ([("traceparent", VALID.upper())], False),
        ([("tracestate", "a=1")], False),
        ({"TRACEPARENT": VALID}, True),
        (CIMultiDict([("traceparent", VALID), ("TraceParent", VALID)]), False),
    ],
)
async def test_what_comes_in_is_continued_only_if_it_is_valid(
    sandbox: Sandbox, headers: Mapping[str, str] | list[tuple[str, str]], continues: bool
) -> None:
    """An incoming context that is malformed or doubled is not continued: the request bears a valid one of its own."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        with trace_context(headers):
            await fielding.run(ref).get()
    (request,) = sandbox.requests
    match = OURS.fullmatch(only(request, "traceparent"))
    assert match is not None
    assert (match[1] == TRACE_ID) is continues
    assert request.header("tracestate") is None


async def test_the_helper_leaves_a_live_context_alone(sandbox: Sandbox) -> None:
    """Inside a span that is live already, of an instrumented framework, the helper changes nothing."""
    ref = sandbox.add_run("live")
    watched = Watched()
    with watched.tracers.get_tracer("framework").start_as_current_span("GET /") as server_span:
        async with session(sandbox, **watched.providers) as fielding:
            with trace_context({"traceparent": VALID}):
                await fielding.run(ref).get()
    assert f"{server_span.get_span_context().trace_id:032x}" in only(sandbox.requests[0], "traceparent")
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x02, 0x03, 0x80, 0xFF])
async def test_only_flags_that_have_a_meaning_go_out(sandbox: Sandbox, flags: int) -> None:
    """Sampled and random are passed on; flags without a meaning yet are sent as zero."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        with trace_context({"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-{flags:02x}"}):
            await fielding.run(ref).get()
    assert only(sandbox.requests[0], "traceparent")[-2:] == f"{flags & 3:02x}"


async def test_a_tracestate_that_servers_would_refuse_is_made_to_fit(sandbox: Sandbox) -> None:
    """A context with 16 kB of state costs no request: what goes out is what fits, whole members in order."""
    ref = sandbox.add_run("live")
    entries = [(f"k{number}", "v" * 250) for number in range(31)]
    state = TraceState([*entries, ("last", "1")])
    around = SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), True, TraceFlags(1), state)
    async with session(sandbox) as fielding:
        token = context.attach(trace.set_span_in_context(NonRecordingSpan(around)))
        try:
            await fielding.run(ref).get()
        finally:
            context.detach(token)
    sent = parse_tracestate([only(sandbox.requests[0], "tracestate")])
    assert list(sent) == [*entries[:16], ("last", "1")]


async def test_a_global_provider_set_before_entering_is_used(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers set after a session was built, and before it is entered, are the ones it uses."""
    ref = sandbox.add_run("live")
    watched = Watched()
    fielding = session(sandbox)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: watched.tracers)
    monkeypatch.setattr("opentelemetry.metrics._internal.get_meter_provider", lambda: watched.meters)
    async with fielding:
        await fielding.run(ref).get()
    assert watched.spans()[0].name == "fielding.get"
    assert "http.client.request.duration" in watched.metrics()
