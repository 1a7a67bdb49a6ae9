"""The verdicts of the judgement: what a call does next, or how it ends."""

from attrs import field, frozen

from fielding_async.core.actions import Action
from fielding_async.core.models import Effect

from .attempts import Attempts

__all__ = ["Fail", "FetchAgain", "Finish", "Judged", "Refuse", "Send", "SendAgain", "Unknown", "Unreadable", "Verdict"]


@frozen
class Send:
    """Send this action under the fetched ETag. `attempts`: those made under it before, if it is sent on."""

    action: Action
    attempts: Attempts | None = None


@frozen
class SendAgain:
    """Send the same action again under the same ETag: it was not applied yet, and may still be."""

    action: Action


@frozen
class Finish:
    """The run is there: the call succeeds."""

    effect: Effect
    action: Action | None


@frozen
class FetchAgain:
    """Fetch again after a wait: the run is stale, or its ETag is the one that was refused."""


@frozen
class Unreadable:
    """Raise `ProtocolError`: nothing was applied, and no GET showed the run as it is."""


@frozen
class Refuse:
    """Raise `PreconditionFailedError`: the run is no longer what the caller's decision rests on.

    `overtaken`: nobody asked for that, but somebody else changed what the action names (R4).
    """

    wanted: Action | None
    overtaken: bool = False


@frozen
class Fail:
    """Raise the failure that led here: nothing was applied."""


@frozen
class Unknown:
    """Raise `OutcomeUnknownError`: it cannot be told whether the write was applied."""

    reason: str = field(default="it cannot be told whether the write was applied")


Judged = Send | SendAgain | Finish | Unreadable | Refuse | Fail | Unknown
Verdict = Judged | FetchAgain
