"""`FieldingSession.perform_all`: its arguments checked, and the context that a batch lives in."""

import inspect
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Never, cast

from fielding_async.core.actions import Action, check_on_conflict
from fielding_async.core.batch_values import Done, OnRowFailure, Stop
from fielding_async.core.errors import ConfigurationError, JournalError
from fielding_async.core.models import OnConflict, RunRef
from fielding_async.engine.engine import EngineSource, TimeoutArg, check_timeout
from fielding_async.journal.file_thread import FileStorage, Storage
from fielding_async.journal.journal import Journal, check_path
from fielding_async.journal.values import Binding

from .batch import Batch
from .input_reader import AsyncIntake, SyncIntake
from .row_tasks import Options

__all__ = ["Pairs", "PerformAll", "check_options", "check_pairs", "file_storage"]

Pairs = Iterable[tuple[RunRef, Action]] | AsyncIterable[tuple[RunRef, Action]]
"""The rows of a batch, sync or async; they are read lazily."""

_LONGEST_PLAN = 4096


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}={value!r:.60}: must be a whole number of at least 1")
    return value


def check_pairs(pairs: Pairs) -> Pairs:
    """Return `pairs` if rows can be read from it; raises `ConfigurationError`."""
    given = cast("object", pairs)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable | AsyncIterable):
        kind = type(pairs).__name__
        raise ConfigurationError(f"pairs: must be an iterable or async iterable of (RunRef, action), not {kind}")
    return pairs


def check_options(
    *,
    concurrency: int | None,
    look_ahead: int,
    on_row_failure: OnRowFailure,
    stop: Stop,
    stop_on: Callable[[Done], object] | None,
    on_conflict: OnConflict,
    timeout: TimeoutArg,
) -> Options:
    """Return the options of a batch; raises `ConfigurationError`."""
    if on_row_failure not in {"skip", "continue"}:
        raise ConfigurationError(f'on_row_failure={on_row_failure!r}: must be "skip" or "continue"')
    if stop not in {"drain", "cancel"}:
        raise ConfigurationError(f'stop={stop!r}: must be "drain" or "cancel"')
    if stop_on is not None and (not callable(stop_on) or inspect.iscoroutinefunction(stop_on)):
        raise ConfigurationError(f"stop_on={stop_on!r:.60}: must be a plain callable that takes a Done")
    return Options(
        concurrency=None if concurrency is None else _count("concurrency", concurrency),
        look_ahead=_count("look_ahead", look_ahead),
        on_row_failure=on_row_failure,
        stop=stop,
        stop_on=stop_on,
        on_conflict=check_on_conflict(on_conflict),
        timeout=check_timeout(timeout),
    )


def file_storage(journal: "str | os.PathLike[str] | None", plan: str | None) -> Callable[[], Storage] | None:
    """Return what opens the journal in a file; raises `ConfigurationError` for a bad path or plan."""
    if plan is not None and (not isinstance(plan, str) or not 0 < len(plan) <= _LONGEST_PLAN):
        raise ConfigurationError(
            f"plan={plan!r:.60}: must be a str of 1 to {_LONGEST_PLAN} characters, a digest of the plan"
        )
    if journal is None:
        if plan is not None:
            raise ConfigurationError("plan: has no use without a journal")
        return None
    path = check_path(journal)
    return lambda: FileStorage(path)


class PerformAll:
    """What `FieldingSession.perform_all` returns: `async with` it, and iterate over the `Batch` that this gives."""

    __module__ = "fielding_async"

    def __init__(
        self,
        session: EngineSource,
        pairs: Pairs,
        options: Options,
        *,
        storage: Callable[[], Storage] | None = None,
        plan: str | None = None,
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

    async def __aenter__(self) -> Batch:
        pairs, self._pairs = self._pairs, None
        if pairs is None:
            raise ConfigurationError("perform_all: the batch has been entered already")
        engine = self._session.engine()
        engine.check()
        journal: Journal | None = None
        if self._storage is not None:
            settings = engine.settings
            journal = Journal(self._storage(), Binding(settings.base_url, settings.api_version, self._plan))
            await journal.open()
        try:
            engine.check()  # to read a long journal takes a while
            batch = Batch(engine, self._options, journal)
            # one that is both is meant for async code
            if isinstance(pairs, AsyncIterable):
                batch.begin(AsyncIntake(aiter(cast("AsyncIterable[Any]", pairs)), batch))
            else:
                batch.begin(SyncIntake(iter(pairs), batch))
        except BaseException:
            if journal is not None:
                journal.close_soon()
            raise
        self._batch = batch
        return batch

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        batch = self._batch
        assert batch is not None  # noqa: S101 - it was entered
        if isinstance(error, GeneratorExit):
            batch.abandon()  # nothing can be awaited any more
            return
        try:
            await batch.leave(at_once=self._options.stop == "cancel")
        except JournalError as problem:
            if error is None:
                raise
            # what ended the block goes first
            if not isinstance(error, JournalError):
                error.add_note(f"fielding-async: {problem}")
