"""What is stored of accounts, projects and target groups."""

from datetime import datetime

from attrs import Factory, define, frozen

from fielding_async.core.models import RunRef

__all__ = ["Change", "StoredAccount", "StoredGroup", "StoredProject", "Traits"]


@frozen
class Traits:
    """What the statistics of a target group are made from.

    `half_time`: the seconds of live time in which half of the completes arrive. `price`: of an interview, in
    ten-thousandths. `interview_seconds`: the median length of an interview.
    """

    half_time: float
    incidence: float
    drop_off: float
    price: int
    interview_seconds: int


@frozen
class Change:
    """Changes of a target group made at the same time: the user who made them, and the JSON object of each.

    `number` counts the changes of the target group from 1. `user` is a user id, `"system"` for the clock,
    `"marketplace"` for the exchange itself.
    """

    number: int
    at: datetime
    user: str
    items: tuple[dict[str, object], ...]


@define(eq=False)
class StoredAccount:
    """An account and its projects, in the order of creation."""

    id: int
    name: str
    projects: "list[StoredProject]" = Factory(list["StoredProject"])
    used_ids: set[str] = Factory(set[str])


@define(eq=False, kw_only=True)
class StoredProject:
    """A project and its target groups, in the order of creation. `place`: its index in the account."""

    account: StoredAccount
    id: str
    place: int
    human_readable_id: str
    name: str
    status: str
    manager: str
    reference: str | None
    created_at: datetime
    active_at: datetime
    groups: "list[StoredGroup]" = Factory(list["StoredGroup"])
    revision: int = 0


@define(eq=False, kw_only=True)
class StoredGroup:
    """A target group. `place`: its index in the project. `status` follows that of its run, if it has one.

    `traits` are made from `seed` when the first statistics are asked for.

    `live_seconds`: how long it was live until `counted_at`; `live` says whether it has been live since then.
    """

    project: StoredProject
    id: str
    place: int
    human_readable_id: str
    name: str
    status: str
    country: str
    language: str
    manager: str
    reference: str | None
    goal: int
    exclusion: bool
    created_at: datetime
    updated_at: datetime
    seed: int
    run: RunRef | None = None
    goal_reached: bool = False
    live_seconds: float = 0.0
    counted_at: datetime
    live: bool = False
    changes: list[Change] = Factory(list[Change])
    change_count: int = 0
    traits: Traits | None = None
