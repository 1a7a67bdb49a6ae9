"""The requests of assistants, apart from those of runs, as many programs need none."""

from fielding_async.core.assistant.assignment import AssistantRef, FieldingAssistant, assistant_body

from .operations import BY_NAME, Operation
from .requests import AS_IT_IS, FRESH, Request

__all__ = ["assistant_request", "assistant_update"]


def _assistant_path(row: Operation, ref: AssistantRef) -> str:
    return row.pattern % (ref.account_id, ref.project_id, ref.target_group_id)


def assistant_request(ref: AssistantRef) -> Request:
    """Build the GET of an assistant's assignment."""
    row = BY_NAME["get-assistant"]
    return Request(row, _assistant_path(row, ref), (FRESH, AS_IT_IS))


def assistant_update(ref: AssistantRef, wanted: FieldingAssistant, base: FieldingAssistant) -> Request:
    """Build the PUT of a whole assignment under the ETag of `base`; where there is none yet, if there is still none."""
    row = BY_NAME["update-assistant"]
    precondition = ("If-None-Match", "*") if base.etag is None else ("If-Match", base.etag)
    headers = (AS_IT_IS, ("Content-Type", "application/json"), precondition)
    return Request(row, _assistant_path(row, ref), headers, assistant_body(wanted))
