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
    rival: str | None = None  # "before", "after", "same" or "exchange"
    choice: float = 0.0  # picks among the forms of a fault
    stale: float = 0.0  # how old the state is that a GET is answered with
    repeat: float | None = None  # after which a load balancer sends it again
    lands: float | None = None  # seconds after a gateway's answer in which the request reaches the exchange
    is_cached: bool = False  # it comes to a cache
    is_compressed: bool = False  # its reply passes a compressor
    pick: float = 0.0  # picks among stored answers, and among pages


def draw_fate(world: World, dice: Random, *, timeout: float, quiet: bool) -> Fate:
    """Draw the fate of one request; in the `quiet` at the end of the world nothing goes wrong."""
    random = dice.random
    fate = Fate(out=world.latency * (0.5 + random()), back=world.latency * (0.5 + random()))
    if random() < 0.1:
        fate.connect = world.latency * random()
    between = world.between
    if between is not None:
        fate.is_cached = random() < between.cached
        fate.is_compressed = random() < between.rewritten
        fate.pick = random()
    if quiet:
        # what is there for good stays there
        always = between is not None and between.rewrites_identity and between.rewritten == 1
        return Fate(out=0.01, back=0.01, is_compressed=always)
    if world.tail and random() < world.tail:
        fate.out += random() * timeout
        fate.back += random() * timeout
    if world.lag and random() < world.lag_share:
        fate.stale = random() * world.lag
    if world.repeats and random() < world.repeats:
        fate.repeat = world.latency * random() * 3
    shares = {**world.faults, **between.faults} if between is not None else world.faults
    for name, share in shares.items():
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
    elif fate.kind in {"gateway", "gateway-page", "fail-before"}:
        fate.lands = dice.choice([None, dice.random() * 0.2, dice.random() * 2, 5 + 25 * dice.random()])
    elif fate.kind == "refuse" and dice.random() < 0.3:
        fate.connect = timeout * 2
