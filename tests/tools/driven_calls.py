"""Many calls that were driven through faults: what each ended in, and reports of them made false on purpose."""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Generic, TypeVar

from attrs import define, evolve, field, frozen

from fielding_async import FieldingError, Outcome, OutcomeUnknownError, RunRef, TransportError
from fielding_async.sandbox import Sandbox
from fielding_async.sandbox.faults.script import Script

__all__ = ["Called", "DiceScript", "Driven", "false_reports"]

_Order = TypeVar("_Order")


@frozen
class Called(Generic[_Order]):
    """One call: the run, what was ordered, what it ended in, and how many writes the run had before and after it."""

    ref: RunRef
    order: _Order
    ended: Outcome | FieldingError
    before: int
    after: int


@define
class Driven(Generic[_Order]):
    """What is left when all calls are over. `struck`: how often each kind of fault struck."""

    sandbox: Sandbox
    calls: list[Called[_Order]] = field(factory=list[Called[_Order]], kw_only=True)
    struck: Counter[str] = field(factory=Counter[str], kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)

    def count(self) -> Counter[str]:
        """Return how many calls ended in each effect or class of error."""
        return Counter(
            call.ended.effect if isinstance(call.ended, Outcome) else type(call.ended).__name__ for call in self.calls
        )

    def unknown(self) -> float:
        """Return the share of calls that ended in `OutcomeUnknownError`."""
        return sum(isinstance(call.ended, OutcomeUnknownError) for call in self.calls) / len(self.calls)

    def figures(self) -> str:
        """Return it in two lines."""
        ended = ", ".join(f"{name} {count}" for name, count in self.count().most_common())
        struck = ", ".join(f"{name} {count}" for name, count in sorted(self.struck.items()))
        return (
            f"{len(self.calls)} calls in {self.seconds:.1f} s: {ended}; unknown {self.unknown():.2%}\n  met: {struck}"
        )


class DiceScript(Script):
    """Dice in place of a script: one per run, so that it does not matter how runs take turns with each other."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self._dice: dict[RunRef | None, Random] = {}
        self.struck: Counter[str] = Counter()

    def dice(self, ref: RunRef | None) -> Random:
        """Return the dice of a run."""
        if ref not in self._dice:
            self._dice[ref] = Random(f"{self._seed}/{ref}")
        return self._dice[ref]


def false_reports(calls: Sequence[Called[_Order]]) -> Iterator[list[Called[_Order]]]:
    """Yield the calls with a false report of the first that was accepted: "already", failed, another ETag, left out."""
    number, told = next(
        (number, call.ended)
        for number, call in enumerate(calls)
        if isinstance(call.ended, Outcome) and call.ended.effect == "accepted"
    )
    false: tuple[Outcome | FieldingError, ...] = (
        evolve(told, effect="already"),
        TransportError("nothing was applied", trace_id=told.trace_id),
        evolve(told, etag='W/"0"'),
    )
    before, after = calls[:number], calls[number + 1 :]
    for ended in false:
        yield [*before, evolve(calls[number], ended=ended), *after]
    yield [*before, *after]
