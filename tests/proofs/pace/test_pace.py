"""The pace does no harm: bounds for random worlds, the classic ones, and refusals that stand alone.

`nox -s pace` plays two thousand worlds by which no constant was chosen.
"""

import pytest

from .bounds import (
    broken,
    claims_of_classics,
    claims_of_gateways,
    claims_of_light_strays,
    claims_of_lone_refusals,
    claims_of_worlds,
)
from .classic import play_classic
from .clients import ours, plain
from .cost import score
from .gateways import GATEWAYS, play_gateway, play_shared
from .lone_refusals import LIGHT, play_light, play_lone
from .mutants import AlwaysSlower, EveryRefusal
from .play import MakePacer
from .report import play_classics

pytestmark = [pytest.mark.slow, pytest.mark.once]

SEEDS = range(60)
SLACK = 1.15  # a few worlds are not like thousands


def _broken_by_worlds(client: MakePacer) -> list[str]:
    found, obedient = ([score(seed, one) for seed in SEEDS] for one in (client, plain))
    return broken(claims_of_worlds(found, obedient, slack=SLACK))


def test_the_pace_does_no_harm_in_random_worlds() -> None:
    """Nowhere is a session much slower than with plain obedience, and hardly a request is sent in vain."""
    assert _broken_by_worlds(ours) == []


def test_the_classic_worlds_are_won() -> None:
    """A limit is found with few refusals and little time lost; a pace follows one that rises or falls."""
    assert broken(claims_of_classics(play_classics(ours))) == []


@pytest.mark.parametrize("round_trip", [0.005, 0.02, 0.1])
def test_a_refusal_that_stands_alone_costs_its_pause(round_trip: float) -> None:
    """A lone 429 at any of the first thirty requests, without a limit, costs its pause and next to nothing else."""
    assert broken(claims_of_lone_refusals(play_lone(ours, round_trip=round_trip))) == []


def test_real_gateways_do_not_slow_the_pace_down() -> None:
    """At limits as nginx and HAProxy have them, without Retry-After, and among four processes, little time is lost."""
    assert broken(claims_of_gateways([play_gateway(ours, name) for name in GATEWAYS], play_shared(ours))) == []


def test_light_demand_is_not_punished_for_strays() -> None:
    """Single 429s at a few calls a second fail none, and cost the slow calls their pause; on a busy event loop too."""
    assert broken(claims_of_light_strays(play_light(ours, name) for name in LIGHT)) == []


@pytest.mark.parametrize("mutant", [EveryRefusal, AlwaysSlower])
def test_a_learner_that_believes_every_refusal_is_caught(mutant: MakePacer) -> None:
    """One that takes each refusal for its own rate limit breaks the claims about worlds, lone refusals and strays."""
    assert "harm max" in " ".join(_broken_by_worlds(mutant))
    assert len(broken(claims_of_lone_refusals(play_lone(mutant)))) > 10
    assert broken(claims_of_light_strays(play_light(mutant, name) for name in LIGHT))


def test_sending_without_a_pace_is_caught() -> None:
    """Plain obedience sends too much in the classic worlds, and where requests must be spaced it takes far too long."""
    assert "extra sends" in " ".join(_broken_by_worlds(plain))
    window = play_classic("100 at 10/s", "fixed window 1 s", strict=False, make_pacer=plain)
    spacing = play_classic("100 at 10/s", "strict spacing", strict=False, make_pacer=plain)
    assert len(broken(claims_of_classics([window]))) == 1  # sends
    assert len(broken(claims_of_classics([spacing]))) == 2  # time as well
