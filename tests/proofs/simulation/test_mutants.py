"""The test of the test: the search must find bugs that were put in on purpose."""

import pytest

from .assistant_mutants import ASSISTANT_MUTANTS
from .hint_mutants import HINT_MUTANTS
from .mutants import MUTANTS, Mutant
from .simulate import simulate
from .world import Hints, Resource, hinted_duel

pytestmark = [pytest.mark.slow, pytest.mark.once]

_SEEDS = 200


@pytest.mark.parametrize("name", MUTANTS)
def test_the_search_finds_the_bug(name: str) -> None:
    """A bug put in on purpose breaks the invariant that forbids it, within 200 seeds."""
    _search(name, *MUTANTS[name], "runs")


@pytest.mark.parametrize("name", ASSISTANT_MUTANTS)
def test_the_search_finds_the_bug_of_assistants(name: str) -> None:
    """So does each bug that only assistants can have."""
    _search(name, *ASSISTANT_MUTANTS[name], "assistants")


@pytest.mark.parametrize("name", HINT_MUTANTS)
def test_the_search_finds_the_bug_of_hints(name: str) -> None:
    """So does each bug of a client that takes a hint for what a GET shows, where hints are garbage."""
    _search(name, *HINT_MUTANTS[name], "runs", "garbage")


def _search(name: str, mutant: Mutant, expected: str, resource: Resource, hints: Hints = "none") -> None:
    with mutant():
        for seed in range(_SEEDS):
            # what needs a lost reply under a hint is rare elsewhere
            world = hinted_duel() if name == "hint_as_proof" else None
            breaches = simulate(seed, world=world, resource=resource, hints=hints).violations
            if any(breach.startswith(expected) for breach in breaches):
                print(f"{name}: caught by seed {seed}: {breaches[0]}")
                return
    pytest.fail(f"{name}: {_SEEDS} seeds passed")
