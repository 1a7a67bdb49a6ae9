"""A call of a write whose caller was cancelled: what is in flight ends by itself, and is taken note of."""

import asyncio

from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.wire.replies import Answer
from fielding_async.engine.call import Call, PendingRequest
from fielding_async.engine.engine import Engine

from .hinted import drop_hint

__all__ = ["let_go"]


def let_go(
    engine: Engine, call: Call, writes: WriteRecord, pending: PendingRequest | None, cancelled: asyncio.CancelledError
) -> bool:
    """Let the caller go. Returns whether a write is still in flight; it passes the turn on when it ends."""
    ref = writes.ref
    task, attempts = None, None
    if pending is not None:
        task, attempts = pending.abandon(), pending.end.attempts
    if not writes.under_way:
        task = None
    if writes.cancel(attempts, in_flight=task is not None):
        call.note_doubt(cancelled, f"{call.name} on {ref} was cancelled, and may or may not be applied")
    if task is None or pending is None:
        return False

    def write_over(task: "asyncio.Task[Answer | None]") -> None:
        pending.report_end(task)
        lost = task.cancelled() or task.exception() is not None
        writes.end_after_cancel(None if lost else task.result(), lost=lost)
        if engine.hints is not None:
            drop_hint(engine.hints, writes, None)
        if writes.may_be_applied:
            writes.leave_doubt()
        engine.turns.pass_on(ref)

    task.add_done_callback(write_over)
    return True
