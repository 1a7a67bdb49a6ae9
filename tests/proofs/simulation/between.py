"""What stands between the sessions and the exchange: caches, rewriters of ETags, gateways with answers of their own.

Each world has some of them or none (`Between`); what befalls one request is drawn when it is sent (`fates`).
"""

from random import Random
from typing import Literal

from attrs import Factory, define

__all__ = ["Between", "draw_between"]

_FAULTS = (
    "gateway",  # 502, 504, 520 to 529, or a page with 500 or 503; the request lands at once, later or never
    "gateway-page",  # a page with 400, 403, 404, 408, 413 or 429; nothing is forwarded, but for some of the 408s
    "page",  # a page with a 2xx, or a redirect to one, as of a filter or a login; nothing is forwarded
    "other-2xx",  # forwarded, and answered with another 2xx than the documented one, and the new ETag
    "no-etag",  # forwarded, and the ETag of the reply is dropped
)


@define
class Between:
    """The intermediaries of one world. Shares are of requests."""

    cached: float = 0.0  # GETs that a cache answers, if it can
    cache_life: float = 10.0  # seconds for which it keeps what passed it
    says_age: bool = True  # its answers bear an `Age` of at least one second
    obeys: bool = True  # `Cache-Control: no-cache`
    rewritten: float = 0.0  # replies with a body whose ETag is rewritten, unless `identity` was asked for
    etag_form: Literal["suffix", "dropped"] = "suffix"
    rewrites_identity: bool = False  # even then
    faults: dict[str, float] = Factory(dict)

    @property
    def is_blind(self) -> bool:
        """Whether old states are shown in a way that no client can see.

        Then only what rests on the ETags alone can be promised: a write under an ETag that is past is refused, and so
        nothing is applied twice, and nothing is accepted that was not applied. What rests on a GET may be untrue:
        `already` and `unconfirmed` of a state that is over, and `ServerError` because the old ETag was shown.
        """
        return bool(self.cached) and not self.says_age and not self.obeys


def draw_between(dice: Random) -> Between:
    """Draw the intermediaries of a world, few of them in each, so that counter-examples are simple."""
    between = Between()
    kind = dice.choice(["cache", "cache", "gateway", "gateway", "gateway", "rewriter", "all"])
    if kind in {"cache", "all"}:
        between.cached = dice.choice([0.2, 0.4, 0.4, 1.0])
        between.cache_life = dice.choice([1.0, 5.0, 60.0])
        between.says_age, between.obeys = dice.choice([(True, False), (True, False), (True, True), (False, True)])
        if kind == "cache" and dice.random() < 0.15:
            between.says_age = between.obeys = False
    if kind in {"rewriter", "all"}:
        between.rewritten = dice.choice([0.3, 1.0])
        between.etag_form = dice.choice(["suffix", "dropped"])
        between.rewrites_identity = kind == "rewriter" and dice.random() < 0.3
    if kind in {"gateway", "all"}:
        for fault in dice.sample(_FAULTS, 3):
            between.faults[fault] = dice.uniform(0.02, 0.12)
        if dice.random() < 0.25:
            between.faults = {"gateway": 0.5}  # an outage
    return between
