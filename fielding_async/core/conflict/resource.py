"""What the rules of a write need to know of a kind of resource, and what they know of a run.

A resource has an ETag and a value. The rules are the same for all of them (`judgement`); a `Resource` says how a value
is fetched, written and compared, and what it proves. Values in, values out.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Union

from attrs import asdict

from fielding_async.core.actions import Action, Change, Update, call_change
from fielding_async.core.errors import FieldingError
from fielding_async.core.models import Effect, FieldingRun, Outcome, RunRef
from fielding_async.core.wire.bodies import decode_run
from fielding_async.core.wire.replies import Response, read_etag, run_after_write
from fielding_async.core.wire.requests import Request, action_request, run_request
from fielding_async.core.wire.structuring import Report

from .evidence import is_never_accepted, is_next_version, is_overtaken, proves_not_applied

if TYPE_CHECKING:
    from fielding_async.core.assistant.assignment import AssistantChange, FieldingAssistant

__all__ = ["RUNS", "Intent", "Order", "Resource", "State"]

State = Union[FieldingRun, "FieldingAssistant"]
"""A resource as it was fetched, or as a write left it, with its ETag."""

Intent = Union[Action, "FieldingAssistant"]
"""What a write asks for: an action on a run, or the whole assignment of an assistant."""

Order = Union[Intent, Change, "AssistantChange"]
"""What a caller wants: an intent, or a callable that returns one for the state as it is, `None` for nothing to do."""


class Resource(Protocol):
    """A kind of resource. Of the types `State` and `Intent` a method gets only those of its own kind.

    `update_name`: the name of a call for an order that has none of its own. `noun`: what texts call it; `named`: what
    they call the values that a write sets. `keeps_pair`: what an accepted write leaves is known as the server has it,
    so that it can be remembered with the ETag of the reply.
    """

    update_name: str
    noun: str
    named: str
    keeps_pair: bool

    def ids(self, ref: Any, /) -> Mapping[str, Any]:
        """Return the ids of a ref by their names."""
        ...

    def log_values(self, ref: Any, /) -> Mapping[str, str]:
        """Return what log lines name it by: the value of `run`, or of `target_group`."""
        ...

    def call_change(self, change: Callable[[Any], Any], state: Any, /) -> Any:
        """Return the intent that a callable has for a state, `None` for nothing to do. Its exceptions pass through."""
        ...

    # -- requests and replies

    def get_request(self, ref: Any, /) -> Request:
        """Return the GET of the resource."""
        ...

    def write_request(self, ref: Any, intent: Any, base: Any, /) -> Request:
        """Return the write of an intent, under the precondition that the resource is as `base`."""
        ...

    def decode(self, response: Response, ref: Any, report: Report, /) -> Any:
        """Return the state that a GET showed. Raises `ProtocolError`."""
        ...

    def without(self, failure: FieldingError, /) -> Any:
        """Return the state that a failed GET shows, if it says that there is none yet; otherwise `None`."""
        ...

    def after_write(self, intent: Any, base: Any, response: Response, /) -> Any:
        """Return the state as an accepted write leaves it, as far as that is known."""
        ...

    def outcome(
        self,
        ref: Any,
        effect: Effect,
        intent: Any,
        state: Any,
        requests: int,
        conflicts: int,
        trace_id: str,
        /,
    ) -> Any:
        """Return the value of a call that succeeded."""
        ...

    # -- what a state proves

    def can_be_written(self, state: Any, /) -> bool:
        """Whether a write can be sent under the precondition that the resource is as this state."""
        ...

    def version(self, state: Any, /) -> int | None:
        """Return the number that grows by one with each write, `None` if there is none."""
        ...

    def is_there(self, intent: Any, state: Any, /) -> bool:
        """Whether the resource is where the intent leads."""
        ...

    def is_as_seen(self, seen: Any, fresh: Any, /) -> bool:
        """Whether what a caller's decision rests on is still so."""
        ...

    def is_next_version(self, base: Any, fresh: Any, /) -> bool:
        """Whether exactly one write happened since `base`."""
        ...

    def proves_not_applied(self, sent: Any, base: Any, fresh: Any, /) -> bool:
        """Whether `fresh` proves that the write sent under the ETag of `base` was not applied."""
        ...

    def is_overtaken(self, wanted: Any, first: Any, base: Any, fresh: Any, /) -> bool:
        """Whether somebody else may have changed what `wanted` would change, since `first`."""
        ...

    def is_never_accepted(self, sent: Any, /, *states: Any) -> bool:
        """Whether none of these states can lead, without a write, to one in which the write is accepted."""
        ...


class _RunResource:
    """Runs. They have a version, and the reply to each write has the new ETag."""

    update_name = Update.name
    noun = "run"
    named = "dates"
    keeps_pair = True

    call_change = staticmethod(call_change)
    get_request = staticmethod(run_request)
    write_request = staticmethod(action_request)
    after_write = staticmethod(run_after_write)
    is_next_version = staticmethod(is_next_version)
    proves_not_applied = staticmethod(proves_not_applied)
    is_overtaken = staticmethod(is_overtaken)
    is_never_accepted = staticmethod(is_never_accepted)

    @staticmethod
    def ids(ref: RunRef) -> Mapping[str, Any]:
        """Return the four ids of a run."""
        return asdict(ref)

    @staticmethod
    def log_values(ref: RunRef) -> Mapping[str, str]:
        """Return the id of the run."""
        return {"run": ref.fielding_run_id}

    @staticmethod
    def decode(response: Response, ref: RunRef, report: Report) -> FieldingRun:
        """Return the run with the ETag of the reply."""
        return decode_run(response.body, read_etag(response), ref, report)

    @staticmethod
    def without(failure: FieldingError) -> None:
        """Return `None`: a run is not made by a write of its own."""

    @staticmethod
    def outcome(
        ref: RunRef,
        effect: Effect,
        intent: Action | None,
        state: FieldingRun,
        requests: int,
        conflicts: int,
        trace_id: str,
    ) -> Outcome:
        """Return the `Outcome`, with the dates of the run."""
        return Outcome(
            ref=ref,
            action=intent,
            effect=effect,
            etag=state.etag,
            requests=requests,
            conflicts=conflicts,
            trace_id=trace_id,
            start_fielding_at=state.start_fielding_at,
            end_fielding_at=state.end_fielding_at,
            run=state,
        )

    @staticmethod
    def can_be_written(state: FieldingRun) -> bool:
        """Whether the run came with an ETag."""
        return state.etag is not None

    @staticmethod
    def version(state: FieldingRun) -> int | None:
        """Return the version of the run."""
        return state.version

    @staticmethod
    def is_there(intent: Action, state: FieldingRun) -> bool:
        """Whether the run has the status that the action leads to, or the dates that it names."""
        return intent.is_there(state)

    @staticmethod
    def is_as_seen(seen: FieldingRun, fresh: FieldingRun) -> bool:
        """Whether status and dates are as they were."""
        return (
            seen.status == fresh.status
            and seen.start_fielding_at == fresh.start_fielding_at
            and seen.end_fielding_at == fresh.end_fielding_at
        )


RUNS: Resource = _RunResource()
