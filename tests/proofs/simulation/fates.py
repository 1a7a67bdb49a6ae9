"""What befalls one request: drawn when it is sent, so that one die decides latency and fault together."""

from random import Random

from attrs import define

from .world import World

__all__ = ["Fate", "draw_fate"]


@define(eq=False)
class Fate:
    """The fate of one request. Times are seconds; `cut`: after which the client sees a cut, `None` for a silence."""

    kind: str = "ok"
    connect: float = 0.0
    out: float = 0.0
    back: float = 0.0
    cut: float | None = None
    rival: str | None = None  # "before", "after" or "same"
    choice: float = 0.0  # picks among the forms of a fault
    stale: float = 0.0  # how old the state is that a GET is answered with
    repeat: float | None = None  # after which a load balancer sends it again


def draw_fate(world: World, dice: Random, *, timeout: float, quiet: bool) -> Fate:
    """Draw the fate of one request; in the `quiet` at the end of the world nothing goes wrong."""
    random = dice.random
    fate = Fate(out=world.latency * (0.5 + random()), back=world.latency * (0.5 + random()))
    if random() < 0.1:
        fate.connect = world.latency * random()
    if quiet:
        return Fate(out=0.01, back=0.01)
    if world.tail and random() < world.tail:
        fate.out += random() * timeout
        fate.back += random() * timeout
    if world.lag and random() < world.lag_share:
        fate.stale = random() * world.lag
    if world.repeats and random() < world.repeats:
        fate.repeat = world.latency * random() * 3
    for name, share in world.faults.items():
        if random() >= share:
            continue
        if name.startswith("rival"):
            fate.rival = name.removeprefix("rival-")
        else:
            fate.kind = name
    if fate.kind != "ok":
        _draw_details(fate, dice, timeout)
    return fate


def _draw_details(fate: Fate, dice: Random, timeout: float) -> None:
    fate.choice = dice.random()
    if dice.random() < 0.6:
        fate.cut = dice.random() * min(timeout, fate.out + fate.back)
    if fate.kind == "straggle":
        fate.out += dice.choice([0.3, 1.0, 1.0, 5.0, 20.0]) * dice.random() * timeout
    elif fate.kind == "slow":
        fate.cut = None
        fate.back = timeout * (1 + dice.random())
    elif fate.kind == "refuse" and dice.random() < 0.3:
        fate.connect = timeout * 2
