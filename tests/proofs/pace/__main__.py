"""`python -m tests.proofs.pace`: what a pace costs in many random worlds, or in one, with its trace.

The seeds from 0 to 9,999 are for development. Those of `--fresh` are played once a pace has been settled.
"""

import argparse
import sys
import time

from .bounds import (
    Claimed,
    broken,
    claims_of_classics,
    claims_of_gateways,
    claims_of_light_strays,
    claims_of_lone_refusals,
    claims_of_worlds,
)
from .clients import CLIENTS, ours
from .cost import Score, assess
from .gateways import GATEWAYS, play_gateway, play_shared
from .lone_refusals import LIGHT, play_light, play_lone
from .play import play
from .report import FRESH, classic_lines, gateway_lines, lone_lines, play_all, play_classics, table
from .worlds import CLASSES, describe, make_world


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    """Play what is asked for, and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.pace", description=__doc__)
    parser.add_argument("--seeds", default="0-399", metavar="A-B", type=_seeds, help="the worlds of these seeds")
    parser.add_argument("--fresh", action="store_true", help="the 2,000 worlds by which no constant was chosen")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a claim does not hold")
    parser.add_argument("--world", type=int, metavar="SEED", help="one world")
    parser.add_argument("--trace", action="store_true", help="with --world: all that happens")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="this client only; may be repeated")
    parser.add_argument("--classes", nargs="*", choices=CLASSES, help="tables by classes of worlds; by server if empty")
    parser.add_argument("--worst", type=int, default=5, metavar="N", help="describe the N worst worlds")
    parser.add_argument("--classic", action="store_true", help="the classic worlds instead")
    parser.add_argument("--gateways", action="store_true", help="worlds like those of nginx and HAProxy instead")
    parser.add_argument("--strays", action="store_true", help="refusals that stand alone instead")
    parser.add_argument("-j", type=int, default=1, metavar="N", help="processes")
    options = parser.parse_args()
    names: list[str] = options.client or list(CLIENTS)
    classes: list[str] = [] if options.classes is None else options.classes or ["server"]
    started = time.perf_counter()
    claims: list[Claimed] = []
    if options.world is not None:
        _one_world(options.world, names, is_traced=options.trace)
    elif options.classic or options.strays or options.gateways:
        for name in options.client or ["ours"]:
            print(name)
            if options.classic:
                print(*classic_lines(CLIENTS[name]), sep="\n")
            if options.gateways:
                print(*gateway_lines(CLIENTS[name]), sep="\n")
            if options.strays:
                print(*lone_lines(CLIENTS[name]), sep="\n")
        if options.classic:
            claims += claims_of_classics(play_classics(ours))
        if options.gateways:
            claims += claims_of_gateways([play_gateway(ours, name) for name in GATEWAYS], play_shared(ours))
        if options.strays:
            claims += claims_of_lone_refusals(play_lone(ours))
            claims += claims_of_light_strays(play_light(ours, name) for name in LIGHT)
    else:
        names = [*dict.fromkeys([*names, "ours", "plain"])] if options.check else names
        found = _many_worlds(FRESH if options.fresh else options.seeds, names, options.j, classes, options.worst)
        if options.check:
            claims += claims_of_worlds(found["ours"], found["plain"])
    print(f"({time.perf_counter() - started:.1f} s)")
    if not options.check:
        return 0
    for text in broken(claims):
        print(f"does not hold: {text}")
    return bool(broken(claims))


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


def _many_worlds(
    seeds: range, names: list[str], processes: int, classes: list[str], worst: int
) -> dict[str, list[Score]]:
    found = play_all(seeds, names, processes)
    print(*table(found, classes), sep="\n")
    for one in sorted(found[names[0]], key=lambda one: -one.harm)[:worst]:
        figures = f"harm {one.harm:.2f}, cost {one.cost:.2f}, late {one.late}, failed {one.failed}"
        print(f"{one.seed}: {names[0]} {figures}: {describe(make_world(one.seed))}")
    return found


if __name__ == "__main__":
    sys.exit(main())
