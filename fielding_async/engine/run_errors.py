"""The errors that a call of a run action ends in."""

from attrs import define

from fielding_async.core.actions import Action
from fielding_async.core.conflict.attempts import RequestEnd, outcome_unknown, refusal
from fielding_async.core.conflict.verdicts import Fail, Refuse, Unknown, Unreadable
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
)
from fielding_async.core.models import FieldingRun
from fielding_async.core.wire.requests import run_request

from .call import Call

__all__ = ["RunErrors"]


@define(eq=False)
class RunErrors:
    """Makes the errors of one call. `last_conflict`: the last 412. `shows_refused_etag`: GETs show its ETag since.

    `is_stale`: the run as last fetched came from a cache, or was out of date.
    """

    call: Call
    writes: WriteRecord
    seen: FieldingRun | None
    last_conflict: PreconditionFailedError | None = None
    shows_refused_etag: bool = False
    is_stale: bool = False

    def of(
        self, verdict: Refuse | Fail | Unknown | Unreadable, failure: FieldingError, end: RequestEnd
    ) -> FieldingError:
        """Return the error that a verdict stands for, after a write that failed with `failure`."""
        fresh, base, sent = self.writes.fresh, self.writes.base, self.writes.sent
        match verdict:
            case Refuse(wanted, overtaken):
                return self.refused(failure, wanted, overtaken=overtaken)
            case Unknown(reason):
                current = fresh if fresh is not base else None
                return self.unknown(reason, failure, current, out_of_time=end.out_of_time)
            case Unreadable():
                return self.unreadable()
            case Fail() if isinstance(failure, InvalidRunStateError):
                failure.current = fresh
                if self.is_stale:
                    failure.message += " (only a cache answers GETs of the run, so that it may be there already)"
                elif sent is not None and fresh is not None and sent.is_there(fresh):
                    failure.message += " (the run is there, but an earlier write of this session may still be applied)"
                return failure
            case Fail():
                return end.attempts.server_error or failure

    def not_applied(self, failure: FieldingError) -> FieldingError:
        """Nothing was applied: return the failure itself, or that time ran out in the rounds after conflicts."""
        if isinstance(failure, DeadlineExceededError) and self.last_conflict is not None:
            return self._out_of_time(self.last_conflict)
        return failure

    def not_fetched(self, failure: FieldingError, error: FieldingError, end: RequestEnd) -> FieldingError:
        """The GET after `failure` failed with `error`, or there was no time for it."""
        out_of_time = isinstance(error, DeadlineExceededError)
        if self.writes.may_be_applied:
            reason = f"the run could not be fetched afterwards ({error.message})"
            return self.unknown(reason, failure, None, out_of_time=out_of_time or end.out_of_time)
        if isinstance(failure, PreconditionFailedError):
            return self._out_of_time(failure) if out_of_time else error
        return failure

    def _out_of_time(self, conflict: PreconditionFailedError) -> DeadlineExceededError:
        count = self.call.conflicts
        problem = DeadlineExceededError(
            f"time ran out after {count} conflict{'s'[: count != 1]}: each attempt was refused, as the run had changed;"
            f" the last refusal: {conflict.message}{self._shown() if self.shows_refused_etag else ''}",
            conflicts=count,
            current=self.writes.fresh,
            method=conflict.method,
            path=conflict.path,
        )
        problem.__cause__ = conflict
        return problem

    def _shown(self) -> str:
        base = self.writes.base
        etag = "none" if base is None else base.etag
        return (
            f"; each GET since shows the ETag that was refused, {etag}: something between here and the exchange caches"
            " the replies or rewrites their ETags"
        )

    def no_etag(self) -> ProtocolError:
        """A GET showed no ETag under which a write could be sent."""
        return ProtocolError(
            "the run came without an ETag header that could be sent back (or it shows a secret), so nothing can be"
            " written safely",
            method="GET",
            path=run_request(self.writes.ref).path,
            status=200,
        )

    def unreadable(self) -> ProtocolError:
        """No GET showed the run as it is, so nothing more was sent."""
        conflict, path = self.last_conflict, run_request(self.writes.ref).path
        if conflict is None:
            what = (
                "a cache answered each GET of the run, so that it is not known as it is now; something between here and"
                " the exchange ignores `Cache-Control: no-cache`"
            )
        else:
            what = f"{conflict.message}{self._shown()}"
        error = ProtocolError(f"{what}; nothing was applied", method="GET", path=path)
        error.__cause__ = conflict
        return error

    def refused(
        self, failure: FieldingError, wanted: Action | None, *, overtaken: bool = False
    ) -> PreconditionFailedError:
        """Return the error for an action that is not sent because the run has changed.

        `overtaken`: the caller did not ask for that (rule R4 of the judgement).
        """
        fresh, base = self.writes.fresh, self.writes.base
        current = fresh if fresh is not base else None
        error = refusal(failure, seen=self.seen or base, wanted=wanted, current=current)
        if overtaken:
            error.message += (
                " (nothing was applied; since an attempt whose reply was lost, somebody else changed what this call"
                " would change, and that is not reversed)"
            )
        return error

    def unknown(
        self, reason: str, failure: FieldingError, current: FieldingRun | None, *, out_of_time: bool
    ) -> OutcomeUnknownError:
        """Return the error for a write that may or may not have been applied."""
        what = f"{self.call.name} may or may not have been applied: {reason}"
        return outcome_unknown(what, failure, current, out_of_time=out_of_time)
