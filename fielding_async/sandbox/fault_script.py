"""The script of faults: decides which request each scripted fault is for."""

from collections.abc import Iterable
from typing import get_args

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef

from .faults import ExchangePauses, Fault, SecondWriter
from .serving.routes import OPERATIONS_BY_NAME
from .world.job_faults import JobFails, JobOmits

__all__ = ["Script"]

_KINDS = get_args(Fault)
_METHODS = {"GET", "POST", "PUT"}


@frozen
class _Entry:
    faults: tuple[Fault, ...]
    on: str | None
    ref: RunRef | None

    def matches(self, method: str, operation: str, ref: RunRef | None, *, run_exists: bool, makes_job: bool) -> bool:
        if self.on is None or self.on in _METHODS:
            named = operation != "token" and self.on in {None, method}
        else:
            named = self.on == operation
        possible = all(
            run_exists
            if isinstance(fault, SecondWriter | ExchangePauses)
            else makes_job or not isinstance(fault, JobFails | JobOmits)
            for fault in self.faults
        )
        return named and possible and (self.ref is None or self.ref == ref)


class Script:
    """Faults in the order scripted. A request gets the first entry that matches it; each is used once."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(self, faults: Iterable[Fault | tuple[Fault, ...]], on: str | None, ref: RunRef | None) -> None:
        """Append faults. A tuple of faults applies to one request. Raises `ConfigurationError`."""
        if on is not None and on not in _METHODS and on not in OPERATIONS_BY_NAME:
            raise ConfigurationError(
                f"script(on={on!r}): neither an operation ({', '.join(sorted(OPERATIONS_BY_NAME))}) nor a method"
            )
        entries: list[_Entry] = []
        for entry in faults:
            together = entry if isinstance(entry, tuple) else (entry,)
            for fault in together:
                if not isinstance(fault, _KINDS):  # pyright: ignore[reportUnnecessaryIsInstance]
                    raise ConfigurationError(f"script({fault!r}): not a fault")
            entries.append(_Entry(together, on, ref))
        self._entries += entries

    def take(
        self, method: str, operation: str, ref: RunRef | None, *, run_exists: bool, makes_job: bool
    ) -> tuple[Fault, ...]:
        """Return the faults for a request, and remove them from the script; `()` if no entry matches."""
        for position, entry in enumerate(self._entries):
            if entry.matches(method, operation, ref, run_exists=run_exists, makes_job=makes_job):
                return self._entries.pop(position).faults
        return ()

    def unused(self) -> list[Fault]:
        """Return the faults that no request has met yet."""
        return [fault for entry in self._entries for fault in entry.faults]

    def clear(self) -> None:
        """Remove the faults that no request has met yet."""
        self._entries.clear()
