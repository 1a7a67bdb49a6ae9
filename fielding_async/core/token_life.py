"""What a session knows of its bearer token, and when to ask for another. Pure: both clocks are arguments."""

from enum import Enum

from attrs import define, field

__all__ = ["Token", "Trial"]

_MARGIN = 60.0
_MARGIN_SHARE = 0.1
_GRACE = 300.0


class Trial(Enum):
    """Whether another token would help against a 403."""

    OPEN = "not known yet"
    PENDING = "this token was fetched because of a 403, and has not been used with success"
    USELESS = "a fresh token met the same 403"


@define(eq=False)
class Token:
    """A token, with the ends of its life by the monotonic and by the wall clock (`None`: not known).

    It is renewed a little before either end: a tenth of its life, at most a minute. `trial` says what became of
    the last renewal that a 403 caused. `header` is the text of the Authorization header.
    """

    value: str
    monotonic_end: float | None = None
    wall_end: float | None = None
    margin: float = 0.0
    trial: Trial = Trial.OPEN
    trial_ended: float = 0.0
    header: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.header = f"Bearer {self.value}"

    @classmethod
    def lasting(cls, value: str, seconds: float | None, monotonic: float, wall: float) -> "Token":
        """Return a token received now that lasts `seconds`, or until it is refused."""
        if seconds is None:
            return cls(value)
        return cls(value, monotonic + seconds, wall + seconds, min(_MARGIN, seconds * _MARGIN_SHARE))

    def is_due(self, monotonic: float, wall: float) -> bool:
        """Whether it is time to renew it."""
        return self._reached(monotonic + self.margin, wall + self.margin)

    def is_over(self, monotonic: float, wall: float) -> bool:
        """Whether it is at or past its end."""
        return self._reached(monotonic, wall)

    def _reached(self, monotonic: float, wall: float) -> bool:
        if self.monotonic_end is None or self.wall_end is None:
            return False
        return monotonic >= self.monotonic_end or wall >= self.wall_end

    def renewal_may_help(self, status: int, monotonic: float, wall: float) -> bool:
        """Whether a 401 or 403 that met this token calls for another one.

        A 401 does. A 403, the exchange's answer to an expired token, does for a token at or past its end, or once per
        token for one that is not; a 403 that met a fresh token too stands (for five minutes, if its life is not known).
        """
        if status == 401 or self.is_over(monotonic, wall):
            return True
        if self.trial is Trial.USELESS and self.monotonic_end is None and monotonic - self.trial_ended >= _GRACE:
            return True
        return self.trial is Trial.OPEN

    def worked(self) -> None:
        """Note a success: what is forbidden from now on may be an expiry again."""
        if self.trial is Trial.PENDING:
            self.trial = Trial.OPEN

    def refused_again(self, monotonic: float) -> None:
        """Note that the request whose 403 led to this token met a 403 with it as well."""
        self.trial = Trial.USELESS
        self.trial_ended = monotonic
