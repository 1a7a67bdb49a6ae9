"""Worlds are the same every time, cover what they claim to cover, and no client is faster than the oracle."""

import pytest
from attrs import evolve

from fielding_async import Limits

from .clients import CLIENTS, ours, plain
from .cost import cost_of
from .lone_refusals import LIGHT, light_world, waves_world
from .oracle import consult
from .play import play
from .real_session import comparable, play_really
from .weather import Strays
from .worlds import KINDS, describe, make_world

pytestmark = [pytest.mark.slow, pytest.mark.once]


def test_a_seed_makes_the_same_world_and_the_same_play() -> None:
    """A seed decides everything: the world, its demand, and what becomes of each call."""
    for seed in range(8):
        world, again = make_world(seed), make_world(seed)
        assert world == again
        assert world.plans() == again.plans()
        assert describe(world) == describe(again)
        for client in CLIENTS.values():
            assert play(world, client) == play(again, client), seed
    assert describe(make_world(0)) != describe(make_world(1))


def test_the_worlds_cover_what_they_are_made_of() -> None:
    """In a thousand worlds each kind, shape and style occurs, and the figures lie in their ranges."""
    worlds = [make_world(seed) for seed in range(1000)]
    assert {world.server.kind for world in worlds} == set(KINDS)
    for by, least in (("demand", 8), ("Retry-After", 8), ("sessions", 2), ("weather", 10)):
        assert len({world.class_name(by) for world in worlds}) >= least
    for world in worlds:
        plans = world.plans()
        assert sum(plan.calls for plan in plans) == world.demand.calls
        assert all(list(plan.wants) == sorted(plan.wants) for plan in plans)
        assert 60 <= world.demand.calls <= 1500
        assert 1 <= len(plans) <= 8
        assert 0.5 <= world.server.rate <= 500
        assert 0.002 <= world.network.round_trip <= 0.3
    assert 0.25 < sum(world.strays is not None for world in worlds) / 1000 < 0.42
    assert 0.12 < sum(world.foreign is not None for world in worlds) / 1000 < 0.21


def test_a_failed_call_costs_what_it_takes_to_make_it_again() -> None:
    """A client that fails nine calls of ten is slower than one that takes five times as long and fails none."""
    world = next(world for world in map(make_world, range(100)) if world.demand.shape == "at once")
    ideal = consult(world)
    played = play(world, ours)
    assert not played.errors
    count = played.calls
    patient = evolve(played, ends=tuple([end + 400.0 for end in played.ends]))
    hasty = evolve(played, errors=dict.fromkeys(range(count // 10, count), "failed"))
    assert cost_of(world, played, ideal) < cost_of(world, patient, ideal) < cost_of(world, hasty, ideal)
    few = evolve(played, errors={0: "failed"})
    assert cost_of(world, played, ideal) < cost_of(world, few, ideal) < cost_of(world, hasty, ideal)


def test_the_oracle_is_never_slower_than_a_client() -> None:
    """No client ends earlier, nor has shorter calls; but for waves, where it is the client that lets the next begin."""
    for seed in range(60):
        world = make_world(seed)
        ideal = consult(world)
        for name, client in CLIENTS.items():
            played = play(world, client)
            if played.errors:
                continue  # what was not done took no time
            rounding = 0.002 if world.server.kind == "nginx delay" else 1e-6
            assert played.makespan >= ideal.makespan - rounding, (seed, name)
            if world.demand.shape != "waves":
                latency = (sum(played.ends) - sum(played.wants)) / played.calls
                assert latency >= ideal.latency - rounding, (seed, name)


def test_the_model_of_a_session_fails_calls_as_the_sdk_does() -> None:
    """Where refusals stand alone, and calls have little time, each ends as in the SDK, and at the same time."""
    # among those in between, some reach the server at the same instant, in no order
    worlds = [waves_world(Strays(numbers=(number,))) for number in (1, 7, 13, 25, 29)]
    for name in LIGHT:
        # the shorter `timeout=` cuts calls that wait for a pause, and requests on their way
        worlds += [evolve(light_world(name, seed), timeout=timeout) for seed, timeout in ((0, 10.0), (3, 0.93))]
    calls = same = failed = 0
    for world in map(comparable, worlds):
        model, real = play(world, ours), play_really(world, Limits())
        calls += real.calls
        failed += len(real.errors)
        for number, (one, other) in enumerate(zip(model.ends, real.ends, strict=True)):
            same += abs(one - other) < 0.001 and (number in model.errors) == (number in real.errors)
    assert same >= 0.99 * calls
    assert 0 < failed < 0.5 * calls


def test_the_model_of_a_session_does_what_the_sdk_does() -> None:
    """Worlds played by sessions of the SDK on an event loop in virtual time end in the same way, to the request.

    Where several requests arrive in the same instant, the order is left to chance, and what follows can differ.
    """
    differ: list[str] = []
    for seed in range(24):
        world = comparable(make_world(seed))
        world = evolve(world, demand=evolve(world.demand, calls=min(world.demand.calls, 150)))
        for client, limits in ((ours, Limits()), (plain, Limits(adaptive=False))):
            model, real = play(world, client), play_really(world, limits)
            assert model.calls == real.calls
            same_sends = abs(model.sends - real.sends) <= 1 + 0.01 * real.sends
            same_time = abs(model.makespan - real.makespan) <= 0.001 + 0.001 * real.makespan
            latencies = [sum(one.ends) - sum(one.wants) for one in (model, real)]
            same_latency = abs(latencies[0] - latencies[1]) <= 0.001 * real.calls + 0.01 * latencies[1]
            if not (same_sends and same_time and same_latency and len(model.errors) == len(real.errors)):
                differ.append(f"{seed} {client.__name__}: {describe(world)}")
    assert len(differ) <= 8, differ
