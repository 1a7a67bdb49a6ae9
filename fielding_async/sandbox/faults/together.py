"""Which faults can apply to one request together: each must have an effect beside the others."""

from collections.abc import Iterator
from itertools import combinations

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox.world.job_faults import JobFails, JobOmits

from .hold import Hold
from .values import (
    Cut,
    Delay,
    DropHeader,
    ExchangePauses,
    Fault,
    RawReply,
    Refuse,
    Repeat,
    Reply,
    SecondWriter,
    SetHeader,
    Status,
)

__all__ = ["check_together"]

_ONCE = (Refuse, Cut, Status, Reply, RawReply, Repeat, JobFails)


def check_together(faults: tuple[Fault, ...]) -> None:
    """Raise `ConfigurationError` if one of the faults of a request would have no effect because of another one."""
    for first, second in combinations(faults, 2):
        for one, other in ((first, second), (second, first)):
            reason = next(_in_the_way(one, other), None)
            if reason:
                shown = ", ".join(map(repr, faults))
                raise ConfigurationError(f"script(({shown})): {other!r} would have no effect: {reason}: leave it out")


def _in_the_way(one: Fault, other: Fault) -> Iterator[str]:
    """Yield why the other fault would have no effect beside this one."""
    if type(one) is type(other) and isinstance(one, _ONCE):
        yield f"a request can have one {type(one).__name__} only"
    if _header(one) is not None and _header(one) == _header(other):
        yield f"{one!r} is about the same header"
    if _is_unhandled(one) and not (isinstance(other, Delay | Hold) and other.when == "before"):
        yield f"with {one!r} the request is not handled, and there is no reply"
    if _has_no_reply(one) and isinstance(other, Status | Reply | RawReply | SetHeader | DropHeader | Cut):
        yield f"with {one!r} the usual reply is not sent"
    if isinstance(one, Reply) and isinstance(other, Status):
        yield f"{one!r} is sent"
    if getattr(one, "applied", True) is False and _needs_handling(other):
        yield f"with {one!r} the request is not handled; pass applied=True"


def _header(fault: Fault) -> str | None:
    return fault.name.lower() if isinstance(fault, SetHeader | DropHeader) else None


def _is_unhandled(fault: Fault) -> bool:
    return isinstance(fault, Refuse) or (isinstance(fault, Cut) and fault.at == "before")


def _has_no_reply(fault: Fault) -> bool:
    return isinstance(fault, RawReply) or (isinstance(fault, Cut) and fault.at == "after")


def _needs_handling(fault: Fault) -> bool:
    is_later = isinstance(fault, SecondWriter | ExchangePauses) and fault.when == "after"
    return is_later or isinstance(fault, Repeat | JobFails | JobOmits)
