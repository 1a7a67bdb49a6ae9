"""`python -m tests.proofs.simulation`: replay one seed, or search many."""

import argparse
import logging
import sys
from collections import Counter
from contextlib import suppress

from .simulate import simulate
from .world import Hints, Resource, World


def main() -> int:
    """Return 1 if a seed broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed with its timeline")
    parser.add_argument("--resource", choices=["runs", "assistants"], default="runs", help="what the calls are on")
    parser.add_argument("--hints", choices=["none", "true", "garbage"], default="none", help="what sessions are told")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to search")
    parser.add_argument("--start", type=int, default=0, help="the first seed of a search")
    parser.add_argument("--most", type=int, default=20, help="stop after so many failing seeds")
    parser.add_argument("--skip", action="append", default=[], help="breaches with this text do not count")
    parser.add_argument("--run", help="of the timeline, only the lines that name this run")
    parser.add_argument("--measure", action="store_true", help="measure how often a write ends in the unknown")
    options = parser.parse_args()
    logging.disable()
    if options.measure:
        return measure(options.start, options.seeds)
    if options.seed is not None:
        return replay(options.seed, options.run, options.resource, options.hints)
    return search(options.start, options.seeds, options.most, options.skip, options.resource, options.hints)


def replay(seed: int, run: str | None, resource: Resource, hints: Hints) -> int:
    """Print the timeline of a seed and what was wrong with it."""
    simulation = simulate(seed, timeline=True, resource=resource, hints=hints)
    print(simulation.world)
    for line in simulation.timeline.lines:
        if run is None or run in line:
            print(line)
    for breach in simulation.violations:
        print(f"BREACH {breach}")
    return bool(simulation.violations)


def search(start: int, seeds: int, most: int, skip: list[str], resource: Resource, hints: Hints) -> int:
    """Run many seeds; print how each failing one can be replayed, and the counts."""
    command = f"python -m tests.proofs.simulation --resource {resource} --hints {hints}"
    calls = requests = failing = asked = told = 0
    ends: Counter[str] = Counter()
    done = 0
    with suppress(KeyboardInterrupt):
        for seed in range(start, start + seeds):
            simulation = simulate(seed, resource=resource, hints=hints)
            done += 1
            calls += len(simulation.calls)
            requests += len(simulation.network.messages)
            asked += sum(call.hints_asked for call in simulation.calls)
            told += sum(len(call.hints) for call in simulation.calls)
            for call in simulation.calls:
                ends[call.outcome.effect if call.outcome else type(call.error).__name__ if call.error else "read"] += 1
            breaches = [breach for breach in simulation.violations if not any(text in breach for text in skip)]
            if breaches:
                failing += 1
                print(
                    f"{command} --seed {seed}   # {simulation.world.name}",
                    flush=True,
                )
                for breach in breaches[:4]:
                    print(f"    {breach}", flush=True)
                if failing >= most:
                    break
    print(f"{done} seeds, {calls} calls, {requests} requests, {failing} seeds with a breach")
    print(f"{asked} hints asked for, {told} told")
    print(", ".join(f"{name} {count}" for name, count in ends.most_common()))
    return bool(failing)


def measure(start: int, seeds: int) -> int:
    """Print the share of `OutcomeUnknownError` with 5 % of requests lost, 5 % of replies, 5 % of writes contested."""
    ends: dict[str, Counter[str]] = {}
    breaches = 0
    for seed in range(start, start + seeds):
        world = World(
            "measured",
            faults={"drop": 0.05, "mute": 0.05, "rival-before": 0.05},
            rivals_at_reads=False,
            workers=4,
            steps=50,
            runs=8,
            gets=0.0,
            own_timeouts=0.0,
            callables=0.3,
            seen=0.0,
            raises=0.0,
        )
        simulation = simulate(seed, world=world)
        breaches += len(simulation.violations)
        for call in simulation.calls:
            name = call.kind if call.kind in {"status", "update"} else "callable"
            name = "read" if call.kind == "get" else name
            end = call.outcome.effect if call.outcome else type(call.error).__name__
            ends.setdefault(name, Counter())[end] += 1
    for name, counter in sorted(ends.items()):
        unknown = sum(count for end, count in counter.items() if end.startswith("OutcomeUnknown"))
        total = counter.total()
        print(f"{name}: {unknown} of {total} unknown ({unknown / total:.2%}); {dict(counter.most_common())}")
    print(f"{breaches} breaches")
    return bool(breaches)


if __name__ == "__main__":
    sys.exit(main())
