"""The interface to where a journal is kept, which tests and simulations implement to have a disk of their own.

A session keeps a journal in a file (`file_storage`). A disk with latencies, errors or crashes implements
`JournalStorage`, and what opens it is passed to `fielding_async.batch.perform_all.perform_all`:

    async with perform_all(session, rows, Options(), storage=lambda: MemoryStorage(disk)) as batch:
        ...
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from .replay import Replay
from .values import Binding

__all__ = ["JournalStorage", "OnWritten", "OpenStorage"]

OnWritten = Callable[[OSError | None], None]
"""Called with `None` once a write is durable, or with what went wrong."""


class JournalStorage(Protocol):
    """Where the lines of one journal are kept, for one batch.

    All calls come from one event loop, in this order: `load`, once; `write`, for each group of lines; `close`. The
    next `write` or `close` may come while a write is in progress: a storage keeps them in order.

    `name`: what error messages call the journal, such as `journal='rows.journal'`.

    `may_leave`: says whether a write that is on record here may leave now: nobody else may go on with the journal yet.
    Asked right before each write leaves, so that it must return at once. `None` if the lock on the journal is held
    until the process ends.
    """

    name: str

    @property
    def may_leave(self) -> Callable[[], bool] | None: ...

    async def load(self, binding: Binding, replay: Replay) -> None:
        """Lock the journal, and have `replay` read it.

        A journal that is empty, or whose first line is incomplete, is new: it gets `header_line(binding)` as its first
        line. In any other, the first line must agree with `binding`. `replay.begin` gets the first line, and returns
        what it binds to. Then `replay.feed` gets every further line, newline included, and all beyond
        `replay.good_bytes` is cut off, as the end of a group that a crash interrupted. What is left is durable when
        this returns. A storage that knows how far the journal went passes that to `replay.begin`, and calls
        `replay.end` before it cuts anything.

        Raises `ConfigurationError` if the journal cannot be used, is locked by another batch, is damaged, or belongs
        to something else. May be cancelled. In both cases `close` is called next.
        """
        ...

    def write(self, blob: bytes, on_written: OnWritten, /) -> None:
        """Start to append `blob`, a group of whole lines, and return at once.

        `on_written` is called later, on the event loop, and in the order of the writes. After a write that failed, all
        later ones fail: behind an incomplete line no group could be read.
        """
        ...

    def close(self) -> "asyncio.Future[None]":
        """Start to unlock and close the journal, after the writes so far. Return a future of its completion.

        May be called more than once, and without a `load` that succeeded.
        """
        ...


OpenStorage = Callable[[], JournalStorage]
"""Called when a batch is entered, on its event loop. Returns the storage of the batch's journal."""
