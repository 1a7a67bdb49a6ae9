"""What closing a session does to calls that are under way."""

import asyncio

import pytest

from fielding_async import FieldingSession, Limits, SessionClosedError
from fielding_async.core.wire.replies import Attempted
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on


class ClosingExchange(FakeExchange):
    """An exchange that, when `armed`, has the session closed just before a reply of it is seen."""

    session: FieldingSession
    armed: bool = False
    closing: "asyncio.Task[None] | None" = None
    sent_since: int = 0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        self.sent_since += self.closing is not None
        answer = await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
        if self.armed and self.closing is None:
            self.closing = asyncio.create_task(self.session.aclose())
        return answer


@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
def test_a_call_that_is_permitted_as_its_session_closes_sends_nothing(writes: bool) -> None:
    """Its permission was given just before the closing, and it goes on just after: it ends as closed, and unsent."""

    async def main() -> None:
        exchange = ClosingExchange()
        fielding = exchange.session = session_on(exchange, limits=Limits(concurrency=1, adaptive=False))
        async with fielding:
            run = fielding.run(ref_of("next"))
            await run.get()
            exchange.armed = True
            first = asyncio.create_task(fielding.run(ref_of("first")).get())
            following = asyncio.create_task(run.pause() if writes else run.get())  # waits for the one slot
            await first
            with pytest.raises(SessionClosedError):
                await following
            assert exchange.closing is not None
            await exchange.closing
        assert exchange.sent_since == 0
        assert exchange.applied == []

    virtual_time.run(main())
