"""The errors that a call of a write ends in."""

from attrs import define

from fielding_async.core.conflict.attempts import RequestEnd, outcome_unknown, refusal
from fielding_async.core.conflict.judgement import Why
from fielding_async.core.conflict.resource import Intent, State
from fielding_async.core.conflict.verdicts import Fail, Refuse, Unknown, Unreadable, Verdict
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    JournalError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
)
from fielding_async.engine.call import Call

__all__ = ["WriteErrors"]


@define(eq=False)
class WriteErrors:
    """Makes the errors of one call. `last_conflict`: the last 412. `shows_refused_etag`: GETs show its ETag since.

    `is_stale`: the resource as last fetched came from a cache, or was out of date.
    """

    call: Call
    writes: WriteRecord
    seen: State | None
    last_conflict: PreconditionFailedError | None = None
    shows_refused_etag: bool = False
    is_stale: bool = False

    @property
    def _noun(self) -> str:
        return self.writes.resource.noun

    @property
    def _path(self) -> str:
        return self.writes.resource.get_request(self.writes.ref).path

    def of(
        self, verdict: Refuse | Fail | Unknown | Unreadable, failure: FieldingError, end: RequestEnd
    ) -> FieldingError:
        """Return the error that a verdict stands for, after a write that failed with `failure`."""
        fresh, base, sent = self.writes.shown, self.writes.base, self.writes.sent
        resource = self.writes.resource
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
                    failure.message += (
                        f" (only a cache answers GETs of the {resource.noun}, so that it may be there already)"
                    )
                elif sent is not None and fresh is not None and resource.is_there(sent, fresh):
                    failure.message += (
                        f" (the {resource.noun} is there, but an earlier write of this session may still be applied)"
                    )
                return failure
            case Fail():
                return end.attempts.server_error or failure

    def not_as_wanted(self, verdict: Verdict, if_match: str | None) -> PreconditionFailedError:
        """Return the error of a call that sent nothing: the GET showed what it does not allow."""
        other = f"has another ETag than {if_match}" if if_match else "is no longer as seen"
        problem = FieldingError(f"the {self._noun} {other}", method="GET", path=self._path)
        return self.refused(problem, getattr(verdict, "wanted", None))

    def without_fetch(self, why: Why, failure: FieldingError) -> FieldingError | None:
        """Return the error of a write that failed, if there is no need to fetch the resource."""
        if self.writes.may_be_applied:
            if not isinstance(failure, JournalError):
                return None
            # whoever goes on with the record fetches and judges it
            return self.unknown("it may not be settled here", failure, None, out_of_time=False)
        return self._not_applied(failure) if why in {Why.BAD_REQUEST, Why.REFUSED, Why.EXHAUSTED} else None

    def _not_applied(self, failure: FieldingError) -> FieldingError:
        """Nothing was applied: return the failure itself, or that time ran out in the rounds after conflicts."""
        if isinstance(failure, DeadlineExceededError) and self.last_conflict is not None:
            return self._out_of_time(self.last_conflict)
        return failure

    def not_fetched(self, failure: FieldingError, error: FieldingError, end: RequestEnd) -> FieldingError:
        """The GET after `failure` failed with `error`, or there was no time for it."""
        out_of_time = isinstance(error, DeadlineExceededError)
        if self.writes.may_be_applied:
            reason = f"the {self._noun} could not be fetched afterwards ({error.message})"
            return self.unknown(reason, failure, None, out_of_time=out_of_time or end.out_of_time)
        if isinstance(failure, PreconditionFailedError):
            return self._out_of_time(failure) if out_of_time else error
        return failure

    def _out_of_time(self, conflict: PreconditionFailedError) -> DeadlineExceededError:
        count = self.call.conflicts
        problem = DeadlineExceededError(
            f"time ran out after {count} conflict{'s'[: count != 1]}: each attempt was refused, as the {self._noun} had"
            f" changed;"
            f" the last refusal: {conflict.message}{self._shown() if self.shows_refused_etag else ''}",
            conflicts=count,
            current=self.writes.shown,
            method=conflict.method,
            path=conflict.path,
        )
        problem.__cause__ = conflict
        return problem

    def _shown(self) -> str:
        base = self.writes.base
        if base is not None and base.etag is None:
            shown = "that there is none, as before the refusal"
        else:
            shown = f"the ETag that was refused, {'none' if base is None else base.etag}"
        return (
            f"; each GET since shows {shown}: something between here and the exchange caches"
            " the replies or rewrites their ETags"
        )

    def no_etag(self) -> ProtocolError:
        """A GET showed no ETag under which a write could be sent."""
        return ProtocolError(
            f"the {self._noun} came without an ETag header that could be sent back (or it shows a secret), so nothing"
            " can be written safely",
            method="GET",
            path=self._path,
            status=200,
        )

    def unreadable(self) -> ProtocolError:
        """No GET showed the resource as it is, so nothing more was sent."""
        conflict = self.last_conflict
        if conflict is None:
            what = (
                f"a cache answered each GET of the {self._noun}, so that it is not known as it is now; something"
                " between here and the exchange ignores `Cache-Control: no-cache`"
            )
        else:
            what = f"{conflict.message}{self._shown()}"
        error = ProtocolError(f"{what}; nothing was applied", method="GET", path=self._path)
        error.__cause__ = conflict
        return error

    def refused(
        self, failure: FieldingError, wanted: Intent | None, *, overtaken: bool = False
    ) -> PreconditionFailedError:
        """Return the error for an action that is not sent because the resource has changed.

        `overtaken`: the caller did not ask for that (rule R4 of the judgement).
        """
        fresh, base = self.writes.shown, None if self.writes.is_bare else self.writes.base
        current = fresh if fresh is not base else None
        error = refusal(failure, seen=self.seen or base, wanted=wanted, current=current)
        if overtaken:
            error.message += (
                " (nothing was applied; since an attempt whose reply was lost, somebody else changed what this call"
                " would change, and that is not reversed)"
            )
        return error

    def unknown(
        self, reason: str, failure: FieldingError, current: State | None, *, out_of_time: bool
    ) -> OutcomeUnknownError:
        """Return the error for a write that may or may not have been applied."""
        what = f"{self.call.name} may or may not have been applied: {reason}"
        return outcome_unknown(what, failure, current, out_of_time=out_of_time)
