"""The requests of `fielding doctor`: GETs of a run. It never writes."""

from attrs import define, field

from fielding_async import FieldingSession
from fielding_async.cli.shared.sandbox_detection import names_sandbox
from fielding_async.core.config import Retry, Timeout
from fielding_async.core.errors import (
    AuthenticationError,
    FieldingError,
    NotFoundError,
    PermissionDeniedError,
)
from fielding_async.core.models import RunRef
from fielding_async.core.redaction import CleanHeaders
from fielding_async.http.caller_session import ClientSession
from fielding_async.http.client_sessions import TimedReply, recording_session

from .checks import (
    Check,
    access_check,
    clock_check,
    etag_check,
)

__all__ = ["Probe"]

NO_SUCH_RUN = RunRef(0, "0" * 26, "0" * 26, "fielding-doctor")
"""A run that does not exist: a GET of it shows whether the token is accepted, and shows nobody's data."""

_INVALID_TOKEN = "fielding-doctor-asks-with-no-token-of-anybody"  # noqa: S105 - as it says


@define
class Probe:
    """Checks token, clock and ETags by the replies of a server."""

    base_url: str
    replies: list[TimedReply] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]

    @property
    def sandbox(self) -> bool:
        """Whether a reply said that the server is a sandbox."""
        return any(names_sandbox(reply.headers.get("Server")) for reply in self.replies)

    async def get_run(self, ref: RunRef | None) -> list[Check]:
        """GET a run twice, or (`None`) one that does not exist, and check token, clock and ETags by the replies."""
        async with recording_session(self.base_url, self.replies.append) as http:
            error = await self._get(http, None, ref or NO_SUCH_RUN, times=2 if ref else 1)
            checks_token = False
            if isinstance(error, NotFoundError) and error.object is not None:
                # a server may answer 404 without checking the token
                refusal = await self._get(http, _INVALID_TOKEN, ref or NO_SUCH_RUN)
                checks_token = isinstance(refusal, AuthenticationError | PermissionDeniedError)
        checks = [access_check(error, ref, checks_token=checks_token)]
        if not self.replies:
            return [*checks, Check("clock", "warning", "not checked: there was no reply")]
        checks.append(clock_check(self.replies[0]))
        if ref is None:
            advice = "name a run to look at: fielding doctor --run ACCOUNT/PROJECT/TARGET-GROUP/RUN"
            checks.append(Check("ETags", "warning", "not checked: that takes a run", advice))
        elif len(self.replies) >= 2 and all(reply.status == 200 for reply in self.replies[-2:]):
            checks.append(etag_check(self.replies[-2:]))
        else:
            checks.append(Check("ETags", "warning", "not checked: the run could not be read"))
        return checks

    async def _get(self, http: ClientSession, token: str | None, ref: RunRef, times: int = 1) -> FieldingError | None:
        """GET a run, with this token or (`None`) that of the settings; return the error if there was one."""
        retry, timeout = Retry(max_attempts=2), Timeout(total=30)
        async with FieldingSession(token, http=http, retry=retry, timeout=timeout) as fielding:
            try:
                for _ in range(times):
                    await fielding.run(ref).get()
            except FieldingError as error:
                return error
            finally:
                redactor = fielding.engine().secrets.redactor
                for reply in self.replies:  # they come past the session
                    reply.headers = CleanHeaders(reply.headers, redactor)
        return None
