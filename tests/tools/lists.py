"""What tests of lists share: the tasks that read them, and requests that are held."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fielding_async.sandbox import Fault, Hold, Sandbox

__all__ = ["Holds", "holds", "readers", "settled"]


async def settled() -> None:
    """Let everything that is ready be done."""
    for _ in range(10):
        await asyncio.sleep(0)


def readers() -> set[asyncio.Task[Any]]:
    """Return the tasks that read lists."""
    return {task for task in asyncio.all_tasks() if task.get_name() == "fielding-async reader"}


class Holds:
    """Holds requests until they are released, or all of them at the end."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.made: list[Hold] = []

    def __call__(self, on: str, *faults: Fault) -> Hold:
        """Hold the next request for an operation, behind other faults."""
        self.made.append(hold := Hold())
        self._sandbox.script(*faults, hold, on=on)
        return hold


@contextmanager
def holds(sandbox: Sandbox) -> Iterator[Holds]:
    """Let requests be held; at the end all go on."""
    made = Holds(sandbox)
    yield made
    for hold in made.made:
        hold.release()
