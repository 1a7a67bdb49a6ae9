"""The runs of a project as they were last seen, and the differences from one time to the next. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from attrs import frozen

from fielding_async.core.models import RunRef

__all__ = ["Change", "Watched", "WatchedRun", "differences"]

_COMPARED = ("status", "start", "end", "progress", "goal", "name")
"""What counts as a change. A write that left all of these as they were is none."""


@frozen(kw_only=True)
class WatchedRun:
    """What is shown of a run. `progress` and `goal`: progress of its target group, in completes or prescreens."""

    ref: RunRef
    name: str
    status: str
    start: datetime
    end: datetime
    progress: int | None = None
    goal: int | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None


@frozen(kw_only=True)
class Change:
    """A difference between two states of a project.

    `kind`: the run was not there before, is not there any more, or has other values. `run`: the run as it is now, or
    was last. `values`: what changed, by name, from what to what; empty unless the run is in both states.
    """

    kind: Literal["new", "gone", "changed"]
    run: WatchedRun
    values: Mapping[str, tuple[Any, Any]]


def differences(before: WatchedRun, after: WatchedRun) -> dict[str, tuple[Any, Any]]:
    """Return the values of a run that changed, by name, from what to what."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in _COMPARED}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


class Watched:
    """The runs of a project as last seen. A sweep sees every run once; what it did not see is gone at its end.

    `sweeps`: how many ended well.
    """

    def __init__(self) -> None:
        self.runs: dict[RunRef, WatchedRun] = {}
        self.sweeps: int = 0
        self._seen: set[RunRef] = set()

    def begin_sweep(self) -> None:
        """Start to see every run again. What a sweep saw that did not end is kept, and says nothing of the rest."""
        self._seen = set()

    def see(self, run: WatchedRun) -> Change | None:
        """Take a run as it is now. Returns what that changes."""
        before = self.runs.get(run.ref)
        self.runs[run.ref] = run
        self._seen.add(run.ref)
        if before is None:
            return Change(kind="new", run=run, values={})
        values = differences(before, run)
        return Change(kind="changed", run=run, values=values) if values else None

    def end_sweep(self) -> list[Change]:
        """Leave out the runs that this sweep did not see, and return them."""
        gone = [run for ref, run in self.runs.items() if ref not in self._seen]
        for run in gone:
            del self.runs[run.ref]
        self.sweeps += 1
        return [Change(kind="gone", run=run, values={}) for run in gone]
