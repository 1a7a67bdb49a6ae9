"""Hundreds of simulated worlds hold every invariant, and each world is the same every time.

`FIELDING_SIMULATION_SEEDS` and `FIELDING_SIMULATION_START` choose how many seeds, and from where;
`nox -s simulation` searches thousands.
"""

import os

import pytest

from .simulate import simulate
from .world import Hints, Resource

pytestmark = [pytest.mark.slow, pytest.mark.once]

_SEEDS = int(os.environ.get("FIELDING_SIMULATION_SEEDS", "400"))
_FEWER_SEEDS = int(os.environ.get("FIELDING_SIMULATION_SEEDS", "60"))
_START = int(os.environ.get("FIELDING_SIMULATION_START", "0"))


@pytest.mark.parametrize(
    ("resource", "hints", "seeds"),
    [
        ("runs", "none", _SEEDS),
        ("assistants", "none", _FEWER_SEEDS),
        ("runs", "true", _FEWER_SEEDS),
        ("runs", "garbage", 2 * _FEWER_SEEDS),
    ],
)
def test_all_invariants_hold_in_every_world(resource: Resource, hints: Hints, seeds: int) -> None:
    """No seed breaks an invariant; one that does is named with the command that replays it.

    With `hints` sessions are told what others have read, or anything at all in its place.
    """
    calls = requests = 0
    failures: list[str] = []
    command = f"python -m tests.proofs.simulation --resource {resource} --hints {hints}"
    for seed in range(_START, _START + seeds):
        simulation = simulate(seed, resource=resource, hints=hints)
        calls += len(simulation.calls)
        requests += len(simulation.network.messages)
        if simulation.violations:
            failures.append(f"{command} --seed {seed}\n    {simulation.violations[0]}")
    print(f"{seeds} seeds, {calls} calls, {requests} requests, {len(failures)} seeds with a breach")
    assert not failures, "\n" + "\n".join(failures[:10])
    assert calls >= 100 * seeds


@pytest.mark.parametrize("resource", ["runs", "assistants"])
def test_a_seed_tells_the_same_story_twice(resource: Resource) -> None:
    """The same seed makes the same world, to the last request and its time."""
    for seed in range(25):
        first, second = (simulate(seed, timeline=True, resource=resource).timeline.lines for _ in range(2))
        assert first == second, f"seed {seed}"
        assert first
