"""Through each gateway hundreds of calls, with faults: nothing applied twice, nothing falsely reported or reversed.

`FIELDING_GATEWAY_CALLS` and `FIELDING_GATEWAY_SEED` choose another number and another seed; so does
`python -m tests.proofs.gateways`, which prints the share of unknown outcomes.
"""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from fielding_async import FieldingSession
from fielding_async.sandbox import Sandbox
from tests.tools.driven_calls import false_reports

from .cases import CASES
from .drive import drive
from .programs import missing
from .verdict import breaches, reverses

pytestmark = [pytest.mark.slow, pytest.mark.once]

CALLS = int(os.environ.get("FIELDING_GATEWAY_CALLS", "200"))
SEED = int(os.environ.get("FIELDING_GATEWAY_SEED", "0"))


@pytest.mark.parametrize("name", CASES)
async def test_nothing_twice_and_nothing_false(name: str, tmp_path: Path) -> None:
    """What two sessions and their colleagues do through a gateway is told as it happened."""
    case = CASES[name]
    if absent := missing(*case.programs):
        pytest.skip(f"not installed: {', '.join(absent)}")
    driven = await drive(case, CALLS, tmp_path, seed=SEED)
    print(driven.figures())
    assert len(driven.calls) == CALLS
    assert breaches(driven) == []
    assert driven.count()["accepted"] > CALLS / 4


async def test_a_false_report_would_be_found(tmp_path: Path) -> None:
    """The comparison with the history finds an effect that is not true, and a write that no call accounts for."""
    case = CASES["HAProxy"]
    if absent := missing(*case.programs):
        pytest.skip(f"not installed: {', '.join(absent)}")
    driven = await drive(case, 80, tmp_path, seed=1)
    known = breaches(driven)
    for calls in false_reports(driven.calls):
        assert len(breaches(evolve(driven, calls=calls))) == len(known) + 1


async def test_a_launch_reverses_no_end_that_the_exchange_moves_along() -> None:
    """A write reverses what its caller named: a launch the status, an update its dates."""
    async with Sandbox() as sandbox, FieldingSession("t", base_url=sandbox.url) as fielding:
        ref = sandbox.add_run("scheduled")
        run, hour = fielding.run(ref), timedelta(hours=1)
        end = (await run.get()).end_fielding_at
        sandbox.touch(ref, end_fielding_at=end + hour)
        await run.launch_now()
        moved, launch = sandbox.history[-2:]
        assert moved.end_before != moved.end_after == launch.end_before != launch.end_after
        assert not reverses(launch, moved)
        sandbox.touch(ref, status="paused")
        await run.resume()
        paused, resumed = sandbox.history[-2:]
        assert reverses(resumed, paused)
        sandbox.touch(ref, end_fielding_at=end + hour)
        await run.update(end_fielding_at=end + 2 * hour)
        moved, updated = sandbox.history[-2:]
        assert reverses(updated, moved)
