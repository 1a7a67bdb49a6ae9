"""`python -m tests.proofs.pace`: play many worlds, or one with its trace."""
import argparse
import sys
import time
from collections import defaultdict
from multiprocessing import Pool

from .clients import CLIENTS
from .cost import Score, assess, percentile, score
from .play import play
from .worlds import describe, make_world


def _one(task: tuple[int, str]) -> tuple[str, Score]:
    seed, name = task
    return name, score(seed, CLIENTS[name])


def _row(name: str, scores: list[Score]) -> str:
    harm = [one.harm for one in scores]
    cost = [one.cost for one in scores]
    sends = [one.extra_sends for one in scores]
    harms = " ".join(f"{percentile(harm, share):6.2f}" for share in (0.5, 0.9, 0.99, 1.0))
    costs = " ".join(f"{percentile(cost, share):6.2f}" for share in (0.5, 0.9, 1.0))
    extra = " ".join(f"{percentile(sends, share):6.2f}" for share in (0.5, 0.9))
    late, failed = sum(one.late for one in scores), sum(one.failed for one in scores)
    return f"{name:18} {len(scores):5} {harms} | {costs} | {extra} | {late:6} {failed:6}"


HEAD = f"{'':18} {'n':>5} {'harm p50, p90, p99, max':>27} | {'cost p50, p90, max':>20} | {'extra p50,p90':>13} |   late failed"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.pace", description=__doc__)
    parser.add_argument("--seeds", default="0-399")
    parser.add_argument("--world", type=int)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--client", action="append")
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--worst", type=int, default=5)
    parser.add_argument("-j", type=int, default=1)
    options = parser.parse_args()
    names = options.client or list(CLIENTS)
    if options.world is not None:
        world = make_world(options.world)
        print(describe(world))
        for name in names:
            trace = (lambda at, who, what: print(f"{at:10.4f} {who} {what}")) if options.trace else None
            print(name, assess(world, play(world, CLIENTS[name], trace)))
        return 0
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    found: dict[str, list[Score]] = defaultdict(list)
    started = time.perf_counter()
    tasks = [(seed, name) for seed in seeds for name in names]
    if options.j > 1:
        with Pool(options.j) as pool:
            for name, one in pool.imap(_one, tasks, chunksize=4 * len(names)):
                found[name].append(one)
    else:
        for task in tasks:
            name, one = _one(task)
            found[name].append(one)
    print(HEAD)
    for name in names:
        print(_row(name, found[name]))
    if options.classes:
        for name in names:
            print(name)
            classes = defaultdict(list)
            for one in found[name]:
                classes[one.class_name].append(one)
            for kind, scores in sorted(classes.items()):
                print(_row(kind, scores))
    for one in sorted(found[names[0]], key=lambda one: -one.harm)[: options.worst]:
        print(f"{one.seed}: harm {one.harm:.2f} cost {one.cost:.2f} failed {one.failed} late {one.late}: {describe(make_world(one.seed))}")
    print(f"{time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
