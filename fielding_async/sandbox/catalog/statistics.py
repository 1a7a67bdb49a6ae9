"""The statistics of target groups and projects, from the time that target groups were live.

Of a goal, the share `x / (1 + x)` is reached, where `x` is the live time in half-times: completes only ever grow, ever
more slowly, and never reach the goal by themselves. All other counts follow from the completes.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b
from math import ceil
from statistics import fmean, median

from attrs import frozen

from fielding_async.sandbox.serving.dates import floor

from .records import StoredGroup, Traits

__all__ = [
    "GroupStatistics",
    "ProjectStatistics",
    "as_of",
    "group_statistics",
    "project_statistics",
    "traits_for",
    "traits_of",
]

_SECOND = timedelta(seconds=1)
_DAY = 86_400


@frozen
class GroupStatistics:
    """The counts of a target group. Rates are between 0 and 1, money is in ten-thousandths.

    `entrants` came, `prescreens` of them did not drop out, `completes` of those were not screened out.
    """

    goal: int
    completes: int
    prescreens: int
    entrants: int
    last_complete: datetime | None
    price: int
    interview_seconds: int

    @property
    def screenouts(self) -> int:
        """How many were screened out."""
        return self.prescreens - self.completes

    @property
    def incidence(self) -> float:
        """The share of completes among those who did not drop out; 0 without any."""
        return _share(self.completes, self.prescreens)

    @property
    def conversion(self) -> float:
        """The share of completes among entrants; 0 without any."""
        return _share(self.completes, self.entrants)

    @property
    def drop_off(self) -> float:
        """The share of entrants who dropped out; 0 without any."""
        return _share(self.entrants - self.prescreens, self.entrants)

    @property
    def per_click(self) -> int:
        """The earnings for each entrant."""
        return self.price * self.completes // self.entrants if self.entrants else 0


@frozen
class ProjectStatistics:
    """The sums, medians and averages of the target groups of a project. Those without entrants count in sums alone."""

    goal: int
    completes: int
    prescreens: int
    incidence_median: float
    interview_seconds_median: int
    conversion_average: float
    drop_off_average: float


def traits_of(seed: int, group_id: str) -> Traits:
    """Return what the statistics of a target group are made from: the same for the same seed and id."""
    digest = blake2b(f"{seed}/{group_id}".encode(), digest_size=10).digest()
    shares = [int.from_bytes(digest[place : place + 2]) / 65_536 for place in range(0, 10, 2)]
    return Traits(
        half_time=_DAY * (1 + 3 * shares[0]),
        incidence=0.25 + 0.65 * shares[1],
        drop_off=0.05 + 0.25 * shares[2],
        price=10_000 + int(40_000 * shares[3]),
        interview_seconds=300 + int(1_200 * shares[4]),
    )


def traits_for(group: StoredGroup) -> Traits:
    """Return the traits of a target group, made when they are first asked for."""
    if group.traits is None:
        group.traits = traits_of(group.seed, group.id)
    return group.traits


def as_of(now: datetime) -> datetime:
    """Return the time that statistics are of: they are renewed once in a second."""
    return floor(now, _SECOND)


def group_statistics(group: StoredGroup, moment: datetime) -> GroupStatistics:
    """Return the statistics of a target group at a time that `as_of` returned."""
    traits, goal = traits_for(group), group.goal
    until = max(moment, group.counted_at) if group.live else group.counted_at
    live = group.live_seconds + (until - group.counted_at).total_seconds()
    if group.goal_reached:
        completes, last = goal, until
    else:
        completes = int(goal * live / (traits.half_time + live))
        spent = traits.half_time * completes / (goal - completes)
        last = until - timedelta(seconds=max(0.0, live - spent))
    prescreens = ceil(completes / traits.incidence)
    return GroupStatistics(
        goal=goal,
        completes=completes,
        prescreens=prescreens,
        entrants=ceil(prescreens / (1 - traits.drop_off)),
        last_complete=last if completes else None,
        price=traits.price,
        interview_seconds=traits.interview_seconds if completes else 0,
    )


def project_statistics(groups: Iterable[StoredGroup], moment: datetime) -> ProjectStatistics:
    """Return the statistics of a project's target groups at a time that `as_of` returned."""
    each = [group_statistics(group, moment) for group in groups]
    met = [entry for entry in each if entry.completes]
    return ProjectStatistics(
        goal=sum(entry.goal for entry in each),
        completes=sum(entry.completes for entry in each),
        prescreens=sum(entry.prescreens for entry in each),
        incidence_median=round(median(entry.incidence for entry in met), 4) if met else 0.0,
        interview_seconds_median=int(median(entry.interview_seconds for entry in met)) if met else 0,
        conversion_average=round(fmean(entry.conversion for entry in met), 4) if met else 0.0,
        drop_off_average=round(fmean(entry.drop_off for entry in met), 4) if met else 0.0,
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
