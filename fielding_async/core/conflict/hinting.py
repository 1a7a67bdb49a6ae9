"""What a hint may do: an ETag that another session read, under which a status action is sent first.

A hint is no evidence. Whoever wrote it may have been wrong, and the run may have changed since.

Rules
-----
1. A hint gives an `If-Match` and nothing else. The exchange refuses an ETag that is not the run's own at that moment;
   one that is makes the precondition true, wherever it came from. So the base of such a write is a run that consists of
   its ETag alone (`bare_run`): no version, so that nothing is proven by it, and no dates, so that none are sent back.
2. It serves status actions alone, whose request needs nothing but the ETag. A callable and an update need the dates. A
   call with `seen=`, `if_match` or `on_conflict="raise"` rests on a run that the caller knows of, and a row of a batch
   puts its base on record: each of these fetches the run first.
3. A run that is where the action leads is fetched: a hint never makes a call `already`.
4. A hint that this session knows to be past, or under whose ETag a write of this session may still be applied, is left.
5. A 412 under a hint says that its ETag is not the run's own now, not that it is past: it may be that of another run,
   or of a time to come. So it is not retired, and does not end the doubt about an attempt whose reply was lost.
"""

from typing import Any

from fielding_async.core.actions import StatusAction
from fielding_async.core.models import FieldingRun, OnConflict, RunRef
from fielding_async.core.wire.response_headers import sendable_etag

from .etag_memory import ETagMemory

__all__ = ["bare_run", "goes_by_hints", "usable_etag"]


def goes_by_hints(order: object, *, seen: object, if_match: str | None, on_conflict: OnConflict, log: object) -> bool:
    """Whether a call may be sent under a hint (rule 2)."""
    return (
        isinstance(order, StatusAction)
        and seen is None
        and if_match is None
        and on_conflict == "reapply"
        and log is None
    )


def usable_etag(memory: ETagMemory, ref: RunRef, order: StatusAction, hint: object) -> str | None:
    """Return the ETag of a hint under which the action may be sent; `None` if the run is to be fetched."""
    if not isinstance(hint, FieldingRun) or hint.id != ref.fielding_run_id:
        return None
    etag = hint.etag
    if type(etag) is not str or sendable_etag(etag) is None or type(hint.version) is not int:
        return None
    if order.is_there(hint) or memory.is_past(ref, hint) or memory.in_doubt(ref, etag):
        return None
    return etag


def bare_run(ref: RunRef, etag: str) -> FieldingRun:
    """Return the run of which nothing but the ETag is known."""
    unknown: Any = None
    return FieldingRun(
        id=ref.fielding_run_id,
        status="unknown",
        version=None,
        start_fielding_at=unknown,
        end_fielding_at=unknown,
        etag=etag,
    )
