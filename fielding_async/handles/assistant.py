"""The handle of a target group's Fielding Assistant."""

from typing import overload

from attrs import asdict, field, frozen

from fielding_async.core.assistant.assignment import (
    AssistantChange,
    AssistantOutcome,
    AssistantRef,
    FieldingAssistant,
    check_assistant,
)
from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg
from fielding_async.core.conflict.assistant_resource import ASSISTANTS
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import OnConflict
from fielding_async.core.wire.response_headers import sendable_etag
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.fetch import fetch
from fielding_async.engine.writing.write_call import WriteCall

__all__ = ["Assistant"]


@frozen
class Assistant:
    """The handle of a target group's Fielding Assistant, from `target_group.assistant`.

    All calls have this argument:

    `timeout`: seconds from now. If left out, the session's `Timeout` applies. `None` is no limit.

    Handles with the same session and the same ids are equal.
    """

    __module__ = "fielding_async"

    _session: EngineSource = field(repr=False)
    ref: AssistantRef
    """The ids of the target group."""

    async def get(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> FieldingAssistant:
        """Return the current assignment. If there is none yet, it is empty and its `etag` is `None`.

        The result for a target group that does not exist is the same, because the exchange answers 404 in both cases.

        Source: `GET …/target-groups/{target_group_id}/fielding-assistant-assignment`. Raises the errors of a read.
        """
        engine = self._session.engine()
        with engine.call("get-assistant", timeout, ids=asdict(self.ref)) as call:
            fetched = await fetch(engine.sender, engine.memories[ASSISTANTS], ASSISTANTS, call, self.ref)
            assistant: FieldingAssistant = fetched.state
            return assistant

    @overload
    async def update(self, change: AssistantChange, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> AssistantOutcome: ...

    @overload
    async def update(
        self, change: FieldingAssistant, *, seen: FieldingAssistant, timeout: TimeoutArg = DEFAULT_TIMEOUT
    ) -> AssistantOutcome: ...

    async def update(
        self,
        change: FieldingAssistant | AssistantChange,
        *,
        seen: FieldingAssistant | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> AssistantOutcome:
        """Replace the whole assignment, by the result of a callable or by a value.

        A callable gets the current assignment and returns the whole new one (`attrs.evolve` changes one module of it),
        or `None` if there is nothing to change. It is called again after every conflict, so that the changes of other
        writers are kept. Its exceptions pass through; that attempt sends nothing.

        A value needs `seen`, the `FieldingAssistant` from `get` that the value was made from. If somebody else has
        changed the assignment since, the call raises `PreconditionFailedError`. If the changed assignment equals the
        value, the effect is `"already"` instead.

        A module that is `None` in the new assignment is disabled. If there is no assignment yet, it is created only if
        there is still none (`If-None-Match: *`).

        Source: `PUT …/target-groups/{target_group_id}/fielding-assistant-assignment`. Raises the errors of
        `Run.update`. It raises `OutcomeUnknownError` also if a reply was lost and somebody has changed the assignment
        since: an assignment has no version that would prove that the lost request was not applied.
        """
        engine = self._session.engine()
        if callable(change):
            if seen is not None:
                raise ConfigurationError(
                    "update: seen= must go with a value, not with a callable, which gets the current assignment: leave"
                    " seen= out"
                )
        else:
            check_assistant("update: change", change)
            if seen is None:
                raise ConfigurationError(
                    "update: a value replaces the whole assignment, so it must have seen=, the FieldingAssistant"
                    " from get()"
                    " that it was made from; or pass a callable, which gets the current assignment"
                )
        if seen is not None:
            _check_seen(seen)
        on_conflict: OnConflict = "reapply" if seen is None else "raise"
        write = WriteCall(engine, self.ref, change, seen, on_conflict, timeout, resource=ASSISTANTS)
        outcome: AssistantOutcome = await write.run()
        return outcome


def _check_seen(seen: object) -> None:
    known = check_assistant("update: seen", seen)
    if known.etag is None and not known.is_empty:
        raise ConfigurationError(
            "update: seen= has no ETag (the reply to a write has none); use the FieldingAssistant from get()"
        )
    if known.etag is not None and (not isinstance(known.etag, str) or sendable_etag(known.etag) is None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"update: seen= has the etag {briefly(known.etag)}, which is not a single ETag; use the FieldingAssistant"
            " from get()"
        )
