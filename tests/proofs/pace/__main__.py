"""`python -m tests.proofs.pace`: what a pace costs in many random worlds, or in one, with its trace."""

import argparse
import sys
import time

from .clients import CLIENTS
from .cost import assess
from .play import play
from .report import classic_lines, lone_lines, play_all, table
from .worlds import CLASSES, describe, make_world


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    """Play what is asked for, and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.pace", description=__doc__)
    parser.add_argument("--seeds", default="0-399", metavar="A-B", type=_seeds, help="the worlds of these seeds")
    parser.add_argument("--world", type=int, metavar="SEED", help="one world")
    parser.add_argument("--trace", action="store_true", help="with --world: all that happens")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="this client only; may be repeated")
    parser.add_argument("--classes", nargs="*", choices=CLASSES, help="tables by classes of worlds; by server if empty")
    parser.add_argument("--worst", type=int, default=5, metavar="N", help="describe the N worst worlds")
    parser.add_argument("--classic", action="store_true", help="the classic worlds instead")
    parser.add_argument("--strays", action="store_true", help="refusals that stand alone instead")
    parser.add_argument("-j", type=int, default=1, metavar="N", help="processes")
    options = parser.parse_args()
    names: list[str] = options.client or list(CLIENTS)
    classes: list[str] = [] if options.classes is None else options.classes or ["server"]
    started = time.perf_counter()
    if options.world is not None:
        _one_world(options.world, names, is_traced=options.trace)
    elif options.classic or options.strays:
        for name in options.client or ["ours"]:
            print(name)
            if options.classic:
                print(*classic_lines(CLIENTS[name]), sep="\n")
            if options.strays:
                print(*lone_lines(CLIENTS[name]), sep="\n")
    else:
        _many_worlds(options.seeds, names, options.j, classes=classes, worst=options.worst)
    print(f"({time.perf_counter() - started:.1f} s)")
    return 0


def _one_world(seed: int, names: list[str], *, is_traced: bool) -> None:
    world = make_world(seed)
    print(describe(world))

    def trace(at: float, session: int, what: str) -> None:
        print(f"{at:10.4f}  {session}  {what}")

    for name in names:
        if is_traced:
            print(name)
        played = play(world, CLIENTS[name], trace if is_traced else None)
        one = assess(world, played)
        counts = (
            f"sends {played.sends}, 429s {played.refused}, early {played.early}, late {one.late}, failed {one.failed}"
        )
        ratios = f"makespan {one.makespan:.2f}, mean latency {one.latency:.2f}"
        print(f"{name:10} cost {one.cost:.2f} ({ratios}), harm {one.harm:.2f}; {played.calls} calls, {counts}")
        for error in sorted(set(played.errors.values())):
            print(f"{'':10} {list(played.errors.values()).count(error)} x {error}")


def _many_worlds(seeds: range, names: list[str], processes: int, *, classes: list[str], worst: int) -> None:
    found = play_all(seeds, names, processes)
    print(*table(found, classes), sep="\n")
    for one in sorted(found[names[0]], key=lambda one: -one.harm)[:worst]:
        figures = f"harm {one.harm:.2f}, cost {one.cost:.2f}, late {one.late}, failed {one.failed}"
        print(f"{one.seed}: {names[0]} {figures}: {describe(make_world(one.seed))}")


if __name__ == "__main__":
    sys.exit(main())
