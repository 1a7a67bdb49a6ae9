"""The faults of the demo, chosen by a seed: which replies are lost, and when the colleague changes which runs."""

from random import Random

from attrs import frozen

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter

__all__ = ["ACTIONS", "FaultPlan", "PlannedFault", "make_fault_plan", "script_faults"]

ACTIONS = ("launch-now", "update", "pause", "resume", "complete")
"""The actions performed on each run, in this order."""

_STATUS_ACTIONS = tuple(name for name in ACTIONS if name != "update")
_LOST_EVERY = 3  # one run in so many loses a reply
_WRITES = 2  # of the colleague, to each of the other runs

_PROVEN_ACTIONS = tuple(name for name in _STATUS_ACTIONS if name != "resume")

# How a reply is lost: the write was applied or not, and the colleague may have written in between as well. Not so on an
# update: the colleague changes dates, and then it could not be told who set the run's end date. Nor before a resume:
# that it was not applied is never proven, as the exchange may have paused the run again.
_WAYS: tuple[tuple[tuple[Fault, ...], tuple[str, ...]], ...] = (
    ((Cut("after"),), ACTIONS),
    ((Cut("before"),), ACTIONS),
    ((Cut("after"), SecondWriter(when="after")), _STATUS_ACTIONS),
    ((Cut("headers"),), ACTIONS),
    ((SecondWriter(when="before"), Cut("after")), _PROVEN_ACTIONS),
)


@frozen
class PlannedFault:
    """The faults of one request: the first of this action on this run that is not answered with 429."""

    ref: RunRef
    action: str
    faults: tuple[Fault, ...]


@frozen
class FaultPlan:
    """`faults`: the replies that are lost. `colleague`: the writes of the colleague.

    Both go by requests, not by time, so that a slow machine meets the same as a fast one.
    """

    faults: tuple[PlannedFault, ...]
    colleague: tuple[PlannedFault, ...]


def make_fault_plan(refs: tuple[RunRef, ...], seed: int) -> FaultPlan:
    """Let every third run lose a reply, in each way and on each action in turn.

    The colleague moves the end of each other run by a minute, before or after each of two requests for an action.
    """
    random = Random(seed)  # noqa: S311 - no secret
    first = [random.randrange(len(actions)) for _, actions in _WAYS]
    lost = refs[::_LOST_EVERY]
    planned: list[PlannedFault] = []
    for number, ref in enumerate(lost):
        turn, way = divmod(number, len(_WAYS))
        faults, actions = _WAYS[way]
        planned.append(PlannedFault(ref, actions[(first[way] + turn) % len(actions)], faults))
    colleague = [
        PlannedFault(ref, action, (SecondWriter(when=random.choice(("before", "after"))),))
        for ref in refs
        if ref not in set(lost)
        for action in random.sample(ACTIONS, _WRITES)
    ]
    return FaultPlan(tuple(planned), tuple(colleague))


def script_faults(sandbox: Sandbox, plan: FaultPlan) -> None:
    """Script the planned faults in a sandbox, and a lost reply to the request that makes the bulk job."""
    for entry in (*plan.faults, *plan.colleague):
        sandbox.script(entry.faults, on=entry.action, ref=entry.ref)
    sandbox.script(Cut("after"), on="bulk-relaunch")
