"""The trace headers of replies."""

from random import Random

from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.trace_headers import trace_headers
from tests.sandbox.api import Api


async def test_trace_headers_come_back(api: Api) -> None:
    """A valid traceparent and tracestate are echoed; absent or malformed ones are made up."""
    ref = api.sandbox.add_run("live")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    got = await api.act(ref, "pause", traceparent=parent, tracestate="a=b")
    assert (got.headers["traceparent"], got.headers["tracestate"]) == (parent, "a=b")
    assert api.sandbox.history[0].trace_id == "0af7651916cd43dd8448eb211c80319c"
    for bad in (
        None,
        "junk",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        parent.upper(),
        parent + "-x",
        "ff" + parent[2:],
    ):
        got = await api.get(ref, traceparent=bad)
        assert got.headers["traceparent"].startswith("00-")
        assert got.headers["traceparent"] != bad
        assert got.headers["tracestate"]


def test_future_traceparents_are_kept() -> None:
    """A traceparent of a later version, with more fields, is valid; a tracestate that is no text is replaced."""
    later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"
    parent, state, trace_id = trace_headers(later, "\udcff", IdGenerator(Random(1)))
    assert (parent, trace_id) == (later, "0af7651916cd43dd8448eb211c80319c")
    assert state.startswith("cint=")
