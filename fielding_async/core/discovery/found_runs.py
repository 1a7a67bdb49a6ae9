"""A run that was found."""

from attrs import frozen

from fielding_async.core.models import FieldingRun, RunRef

from .target_groups import TargetGroupItem

__all__ = ["FoundRun"]


@frozen(kw_only=True)
class FoundRun:
    """A fielding run and its target group, as `project.find_runs(…)` finds them."""

    __module__ = "fielding_async"

    ref: RunRef
    """The four ids of the run, which `fielding.run(…)` and `perform_all` take."""
    run: FieldingRun
    """The run as the list of its target group showed it. It has no ETag, so it cannot be passed as `seen=`."""
    target_group: TargetGroupItem
    """The target group as the list of its project showed it. It was fetched before the run."""
