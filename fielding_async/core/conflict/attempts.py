"""Whether to attempt an exchange again: what it came to, in; wait or stop, out."""

from enum import Enum

from attrs import define

from fielding_async.core.errors import ServerError
from fielding_async.core.wire.replies import Accepted, Answer, Throttled

__all__ = ["Attempts", "Next"]


class Next(Enum):
    """What to do after an attempt."""

    DONE = "the answer stands"
    AT_ONCE = "attempt again as soon as the limiter permits"
    AFTER_A_WAIT = "attempt again after a backoff"
    GIVE_UP = "attempts used up"


@define
class Attempts:
    """The attempts of one HTTP exchange under one precondition.

    `may_be_applied`: one of them, if a write, may have been; `only_server_errors`: all such were answered with a 5xx,
    of which `server_error` is the last.
    """

    allowed: int
    used: int = 0
    may_be_applied: bool = False
    only_server_errors: bool = True
    server_error: ServerError | None = None

    def note(self, answer: Answer) -> Next:
        """Take account of an attempt's answer, and say what is next."""
        if isinstance(answer, Throttled):
            return Next.AT_ONCE  # uses up no attempt; the session-wide pause is the wait
        self.used += 1
        if isinstance(answer, Accepted):
            return Next.DONE
        if answer.may_be_applied:
            self.may_be_applied = True
            if isinstance(answer.error, ServerError):
                self.server_error = answer.error
            else:
                self.only_server_errors = False
        if not answer.repeatable:
            return Next.DONE
        return Next.AFTER_A_WAIT if self.used < self.allowed else Next.GIVE_UP
