"""What a call of a write does with hints: when it goes by one, when it takes one back, what it offers to others.

The rules are those of `core/conflict/hinting`.
"""

from typing import Any

from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.conflict.hinting import usable_etag
from fielding_async.core.conflict.resource import RUNS
from fielding_async.core.conflict.verdicts import Send, Verdict
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.errors import APIError, BadRequestError
from fielding_async.engine.fetch import BoundedHints, Fetched

__all__ = ["drop_hint", "is_refused_hint", "offer_hint", "send_under_hint"]


async def send_under_hint(hints: BoundedHints, writes: WriteRecord, action: Any, deadline: float | None) -> Send | None:
    """Return what to send under the ETag of a hint; `None` if the run must be fetched first."""
    memory = writes.memory
    ref: Any = writes.ref
    etag = memory.bare_etag(ref)
    if etag is None:
        etag = usable_etag(memory, ref, action, await hints.get(ref, deadline))
    return None if etag is None else writes.under_hint(etag, action)


def is_refused_hint(writes: WriteRecord, end: RequestEnd) -> bool:
    """Whether the request itself was refused, perhaps for what the hint put into it, and nothing may be applied."""
    return writes.is_bare and not writes.may_be_applied and isinstance(end.failure, BadRequestError)


def drop_hint(hints: BoundedHints, writes: WriteRecord, end: RequestEnd | None) -> None:
    """Take back the hint of a run whose write has ended, unless that says nothing about its ETag.

    `end`: `None` if the call was cancelled.
    """
    base, failure = writes.base, None if end is None else end.failure
    if base is None or writes.resource is not RUNS:
        return
    says_nothing = isinstance(failure, APIError) and failure.status not in {400, 404, 412, 422}
    if end is not None and end.accepted is None and says_nothing and not writes.may_be_applied:
        return
    hints.drop(writes.ref, base.etag)


def offer_hint(hints: BoundedHints, writes: WriteRecord, fetched: Fetched, verdict: Verdict) -> None:
    """Offer what a GET showed to other sessions, unless a write of this call is about to change it, or may do so."""
    if fetched.is_newest and not isinstance(verdict, Send) and not writes.may_be_applied:
        hints.offer(writes.ref, fetched.response)
