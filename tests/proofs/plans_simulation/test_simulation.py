"""Workers of plans in virtual time: nothing is applied twice, lost or out of order, and reports are true."""

import pytest

from .mutants import MUTANTS
from .simulate import simulate

pytestmark = pytest.mark.once

SEEDS = 60
MOST_SEEDS = 400  # until a mutant is found


def test_no_seed_breaks_an_invariant() -> None:
    """Through kills, stops past the lease, partitions, restarts, lost commits and lost replies."""
    met = stops = 0
    for seed in range(SEEDS):
        result = simulate(seed)
        assert not result.breaches, f"seed {seed}: {result.scenario}: {result.breaches}"
        met, stops = met + result.met, stops + result.stops
    assert met > SEEDS, "takeovers met rows in flight"
    assert stops > SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the promises that a worker rests on is needed."""
    change, returns = MUTANTS[name]
    change(monkeypatch)
    assert any(simulate(seed, returns=returns).breaches for seed in range(MOST_SEEDS))
