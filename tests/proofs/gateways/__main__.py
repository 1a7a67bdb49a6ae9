"""`python -m tests.proofs.gateways`: drive the gateways that are installed, and print the share of unknown outcomes."""

import argparse
import asyncio
import logging
import tempfile
from pathlib import Path

from .cases import CASES
from .drive import drive
from .programs import missing
from .verdict import breaches, copies


def main() -> int:
    """Return 1 if anything was applied twice or reported falsely."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.gateways", description=__doc__)
    parser.add_argument("--calls", type=int, default=2000, help="how many calls through each gateway")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=sorted(CASES), help="this gateway alone; may be repeated")
    options = parser.parse_args()
    logging.disable()
    total = 0
    for name in options.only or CASES:
        case = CASES[name]
        if absent := missing(*case.programs):
            print(f"{name}: skipped, not installed: {', '.join(absent)}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            driven = asyncio.run(drive(case, options.calls, Path(folder), seed=options.seed))
        found = breaches(driven)
        total += len(found)
        again = f", {copies(driven)} deceived by a copy that the gateway made" if case.repeats else ""
        print(f"{name}: {driven.figures()}\n  {len(found)} breaches{again}", flush=True)
        for breach in found[:20]:
            print(f"    {breach}")
    return 1 if total else 0


if __name__ == "__main__":
    raise SystemExit(main())
