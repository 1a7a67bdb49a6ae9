"""The script of faults: which request each scripted fault is for. Faults that no request can meet are refused."""

from collections.abc import Iterable
from typing import cast, get_args

from attrs import frozen

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import RunRef
from fielding_async.sandbox.serving.checks import did_you_mean, run_ref
from fielding_async.sandbox.serving.routes import OPERATIONS, OPERATIONS_BY_NAME, Operation
from fielding_async.sandbox.serving.run_handles import RunHandle
from fielding_async.sandbox.world.job_faults import JobFails, JobOmits

from .hold import Hold
from .together import check_together
from .values import ExchangePauses, Fault, Repeat, SecondWriter

__all__ = ["Script"]

_KINDS = get_args(Fault)
_METHODS = ("GET", "POST", "PUT")


def _is_about_run(operation: Operation) -> bool:
    return "{fielding_run_id}" in operation.template


def _is_possible(fault: Fault, operation: Operation) -> bool:
    """Whether the fault can do something to requests of this operation."""
    match fault:
        case SecondWriter() | ExchangePauses():
            return _is_about_run(operation)
        case JobFails():
            return operation.kind in {"draft", "bulk"}
        case JobOmits():
            return operation.kind == "bulk"
        case Repeat():
            return operation.writes
        case _:
            return True


@frozen
class _Entry:
    faults: tuple[Fault, ...]
    on: str | None
    ref: RunRef | None

    def fits(self, operation: Operation) -> bool:
        """Whether a request of this operation may meet the faults."""
        if self.on is None or self.on in _METHODS:
            named = operation.kind != "token" and self.on in {None, operation.method}
        else:
            named = self.on == operation.name
        possible = all(_is_possible(fault, operation) for fault in self.faults)
        return named and possible and (self.ref is None or _is_about_run(operation))

    def matches(self, operation: Operation, ref: RunRef | None, *, run_exists: bool) -> bool:
        """Whether this request meets the faults."""
        needs_run = any(isinstance(fault, SecondWriter | ExchangePauses) for fault in self.faults)
        return self.fits(operation) and (run_exists or not needs_run) and (self.ref is None or self.ref == ref)


class Script:
    """Faults in the order scripted. A request gets the first entry that matches it; each is used once."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._holds: list[Hold] = []

    def add(self, faults: Iterable[Fault | tuple[Fault, ...]], on: str | None, ref: RunRef | RunHandle | None) -> None:
        """Append faults. A tuple of faults applies to one request. Raises `ConfigurationError`."""
        if on is not None and not (isinstance(on, str) and (on in _METHODS or on in OPERATIONS_BY_NAME)):  # pyright: ignore[reportUnnecessaryIsInstance]
            known = (*_METHODS, *sorted(OPERATIONS_BY_NAME))
            hint = did_you_mean(on, known)
            raise ConfigurationError(
                f"script(on={briefly(on)}): must be a method ({', '.join(_METHODS)}) or an operation"
                f" ({', '.join(sorted(OPERATIONS_BY_NAME))}){f'; {hint}' if hint else ''}"
            )
        if ref is not None:
            ref = run_ref("script", ref)
        entries = [_Entry(_checked(entry), on, ref) for entry in faults]
        for entry in entries:
            if not any(entry.fits(operation) for operation in OPERATIONS):
                raise ConfigurationError(_never(entry))
        holds = [fault for entry in entries for fault in entry.faults if isinstance(fault, Hold)]
        if len({id(hold) for hold in holds}) < len(holds) or any(hold.is_scripted for hold in holds):
            raise ConfigurationError(
                "script(Hold(…)): must be a Hold that is not scripted yet: make one for each request"
            )
        for hold in holds:
            hold.is_scripted = True
        self._entries += entries
        self._holds += holds

    def take_holds(self) -> list[Hold]:
        """Return every `Hold` that was scripted since the last time."""
        holds, self._holds = self._holds, []
        return holds

    def take(self, operation: Operation, ref: RunRef | None, *, run_exists: bool) -> tuple[Fault, ...]:
        """Return the faults for a request, and remove them from the script; `()` if no entry matches."""
        for position, entry in enumerate(self._entries):
            if entry.matches(operation, ref, run_exists=run_exists):
                return self._entries.pop(position).faults
        return ()

    def unused(self) -> list[Fault]:
        """Return the faults that no request has met yet."""
        return [fault for entry in self._entries for fault in entry.faults]

    def clear(self) -> None:
        """Remove the faults that no request has met yet."""
        self._entries.clear()


def _checked(entry: object) -> tuple[Fault, ...]:
    together: tuple[object, ...] = entry if isinstance(entry, tuple) else (entry,)  # pyright: ignore[reportUnknownVariableType]
    if not together:
        raise ConfigurationError("script(()): a tuple of faults must not be empty: leave it out")
    faults: list[Fault] = []
    for fault in together:
        if not isinstance(fault, _KINDS):
            raise ConfigurationError(
                f"script({briefly(fault, 100)}): must be a fault of fielding_async.sandbox{_meant(fault)}"
            )
        faults.append(cast("Fault", fault))
    check_together(tuple(faults))
    return tuple(faults)


def _meant(value: object) -> str:
    if isinstance(value, list):
        return "; write script(*faults) for one after the other, or a tuple for one request"
    if isinstance(value, type) and value in _KINDS:
        return f"; did you mean {value.__name__}()?"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"; did you mean Status({value})?"
    return ""


def _never(entry: _Entry) -> str:
    shown = ", ".join(map(repr, entry.faults))
    if len(entry.faults) > 1:
        shown = f"({shown})"
    limits = [f"on={entry.on!r}"] if entry.on else []
    limits += ["ref=…"] if entry.ref else []
    text = f"script({', '.join([shown, *limits])}): no request can meet this"
    if entry.ref is not None and entry.on is not None and _not_about_run(entry.on):
        return f"{text}: {entry.on!r} requests are not about a run; leave ref out"
    rules = [_RULES[kind] for kind in _RULES if any(isinstance(fault, kind) for fault in entry.faults)]
    return f"{text}: {'; '.join(rules)}"


def _not_about_run(on: str) -> bool:
    named = [op for op in OPERATIONS if on in {op.name, op.method if op.kind != "token" else ""}]
    return not any(map(_is_about_run, named))


_RULES: dict[type, str] = {
    SecondWriter: "SecondWriter is for requests about a run",
    ExchangePauses: "ExchangePauses is for requests about a run",
    JobFails: "JobFails is for requests that make a job, such as 'launch-from-draft' and 'bulk-pause'",
    JobOmits: "JobOmits is for requests that make a bulk job, such as 'bulk-pause'",
    Repeat: "Repeat is for requests that may write",
}
