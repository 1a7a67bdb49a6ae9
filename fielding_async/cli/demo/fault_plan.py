"""What the demo does to itself, chosen by a seed: which replies are lost, and which runs a colleague touches."""

from random import Random

from attrs import frozen

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter

__all__ = ["JOURNEY", "Plan", "Strike", "make_plan", "strike"]

JOURNEY = ("launch-now", "update", "pause", "resume", "complete")
"""The actions that each run is taken through."""

_STATUS_ACTIONS = tuple(name for name in JOURNEY if name != "update")
_LOST_EVERY = 3

# How a reply is lost: the write was applied or not, and a colleague may have written in between as well. On an update
# he writes nothing in between: he changes dates, and then nobody could tell whose end date the run has.
_WAYS: tuple[tuple[tuple[Fault, ...], tuple[str, ...]], ...] = (
    ((Cut("after"),), JOURNEY),
    ((Cut("before"),), JOURNEY),
    ((Cut("after"), SecondWriter(when="after")), _STATUS_ACTIONS),
    ((Cut("headers"),), JOURNEY),
    ((SecondWriter(when="before"), Cut("after")), _STATUS_ACTIONS),
)


@frozen
class Strike:
    """Faults that strike one request: the first of an action on a run that is not answered with 429."""

    ref: RunRef
    action: str
    faults: tuple[Fault, ...]


@frozen
class Plan:
    """The strikes, and the runs that the colleague touches whenever he likes."""

    strikes: tuple[Strike, ...]
    touched: tuple[RunRef, ...]


def make_plan(refs: tuple[RunRef, ...], seed: int) -> Plan:
    """Let every third run lose a reply, in each way and on each action in turn; the others are the colleague's."""
    dice = Random(seed)  # noqa: S311 - no secret
    first = [dice.randrange(len(actions)) for _, actions in _WAYS]
    lost = refs[::_LOST_EVERY]
    strikes: list[Strike] = []
    for number, ref in enumerate(lost):
        turn, way = divmod(number, len(_WAYS))
        faults, actions = _WAYS[way]
        strikes.append(Strike(ref, actions[(first[way] + turn) % len(actions)], faults))
    return Plan(tuple(strikes), tuple(ref for ref in refs if ref not in set(lost)))


def strike(sandbox: Sandbox, plan: Plan) -> None:
    """Script the faults of a plan, and one for the request that makes the bulk job."""
    for entry in plan.strikes:
        sandbox.script(entry.faults, on=entry.action, ref=entry.ref)
    sandbox.script(Cut("after"), on="bulk-relaunch")
