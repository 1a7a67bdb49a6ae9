"""`python -m tests.proofs.plans_simulation`: replay one seed, or search many."""

import argparse
import logging
import sys
from collections import Counter

from .simulate import simulate


def main() -> int:
    """Return 1 if a seed broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.plans_simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed alone")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to search")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--most", type=int, default=10, help="stop after so many failing seeds")
    options = parser.parse_args()
    logging.disable()
    seeds = [options.seed] if options.seed is not None else range(options.start, options.start + options.seeds)
    ends: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failing = 0
    for seed in seeds:
        result = simulate(seed)
        ends += result.ends
        for name in ("applied", "claims", "met", "kills", "stops", "late"):
            totals[name] += getattr(result, name)
        totals["seeds"] += 1
        if result.breaches:
            failing += 1
            print(f"seed {seed}: {result.scenario}")
            for breach in result.breaches[:8]:
                print(f"  BREACH {breach}")
            if failing >= options.most:
                break
    print(f"{dict(totals)}\nrows: {dict(ends)}\n{failing} seeds failed")
    return bool(failing)


if __name__ == "__main__":
    sys.exit(main())
