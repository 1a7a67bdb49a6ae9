"""What kind of world a seed makes: how the exchange behaves, how bad the network is, what the sessions are like."""

from random import Random
from typing import Literal

from attrs import Factory, define, field

from fielding_async import Limits, Retry, Timeout

from .between import Between, draw_between

__all__ = ["FAULTS", "Auth", "Hints", "Resource", "World", "draw_for_hints", "draw_world", "hinted_duel"]

Resource = Literal["runs", "assistants"]
Auth = Literal["static", "callable", "credentials"]
Hints = Literal["none", "true", "garbage"]

FAULTS = (
    "refuse",  # the connection is refused
    "drop",  # the request is lost
    "straggle",  # the request is lost to the client, and lands later, maybe long after it gave up
    "mute",  # applied, and the reply is lost
    "slow",  # applied, and the reply comes after the attempt's timeout
    "fail-before",  # 5xx or 408, nothing applied
    "fail-after",  # 5xx or 408, applied all the same
    "throttle",  # 429, with each form of Retry-After
    "unreadable",  # applied, and a reply that cannot be read: redirect, wrong status, junk body
    "no-etag",  # applied, and a reply without a usable ETag
    "bad-request",  # 400
    "unauthorized",  # 401
    "forbidden",  # 403
    "missing",  # 404
    "rival-before",  # a colleague writes just before the request is judged
    "rival-after",  # a colleague writes just after
    "rival-same",  # a colleague makes the very change that was asked for, just before
)

_DUELS = ("duel", "coarse duel", "lagging duel", "clock duel", "dates duel", "dates duel", "busy duel")
_KINDS = ("calm", "mild", "mild", "mild", "mild", "faulty", "faulty", "wild", "wild", "strange", *_DUELS)


@define
class World:
    """Everything that a seed fixes before the first call."""

    name: str
    resource: Resource = "runs"
    faults: dict[str, float] = Factory(dict)
    # the exchange
    state_first: bool = False  # state is judged before the ETag
    widest_step: int = 1  # versions step by 1 to this
    opaque_etags: bool = False
    grain: int = 1  # milliseconds to which dates are cut when stored
    lag: float = 0.0  # reads may be this old, in seconds
    lag_share: float = 0.0  # how many of them
    visible_after: float = 0.0  # an applied write shows in reads only after this time
    ends_near: bool = False  # runs come to their starts and ends while we look
    clock_steps: bool = True  # and that steps the version
    noop_keeps_etag: bool = False
    late_server_errors: bool = False  # a request that the exchange answered with 502, 504 or 408 may land afterwards
    self_pauses: float = 0.0  # live runs that the exchange pauses by itself, a second
    pause_steps_version: bool = True
    pause_steps_etag: bool = True
    touches: float = 0.0  # versions that step by themselves, a second
    rivals: float = 0.0  # a colleague's writes, a second
    rivals_at_reads: bool = True  # whether GETs too can meet a colleague's write
    spells: float = 0.0  # spells of 401, 403 and 404, a second
    repeats: float = 0.0  # requests that a load balancer repeats
    token_life: float = 1e9
    expired_status: int = 403
    # assistants
    answers_etag: bool = False  # the reply to a write bears the new ETag
    shows_404: bool = True  # a GET of what is not there yet is answered with 404, else with an empty object
    starts_absent: float = 0.0  # how many are not there at first
    # the network
    between: Between | None = None
    latency: float = 0.02
    tail: float = 0.0
    # the sessions
    sessions: int = 1
    workers: int = 3
    steps: int = 10
    runs: int = 2
    pause_between: float = 0.1
    cancels: float = 0.0
    own_timeouts: float = 0.2
    gets: float = 0.15
    callables: float = 0.2
    dated: float = 0.4  # of the plain orders, how many are updates
    both_bounds: float = 0.2  # of these, how many name both bounds
    seen: float = 0.1
    old_seen: float = 0.3  # how many of these rest on an old look
    raises: float = 0.05
    restarts: float = 0.0
    forgets: float = 0.0  # how many calls find that their run was forgotten, as after a job
    auth: Auth = "static"
    hints: Hints = "none"  # of what other sessions have read: none, true ones, or anything at all
    step_ms: int = 3_600_000  # between the dates that updates choose from
    limits: Limits = field(factory=Limits)
    retry: Retry = field(factory=Retry)
    timeout: Timeout = field(factory=Timeout)

    @property
    def is_lagging(self) -> bool:
        """Whether GETs may show an old state in a way that no client can see."""
        return self.lag > 0 or self.visible_after > 0 or (self.between is not None and self.between.is_blind)

    @property
    def breaks_etags(self) -> bool:
        """Whether ETags are rewritten or dropped whatever the request asks for: then hardly anything can succeed."""
        return self.between is not None and self.between.rewritten > 0 and self.between.rewrites_identity

    @property
    def has_silent_changes(self) -> bool:
        """Whether the exchange changes a status under the same ETag."""
        return not self.clock_steps or (self.pauses and not self.pause_steps_etag)

    @property
    def pauses(self) -> bool:
        """Whether the exchange pauses runs by itself."""
        return self.self_pauses > 0 or "rival-exchange" in self.faults


def draw_world(dice: Random) -> World:
    """Draw a world: half of them mild, so that simple mistakes have simple counter-examples."""
    kind = dice.choice(_KINDS)
    world = World(kind)
    _draw_sessions(world, dice)
    if kind in _DUELS:
        _draw_duel(world, dice, kind)
    elif kind != "calm":
        heaviest = {"mild": 0.05, "faulty": 0.12, "wild": 0.2, "strange": 0.08}[kind]
        for fault in dice.sample(FAULTS, {"mild": 3, "faulty": 6, "wild": 11, "strange": 6}[kind]):
            world.faults[fault] = dice.uniform(0.01, heaviest)
    world.rivals = dice.choice([0, 0, 0.2, 1.0, 3.0])
    world.state_first = dice.random() < 0.4
    world.opaque_etags = dice.random() < 0.3
    if kind in {"strange", "wild"}:
        _draw_switches(world, dice)
    if dice.random() < 0.5:
        world.between = draw_between(dice)
    if dice.random() < 0.3:
        _draw_pauses(world, dice)
    return world


def hinted_duel() -> World:
    """Return a world of lost replies under hints, with a colleague who answers at once what was applied."""
    world = World("hinted duel", faults={"mute": 0.4, "rival-after": 0.5}, hints="garbage", sessions=2, workers=1)
    world.steps, world.runs, world.gets, world.forgets = 60, 1, 0.05, 0.95
    world.callables = world.dated = world.seen = world.raises = world.own_timeouts = 0.0
    return world


def draw_for_hints(world: World, dice: Random) -> None:
    """Have several sessions that know little of their runs, and many plain status actions."""
    world.sessions = dice.choice([2, 2, 3])
    world.workers = min(world.workers, 4)
    world.steps = max(2, 110 // (world.sessions * world.workers))
    world.runs = dice.choice([1, 2, 2, 4])
    world.callables, world.dated = 0.1, 0.15
    world.restarts = dice.choice([0.02, 0.1, 0.2])
    world.forgets = dice.choice([0.1, 0.5, 0.9])
    if dice.random() < 0.3:
        # replies are lost, and colleagues answer at once what was applied
        world.faults = {"mute": 0.3, "rival-after": 0.6}
        world.runs, world.rivals, world.dated, world.forgets = 1, 0.0, 0.05, 0.9


def _draw_pauses(world: World, dice: Random) -> None:
    """Have the exchange pause live runs by itself."""
    world.self_pauses = dice.choice([0.0, 0.2, 1.0])
    world.faults["rival-exchange"] = dice.choice([0.05, 0.2])
    world.pause_steps_version, world.pause_steps_etag = dice.choice(
        [(True, True), (True, True), (False, False), (True, False), (False, True)]
    )


def _draw_duel(world: World, dice: Random, kind: str) -> None:
    """Everything on one run, with lost and late requests, colleagues who do the same, and impatient callers."""
    world.runs = 1
    world.faults = {
        fault: dice.choice([0.0, 0.05, 0.2])
        for fault in ("drop", "straggle", "mute", "slow", "fail-after", "rival-before", "rival-after", "rival-same")
    }
    world.cancels = dice.choice([0.0, 0.1, 0.3])
    world.seen = dice.choice([0.0, 0.2, 0.5])
    world.old_seen = dice.choice([0.3, 0.9])
    world.gets = dice.choice([0.1, 0.3])
    world.noop_keeps_etag = dice.random() < 0.3
    world.widest_step = dice.choice([1, 1, 2])
    world.touches = dice.choice([0.0, 0.0, 1.0])
    if kind == "coarse duel":
        world.grain, world.step_ms = dice.choice([(60_000, 20_000), (60_000, 20_000), (1000, 500), (3_600_000, 60_000)])
        world.callables, world.dated = 0.1, 0.8
    elif kind == "lagging duel":
        world.lag = dice.choice([0.5, 5.0])
        world.lag_share = dice.choice([0.2, 0.5])
    elif kind == "dates duel":
        world.callables, world.dated, world.both_bounds = 0.1, 0.9, 0.6
        world.faults.update({"drop": 0.15, "rival-before": 0.2})
        world.noop_keeps_etag, world.widest_step, world.touches = False, 1, 0.0
    elif kind == "busy duel":
        # lost requests alone, and colleagues between any two of ours
        world.callables, world.dated, world.both_bounds = 0.0, 0.7, 0.5
        world.faults = {"drop": 0.3, "rival-before": 0.6}
        world.noop_keeps_etag, world.widest_step, world.touches = False, 1, 0.0
        world.cancels, world.seen = 0.0, 0.0
    elif kind == "clock duel":
        world.ends_near, world.clock_steps = True, False
        world.callables, world.dated = 0.1, 0.1


def _draw_switches(world: World, dice: Random) -> None:
    world.widest_step = dice.choice([1, 1, 2, 3])
    world.grain = dice.choice([1, 1, 1000, 60_000, 60_000, 3_600_000])
    if dice.random() < 0.3:
        world.lag = dice.choice([0.05, 0.5, 5.0])
        world.lag_share = dice.choice([0.1, 0.5, 1.0])
    if dice.random() < 0.2:
        world.visible_after = dice.choice([0.05, 0.5, 3.0])
    world.ends_near = dice.random() < 0.4
    world.clock_steps = dice.random() < 0.5
    world.noop_keeps_etag = dice.random() < 0.3
    world.late_server_errors = dice.random() < 0.15
    world.touches = dice.choice([0, 0, 0.1, 1.0])
    world.spells = dice.choice([0, 0, 0.02, 0.1])
    if dice.random() < 0.12:
        world.repeats = dice.uniform(0.02, 0.3)


def _draw_sessions(world: World, dice: Random) -> None:
    world.sessions = dice.choice([1, 1, 2, 2, 3])
    world.workers = dice.choice([1, 2, 4, 8])
    world.steps = max(2, 110 // (world.sessions * world.workers))
    world.runs = dice.choice([1, 1, 2, 4])
    world.pause_between = dice.choice([0.0, 0.02, 0.3, 2.0])
    world.cancels = dice.choice([0, 0, 0.05, 0.25])
    world.restarts = dice.choice([0, 0, 0, 0.02])
    world.latency = dice.choice([0.002, 0.02, 0.2])
    world.tail = dice.choice([0, 0, 0.02])
    world.callables = dice.choice([0.1, 0.25, 0.5])
    world.seen = dice.choice([0, 0.1, 0.3])
    world.raises = dice.choice([0, 0.05, 0.2])
    world.own_timeouts = dice.choice([0, 0.1, 0.4])
    world.auth = dice.choice(["static", "static", "static", "callable", "credentials"])
    if world.auth != "static":
        world.token_life = dice.choice([1e9, 5.0, 60.0])
        world.expired_status = dice.choice([403, 403, 401])
    world.step_ms = dice.choice([3_600_000, 86_400_000, 60_000, 20_000, 500])
    world.limits = Limits(
        concurrency=dice.choice([1, 2, 8, 32]),
        rate=dice.choice([None, None, 20.0, 200.0]),
        burst=dice.choice([1, 5]),
        max_pause=dice.choice([120.0, 3.0]),
    )
    world.retry = Retry(
        max_attempts=dice.choice([1, 2, 5, 5]), base=dice.choice([0.01, 0.5]), cap=dice.choice([1.0, 20.0])
    )
    attempt = dice.choice([0.5, 2.0, 20.0])
    world.timeout = Timeout(total=dice.choice([3.0, 20.0, 60.0, None]), attempt=attempt, connect=attempt / 2)
