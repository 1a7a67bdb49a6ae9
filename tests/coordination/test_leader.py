"""The member that learns for all, when the store comes back with less than it had, or as it was."""

import pytest

from fielding_async.coordination.group_state import Asked, GroupState
from fielding_async.coordination.leader import Leader
from fielding_async.coordination.replies import Reply
from tests.tools.waits import HANG

OPENING = 0.117647  # seconds between requests, of a store that knows nothing


def _reply(count: int, interval: float, *, epoch: int = 0, leads: bool = True, is_opening: bool = False) -> Reply:
    return Reply(
        count=count,
        now=1000.0 + count,
        epoch=epoch,
        until=0.0,
        row=0,
        change=0,
        members=8,
        active=8,
        interval=interval,
        is_strict=False,
        is_opening=is_opening,
        waits_for_probe=False,
        leads=leads,
        is_probe=False,
        is_free=False,
        has_batch=False,
        state=b"",
        slots=(),
        pushed=0,
        window=0.0,
    )


class _Member:
    """What one member hears, reply by reply."""

    def __init__(self) -> None:
        self.state = GroupState(HANG)
        self.leader = Leader(self.state, lambda: 0.0)

    def hear(self, reply: Reply) -> None:
        self.state.hear_reply(reply, 0.0, 0.001, Asked(self.state.count, has_refusal=False), b"server")
        self.leader.hear(reply)

    @property
    def pace(self) -> float:
        assert self.leader.learner is not None
        return self.leader.learner.learner.pace


def test_a_member_that_leads_an_empty_store_goes_on_at_the_last_shared_pace() -> None:
    """The store was away, comes back empty, and is led by a member that did not lead before."""
    member = _Member()
    member.hear(_reply(50, 0.01, epoch=4, leads=False))
    member.state.lose()
    member.hear(_reply(1, OPENING))
    assert member.pace == pytest.approx(100.0)
    publication = member.leader.publication()
    assert publication is not None
    assert float(publication[0]) == pytest.approx(10_000.0)


def test_a_leader_goes_on_with_what_it_knew_and_counts_pauses_as_the_store_does() -> None:
    """The store was away and comes back empty: the pauses of before it are not those of after it."""
    member = _Member()
    member.hear(_reply(50, 0.01, epoch=4))
    before = member.leader.learner
    member.state.lose()
    member.hear(_reply(1, OPENING, epoch=0))
    assert member.leader.learner is before
    assert before is not None
    assert before.epoch == 0


@pytest.mark.parametrize("is_opening", [False, True])
def test_a_member_that_knows_no_pace_starts_from_nothing(*, is_opening: bool) -> None:
    """It is the first of all, or the store was lost before a pace had been found."""
    member = _Member()
    if is_opening:
        member.hear(_reply(5, OPENING, leads=False, is_opening=True))
        member.state.lose()
    member.hear(_reply(1, OPENING, is_opening=True))
    assert member.leader.learner is not None
    assert member.leader.learner.learner.is_opening
