"""One seed, from the first call to the last late request, and then the judgement."""

import asyncio
from random import Random

from attrs import Factory, define

from tests.tools.virtual_time import Deadlock, Livelock, VirtualTimeLoop, run

from .assistant_calls import AssistantScenario
from .assistants import AssistantRival, AssistantServer, as_assistants
from .hints import SimHints
from .invariants import check_all
from .leaks import check_at_rest, check_while_quiet
from .network import Network
from .records import CallRecord
from .rivals import Rival
from .scenario import Scenario, moment
from .server import EPOCH, Server
from .timeline import Timeline
from .world import Hints, Resource, World, draw_for_hints, draw_world

__all__ = ["Simulation", "simulate"]

_TROUBLE = 600.0  # seconds of virtual time after which nothing goes wrong any more, so that every call can end
_FOR_EVER = 2000.0  # seconds of virtual time in which every call must have ended
_DAY = 86_400_000


@define(eq=False)
class Simulation:
    """One world, what happened in it, and what was wrong with that."""

    seed: int
    world: World
    server: Server
    network: Network
    scenario: Scenario
    timeline: Timeline
    violations: list[str] = Factory(list)

    @property
    def calls(self) -> list[CallRecord]:
        return self.scenario.calls


def simulate(
    seed: int,
    *,
    world: World | None = None,
    timeline: bool = False,
    resource: Resource = "runs",
    hints: Hints = "none",
) -> Simulation:
    """Run one seed and check all invariants. With a `world`, the seed decides only what happens in it.

    `hints`: what the sessions of a world are told; with such there are two sessions at least.
    """
    dice = Random(seed)
    drawn = draw_world(dice)
    if resource == "assistants":
        drawn = as_assistants(drawn, dice)
    if hints != "none" and world is None:
        drawn.hints = hints
        draw_for_hints(drawn, Random(seed))
    simulation = _build(seed, world or drawn, dice, Timeline(kept=timeline))
    loop = VirtualTimeLoop()
    loop.on_jump = lambda: check_while_quiet(simulation.world, simulation.scenario.actors, simulation.violations)
    try:
        run(_live(simulation), loop=loop)
    except (Deadlock, Livelock) as stuck:
        simulation.violations.append(f"(f) {type(stuck).__name__}: {stuck}")
    else:
        simulation.violations += check_all(simulation.world, simulation.server, simulation.calls)
    return simulation


def _build(seed: int, world: World, dice: Random, timeline: Timeline) -> Simulation:
    is_runs = world.resource == "runs"
    server = (Server if is_runs else AssistantServer)(world, Random(dice.getrandbits(64)))
    clock = EPOCH + 1_000_000
    near = 5_000 if world.ends_near else _DAY
    starts = [clock + near + _DAY * (not world.ends_near) + world.step_ms * place for place in range(3)]
    ends = [max(starts) + near + world.step_ms * place for place in range(1, 5)]
    for number in range(world.runs):
        status = dice.choice(["scheduled", "live", "live", "paused", "completed"])
        start = dice.choice(starts) if status == "scheduled" else clock - _DAY
        server.add_run(f"run{number}", status, start, dice.choice(ends), 0.0)
    delta = max(world.step_ms, world.grain)
    rival = (Rival if is_runs else AssistantRival)(server, Random(dice.getrandbits(64)), starts, ends, delta)
    network = Network(world, Random(dice.getrandbits(64)), server, rival, timeline)
    scenario = (Scenario if is_runs else AssistantScenario)(
        world,
        Random(dice.getrandbits(64)),
        network,
        timeline,
        [moment(start) for start in starts],
        [moment(end) for end in ends],
        delta,
    )
    if world.hints != "none":
        scenario.hints = SimHints(world, server, Random(seed))
    return Simulation(seed, world, server, network, scenario, timeline)


async def _live(simulation: Simulation) -> None:
    loop = asyncio.get_running_loop()
    scenario, network = simulation.scenario, simulation.network
    around = [asyncio.create_task(_colleagues(simulation), name="colleagues")]
    around.append(asyncio.create_task(_weather(simulation), name="weather"))
    end_of_trouble = loop.call_later(_TROUBLE, setattr, network, "quiet", True)
    play = asyncio.create_task(scenario.play(), name="play")
    if not (await asyncio.wait([play], timeout=_FOR_EVER))[0]:
        simulation.violations.append(f"(f) calls go on for {_FOR_EVER:.0f} s")
        for actor in scenario.actors:
            await actor.session.aclose()
    await play
    end_of_trouble.cancel()
    network.quiet = True
    for task in around:
        task.cancel()
    await asyncio.wait(around)
    # let every late request land, and every exchange that outlives its caller end
    await asyncio.sleep(max(0.0, network.last_landing - loop.time()) + simulation.world.timeout.attempt + 1)
    simulation.server.spells.clear()
    for token in simulation.server.tokens:
        simulation.server.tokens[token] = float("inf")  # whether an old token is renewed is not the question here
    simulation.violations += await check_at_rest(scenario.actors, simulation.server, simulation.world)


async def _colleagues(simulation: Simulation) -> None:
    """Write now and then, and let versions step by themselves."""
    world, network, server = simulation.world, simulation.network, simulation.server
    loop = asyncio.get_running_loop()
    dice = network.rival.dice
    rate = world.rivals + world.touches + world.self_pauses
    while rate and not network.quiet:
        await asyncio.sleep(dice.expovariate(rate))
        run_id = f"run{dice.randrange(world.runs)}"
        what = dice.random() * rate
        if what < world.self_pauses:
            network.pause_by_itself(run_id, loop.time())
        elif what < world.self_pauses + world.touches:
            state = server.change(server.runs[run_id], loop.time(), "system")
            simulation.timeline.colleague(loop.time(), f"(no one) {run_id} is now {state.etag}, {state.status}")
        else:
            simulation.timeline.colleague(loop.time(), network.rival.act(run_id, loop.time()))


async def _weather(simulation: Simulation) -> None:
    """Have spells of 401, 403 and 404."""
    world, network = simulation.world, simulation.network
    loop = asyncio.get_running_loop()
    dice = network.rival.dice
    while world.spells and not network.quiet:
        await asyncio.sleep(dice.expovariate(world.spells))
        now = loop.time()
        status = dice.choice([401, 403, 403, 404 if world.resource == "runs" else 403])
        run_id = dice.choice([None, f"run{dice.randrange(world.runs)}"])
        simulation.server.spells.append((now, now + dice.expovariate(1.0), status, run_id))
        simulation.timeline.note(now, "weather", f"a spell of {status} for {run_id or 'all'}")
