"""The faults that the demo plans."""

from fielding_async.cli.demo.fault_plan import ACTIONS, make_fault_plan, script_faults
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Sandbox

REFS = tuple(RunRef(1, "P" * 26, "T" * 26, str(number)) for number in range(60))


def test_every_planned_loss_is_one_that_can_be_healed() -> None:
    """A colleague never writes in between on an update whose reply is lost, and never touches a run with a lost one."""
    for seed in range(50):
        plan = make_fault_plan(REFS, seed)
        assert len(plan.faults) == 20
        assert all(len(entry.faults) == 1 for entry in plan.faults if entry.action == "update")
        assert not {entry.ref for entry in plan.faults} & {entry.ref for entry in plan.colleague}
        assert plan == make_fault_plan(REFS, seed)


def test_the_colleague_goes_by_requests() -> None:
    """Each run without a lost reply is written to at two of its actions, whatever time they take."""
    plan = make_fault_plan(REFS, 1)
    assert len(plan.colleague) == 80
    assert {entry.action for entry in plan.colleague} == set(ACTIONS)
    assert len({(entry.ref, entry.action) for entry in plan.colleague}) == 80
    sandbox = Sandbox()
    script_faults(sandbox, plan)
    assert len(sandbox.unused_faults) > 100
