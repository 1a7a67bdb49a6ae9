"""The life of a bearer token: when it is renewed, and whether a 401 or 403 calls for another. Clocks are arguments."""

from enum import Enum

from attrs import define, field

from .redaction import Secret

__all__ = ["Token", "Trial"]

_MARGIN = 60.0  # seconds, the most that a token is renewed before its end
_MARGIN_SHARE = 0.1  # of its life, if that is less
_GRACE = 300.0  # seconds for which a 403 stands, if the life of a token is not known


class Trial(Enum):
    """Whether another token would help against a 403."""

    OPEN = "not known yet"
    PENDING = "this token was fetched because of a 403, and has not been used with success"
    USELESS = "a fresh token met the same 403"


@define(eq=False)
class Token:
    """A token, with the ends of its life by the monotonic and by the wall clock (`None`: not known).

    It is renewed a little before either end: a tenth of its life, at most a minute. `trial`: the result of the last
    renewal that a 403 caused. `trial_ended`: when that was known. `header`: the value of the Authorization header.
    """

    value: str = field(converter=Secret)
    monotonic_end: float | None = None
    wall_end: float | None = None
    margin: float = 0.0
    trial: Trial = Trial.OPEN
    trial_ended: float = 0.0
    header: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.header = Secret(f"Bearer {self.value}")

    @classmethod
    def lasting(cls, value: str, seconds: float | None, monotonic: float, wall: float) -> "Token":
        """Return a token that lasts `seconds` from now, or, with `None`, until it is refused."""
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

        A 401 does. The exchange answers an expired token with a 403, so a 403 does if the token is at or past its end.
        For any other token it does once; if the fresh token meets the same 403, that stands (for five minutes, if the
        life of the token is not known).
        """
        if status == 401 or self.is_over(monotonic, wall):
            return True
        if self.trial is Trial.USELESS and self.monotonic_end is None and monotonic - self.trial_ended >= _GRACE:
            return True
        return self.trial is Trial.OPEN

    def worked(self) -> None:
        """Note a success: a later 403 may mean again that the token has expired."""
        if self.trial is Trial.PENDING:
            self.trial = Trial.OPEN

    def refused_again(self, monotonic: float) -> None:
        """Note that the request whose 403 led to this token met a 403 with it as well."""
        self.trial = Trial.USELESS
        self.trial_ended = monotonic
