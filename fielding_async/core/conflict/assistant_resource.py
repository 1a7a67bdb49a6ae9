"""What the rules of a write know of a Fielding Assistant: it has an ETag and a value, and no version."""

from collections.abc import Mapping
from typing import Any

from attrs import asdict

from fielding_async.core.assistant.assignment import (
    AssistantOutcome,
    AssistantRef,
    FieldingAssistant,
    call_assistant_change,
    decode_assistant,
    is_same_assignment,
)
from fielding_async.core.errors import FieldingError, NotFoundError, ProtocolError
from fielding_async.core.models import Effect
from fielding_async.core.wire.assistant_requests import assistant_request, assistant_update
from fielding_async.core.wire.replies import Response, read_etag
from fielding_async.core.wire.structuring import Report

from .resource import Resource

__all__ = ["ASSISTANTS"]


class _AssistantResource:
    """Assistants. A write replaces the whole value, and its reply has no ETag.

    The pair is forgotten after a write even if the reply has an ETag: the exchange may have added to what was sent, and
    the next write, which replaces the whole, would take that away.
    """

    update_name = "update-assistant"
    noun = "assistant"
    named = "modules"
    keeps_pair = False

    call_change = staticmethod(call_assistant_change)
    get_request = staticmethod(assistant_request)
    write_request = staticmethod(assistant_update)
    is_there = staticmethod(is_same_assignment)
    is_as_seen = staticmethod(is_same_assignment)

    @staticmethod
    def ids(ref: AssistantRef) -> Mapping[str, Any]:
        """Return the three ids of a target group."""
        return asdict(ref)

    @staticmethod
    def log_values(ref: AssistantRef) -> Mapping[str, str]:
        """Return the id of the target group."""
        return {"target_group": ref.target_group_id}

    @staticmethod
    def decode(response: Response, _ref: AssistantRef, _report: Report) -> FieldingAssistant:
        """Return the assignment with the ETag of the reply."""
        if response.is_redacted:
            raise ProtocolError(
                "Fielding Assistant assignment: shows a secret of this session, such as its token; that was taken out,"
                " so that it cannot be sent back as it is"
            )
        return decode_assistant(response.body, read_etag(response))

    @staticmethod
    def without(failure: FieldingError) -> FieldingAssistant | None:
        """Return an empty assignment for a 404 of the exchange itself: there is none yet."""
        is_told = isinstance(failure, NotFoundError) and failure.object is not None
        return FieldingAssistant() if is_told else None

    @staticmethod
    def after_write(wanted: FieldingAssistant, _base: FieldingAssistant, response: Response) -> FieldingAssistant:
        """Return what was sent, with the ETag of the reply if it has one."""
        return wanted.with_etag(response.etag or read_etag(response))

    @staticmethod
    def outcome(
        _ref: AssistantRef,
        effect: Effect,
        _intent: FieldingAssistant | None,
        state: FieldingAssistant,
        requests: int,
        conflicts: int,
        trace_id: str,
    ) -> AssistantOutcome:
        """Return the `AssistantOutcome`."""
        return AssistantOutcome(
            effect=effect,
            etag=state.etag,
            requests=requests,
            conflicts=conflicts,
            trace_id=trace_id,
            assistant=state,
        )

    @staticmethod
    def can_be_written(state: FieldingAssistant) -> bool:
        """Whether it came with an ETag, or there is none yet."""
        return state.etag is not None or state.is_empty

    @staticmethod
    def version(_state: FieldingAssistant) -> None:
        """Return `None`: it has no version."""

    @staticmethod
    def is_next_version(*_states: FieldingAssistant) -> bool:
        """Return `False`: nothing tells how many writes there were."""
        return False

    @staticmethod
    def proves_not_applied(*_states: FieldingAssistant) -> bool:
        """Return `False`: it may have been applied and replaced since."""
        return False

    @staticmethod
    def is_overtaken(*_states: FieldingAssistant) -> bool:
        """Return `True`: nothing tells that nobody else has changed it."""
        return True

    @staticmethod
    def is_never_accepted(*_states: FieldingAssistant) -> bool:
        """Return `False`: which states allow an update is not documented."""
        return False


ASSISTANTS: Resource = _AssistantResource()
