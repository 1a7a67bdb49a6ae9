"""`python -m tests.simulation`: replay one seed, or search many."""

import argparse
import logging
import sys
from collections import Counter

from .simulate import simulate


def main() -> int:
    """Return 1 if a seed broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed with its timeline")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to search")
    parser.add_argument("--start", type=int, default=0, help="the first seed of a search")
    parser.add_argument("--most", type=int, default=20, help="stop after so many failing seeds")
    parser.add_argument("--skip", action="append", default=[], help="breaches with this text do not count")
    parser.add_argument("--run", help="of the timeline, only the lines that name this run")
    options = parser.parse_args()
    logging.disable()
    if options.seed is not None:
        return replay(options.seed, options.run)
    return search(options.start, options.seeds, options.most, options.skip)


def replay(seed: int, run: str | None) -> int:
    """Print the timeline of a seed and what was wrong with it."""
    simulation = simulate(seed, timeline=True)
    print(simulation.world)
    for line in simulation.timeline.lines:
        if run is None or run in line:
            print(line)
    for breach in simulation.violations:
        print(f"BREACH {breach}")
    return bool(simulation.violations)


def search(start: int, seeds: int, most: int, skip: list[str]) -> int:
    """Run many seeds; print how each failing one can be replayed, and the counts."""
    calls = requests = failing = 0
    ends: Counter[str] = Counter()
    for seed in range(start, start + seeds):
        simulation = simulate(seed)
        calls += len(simulation.calls)
        requests += len(simulation.network.messages)
        for call in simulation.calls:
            ends[call.outcome.effect if call.outcome else type(call.error).__name__ if call.error else "read"] += 1
        breaches = [breach for breach in simulation.violations if not any(text in breach for text in skip)]
        if breaches:
            failing += 1
            print(f"python -m tests.simulation --seed {seed}   # {simulation.world.name}")
            for breach in breaches[:4]:
                print(f"    {breach}")
            if failing >= most:
                seeds = seed + 1 - start
                break
    print(f"{seeds} seeds, {calls} calls, {requests} requests, {failing} seeds with a breach")
    print(", ".join(f"{name} {count}" for name, count in ends.most_common()))
    return bool(failing)


if __name__ == "__main__":
    sys.exit(main())
