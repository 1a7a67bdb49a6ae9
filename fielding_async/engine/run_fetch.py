"""The GET of a run."""

from attrs import frozen

from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.errors import ProtocolError
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.bodies import decode_run
from fielding_async.core.wire.replies import came_from_a_cache, read_etag
from fielding_async.core.wire.requests import run_request

from .call import Call
from .sender import RequestSender

__all__ = ["FetchedRun", "fetch_run"]


@frozen
class FetchedRun:
    """A run as a GET showed it. `is_aged`: a cache answered by itself, so it may have changed since."""

    run: FieldingRun
    is_aged: bool


async def fetch_run(sender: RequestSender, memory: RunMemory, call: Call, ref: RunRef, *, settling: bool) -> FetchedRun:
    """GET a run, and remember it unless something newer has become known by then. Raises the errors of a read."""
    fetch = memory.fetch_started(ref)
    found: FieldingRun | None = None
    is_aged = False
    asked = run_request(ref)
    try:
        end = await sender.send(sender.prepare(call, asked, settling=settling))
        if end.accepted is None:
            raise end.error
        response = end.accepted
        is_aged = came_from_a_cache(response)
        run = found = decode_run(response.body, read_etag(response), ref, call.left_out)
    except ProtocolError as problem:
        if problem.status is None:
            problem.status = 200
        problem.filled(method="GET", path=asked.path)
        raise
    finally:
        memory.fetch_ended(fetch, found, is_aged=is_aged)
    return FetchedRun(run, is_aged)
