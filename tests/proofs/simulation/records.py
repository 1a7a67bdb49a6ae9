"""What is written down while a world runs: states of runs, messages on the wire, calls."""

from contextvars import ContextVar
from math import inf
from typing import Any

from attrs import Factory, define

from fielding_async import FieldingAssistant, FieldingRun
from fielding_async.core.actions import Action
from fielding_async.core.models import OnConflict

from .fates import Fate

__all__ = ["BLIND_PAUSE", "CURRENT", "DOCUMENTED", "NONE", "CallRecord", "Message", "State"]

DOCUMENTED = {"get": 200, "update": 202, "launch-now": 200}
"""The success statuses of the API; 204 for all others."""

NONE = "(none)"
"""What is written down as the ETag of an assistant that has no assignment yet."""

BLIND_PAUSE = 0.1
"""The least pause after a 429 that names no usable time, in seconds."""


@define(eq=False)
class State:
    """One state of a run, as the server has it. Dates are milliseconds since 1970; `since` is a virtual time."""

    index: int
    version: int
    etag: str
    status: str
    start: int
    end: int
    since: float
    author: str
    message: "Message | None" = None
    is_noop: bool = False  # a write that changed nothing and kept the ETag
    until: float = inf


@define(eq=False)
class Message:
    """One request on the wire, and what became of it on either side."""

    call: "CallRecord"
    session: int
    run_id: str
    action: str  # "get" or the action's name
    if_match: str | None
    dates: tuple[str, str] | None
    modules: str | None  # of an assistant, as JSON
    trace_id: str
    span_id: str
    token: str
    fate: Fate
    sent_at: float
    asked_at: float = 0.0  # when it was handed to the transport
    no_cache: bool = False  # the request asks for what is not cached
    identity: bool = False  # the request asks for what is not compressed
    arrived_at: float | None = None
    status: int | None = None  # the server's answer
    applied: list[State] = Factory(list)
    based_on: State | None = None  # the state that the write was applied on
    shown: State | None = None  # the state that a GET was answered with
    is_from_cache: bool = False
    got: int | None = None  # the status that reached the client in time
    got_etag: str | None = None  # the ETag that came with it, if it can be sent back
    got_age: float = 0.0  # its `Age`, in seconds
    got_error_body: bool = False  # it is an error in the exchange's own form
    ended_at: float | None = None  # when the client's attempt was over
    ended_as: str = "under way"
    has_page: bool = False  # the body of the answer is neither empty nor a JSON object
    pause: float | None = None  # the least pause, in seconds, that a 429 asks for

    @property
    def is_write(self) -> bool:
        return self.action != "get"

    @property
    def is_ambiguous(self) -> bool:
        """Whether the client, with what it got, must reckon with the write being applied."""
        if not self.is_write:
            return False
        if self.got is None or self.got >= 500 or self.got == 408:
            return True
        if self.is_refused_with_a_page:
            return True  # something in between may have made it after the write was applied
        return self.got < 400 and not self.is_accepted

    @property
    def is_refused_with_a_page(self) -> bool:
        """Whether the client got a 4xx with a page of something in between; a 429 is one all the same."""
        return self.has_page and self.got is not None and 400 <= self.got < 500 and self.got not in {408, 429}

    @property
    def is_accepted(self) -> bool:
        """Whether the reply is a success as documented: its status, a body that can be read, for a run an ETag."""
        if self.action == "update-assistant":
            return self.got == 204
        if self.got is None or self.got != DOCUMENTED.get(self.action, 204) or self.got_etag is None:
            return False
        return self.action not in DOCUMENTED or self.fate.kind not in {"unreadable", "page"}

    @property
    def is_odd_success(self) -> bool:
        """Whether the reply is a 2xx, but not as documented: it is to be looked into."""
        return self.got is not None and self.got < 300 and not self.is_accepted

    @property
    def is_own_server_error(self) -> bool:
        """Whether the reply is a 5xx of the exchange's own making, that says nothing of a loss behind it."""
        return self.got in {500, 501, 503, 505} and self.got_error_body


@define(eq=False)
class CallRecord:
    """One call, from the caller's side. `kind`: get, status, update, increment, at-least, raising or value.

    On assistants an increment counts in a `module`, and a value replaces the whole by what is `wanted`.
    """

    number: int
    session: int
    run_id: str
    kind: str
    name: str
    action: Action | None = None
    delta: int = 0
    seen: Any = None
    module: str = ""
    wanted: FieldingAssistant | None = None
    on_conflict: OnConflict = "reapply"
    timeout: float | str | None = "default"
    total: float | None = None  # seconds from the first request, unless it has a timeout of its own
    begun: float = 0.0
    order: int = -1  # the place of the call among all, by when it was made
    ended: float = -1.0
    first_permitted: float | None = None
    cancelled_at: float | None = None
    outcome: Any = None
    run: FieldingRun | None = None
    error: BaseException | None = None
    messages: list[Message] = Factory(list)
    asked: list[tuple[Any, Any]] = Factory(list)  # what a callable got and returned
    hints: list[FieldingRun] = Factory(list)  # those that it was told
    hints_asked: int = 0
    hinted_at: float = 0.0  # when it was told the last

    @property
    def deadline(self) -> float | None:
        """When it must have ended, if it has such a limit."""
        if isinstance(self.timeout, float | int):
            return self.begun + self.timeout
        if self.timeout is None or self.total is None or self.first_permitted is None:
            return None
        return self.first_permitted + self.total

    @property
    def may_go_by_hints(self) -> bool:
        """Whether a hint may take the place of its first look."""
        return self.kind == "status" and self.seen is None and self.on_conflict == "reapply"

    @property
    def is_callable(self) -> bool:
        return self.kind in {"increment", "at-least", "raising"}

    @property
    def writes(self) -> list[Message]:
        return [message for message in self.messages if message.is_write]

    @property
    def reads(self) -> list[Message]:
        return [message for message in self.messages if not message.is_write]

    @property
    def applications(self) -> list[State]:
        """Every state that a write of this call made, those that changed nothing included."""
        return [state for message in self.messages for state in message.applied]

    @property
    def last_look_message(self) -> Message | None:
        """The last GET whose reply was read."""
        for message in reversed(self.messages):
            if message.shown is not None and message.got == 200:
                return message
        return None

    @property
    def last_look(self) -> State | None:
        """The state shown by the last GET whose reply was read."""
        look = self.last_look_message
        return None if look is None else look.shown

    @property
    def title(self) -> str:
        order = f" +{self.delta} ms" if self.kind == "increment" else ""
        return f"call {self.number} (session {self.session}, {self.kind} {self.name}{order} on {self.run_id})"


CURRENT: ContextVar[CallRecord] = ContextVar("CURRENT")
"""The call that the running task belongs to; tasks made by the client inherit it."""
