"""The fault that holds a request until the test releases it."""

import asyncio
from concurrent.futures import Future
from typing import Literal

from fielding_async.sandbox.serving.checks import one_of

__all__ = ["Hold"]


class Hold:
    """Hold one request until `release` is called.

    A `Hold` is for one request, and can be scripted once. All methods may be called from any thread. If a request is
    still held when the sandbox stops, it is dropped. Raises `ConfigurationError` for another `when`.
    """

    __module__ = "fielding_async.sandbox"

    when: Literal["before", "after"]
    """When the request is held: `"before"` it is handled, or `"after"` it is handled and before its reply is sent."""
    is_scripted: bool
    """Whether it was passed to `Sandbox.script`."""

    def __init__(self, when: Literal["before", "after"] = "before") -> None:
        one_of("Hold", "when", when, ("before", "after"))
        self.when = when
        self.is_scripted = False
        self._arrived: Future[None] = Future()
        self._released: Future[None] = Future()

    def __repr__(self) -> str:
        return f"Hold({self.when!r})"

    def release(self) -> None:
        """Let the request continue. You may call it before the request arrives. A second call has no effect."""
        _settle(self._released)

    def wait_arrived(self, timeout: float | None = None) -> None:
        """Block until the request is being held. Raises `TimeoutError` after `timeout` seconds.

        Do not call it in the thread of the event loop on which the sandbox or the client runs. Use `await arrived()`
        there.
        """
        self._arrived.result(timeout)

    async def arrived(self) -> None:
        """Wait until the request is being held."""
        await asyncio.shield(asyncio.wrap_future(self._arrived))

    async def pass_through(self) -> None:
        """Report the arrival of the request and wait for its release. Called by the server."""
        _settle(self._arrived)
        await asyncio.shield(asyncio.wrap_future(self._released))


def _settle(future: Future[None]) -> None:
    try:
        future.set_result(None)
    except Exception:  # noqa: BLE001 - already settled, perhaps by another thread a moment ago
        return
