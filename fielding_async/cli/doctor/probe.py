"""The requests of `fielding doctor`: GETs of the accounts and of a run. It never writes."""

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

from .checks import Check, not_checked
from .replies import access_check, between_check, clock_check, etag_check, run_check

__all__ = ["Probe"]

_INVALID_TOKEN = "fielding-doctor-asks-with-no-token-of-anybody"  # noqa: S105 - as it says


@define
class Probe:
    """Checks path, token, clock, ETags and what is between, by the replies of a server."""

    base_url: str
    replies: list[TimedReply] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]

    @property
    def sandbox(self) -> bool:
        """Whether a reply said that the server is a sandbox."""
        return any(names_sandbox(reply.headers.get("Server")) for reply in self.replies)

    async def examine(self, ref: RunRef | None) -> list[Check]:
        """GET the accounts, or a run twice, and check path, token, clock, ETags and what is between by the replies."""
        runs: list[TimedReply] = []
        async with recording_session(self.base_url, self.replies.append) as http:
            if ref is None:
                access = await self._examine_accounts(http)
            else:
                error = await self._get_run(http, ref)
                runs = self.replies[-2:] if error is None else []
                accounts = await self._examine_accounts(http) if isinstance(error, NotFoundError) else None
                access = run_check(error, ref, accounts)
        checks = [access]
        if not self.replies:
            reason = "there was no reply"
            return [*checks, *(not_checked(name, reason) for name in ("clock", "between", "ETags"))]
        checks += [clock_check(self.replies[0]), between_check(self.replies)]
        if ref is None:
            advice = "name a run to fetch: fielding doctor --run ACCOUNT/PROJECT/TARGET_GROUP/RUN"
            checks.append(not_checked("ETags", "that takes a run", advice))
        elif len(runs) == 2:
            checks.append(etag_check(runs))
        else:
            checks.append(not_checked("ETags", "the run could not be read"))
        return checks

    async def _examine_accounts(self, http: ClientSession) -> Check:
        found = await self._get_accounts(http, None)
        checks_token: bool | None = None
        if isinstance(found, int):  # a server may answer without checking the token
            refusal = await self._get_accounts(http, _INVALID_TOKEN)
            checks_token = isinstance(refusal, AuthenticationError | PermissionDeniedError)
        return access_check(found, self.base_url, checks_token=checks_token, is_sandbox=self.sandbox)

    async def _get_accounts(self, http: ClientSession, token: str | None) -> int | FieldingError:
        """GET the accounts, with this token or (`None`) that of the settings; return their number, or the error."""
        async with self._session(http, token) as fielding:
            try:
                return len(await fielding.list_accounts().all())
            except FieldingError as error:
                return error
            finally:
                self._clean(fielding)

    async def _get_run(self, http: ClientSession, ref: RunRef) -> FieldingError | None:
        async with self._session(http, None) as fielding:
            try:
                for _ in range(2):
                    await fielding.run(ref).get()
            except FieldingError as error:
                return error
            finally:
                self._clean(fielding)
        return None

    @staticmethod
    def _session(http: ClientSession, token: str | None) -> FieldingSession:
        return FieldingSession(token, http=http, retry=Retry(max_attempts=2), timeout=Timeout(total=30))

    def _clean(self, fielding: FieldingSession) -> None:
        redactor = fielding.engine().secrets.redactor
        for reply in self.replies:  # they come past the session
            reply.headers = CleanHeaders(reply.headers, redactor)
