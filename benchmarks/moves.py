"""How far a call walks through the package: the functions it enters, and how often the next one is in another module.

Counted, not timed: the same figures come out on any machine. A function is entered when it is called, and when a
coroutine goes on after an `await`; what attrs generates is left out. A move is an entry in another module than the one
before. `python -m benchmarks.moves` prints a table; `tests/proofs/test_moves.py` holds the figures.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from attrs import define, field

import fielding_async
from fielding_async import FieldingSession, Pause, Run
from fielding_async.sandbox import Sandbox, Status

__all__ = ["Walk", "main", "walks"]

_ROOT = str(Path(fielding_async.__file__).parent) + "/"
_SANDBOX = f"{_ROOT}sandbox/"
_WARM_UP = 150  # calls: by then the session has found that there is no limit
_END = datetime(2031, 5, 17, 12, tzinfo=UTC)


@define
class Walk:
    """The functions that a call entered: (module, function), in their order; all of them but those of `without`."""

    entries: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    without: "Walk | None" = None

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> None:
        """Note an entry; for `sys.setprofile`."""
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(_ROOT) or name.startswith(_SANDBOX):
            return
        self.entries.append((name.removeprefix(_ROOT).removesuffix(".py"), frame.f_code.co_qualname))

    @property
    def functions(self) -> int:
        """How many functions it entered."""
        return len(self.entries) - (self.without.functions if self.without else 0)

    @property
    def modules(self) -> int:
        """How many modules it went through."""
        return len({module for module, _ in self.entries})

    @property
    def moves(self) -> int:
        """How often the next entry was in another module."""
        names = [module for module, _ in self.entries]
        return sum(one != other for one, other in pairwise(names)) - (self.without.moves if self.without else 0)


async def _walk(act: Callable[[], Awaitable[Any]]) -> Walk:
    walk = Walk()
    sys.setprofile(walk)
    try:
        await act()
    finally:
        sys.setprofile(None)
    return walk


async def _pause(fielding: FieldingSession, box: Sandbox) -> Walk:
    run = await _known(fielding, box)
    return await _walk(run.pause)


async def _update(fielding: FieldingSession, box: Sandbox) -> Walk:
    run = fielding.run(box.add_run("live"))
    return await _walk(lambda: run.update(end_fielding_at=_END))


async def _conflict(fielding: FieldingSession, box: Sandbox) -> Walk:
    run = await _known(fielding, box)
    box.touch(run.ref)
    return await _walk(run.pause)


async def _refusal(fielding: FieldingSession, box: Sandbox) -> Walk:
    run = await _known(fielding, box)
    box.script(Status(429, retry_after="0.1"), on="pause")
    return await _walk(run.pause)


async def _row(fielding: FieldingSession, box: Sandbox) -> Walk:
    """Return what one row more adds to a batch with a journal, as `fielding apply` performs it."""
    fewer = await _batch(fielding, box, 5)
    walk = await _batch(fielding, box, 6)
    walk.without = fewer
    return walk


async def _batch(fielding: FieldingSession, box: Sandbox, rows: int) -> Walk:
    refs = [(await _known(fielding, box)).ref for _ in range(rows)]
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"

        async def apply() -> None:
            async with fielding.perform_all([(ref, Pause()) for ref in refs], journal=journal, concurrency=1) as batch:
                async for done in batch:
                    done.result()

        return await _walk(apply)


_KINDS: dict[str, Callable[[FieldingSession, Sandbox], Awaitable[Walk]]] = {
    "a warm pause": _pause,
    "a cold update": _update,
    "one 412": _conflict,
    "one 429": _refusal,
    "one row of apply": _row,
}


async def _known(fielding: FieldingSession, box: Sandbox) -> Run:
    """Return a live run whose ETag the session knows."""
    run = fielding.run(box.add_run("live"))
    await run.get()
    return run


async def _last_walk(kind: str, box: Sandbox) -> Walk:
    async with FieldingSession("token", base_url=box.url) as fielding:
        warm = [fielding.run(box.add_run("live")) for _ in range(_WARM_UP)]
        await asyncio.gather(*(run.get() for run in warm))
        await (await _known(fielding, box)).pause()
        return await _KINDS[kind](fielding, box)


def walks() -> dict[str, Walk]:
    """Return the walk of each kind of call, over a real socket against a sandbox in a thread of its own."""
    with Sandbox() as box:
        asyncio.run(_last_walk("one row of apply", box))  # loads what is loaded once
        return {kind: asyncio.run(_last_walk(kind, box)) for kind in _KINDS}


def main() -> None:
    """Print the figures; with the name of a kind of call, every function as well."""
    print(f"{'':20} entries  modules  moves")
    for name, walk in walks().items():
        print(f"{name:20} {walk.functions:7}  {walk.modules:7}  {walk.moves:5}")
        if name in sys.argv[1:]:
            print("".join(f"    {module} {function}\n" for module, function in walk.entries), end="")


if __name__ == "__main__":
    main()
