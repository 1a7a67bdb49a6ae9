"""`perform_all`: what `FieldingSession.perform_all` returns, with the journal in a file or in another storage."""

import os
from collections.abc import AsyncIterable, Iterable, Mapping
from types import TracebackType
from typing import Any, Never, cast

from fielding_async.core.errors import ConfigurationError, JournalError, briefly
from fielding_async.engine.engine import EngineSource
from fielding_async.journal.file_storage import FileStorage
from fielding_async.journal.journal import Journal
from fielding_async.journal.reader import ReadJournal, check_path
from fielding_async.journal.storage import OpenStorage
from fielding_async.journal.values import Binding

from .batch import Batch
from .input_reader import AsyncIteratorReader, IteratorReader
from .options import Options

__all__ = ["Pairs", "PerformAll", "journal_file", "perform_all"]

Pairs = Iterable[tuple[object, object]] | AsyncIterable[tuple[object, object]]
"""The rows of a batch, sync or async; they are read lazily. Each is checked when it is read."""

_LONGEST_PLAN = 4096


def perform_all(
    session: EngineSource,
    pairs: Pairs,
    options: Options,
    *,
    storage: OpenStorage | None = None,
    plan: str | None = None,
) -> "PerformAll":
    """Return a batch to enter. `FieldingSession.perform_all` is this with `storage=journal_file(…)`.

    `storage`: opens the storage of the batch's journal; left out, there is no journal. Tests and simulations pass a
    storage of their own, a `journal.storage.JournalStorage`. `plan`: a digest of the plan that the journal belongs to.

    Raises `ConfigurationError` for a bad argument.
    """
    given = cast("object", pairs)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable | AsyncIterable):
        hint = ": pass its .items()" if isinstance(given, Mapping) else ""
        raise ConfigurationError(
            f"pairs: must be an iterable or async iterable of (RunRef, action), not {type(pairs).__name__}{hint}"
        )
    if plan is not None and (not isinstance(plan, str) or not 0 < len(plan) <= _LONGEST_PLAN):
        raise ConfigurationError(
            f"plan={briefly(plan)}: must be a str of 1 to {_LONGEST_PLAN} characters, a digest of the plan"
        )
    if plan is not None and storage is None:
        raise ConfigurationError("plan: must go with a journal: pass journal= too, or leave plan= out")
    return PerformAll(session, pairs, options, storage, plan)


def journal_file(path: "str | os.PathLike[str] | None") -> OpenStorage | None:
    """Return what opens the journal in a file; `None` without a path. Raises `ConfigurationError` for a bad one.

    The path may be a `ReadJournal`, of which only what was added since is read.
    """
    if path is None:
        return None
    checked = check_path(path)
    return lambda: FileStorage(checked, path if isinstance(path, ReadJournal) else None)


class PerformAll:
    """What `FieldingSession.perform_all` returns: enter it with `async with`. This gives a `Batch` to iterate over."""

    __module__ = "fielding_async"

    def __init__(
        self, session: EngineSource, pairs: Pairs, options: Options, storage: OpenStorage | None, plan: str | None
    ) -> None:
        self._session = session
        self._pairs: Pairs | None = pairs
        self._options = options
        self._storage = storage
        self._plan = plan
        self._batch: Batch | None = None

    def __aiter__(self) -> Never:
        raise ConfigurationError(
            "perform_all: use `async with fielding.perform_all(…) as batch`, and iterate over batch"
        )

    def __await__(self) -> Never:
        raise ConfigurationError(
            "perform_all: cannot be awaited; use `async with fielding.perform_all(…) as batch`, and iterate over batch"
        )

    async def __aenter__(self) -> Batch:
        pairs, self._pairs = self._pairs, None
        if pairs is None:
            raise ConfigurationError(
                "perform_all: the batch has been entered already: call perform_all again for another one"
            )
        engine = self._session.engine()
        engine.check()
        journal: Journal | None = None
        if self._storage is not None:
            settings = engine.settings
            journal = Journal(self._storage(), Binding(settings.base_url, settings.api_version, self._plan))
            await journal.open()
        try:
            engine.check()  # the session may have been closed while a long journal was read
            batch = Batch(engine, self._options, journal)
            # an input that is both is read as async: it is meant for async code
            if isinstance(pairs, AsyncIterable):
                batch.read_from(AsyncIteratorReader(aiter(cast("AsyncIterable[Any]", pairs)), batch))
            else:
                batch.read_from(IteratorReader(iter(pairs), batch))
        except BaseException:
            if journal is not None:
                journal.start_closing()
            raise
        self._batch = batch
        return batch

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        batch = self._batch
        assert batch is not None  # noqa: S101 - it was entered
        if isinstance(error, GeneratorExit):
            batch.abandon()  # the coroutine is being closed: nothing can be awaited
            return
        try:
            await batch.leave(at_once=self._options.stop == "cancel")
        except JournalError as problem:
            if error is None:
                raise
            # the exception that ended the block passes through, with a note
            if not isinstance(error, JournalError):
                error.add_note(f"fielding-async: {problem}")
