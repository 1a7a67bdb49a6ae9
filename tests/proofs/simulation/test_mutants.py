"""The test of the test: the search must find bugs that were put in on purpose."""

import pytest

from .mutants import MUTANTS
from .simulate import simulate

pytestmark = [pytest.mark.slow, pytest.mark.once]

_SEEDS = 200


@pytest.mark.parametrize("name", MUTANTS)
def test_the_search_finds_the_bug(name: str) -> None:
    """A bug put in on purpose breaks the invariant that forbids it, within 200 seeds."""
    mutant, expected = MUTANTS[name]
    with mutant():
        for seed in range(_SEEDS):
            breaches = simulate(seed).violations
            if any(breach.startswith(expected) for breach in breaches):
                print(f"{name}: caught by seed {seed}: {breaches[0]}")
                return
    pytest.fail(f"{name}: {_SEEDS} seeds passed")
