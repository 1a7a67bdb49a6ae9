"""The GET of a run, and what the session remembers of it."""

from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.bodies import decode_run
from fielding_async.core.wire.replies import read_etag
from fielding_async.core.wire.requests import run_request

from .call import Call
from .sender import RequestSender

__all__ = ["fetch_run"]


async def fetch_run(
    sender: RequestSender, memory: RunMemory, call: Call, ref: RunRef, *, settling: bool
) -> FieldingRun:
    """GET a run, and remember it unless something newer has become known by then. Raises what the GET failed with."""
    fetch = memory.fetch_started(ref)
    found: FieldingRun | None = None
    try:
        end = await sender.send(sender.prepare(call, run_request(ref), settling=settling))
        if end.accepted is None:
            raise end.error
        run = found = decode_run(end.accepted.body, read_etag(end.accepted), ref)
    finally:
        memory.fetch_ended(fetch, found)
    return run
