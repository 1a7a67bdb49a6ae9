"""What a batch keeps of a call: where the call starts from, what it is about to send, what it leaves in doubt."""

from collections.abc import Awaitable
from typing import Protocol

from fielding_async.core.actions import Action
from fielding_async.core.models import FieldingRun

__all__ = ["Ledger"]


class Ledger(Protocol):
    """A call tells it of every step that a restart would have to know.

    `resumed`: an attempt of an earlier process whose end is not known, as the action that was sent and the run under
    whose ETag it was. `in_doubt`: set when the call was cancelled and a write of it may still be applied.
    """

    resumed: tuple[Action, FieldingRun] | None
    in_doubt: bool

    def intend(self, action: Action, base: FieldingRun) -> Awaitable[None] | None:
        """Return what to wait for until it is on record that `action` leaves under the ETag of `base`.

        If that raises, nothing leaves.
        """
        ...

    def settled(self) -> None:
        """Take note that nothing sent so far can be applied any more, or that nothing was sent."""
        ...
