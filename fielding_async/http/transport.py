"""The seam between the engine and HTTP: one attempt on its way out, and what carries it.

`aiohttp_transport` is what stands there in a session; tests and simulations put their own in its place.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from attrs import define

from fielding_async.core.wire.replies import Attempted

__all__ = ["HeldBack", "Outgoing", "Traced", "Transport"]


class HeldBack(Exception):  # noqa: N818 - not an error: the request waits for a new permission
    """The request was ready to leave, but its permission had lapsed. Nothing was sent."""


class Traced(Protocol):
    """The call that an attempt is of, as far as tracing by others is concerned."""

    @property
    def span(self) -> object | None:
        """The call's own span; with it, each attempt has one of ours."""
        ...

    def lend(self) -> None:
        """Let a span that others begin in the current task be of the call's trace."""
        ...

    def adopt(self) -> Mapping[str, str]:
        """Return the headers of the current span, if it is one that others began for this attempt; else none."""
        ...


@define(eq=False)
class Outgoing:
    """One attempt on its way out.

    `may_leave` is asked when a connection is open and before the first byte: 0 if it may, the seconds to wait before
    asking again, `None` if it may not. `traced`: of which call, if of one. `left` says whether a byte may be gone.
    `adopted`: the headers of a span that others made for it.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    may_leave: Callable[[], float | None]
    traced: Traced | None = None
    left: bool = False
    adopted: Mapping[str, str] | None = None

    async def leave(self) -> None:
        """Wait, if need be, until the request may leave. Raises `HeldBack` if it may not."""
        while wait := self.may_leave():  # noqa: ASYNC110 - for a known time
            await asyncio.sleep(wait)
        if wait is None:
            raise HeldBack
        self.left = True


class Transport(Protocol):
    """What the engine needs of HTTP."""

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Perform one exchange within `timeout` seconds. Raises `HeldBack` if it may not leave, and nothing else."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
