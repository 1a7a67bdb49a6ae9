"""Thousands of simulated worlds hold every invariant, and each world is the same every time.

`FIELDING_SIMULATION_SEEDS` and `FIELDING_SIMULATION_START` choose how many seeds, and from where.
"""

import os

import pytest

from .simulate import simulate

pytestmark = [pytest.mark.slow, pytest.mark.once]

_SEEDS = int(os.environ.get("FIELDING_SIMULATION_SEEDS", "1000"))
_START = int(os.environ.get("FIELDING_SIMULATION_START", "0"))


def test_all_invariants_hold_in_every_world() -> None:
    """No seed breaks an invariant; one that does is named with the command that replays it."""
    calls = requests = 0
    failures: list[str] = []
    for seed in range(_START, _START + _SEEDS):
        simulation = simulate(seed)
        calls += len(simulation.calls)
        requests += len(simulation.network.messages)
        if simulation.violations:
            failures.append(f"python -m tests.proofs.simulation --seed {seed}\n    {simulation.violations[0]}")
    print(f"{_SEEDS} seeds, {calls} calls, {requests} requests, {len(failures)} seeds with a breach")
    assert not failures, "\n" + "\n".join(failures[:10])
    assert calls >= 100 * _SEEDS


def test_a_seed_tells_the_same_story_twice() -> None:
    """The same seed makes the same world, to the last request and its time."""
    for seed in range(25):
        first, second = (simulate(seed, timeline=True).timeline.lines for _ in range(2))
        assert first == second, f"seed {seed}"
        assert first
