"""The writes of one call on its run: under which ETag each was sent, and what may be applied of them."""

from collections.abc import Awaitable

from fielding_async.core.actions import Action
from fielding_async.core.errors import APIError, FieldingError, PreconditionFailedError
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.replies import Accepted, Answer, Failed, Request, Response, action_request, left_by
from fielding_async.engine.call import Ended

from .attempts import Attempts
from .run_memory import RunStore
from .write_log import Ledger

__all__ = ["RunWrites"]


class RunWrites:
    """What a call has sent, and what it leaves behind in the store.

    `fresh`: the run as last seen, or as our write left it. `base`: the run under whose ETag the last write was sent,
    and `sent` what it asked for. `may_be_applied`: an attempt under that ETag may have been applied, or may yet be.
    `resumed`: one of an earlier process may. `under_way`: a write has begun and not ended.
    """

    def __init__(self, store: RunStore, ref: RunRef, ledger: Ledger | None) -> None:
        self._store = store
        self._ref = ref
        self._ledger = ledger
        self.fresh: FieldingRun | None = None
        self.base: FieldingRun | None = None
        self.sent: Action | None = None
        self.may_be_applied: bool = False
        self.resumed: bool = False
        self.under_way: bool = False

    def take_up(self, action: Action, base: FieldingRun) -> None:
        """Go on with what an earlier process left."""
        self.resumed = self.may_be_applied = True
        self.fresh = self.base = base
        self.sent = action

    def intend(self, action: Action) -> Awaitable[None] | None:
        """Return what to wait for, if anything, before `action` leaves. If that raises, nothing leaves."""
        if self._ledger is None or self.resumed or self.fresh is None:
            return None
        return self._ledger.intend(action, self.fresh)

    def begin(self, action: Action) -> Request:
        """Return the request of a write under the ETag of the run as last seen."""
        assert self.fresh is not None  # noqa: S101 - an action is only ever sent under an ETag that was seen
        base = self.base = self.fresh
        self.sent = action
        self.may_be_applied = self.resumed
        request = action_request(self._ref, action, base)
        self._store.write_began(self._ref)
        self.under_way = True
        return request

    def end(self, ended: Ended) -> None:
        """Take account of what became of the write."""
        self.under_way = False
        if ended.accepted is not None:
            self._accepted(ended.accepted)
            return
        self.may_be_applied = self.resumed or ended.attempts.may_be_applied
        if self._ledger is not None and not self.may_be_applied:
            self._ledger.settled()
        self._unaccepted(ended.error)

    def disprove(self) -> None:
        """Take note that nothing that was sent before can be applied."""
        self.may_be_applied = self.resumed = False

    def cut_off(self, attempts: Attempts | None, *, in_flight: bool) -> bool:
        """Take note that the call was cancelled, its write maybe still `in_flight`; return whether that is in doubt."""
        if self.under_way and attempts is not None:
            self.may_be_applied = self.resumed or attempts.may_be_applied
            if not in_flight:
                self._unaccepted(None)
        in_doubt = in_flight or self.may_be_applied
        if in_doubt and self._ledger is not None:
            self._ledger.in_doubt = True
        return in_doubt

    def end_late(self, answer: Answer | None, *, lost: bool) -> None:
        """Take account of what became of a write whose caller has gone. `lost`: what became of it cannot be told."""
        self.may_be_applied |= lost
        if isinstance(answer, Accepted):
            self.may_be_applied = False
            self._accepted(answer.response)
        elif isinstance(answer, Failed):
            # a 412 proves that no earlier attempt under this ETag can land any more
            moved = isinstance(answer.error, PreconditionFailedError)
            self.may_be_applied = not moved and (self.may_be_applied or answer.may_be_applied)
            self._unaccepted(answer.error)
        else:
            self._unaccepted(None)

    def leave(self) -> None:
        """Have the store remember what may still land."""
        base = self.base
        if self.may_be_applied and base is not None:
            # a lost attempt may land as long as the run bears the ETag that it was sent under
            unmoved = self.fresh is None or self.fresh is base or self.fresh.etag == base.etag
            if unmoved:
                self._store.doubt(self._ref, base)

    def _accepted(self, response: Response) -> None:
        action, base = self.sent, self.base
        assert action is not None  # noqa: S101 - set when the write began, as is the base
        assert base is not None  # noqa: S101
        self.fresh = left_by(action, base, response)
        self._store.write_accepted(self._ref, base, self.fresh)

    def _unaccepted(self, failure: FieldingError | None) -> None:
        """Forget the pair, unless the write was refused in a way that leaves it standing."""
        moved = isinstance(failure, APIError) and failure.status in {404, 412, 422}
        if isinstance(failure, PreconditionFailedError) and self.base is not None:
            self._store.retire(self._ref, self.base)
        if self.may_be_applied or moved:
            self._store.forget(self._ref)
        else:
            self._store.write_refused(self._ref)
