"""The order of the waiting line, against a plain list that is searched anew at every step."""

import random

import pytest

from fielding_async.core.pace.waiting_line import Patience, Priority, Waiter, WaitingLine

_SHARE = 10


class Model:
    """The same line, slowly."""

    def __init__(self) -> None:
        self.waiting: list[Waiter] = []
        self.passed_over = 0

    def first(self, *, with_background: bool) -> Waiter | None:
        """Return who is next."""
        calls = [waiter for waiter in self.waiting if not waiter.priority.is_background]
        rows = [waiter for waiter in self.waiting if waiter.priority.is_background]
        of_rows = with_background and rows and (not calls or self.passed_over >= _SHARE - 1)
        among = rows if of_rows else calls
        return min(among, key=lambda waiter: (waiter.priority, waiter.place), default=None)

    def serve(self, waiter: Waiter) -> None:
        """Take this one out."""
        self.waiting.remove(waiter)
        if waiter.priority.is_background:
            self.passed_over = 0
        else:
            self.passed_over += any(other.priority.is_background for other in self.waiting)


@pytest.mark.parametrize("seed", range(20))
def test_the_line_is_what_a_plain_list_would_be(seed: int) -> None:
    """Whoever enters, leaves, is lifted or served, in any order: the next one is the one that the rules name."""
    dice = random.Random(seed)
    line: WaitingLine[Waiter] = WaitingLine()
    model = Model()
    place = 0
    for _ in range(3000):
        step = dice.random()
        if step < 0.45:
            place += 1
            # a few keep a place of earlier
            waiter = Waiter(dice.choice(list(Priority)), place if step < 0.4 else -place, float(place))
            line.enter(waiter)
            model.waiting.append(waiter)
        elif step < 0.65 and model.waiting:
            leaving = dice.choice(model.waiting)
            line.leave(leaving)
            line.leave(leaving)  # a second time changes nothing
            model.waiting.remove(leaving)
        elif step < 0.75 and model.waiting:
            line.lift(dice.choice(model.waiting))
        else:
            with_background = dice.random() < 0.8
            found = line.first(with_background=with_background)
            assert found is model.first(with_background=with_background)
            if found is not None:
                line.serve(found)
                model.serve(found)
        assert line.waiting == len(model.waiting)
        counts = [sum(waiter.priority is priority for waiter in model.waiting) for priority in Priority]
        assert line.counts == counts
        assert line.ahead_of(Priority.FIRST) == sum(counts[:3])
        assert line.oldest() == min((waiter.since for waiter in model.waiting), default=None)
    assert {id(waiter) for waiter in line.clear()} == {id(waiter) for waiter in model.waiting}
    assert line.waiting == 0


def test_what_no_longer_waits_takes_no_room() -> None:
    """A hundred thousand that gave up behind one that stays leave no more than a few entries behind."""
    line: WaitingLine[Waiter] = WaitingLine()
    line.enter(Waiter(Priority.FIRST, 0, 0.0))
    for place in range(1, 100_000):
        waiter = Waiter(dice_of(place), place, 0.0)
        line.enter(waiter)
        line.leave(waiter)
    assert sum(len(heap) for heap in line._heaps) < 200  # pyright: ignore[reportPrivateUsage]


def dice_of(place: int) -> Priority:
    """Return a class for each place."""
    return Priority(place % len(Priority))


def test_patience_ends_in_order_and_through_three_pauses() -> None:
    """Those that have waited their time give up with the third pause in a row, the others wait on."""
    patience: Patience[Waiter] = Patience()
    early, late = Waiter(Priority.FIRST, 1, 0.0), Waiter(Priority.FIRST, 2, 0.0)
    patience.enter(early, 10.0)
    assert patience.give_up(1.0, 1) == []
    patience.enter(late, 10.0)
    assert patience.give_up(5.0, 2) == []
    assert patience.give_up(9.0, 3) == []
    assert patience.give_up(20.0, 4) == [early, late]
    patience.enter(early, 10.0)
    early.waits = False
    patience.leave()
    assert patience.give_up(100.0, 9) == []
