"""What the sections on scale share: a session without a network, in a process of its own, and that process's memory."""

import asyncio
import inspect
import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import define

from fielding_async import FieldingSession, Limits, RunRef
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over

__all__ = ["MIB", "alone", "instant_session", "made_up_ref", "now_mib", "peak_mib"]

MIB = 1024 * 1024
_GROUP = "1" * 26
_BODY = (
    '{"id":"%s","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    '"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    '"last_changed_by":"b551326b-ac9d-4d32-8823-4f025787dab9"}'
)


@define
class _Instant:
    """A transport without a network: every run is live, every write is accepted."""

    requests: int = 0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        del timeout, connect_timeout  # nothing is ever late
        await asyncio.sleep(0)
        await outgoing.leave()
        self.requests += 1
        if outgoing.method == "GET":
            return Response(200, {"ETag": 'W/"1"'}, (_BODY % outgoing.url.rpartition("/")[2]).encode())
        return Response(204, {"ETag": 'W/"2"'})

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


def instant_session(limits: Limits | None = None) -> FieldingSession:
    """Return a session whose every request is answered in the next round of the event loop."""
    return session_over(_Instant(), auth="token", limits=limits or Limits())


def made_up_ref(number: int) -> RunRef:
    """Return the ids of one of many runs."""
    return RunRef(101, f"{number:026d}", _GROUP, f"run-{number}")


def now_mib() -> float:
    """Return the memory the process holds now (on Linux; elsewhere the most it ever held), in MiB."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / MIB
    return peak_mib()


def peak_mib() -> float:
    """Return the most memory the process ever held, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / MIB if sys.platform == "darwin" else most / 1024


def _work(pipe: Connection, what: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    pipe.send(asyncio.run(what(*arguments)))


def alone(what: Callable[..., Any], *arguments: Any) -> Any:
    """Run a coroutine function in a process of its own."""
    assert inspect.iscoroutinefunction(what)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, what, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join(10)
