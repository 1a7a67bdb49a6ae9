"""The leader: the member that learns the pace for all, from what all have seen, as long as its lease lasts."""

import json
from collections.abc import Callable
from typing import Any

from fielding_async.core.pace.group_learner import GroupLearner

from .group_state import GroupState
from .replies import Reply

__all__ = ["Leader"]

_EARLY = 0.015  # seconds before the end of a pause, when the pace for after it is set
_AT_LEAST_EVERY = 0.5  # seconds: the state of a learner that sees anything is kept so often
_SAME = 0.002  # of the interval: as little is no change


class Leader:
    """What this member has of the learning. `learner`: while it leads; `None` otherwise. Does no input or output."""

    def __init__(self, state: GroupState, clock: Callable[[], float]) -> None:
        self.learner: GroupLearner | None = None
        self.position: str = "$"
        """The id of the latest observation that was taken up."""
        self._state = state
        self._clock = clock
        self._former: GroupLearner | None = None
        self._generation = 0
        self._told: tuple[float, bool, bool, int, bool] | None = None
        self._told_at = 0.0

    def hear(self, reply: Reply) -> None:
        """Start or end to lead, as a reply says that the state has taken up.

        A store that knows no pace gets the one that this member had from it before: the group need not start again.
        """
        if self._state.generation != self._generation:
            self._generation = self._state.generation
            if self.learner is not None:
                self._former, self.learner = self.learner, None
        if not reply.leads:
            if self.learner is not None:
                self._former, self.learner = None, None
            return
        if self.learner is not None:
            return
        self.position = f"{max(int(reply.now * 1000) - 1, 0)}-0"
        found = self._load(reply.state)
        if found is None and self._former is not None:
            found = self._former
            found.epoch, found.has_resumed = reply.epoch, True
        if found is None:
            found = GroupLearner()
            found.epoch = reply.epoch
            interval = reply.window or self._state.former_interval
            if interval > 0:
                found.start_from(1.0 / interval, reply.epoch)
        self.learner, self._former, self._told = found, None, None

    def _load(self, text: bytes) -> GroupLearner | None:
        try:
            kept, position = json.loads(text)
        except (ValueError, TypeError):
            return None
        found = GroupLearner.load(kept)
        if found is not None:
            self.position = str(position)
        return found

    def observe(self, position: bytes, fields: dict[bytes, bytes]) -> None:
        """Take up one entry of the observations."""
        self.position = position.decode()
        learner = self.learner
        if learner is None:
            return
        try:
            if b"s" in fields:
                for kind, epoch, at, speed, waited in json.loads(fields[b"s"]):
                    learner.observe((kind, epoch, at, speed, waited))
            elif b"r" in fields:
                _, at, speed, waited = json.loads(fields[b"r"])
                began, epoch, pause = int(fields[b"b"]), int(fields[b"e"]), float(fields[b"p"]) / 1e6
                learner.refused(epoch, at, speed, pause, waited=waited, is_first=bool(began))
        except (ValueError, TypeError, KeyError):
            return  # of another version, say

    def resumes_at(self) -> float | None:
        """Return when the pace for after the pause has to be set, by the local clock; `None`: it has been."""
        learner, state = self.learner, self._state
        if learner is None or (learner.epoch >= state.epoch and learner.has_resumed):
            return None
        return state.paused_until - _EARLY

    def resume(self) -> None:
        """Find the pace for after the pause."""
        learner, state = self.learner, self._state
        if learner is not None:
            learner.resume(state.clock.stored(max(state.paused_until, self._clock())))
            learner.epoch = max(learner.epoch, state.epoch)  # a pause of which nothing is to be concluded

    def publication(self) -> list[Any] | None:
        """Return what is to be reported to the store: interval, strict, opening, epoch, state; `None` if nothing is."""
        learner = self.learner
        if learner is None:
            return None
        rate = learner.learner
        knows = learner.epoch if learner.has_resumed else learner.epoch - 1
        told = (learner.interval, rate.is_strict, rate.is_opening, knows, learner.has_resumed)
        before, now = self._told, self._clock()
        is_same = before is not None and before[1:] == told[1:] and abs(before[0] - told[0]) <= _SAME * before[0]
        if is_same and now - self._told_at < _AT_LEAST_EVERY:
            return None
        self._told, self._told_at = told, now
        state = json.dumps([learner.dump(), self.position])
        return [f"{learner.interval * 1e6:.3f}", int(rate.is_strict), int(rate.is_opening), max(knows, 0), state]
