"""The assignment of a Fielding Assistant: all modules of a target group at once, with their ETag."""

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

from attrs import evolve, field, frozen

from fielding_async.core.errors import ConfigurationError, ProtocolError, briefly
from fielding_async.core.models import Effect

from .exact_json import load, members, object_text
from .module_texts import module_text, read_module
from .modules import (
    KINDS,
    AdaptivePacing,
    DynamicPricing,
    GeminiPacing,
    LinearPacing,
    Module,
    OtherModule,
    QuotaOverlay,
    RateCardPricing,
    SoftLaunch,
)

__all__ = [
    "AssistantChange",
    "AssistantOutcome",
    "AssistantRef",
    "FieldingAssistant",
    "assistant_body",
    "call_assistant_change",
    "check_assistant",
    "decode_assistant",
    "is_same_assignment",
]


@frozen(cache_hash=True)
class AssistantRef:
    """The three ids that name the Fielding Assistant of a target group.

    Source: path parameters of `GET …/fielding-assistant-assignment`. The ids are checked when a handle is created from
    the `AssistantRef`.
    """

    __module__ = "fielding_async"

    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""
    target_group_id: str
    """The target group's id."""

    def __str__(self) -> str:
        return f"{self.account_id}/{self.project_id}/{self.target_group_id}"


def _check_module(_owner: "FieldingAssistant", attribute: Any, value: object) -> None:
    name: str = attribute.name
    if value is None or isinstance(value, KINDS[name]):
        return
    if isinstance(value, OtherModule):
        if value.name != name:
            raise ConfigurationError(
                f"FieldingAssistant: {name}: must hold an OtherModule of the same name, not {briefly(value.name)}"
            )
        return
    kinds = ", ".join(kind.__name__ for kind in KINDS[name])
    raise ConfigurationError(f"FieldingAssistant: {name}={briefly(value)}: must be {kinds}, OtherModule or None")


def _check_others(_owner: "FieldingAssistant", _attribute: Any, others: object) -> None:
    given = others
    entries = cast("tuple[object, ...]", others) if isinstance(others, tuple) else (others,)
    names: set[str] = set()
    for entry in entries:
        if not isinstance(entry, OtherModule):
            raise ConfigurationError(f"FieldingAssistant: others={briefly(given)}: must be a tuple of OtherModule")
        if entry.name in KINDS:
            raise ConfigurationError(
                f"FieldingAssistant: others: must not hold {entry.name}: pass it as {entry.name}=…"
            )
        if entry.name in names:
            raise ConfigurationError(
                f"FieldingAssistant: others: must name each module once, not {briefly(entry.name)} twice"
            )
        names.add(entry.name)


def _unordered(others: tuple[OtherModule, ...]) -> Hashable:
    return frozenset(others)


@frozen(kw_only=True)
class FieldingAssistant:
    """The assignment of a target group: its enabled modules. A module that is `None` is disabled.

    Source: `FieldingAssistantModulesAssignment` of the API. A value from `get` keeps the JSON that it was read from. If
    you change one module with `attrs.evolve`, the SDK sends all other modules back exactly as they were read. Raises
    `ConfigurationError` for a module of a wrong type.
    """

    __module__ = "fielding_async"

    pricing: DynamicPricing | RateCardPricing | OtherModule | None = field(default=None, validator=_check_module)
    """How the cost per interview is set."""
    quota_overlay: QuotaOverlay | OtherModule | None = field(default=None, validator=_check_module)
    """How the completes goal is distributed over the quotas."""
    pacing: LinearPacing | AdaptivePacing | GeminiPacing | OtherModule | None = field(
        default=None, validator=_check_module
    )
    """How completes are spread over time."""
    soft_launch: SoftLaunch | OtherModule | None = field(default=None, validator=_check_module)
    """The soft launch."""
    others: tuple[OtherModule, ...] = field(default=(), validator=_check_others, eq=_unordered)
    """The modules whose names this version of the SDK does not know."""
    etag: str | None = None
    """The ETag of the reply, byte for byte. `None` if the target group has no assignment yet, or if the ETag is not
    known."""
    _order: tuple[str, ...] = field(default=(), repr=False, eq=False, alias="order")

    @property
    def is_empty(self) -> bool:
        """Whether no module is enabled."""
        return not self._modules()

    def module(self, name: str) -> Any:
        """Return the JSON of an enabled module by its name in the API. Return `None` if the module is not enabled.

        The result is a new dict, or another JSON value if the exchange sent one. Its numbers are `JsonNumber` objects.
        """
        found = self._modules().get(name)
        return None if found is None else load(module_text(found))

    def with_etag(self, etag: str | None) -> "FieldingAssistant":
        """Return the same modules with another ETag."""
        return self if etag == self.etag else evolve(self, etag=etag)

    def _modules(self) -> dict[str, Module]:
        found: dict[str, Module | None] = {name: getattr(self, name) for name in KINDS}
        found |= {module.name: module for module in self.others}
        names = dict.fromkeys((*self._order, *found))
        return {name: module for name in names if (module := found.get(name)) is not None}


AssistantChange = Callable[[FieldingAssistant], FieldingAssistant | None]
"""A callable change. It gets the current assignment and returns the whole new one, or `None` to change nothing."""


@frozen(kw_only=True)
class AssistantOutcome:
    """The result of an update of a Fielding Assistant."""

    __module__ = "fielding_async"

    effect: Effect
    """`"accepted"`: the exchange accepted our request. `"already"`: the assignment was already as wanted, and as far as
    the SDK knows, no request of ours changed it. `"unconfirmed"`: the assignment is as wanted, and an attempt of ours
    whose reply was lost may have changed it."""
    etag: str | None
    """The ETag of the assignment. `None` if it is not known. By the API's documentation, the reply to a write has no
    ETag."""
    requests: int
    """The number of HTTP requests sent, GETs included."""
    conflicts: int
    """The number of 412s. A 412 that may be due to our own attempt whose reply was lost is not counted."""
    trace_id: str
    """The trace id of every request of the call, 32 hex digits."""
    assistant: FieldingAssistant
    """The assignment after this call, as it was sent or fetched."""


def assistant_body(assistant: FieldingAssistant) -> bytes:
    """Return the body of the PUT: every enabled module, in the order in which they were read."""
    texts = {name: module_text(module) for name, module in assistant._modules().items()}  # pyright: ignore[reportPrivateUsage]
    return object_text(texts).encode()


def decode_assistant(body: bytes, etag: str | None) -> FieldingAssistant:
    """Read a `FieldingAssistantModulesAssignment`; raises `ProtocolError`."""
    try:
        texts = members(body.decode())
    except ValueError as error:
        kind = "not JSON" if isinstance(error, json.JSONDecodeError | UnicodeError) else str(error)
        problem = f"Fielding Assistant assignment: {kind}: {body[:80]!r}"
    else:
        return _assignment(texts, etag)
    raise ProtocolError(problem)


def _assignment(texts: Mapping[str, str], etag: str | None) -> FieldingAssistant:
    modules = {name: module for name, text in texts.items() if (module := read_module(name, text)) is not None}
    known: dict[str, Any] = {name: module for name, module in modules.items() if name in KINDS}
    others = tuple(module for name, module in modules.items() if name not in KINDS)
    return FieldingAssistant(**known, others=cast("tuple[OtherModule, ...]", others), etag=etag, order=tuple(modules))


def is_same_assignment(one: FieldingAssistant, other: FieldingAssistant) -> bool:
    """Whether the same modules are enabled with the same settings. ETags do not count."""
    return one == other.with_etag(one.etag)


def check_assistant(name: str, value: object) -> FieldingAssistant:
    """Return `value` if it is an assignment; raises `ConfigurationError`."""
    if not isinstance(value, FieldingAssistant):
        raise ConfigurationError(f"{name}={briefly(value)}: must be a FieldingAssistant, not {type(value).__name__}")
    return value


def call_assistant_change(change: AssistantChange, assistant: FieldingAssistant) -> FieldingAssistant | None:
    """Call a callable change on the assignment as it is now. Its own exceptions pass through."""
    answer: object = change(assistant)
    if answer is None or isinstance(answer, FieldingAssistant):
        return answer
    hint = " (an async callable cannot be used)" if hasattr(answer, "__await__") else ""
    if hasattr(answer, "close"):
        answer.close()  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    raise ConfigurationError(
        f"change: must return a FieldingAssistant or None, not {type(answer).__name__}{hint}; return the whole new"
        " assignment, for example with attrs.evolve"
    )
