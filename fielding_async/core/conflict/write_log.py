"""The seam between a call and a durable record of it: what a restart after a crash would have to know."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from fielding_async.core.actions import Action
from fielding_async.core.models import FieldingRun

__all__ = ["WriteLog"]


class WriteLog(Protocol):
    """Records each step of one call that writes. A batch with a journal passes one for each row.

    `resumed`: the write that an earlier process left in flight, if it did: the action that was sent, and the run under
    whose ETag it was sent. `in_doubt`: set when the call was cancelled and one of its writes may still be applied.
    `may_leave`: asked each time, right before the first byte of a request, whether a write may leave now; `None` for a
    record that stays valid.
    """

    resumed: tuple[Action, FieldingRun] | None
    in_doubt: bool

    @property
    def may_leave(self) -> Callable[[], bool] | None: ...

    def intend(self, action: Action, base: FieldingRun) -> Awaitable[None] | None:
        """Record that `action` is about to be sent under the ETag of `base`.

        Returns what to await before it is sent; `None` if there is nothing to wait for. If awaiting raises, the write
        is not sent.
        """
        ...

    def settled(self) -> None:
        """Record that nothing sent so far can be applied any more."""
        ...
