"""How a batch is performed, as one checked value."""

import inspect
from collections.abc import Callable
from typing import cast

from attrs import frozen

from fielding_async.core.actions import check_on_conflict
from fielding_async.core.batch_values import Done, OnRowFailure, StopMode
from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg, check_timeout
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import OnConflict

__all__ = ["Options"]

_LONGEST_WAIT = 1e9


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}={briefly(value)}: must be a whole number of at least 1")


@frozen(kw_only=True)
class Options:
    """The arguments of `FieldingSession.perform_all` of the same names. Raises `ConfigurationError` for a bad one."""

    concurrency: int | None = None
    look_ahead: int = 1000
    on_row_failure: OnRowFailure = "skip"
    stop: StopMode = "drain"
    stop_on: Callable[[Done], object] | None = None
    on_conflict: OnConflict = "reapply"
    timeout: TimeoutArg = DEFAULT_TIMEOUT
    wait: float = 0.0

    def __attrs_post_init__(self) -> None:
        if self.on_row_failure not in {"skip", "continue"}:
            raise ConfigurationError(f'on_row_failure={briefly(self.on_row_failure)}: must be "skip" or "continue"')
        if self.stop not in {"drain", "cancel"}:
            raise ConfigurationError(f'stop={briefly(self.stop)}: must be "drain" or "cancel"')
        if self.stop_on is not None and (not callable(self.stop_on) or inspect.iscoroutinefunction(self.stop_on)):
            raise ConfigurationError(f"stop_on={briefly(self.stop_on)}: must be a plain callable that takes a Done")
        if self.concurrency is not None:
            _check_count("concurrency", self.concurrency)
        _check_count("look_ahead", self.look_ahead)
        check_on_conflict(self.on_conflict)
        check_timeout(self.timeout)
        wait = cast("object", self.wait)
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= _LONGEST_WAIT:
            raise ConfigurationError(f"wait={briefly(wait)}: must be a number of seconds, 0 to {_LONGEST_WAIT:g}")
