"""The faults that the demo plans."""

from fielding_async.cli.demo.fault_plan import make_fault_plan
from fielding_async.core.models import RunRef


def test_every_planned_loss_is_one_that_can_be_healed() -> None:
    """A colleague never writes in between on an update whose reply is lost, and never touches a run with a lost one."""
    refs = tuple(RunRef(1, "P" * 26, "T" * 26, str(number)) for number in range(60))
    for seed in range(50):
        plan = make_fault_plan(refs, seed)
        assert len(plan.faults) == 20
        assert all(len(entry.faults) == 1 for entry in plan.faults if entry.action == "update")
        assert not {entry.ref for entry in plan.faults} & set(plan.colleague_runs)
        assert plan == make_fault_plan(refs, seed)
