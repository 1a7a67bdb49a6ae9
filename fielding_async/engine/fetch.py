"""The GET of a resource with an ETag, a run or an assistant; and the hints that save the GET of a run."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import Factory, define, field, frozen

from fielding_async.core.conflict.etag_memory import ETagMemory, Ref
from fielding_async.core.conflict.resource import Resource, State
from fielding_async.core.errors import APIError, ProtocolError
from fielding_async.core.wire.replies import Response, came_from_a_cache

from .call import Call
from .membership import RunHints
from .sender import RequestSender

__all__ = ["BoundedHints", "Fetched", "fetch"]

_LONGEST = 0.05  # seconds
_GETS_KEPT = 8
_LATE_IN_A_ROW = 3
_SHORTEST_REST, _LONGEST_REST = 1.0, 60.0  # seconds for which hints are not asked for after one that was late


@define(eq=False)
class BoundedHints:
    """The hints of one session: read in the time of a GET at most, and never the cause of a failure.

    A hint saves the GET that opens a call, so waiting for one pays only while it is quicker than that GET. What a GET
    takes is the median of this session's last few; at most 50 ms. A session whose hints were late three times in a row
    does not wait for them for a while, which doubles each time: it is then as fast as without hints.

    `store`: where they are; what it raises is as if there were none.

    `clock`: that of the event loop, in seconds.
    """

    store: RunHints
    clock: Callable[[], float]
    _took: deque[float] = field(init=False, default=Factory(lambda: deque[float](maxlen=_GETS_KEPT)))
    _late: int = field(init=False, default=0)
    _rest: float = field(init=False, default=0.0)
    _rests_until: float = field(init=False, default=0.0)

    async def get(self, ref: Any, deadline: float | None) -> Any:
        """Return the hint of a run; `None` if there is none, or not in time. `deadline`: when the call must end."""
        now = self.clock()
        longest = sorted(self._took)[len(self._took) // 2] if self._took else _LONGEST
        if now < self._rests_until or (deadline is not None and deadline <= now + longest):
            return None
        try:
            async with asyncio.timeout(longest):
                hint = await self.store.get(ref)
        except TimeoutError:
            self._late += 1
            if self._late < _LATE_IN_A_ROW:
                return None
            self._rest = min(max(self._rest * 2, _SHORTEST_REST), _LONGEST_REST)
            self._rests_until = self.clock() + self._rest
            return None
        except Exception:  # noqa: BLE001 - the call goes on without a hint, whatever is wrong with the store
            return None
        self._rest, self._late = 0.0, 0
        return hint

    def note_get(self, began: float) -> None:
        """Note that a GET which started then has ended."""
        self._took.append(min(self.clock() - began, _LONGEST))

    def offer(self, ref: Any, response: Response | None) -> None:
        """Offer the reply of a GET to other sessions, if there is one."""
        if response is not None:
            self._tell(self.store.offer, ref, response)

    def drop(self, ref: Any, etag: str | None) -> None:
        """Take back the hint of a run: the ETag is not, or no longer, its own. `None`: whatever the ETag is."""
        self._tell(self.store.drop, ref, etag)

    def _tell(self, tell: Callable[..., None], *values: Any) -> None:
        try:
            tell(*values)
        except Exception:  # noqa: BLE001 - as above
            return


@frozen
class Fetched:
    """A resource as a GET showed it. `is_aged`: a cache answered by itself, so it may have changed since.

    `is_newest`: nothing newer was known when it came. `response`: that of the GET, if there is such a resource.
    """

    state: Any
    is_aged: bool
    is_newest: bool
    response: Response | None


async def fetch(
    sender: RequestSender,
    memory: ETagMemory,
    resource: Resource,
    call: Call,
    ref: Ref,
    *,
    settling: bool = False,
    hints: BoundedHints | None = None,
    is_offered: bool = True,
) -> Fetched:
    """GET a resource, and remember it unless something newer has become known by then. Raises the errors of a read.

    `hints`: those of the session. They must know how long a GET takes, and are offered what it showed (`is_offered`).
    """
    started = memory.fetch_started(ref)
    began = 0.0 if hints is None else hints.clock()
    response: Response | None = None
    found: State | None = None
    is_aged = False
    asked = resource.get_request(ref)
    try:
        end = await sender.send(sender.prepare(call, asked, settling=settling))
        response = end.accepted
        if response is None:
            error = end.error
            state = found = resource.without(error)
            if state is None:
                raise error
            is_aged = isinstance(error, APIError) and error.is_aged
        else:
            if hints is not None:
                hints.note_get(began)
            is_aged = came_from_a_cache(response)
            state = found = resource.decode(response, ref, call.left_out)
    except ProtocolError as problem:
        if problem.status is None:
            problem.status = 200
        problem.filled(method="GET", path=asked.path)
        raise
    finally:
        is_newest = memory.fetch_ended(started, found, is_aged=is_aged)
    fetched = Fetched(state, is_aged, is_newest, response)
    if hints is not None and is_offered and is_newest:
        hints.offer(ref, response)
    return fetched
