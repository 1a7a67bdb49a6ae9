"""The handles of runs that a session makes: they serve wherever a `RunRef` does, and are not imported here."""

from collections.abc import Awaitable
from typing import Protocol

from fielding_async.core.models import FieldingRun, RunRef

__all__ = ["RunHandle"]


class RunHandle(Protocol):
    """A `Run` of a `FieldingSession`, from `session.run(…)`. A method of the sandbox uses only its `ref`."""

    @property
    def ref(self) -> RunRef:
        """The ids of the run."""
        ...

    def get(self) -> Awaitable[FieldingRun]:
        """Return the run as it is now."""
        ...


RunHandle.__module__ = "fielding_async.sandbox"
