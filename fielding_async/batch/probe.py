"""The GET of a run that shows whether the exchange can be used. It never writes."""

from collections.abc import Collection, Iterable
from itertools import islice

from fielding_async.core.config import TimeoutArg
from fielding_async.core.conflict.attempts import RetryLimit
from fielding_async.core.conflict.row_ends import exchange_answers, is_bound_to_fail_again
from fielding_async.core.credentials import BearerToken
from fielding_async.core.errors import APIError, AuthenticationError, SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.engine.engine import Engine

__all__ = ["Prober"]

_MOST_RUNS = 4  # that probes take turns on


class Prober:
    """Sends the probes of one batch. `retry_limit`: until when each is sent again.

    It prefers the last two runs on which a row succeeded: one of them is another run than that of a row that failed.
    """

    def __init__(self, engine: Engine, retry_limit: RetryLimit | None) -> None:
        self._engine = engine
        self._retry_limit = retry_limit
        self._last: RunRef | None = None
        self._before: RunRef | None = None
        self._turn = 0

    @property
    def is_plain_token(self) -> bool:
        """Whether the token of the session is a fixed one, which nothing renews."""
        return isinstance(self._engine.settings.auth, BearerToken)

    def succeeded(self, ref: RunRef) -> None:
        """Take note of a run on which a row succeeded."""
        if ref != self._last:
            self._last, self._before = ref, self._last

    def has_good_run(self, failed: Collection[RunRef]) -> bool:
        """Whether a row succeeded on another run than these."""
        return any(ref is not None and ref not in failed for ref in (self._last, self._before))

    def _runs(self, failed: Collection[RunRef], others: Iterable[RunRef]) -> list[RunRef]:
        """Return runs to GET, the best first: those of rows that failed come last."""
        good = (ref for ref in (self._last, self._before) if ref is not None)
        found = dict.fromkeys(ref for ref in (*good, *others) if ref not in failed)
        return list(islice((*found, *failed), _MOST_RUNS))

    async def first(
        self, failed: Collection[RunRef], others: Iterable[RunRef], timeout: TimeoutArg
    ) -> Exception | None:
        """GET another run than those of rows that `failed`; returns `None` if the exchange answers, else what is wrong.

        If the exchange refuses that one run, another one is fetched, as the two may have different causes. `others`:
        more runs to choose from. Raises `SessionClosedError`.
        """
        self._turn = 0
        return await self._probe(self._runs(failed, others), timeout, is_first=True)

    async def next(self, failed: Collection[RunRef], others: Iterable[RunRef], timeout: TimeoutArg) -> Exception | None:
        """The same for the next probe of an outage, of the next run in turn."""
        return await self._probe(self._runs(failed, others), timeout, is_first=False)

    async def _probe(self, runs: list[RunRef], timeout: TimeoutArg, *, is_first: bool) -> Exception | None:
        error = await self._get(runs, timeout) if runs else None
        if error is None or len(runs) == 1 or not _may_be_of_one_run(error):
            return error
        if is_first or is_bound_to_fail_again(error, is_plain_token=self.is_plain_token):
            return await self._get(runs, timeout)
        return error

    async def _get(self, runs: list[RunRef], timeout: TimeoutArg) -> Exception | None:
        ref = runs[self._turn % len(runs)]
        self._turn += 1
        try:
            await self._engine.get_run(ref, timeout, is_background=True, retry_limit=self._retry_limit)
        except SessionClosedError:
            raise
        except Exception as error:  # noqa: BLE001 - a caller's source of tokens may raise anything
            return None if exchange_answers(error) else error
        return None


def _may_be_of_one_run(error: Exception) -> bool:
    """Whether the exchange itself refused a GET for a reason that need not hold for other runs."""
    return isinstance(error, APIError) and error.object is not None and not isinstance(error, AuthenticationError)
