"""The send times that a member holds of a shared pace: leased in slices, moved when the pace or the order changes.

The clock is an argument: `due` and `now` are seconds of the local monotonic clock, `stored` is the same time as the
store counts it, in microseconds. Each change that the store makes to the times of all has a number; it concerns the
slots that were leased before it.
"""

from collections.abc import Callable, Iterable

from attrs import define

__all__ = ["Slot", "SlotBook"]


@define(eq=False)
class Slot:
    """A time to send one request. `change`: the latest change of times that it takes account of.

    `after`: the seconds that the shared pace leaves to the slot behind it. `is_probe`: all others wait for the answer.
    """

    stored: float
    due: float
    change: int
    after: float
    is_probe: bool = False


class SlotBook:
    """The slots of one member that are not used yet, in the order of their times."""

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self.lapsed: int = 0
        """How many were not used in time."""

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, slots: Iterable[Slot]) -> None:
        """Take slots in."""
        self._slots = sorted([*self._slots, *slots], key=lambda slot: slot.due)

    def next_due(self, now: float, grace: float) -> float | None:
        """Return the time of the first slot; `None` if there is none. `grace`: seconds by which one may be late."""
        slots = self._slots
        while slots and slots[0].due + grace < now:
            slots.pop(0)
            self.lapsed += 1
        return slots[0].due if slots else None

    def take(self, now: float, grace: float) -> Slot | None:
        """Take out the first slot if its time has come."""
        due = self.next_due(now, grace)
        return self._slots.pop(0) if due is not None and due <= now else None

    def due_by(self, when: float) -> int:
        """Return how many slots are due by this time."""
        return sum(slot.due <= when for slot in self._slots)

    @property
    def last_due(self) -> float:
        """The time of the last slot; minus infinity if there is none."""
        return self._slots[-1].due if self._slots else float("-inf")

    def move(self, change: int, start: float, ratio: float, by: float) -> None:
        """Apply a change: times from `start` on, by the store's clock, are stretched from there, and then moved."""
        for slot in self._slots:
            if slot.change < change:
                slot.change = change
                if slot.stored >= start:
                    stored = start + (slot.stored - start) * ratio + by
                    slot.due += (stored - slot.stored) / 1e6
                    slot.stored = stored

    def retime(self, local: Callable[[float], float]) -> None:
        """Find the local times of all slots again. `local`: the local time of a time of the store, in seconds."""
        for slot in self._slots:
            slot.due = local(slot.stored / 1e6)

    def drop(self, change: float) -> None:
        """Drop what was leased before a change: a pause has started, or (infinity) another store has taken over."""
        self._slots = [slot for slot in self._slots if slot.change >= change]

    def give_back(self, now: float, keep: int) -> list[float]:
        """Take out slots whose time has not come, but for the first `keep`; return their times by the store's clock."""
        kept, others = self._slots[:keep], self._slots[keep:]
        returned = [slot.stored for slot in others if slot.due > now and not slot.is_probe]
        self._slots = [*kept, *(slot for slot in others if slot.due <= now or slot.is_probe)]
        return returned
