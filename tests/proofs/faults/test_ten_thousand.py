"""Ten thousand actions through a lossy network, over real sockets: none applied twice, none falsely reported.

`FIELDING_STORM_CALLS` and `FIELDING_STORM_SEED` choose another number and another seed; so does
`python -m tests.proofs.faults.storm`.
"""

import os

import pytest
from attrs import evolve

from tests.tools.driven_calls import false_reports

from .storm import LOST_AFTER, LOST_BEFORE, SECOND_WRITER, breaches, rage

pytestmark = pytest.mark.slow

CALLS = int(os.environ.get("FIELDING_STORM_CALLS", "10000"))
SEED = int(os.environ.get("FIELDING_STORM_SEED", "0"))


async def test_ten_thousand_status_actions_and_dated_updates() -> None:
    """With 5 % of requests and 5 % of replies lost and 5 % of writes overtaken: all true, and under 0.5 % unknown."""
    storm = await rage(CALLS, seed=SEED)
    assert len(storm.calls) == CALLS
    assert breaches(storm) == []
    struck = storm.struck
    for name, share in (("lost before", LOST_BEFORE), ("lost after", LOST_AFTER)):
        assert struck[name] == pytest.approx(struck["requests"] * share, rel=0.25)
    assert struck["second writers"] == pytest.approx(CALLS * SECOND_WRITER, rel=0.35)
    assert storm.unknown() < 0.005
    assert set(storm.count()) <= {"accepted", "already", "unconfirmed", "InvalidRunStateError", "OutcomeUnknownError"}


async def test_callable_updates_in_the_same_weather() -> None:
    """A lost reply to a callable cannot be told from a colleague's equal change: none false, but more are unknown."""
    storm = await rage(CALLS // 10, seed=SEED, kind="callables")
    assert breaches(storm) == []
    assert storm.unknown() < 2 * LOST_AFTER
    assert set(storm.count()) <= {"accepted", "OutcomeUnknownError"}


async def test_a_false_report_would_be_found() -> None:
    """The comparison with the history finds an effect that is not true, and a write that no call accounts for."""
    storm = await rage(300, seed=1, runs=30)
    assert breaches(storm) == []
    for calls in false_reports(storm.calls):
        assert len(breaches(evolve(storm, calls=calls))) == 1
