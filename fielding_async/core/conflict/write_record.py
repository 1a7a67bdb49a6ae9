"""The writes of one call on its resource: under which ETag each was sent, and what of them may be applied."""

from collections.abc import Awaitable
from typing import Any

from attrs import define

from fielding_async.core.actions import Action
from fielding_async.core.errors import APIError, FieldingError, PreconditionFailedError
from fielding_async.core.models import FieldingRun
from fielding_async.core.wire.replies import Accepted, Answer, Failed, Response
from fielding_async.core.wire.requests import Request

from .attempts import Attempts, RequestEnd
from .etag_memory import ETagMemory, Ref
from .hinting import bare_run
from .resource import Intent, Order, Resource, State
from .verdicts import Send
from .write_log import WriteLog

__all__ = ["WriteRecord"]


@define(eq=False)
class WriteRecord:
    """What a call has sent, and what the session's memory must know of it afterwards.

    `fresh`: the state as last fetched, or as our write left it. `base`: the state under whose ETag the last write was
    sent; `sent`: what it asked for. `may_be_applied`: an attempt under that ETag may have been applied, or may still
    be. `resumed`: the same of an attempt of an earlier process. `first`: the state under whose ETag the first such
    attempt was sent; what somebody else changed since is not reversed. `under_way`: a write has started and not ended.
    `bare`: the run of which nothing is known but the ETag of a hint (`hinting`), if a write was sent under one.
    """

    resource: Resource
    memory: ETagMemory
    ref: Ref
    log: WriteLog | None = None
    fresh: State | None = None
    base: State | None = None
    sent: Intent | None = None
    may_be_applied: bool = False
    resumed: bool = False
    first: State | None = None
    under_way: bool = False
    bare: FieldingRun | None = None

    @property
    def is_bare(self) -> bool:
        """Whether the last write was sent under the ETag of a hint."""
        return self.bare is not None and self.base is self.bare

    @property
    def shown(self) -> State | None:
        """The state as last fetched, or as our write left it; `None` if there is only a hint."""
        return None if self.fresh is self.bare else self.fresh

    def resume(self, action: Action, base: FieldingRun) -> Send:
        """Go on with the write that an earlier process left in flight."""
        self.resumed = self.may_be_applied = True
        self.fresh = self.base = self.first = base
        self.sent = action
        return Send(action)

    def under(self, base: State, order: Order) -> Send | None:
        """Return what to send under the ETag of a state that is remembered; `None` if it must be fetched first."""
        intent: Intent | None = self.resource.call_change(order, base) if callable(order) else order
        if intent is None:
            return None  # whether there is nothing to do is not concluded from memory
        self.fresh = base
        return Send(intent)

    def under_hint(self, etag: str, order: Any) -> Send:
        """Return what to send under an ETag of a run of which nothing else is known."""
        ref: Any = self.ref
        self.fresh = self.bare = bare_run(ref, etag)
        return Send(order)

    def intend(self, intent: Any) -> Awaitable[None] | None:
        """Return what to await, if anything, before `intent` is sent. If that raises, nothing is sent."""
        base: Any = self.fresh
        if self.log is None or self.resumed or base is None:
            return None
        return self.log.intend(intent, base)

    def start(self, intent: Intent) -> Request:
        """Return the request of a write under the ETag of the resource as last fetched."""
        assert self.fresh is not None  # noqa: S101 - nothing is ever sent but under a state that was received
        base = self.base = self.fresh
        self.sent = intent
        request = self.resource.write_request(self.ref, intent, base)
        if self.memory.fetches:
            self.memory.write_started(self.ref)
        self.under_way = True
        return request

    def end(self, end: RequestEnd) -> None:
        """Note how the write ended."""
        self.under_way = False
        if end.accepted is not None:
            self._accepted(end.accepted)
            return
        self.may_be_applied |= end.attempts.may_be_applied
        if self.may_be_applied and self.first is None:
            self.first = self.base
        if self.log is not None and not self.may_be_applied:
            self.log.settled()
        self._not_accepted(end.failure)

    def accept_as_fetched(self) -> None:
        """Note that the resource as fetched is as our write left it."""
        self.disprove()
        if self.base is not None and self.fresh is not None and self.fresh.etag != self.base.etag:
            self.memory.retire(self.ref, self.base)

    def disprove(self) -> None:
        """Note that nothing sent before can be applied any more."""
        self.may_be_applied = self.resumed = False

    def cancel(self, attempts: Attempts | None, *, in_flight: bool) -> bool:
        """Note that the call was cancelled, its write perhaps still `in_flight`. Returns whether it may be applied."""
        if self.under_way and attempts is not None:
            self.may_be_applied |= attempts.may_be_applied
            if not in_flight:
                self._not_accepted(None)
        in_doubt = in_flight or self.may_be_applied
        if in_doubt and self.log is not None:
            self.log.in_doubt = True
        return in_doubt

    def end_after_cancel(self, answer: Answer | None, *, lost: bool) -> None:
        """Note how the write of a cancelled call ended. `lost`: that is not known."""
        self.may_be_applied |= lost
        if isinstance(answer, Accepted):
            self.may_be_applied = False
            self._accepted(answer.response)
        elif isinstance(answer, Failed):
            # a 412 proves that no earlier attempt under this ETag can be applied any more
            moved = isinstance(answer.error, PreconditionFailedError) and not self.is_bare
            self.may_be_applied = not moved and (self.may_be_applied or answer.may_be_applied)
            self._not_accepted(answer.error)
        else:
            self._not_accepted(None)

    def leave_doubt(self) -> None:
        """Have the memory keep the ETag under which a write may still be applied."""
        base = self.base
        if base is None:
            return
        # a lost attempt can be applied as long as the resource has the ETag that it was sent under; that of a hint may
        # be one of a time to come
        if self.fresh is None or self.fresh is base or self.fresh.etag == base.etag or self.is_bare:
            self.memory.doubt(self.ref, base)

    def _accepted(self, response: Response) -> None:
        resource, intent, base = self.resource, self.sent, self.base
        assert intent is not None  # noqa: S101 - set when the write started, as is the base
        assert base is not None  # noqa: S101
        after: State = resource.after_write(intent, base, response)
        self.fresh = after
        if base is self.bare:
            self.memory.write_accepted(self.ref, base, None, has_changed=after.etag != base.etag)
            self.memory.keep_bare_etag(self.ref, after.etag)
        elif resource.keeps_pair:
            self.memory.write_accepted(self.ref, base, after)
        else:
            has_changed = after.etag != base.etag and not resource.is_there(intent, base)
            self.memory.write_accepted(self.ref, base, None, has_changed=has_changed)

    def _not_accepted(self, failure: FieldingError | None) -> None:
        """Forget the pair, unless the write was refused in a way that leaves it valid."""
        moved = isinstance(failure, APIError) and failure.status in {404, 412, 422}
        base = None if self.base is self.bare else self.base
        if isinstance(failure, PreconditionFailedError) and base is not None:
            self.memory.retire(self.ref, base)
        if self.may_be_applied or moved:
            self.memory.forget(self.ref)
        else:
            self.memory.write_refused(self.ref)
