"""The GET of a run that shows whether the exchange can be used. It never writes."""

from collections.abc import Collection, Iterable

from fielding_async.core.config import TimeoutArg
from fielding_async.core.conflict.row_ends import exchange_answers
from fielding_async.core.errors import SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.engine.engine import Engine
from fielding_async.engine.run_fetch import fetch_run

__all__ = ["GoodRuns", "probe"]


class GoodRuns:
    """The last two runs on which a row succeeded: one of them is another run than that of a row in trouble."""

    def __init__(self) -> None:
        self._last: RunRef | None = None
        self._before: RunRef | None = None

    def add(self, ref: RunRef) -> None:
        """Add the run of a row that succeeded."""
        if ref != self._last:
            self._last, self._before = ref, self._last

    def pick(self, troubled: Collection[RunRef], others: Iterable[RunRef]) -> RunRef:
        """Return the run to look at: one that succeeded, else one of `others`, else one of those in trouble."""
        for ref in (self._last, self._before, *others):
            if ref is not None and ref not in troubled:
                return ref
        return next(iter(troubled))


async def probe(engine: Engine, ref: RunRef, timeout: TimeoutArg) -> Exception | None:
    """GET a run. Returns `None` if the exchange answers for it, else what went wrong.

    Raises `SessionClosedError`.
    """
    try:
        with engine.call("get", timeout, ref=ref, is_background=True) as call:
            await fetch_run(engine.sender, engine.memory, call, ref, settling=False)
    except SessionClosedError:
        raise
    except Exception as error:  # noqa: BLE001 - a caller's source of tokens may raise anything
        return None if exchange_answers(error) else error
    return None
