"""Through each gateway hundreds of calls, with faults: nothing applied twice, nothing falsely reported or reversed.

`FIELDING_GATEWAY_CALLS` and `FIELDING_GATEWAY_SEED` choose another number and another seed; so does
`python -m tests.proofs.gateways`, which prints the share of unknown outcomes.
"""

import os
from pathlib import Path

import pytest
from attrs import evolve

from tests.tools.driven_calls import false_reports

from .cases import CASES
from .drive import drive
from .programs import missing
from .verdict import breaches

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
