"""The arguments of `Sandbox` and of the methods that add and inspect runs."""

from datetime import timedelta
from typing import Any

import pytest

from fielding_async import FieldingSession
from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Cut, Sandbox


def test_bad_arguments_are_refused() -> None:
    """What a sandbox cannot hold is a ConfigurationError, and an unknown run a KeyError."""
    sandbox = Sandbox()
    ref = sandbox.add_run()
    naive = sandbox.now.replace(tzinfo=None)
    bad: list[dict[str, Any]] = [
        {"status": "dead"},
        {"target_group_id": "short"},
        {"project_id": "z" * 26},
        {"target_group_id": ref.target_group_id},
        {"account_id": -1},
        {"account_id": True},
        {"fielding_run_id": "a/b"},
        {"start_fielding_at": naive},
        {"start_fielding_at": sandbox.now, "end_fielding_at": sandbox.now},
        {"version": -1},
        {"status": "live", "goal_reached": True},
    ]
    for settings in bad:
        with pytest.raises(ConfigurationError):
            sandbox.add_run(**settings)
    with pytest.raises(ConfigurationError):
        sandbox.add_draft(target_group_id=ref.target_group_id)
    with pytest.raises(ConfigurationError):
        sandbox.touch(ref, end_fielding_at=naive)
    with pytest.raises(ConfigurationError):
        sandbox.advance(-1)
    with pytest.raises(ConfigurationError):
        Sandbox(keep=0)
    with pytest.raises(ConfigurationError):
        Sandbox(clock=lambda: naive)
    unknown = type(ref)(101, "0" * 26, "0" * 26, "none")
    with pytest.raises(KeyError):
        sandbox.inspect(unknown)
    with pytest.raises(KeyError):
        sandbox.touch(unknown)


def test_the_same_seed_makes_the_same_ids() -> None:
    """Ids are made from the seed, 26 characters of digits and capitals, and the clock can be handed in."""
    one, two, other = (Sandbox(seed=seed).add_run() for seed in (4, 4, 5))
    assert one == two != other
    for made in (one.project_id, one.target_group_id, one.fielding_run_id):
        assert len(made) == 26
        assert made.isalnum()
        assert made.upper() == made
    fixed = Sandbox().now
    sandbox = Sandbox(clock=lambda: fixed)
    sandbox.advance(90)
    assert sandbox.now == fixed + timedelta(seconds=90)


def test_start_and_end_left_out_fit_the_ones_given() -> None:
    """A bound left out is chosen to suit the other and the status; a live run past its end is completed."""
    sandbox = Sandbox()
    early = sandbox.inspect(sandbox.add_run(end_fielding_at=sandbox.now + timedelta(hours=1)))
    assert (early.status, early.start_fielding_at < early.end_fielding_at) == ("live", True)
    late = sandbox.inspect(sandbox.add_run(start_fielding_at=sandbox.now + timedelta(days=99)))
    assert late.end_fielding_at - late.start_fielding_at == timedelta(days=7)
    past = sandbox.inspect(sandbox.add_run("live", end_fielding_at=sandbox.now - timedelta(days=9)))
    assert past.status == "completed"


def test_a_run_of_a_session_serves_as_its_ref() -> None:
    """Every method that takes a `RunRef` takes a `Run`, and does the same."""
    sandbox = Sandbox()
    ref = sandbox.add_run("live")
    run = FieldingSession("t").run(ref)
    assert sandbox.inspect(run) == sandbox.inspect(ref)
    assert sandbox.touch(run).version == 2
    sandbox.script(Cut(), on="pause", ref=run)
    assert sandbox.inspect_assistant(run) == sandbox.inspect_assistant(ref)
    sandbox.pause_by_exchange(run)
    assert sandbox.inspect(ref).status == "paused"
    assert {write.ref for write in sandbox.history} == {ref}
    with pytest.raises(KeyError, match=f"no such run: {ref}"):
        Sandbox(seed=1).inspect(run)
