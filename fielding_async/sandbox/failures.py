"""What went wrong inside a sandbox: exceptions of its server, of its rules, and of functions that a test gave it."""

import asyncio
from threading import Lock

__all__ = ["Failures"]

_MOST = 20  # exceptions that are kept; the first ones say the most
_CONTROL = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


class Failures:
    """The exceptions raised inside a sandbox. May be used from any thread.

    A client that retries hides what such an exception does to a request. So the exception must reach the test itself.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._errors: list[Exception] = []
        self._more = 0

    def add(self, error: Exception, doing: str) -> None:
        """Keep an exception. `doing`: what the sandbox did, for a note on it."""
        with self._lock:
            if len(self._errors) >= _MOST:
                self._more += 1
                return
            error.add_note(f"raised inside the sandbox, {doing}")
            self._errors.append(error)

    def all(self) -> tuple[Exception, ...]:
        """Return the exceptions that are kept."""
        with self._lock:
            return tuple(self._errors)

    def clear(self) -> None:
        """Forget all exceptions."""
        with self._lock:
            self._errors, self._more = [], 0

    def raise_all(self, error: BaseException | None) -> None:
        """Raise what is kept as an `ExceptionGroup`, together with `error`, the test's own. Do nothing without any.

        A cancellation and its kind are not replaced, as others wait for them: they get a note. What was raised is
        forgotten.
        """
        with self._lock:
            errors, more = self._errors, self._more
            self._errors, self._more = [], 0
        if not errors:
            return
        count = f"{len(errors) + more} exceptions were" if len(errors) + more > 1 else "an exception was"
        if isinstance(error, _CONTROL):
            error.add_note(f"fielding-async: {count} raised inside the sandbox; the first: {errors[0]!r}")
        elif error is None:
            raise ExceptionGroup(f"{count} raised inside the sandbox", errors)
        else:
            message = f"the block failed, and {count} raised inside the sandbox"
            raise BaseExceptionGroup(message, [error, *errors]) from None
