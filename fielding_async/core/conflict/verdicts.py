"""The verdicts of the judgement: what a call does next, or how it ends."""

from attrs import field, frozen

from fielding_async.core.models import Effect

from .attempts import Attempts
from .resource import Intent

__all__ = ["Fail", "FetchAgain", "Finish", "Judged", "Refuse", "Send", "SendAgain", "Unknown", "Unreadable", "Verdict"]


@frozen
class Send:
    """Send this intent under the fetched ETag. `attempts`: those made under it before, if it is sent on."""

    intent: Intent
    attempts: Attempts | None = None


@frozen
class SendAgain:
    """Send the same intent again under the same ETag: it was not applied yet, and may still be."""

    intent: Intent


@frozen
class Finish:
    """The resource is there: the call succeeds."""

    effect: Effect
    intent: Intent | None


@frozen
class FetchAgain:
    """Fetch again after a wait: the resource is stale, or its ETag is the one that was refused."""


@frozen
class Unreadable:
    """Raise `ProtocolError`: nothing was applied, and no GET showed the resource as it is."""


@frozen
class Refuse:
    """Raise `PreconditionFailedError`: the resource is no longer what the caller's decision rests on.

    `overtaken`: nobody asked for that, but somebody else changed what the intent names (R4).
    """

    wanted: Intent | None
    overtaken: bool = False


@frozen
class Fail:
    """Raise the failure that led here: nothing was applied."""


@frozen
class Unknown:
    """Raise `OutcomeUnknownError`: it is unknown whether the write was applied."""

    reason: str = field(default="it is unknown whether the write was applied")


Judged = Send | SendAgain | Finish | Unreadable | Refuse | Fail | Unknown
Verdict = Judged | FetchAgain
