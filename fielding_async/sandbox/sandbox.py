"""The public class `Sandbox`: adds runs and drafts, inspects the state, and sets clock, rate limit and faults."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Literal

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, RunRef, RunStatus

from .fault_control import FaultControl
from .request_pipeline import RequestPipeline
from .serving.bound import Kept
from .serving.dates import MILLISECOND, floor
from .serving.host_check import checked_names
from .serving.replies import RETRY_AFTER_FORMS, RetryAfter
from .serving.request_form import PROJECT_ID
from .world.behaviour import Behaviour
from .world.rate_limits import LimiterKind, make_limiter
from .world.records import DraftRef, JobFailure
from .world.rules import known_status

__all__ = ["Sandbox"]

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)


class Sandbox(FaultControl):
    """A local HTTP server that behaves as the exchange does: runs, ETags, jobs, a clock, faults and a rate limit.

    Either `async with Sandbox() as sandbox:`, on the running event loop; or `with Sandbox() as sandbox:`, or
    `start()` and `stop()`, with a thread and an event loop of its own. It may be started again after it was
    stopped: its state is kept, and `port=0` picks a new port. All other methods may be called at any time and
    from any thread.

    `host`, `port`: the address to listen on; port 0 picks a free port. `seed`: for the ids it makes up.
    `clock`: a function that returns the time as an aware datetime, `None` for the real time; `advance` adds
    to it. `require_token`: with `True` every request needs the made-up `token`, another one for each sandbox,
    with a string that one. `token_lifetime`: of tokens from `token_url`, in seconds of its clock. `behaviour`:
    settings for what is unknown of the real exchange. `keep`, `keep_bytes`: how many of the latest requests and
    of the latest writes are kept, and how many bytes of each; `None` for no bound. `dropped_requests` and
    `dropped_writes` count the others.

    It answers only requests whose `Host` is a loopback name, `host` (for `0.0.0.0` and `::` the address that the
    request came to), or one of `hosts` (names or addresses without port, such as that of a container), with any
    port. Other hosts get 421, web pages of other origins 403, bodies of more than 1 MiB 413, headers of more
    than 64 KiB 431.

    Raises `ConfigurationError` for a bad argument.
    """

    __module__ = "fielding_async.sandbox"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock: Callable[[], datetime] | None = None,
        require_token: bool | str = False,
        behaviour: Behaviour | None = None,
        token_lifetime: float = 86_400.0,
        keep: int | None = None,
        keep_bytes: int | None = 256 << 20,
        hosts: tuple[str, ...] = (),
    ) -> None:
        for name, value in (("keep", keep), ("keep_bytes", keep_bytes)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigurationError(f"Sandbox({name}={value!r}): must be a whole number of 1 or more, or None")
        if clock is not None and clock().tzinfo is None:
            raise ConfigurationError("Sandbox(clock=…): must tell the time as an aware datetime")
        pipeline = RequestPipeline(
            seed=seed,
            clock=clock,
            behaviour=behaviour or Behaviour(),
            require_token=require_token,
            token_lifetime=token_lifetime,
            kept=Kept(keep, keep_bytes),
        )
        super().__init__(pipeline, host, port, checked_names(hosts))
        self._project = pipeline.ids.ulid()

    # Tokens and ids

    @property
    def token(self) -> str | None:
        """The token that requests need; `None` unless `require_token` was given."""
        return self._pipeline.token

    @property
    def project_id(self) -> str:
        """The project that `add_run` and `add_draft` use by default."""
        return self._project

    def add_client(self, client_id: str, client_secret: str) -> None:
        """Let a client fetch tokens at `token_url`. From now on every request needs a token."""
        with self._pipeline.lock:
            self._pipeline.engine.tokens.add_client(client_id, client_secret)

    def expire_tokens(self) -> None:
        """Expire every token issued so far, `token` too: they are answered with 403 from now on."""
        with self._pipeline.lock:
            self._pipeline.engine.tokens.expire(self._pipeline.now())

    def refuse(self, token: str, status: Literal[401, 403] = 401) -> None:
        """Answer requests with this token with `status` from now on, as if it had been revoked."""
        with self._pipeline.lock:
            self._pipeline.engine.tokens.refuse(token, status)

    @property
    def token_lifetime(self) -> float:
        """The lifetime of tokens issued from now on, in seconds of the sandbox's clock."""
        return self._pipeline.engine.tokens.lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        self._pipeline.engine.tokens.lifetime = seconds

    # Runs, drafts, writes, requests and jobs

    def add_run(
        self,
        status: RunStatus | str = RunStatus.SCHEDULED,
        *,
        account_id: int = 101,
        project_id: str | None = None,
        target_group_id: str | None = None,
        fielding_run_id: str | None = None,
        start_fielding_at: datetime | None = None,
        end_fielding_at: datetime | None = None,
        version: int = 1,
        goal_reached: bool = False,
    ) -> RunRef:
        """Add a run with its target group, and return its ids.

        Ids left out are made up; without `project_id` the run is in the project `Sandbox.project_id`. By
        default a scheduled run starts in a day, any other started a day ago; it ends a week after now or, if
        that is later, a week after its start. Dates are cut to `Behaviour.date_precision` (milliseconds by
        default). `goal_reached`: a paused or completed run has reached its completes goal, so that it cannot
        be resumed or relaunched.

        The clock applies at once: a scheduled run with a start in the past becomes live, a live one with an
        end in the past completed. Raises `ConfigurationError` for a bad argument, or if the target group
        exists already.
        """
        known = known_status(status)
        now = self._pipeline.now()
        if goal_reached and known not in {RunStatus.PAUSED, RunStatus.COMPLETED}:
            raise ConfigurationError(f"add_run(goal_reached=True): a run that is {known} cannot have reached its goal")
        if isinstance(version, bool) or version < 0:
            raise ConfigurationError(f"add_run(version={version!r}): must be a whole number of 0 or more")
        if fielding_run_id is not None and (not fielding_run_id or "/" in fielding_run_id):
            raise ConfigurationError(f"add_run(fielding_run_id={fielding_run_id!r}): must be a text without '/'")
        start = _aware("start_fielding_at", start_fielding_at)
        end = _aware("end_fielding_at", end_fielding_at)
        if start is None:
            start = now + _DAY if known is RunStatus.SCHEDULED else now - _DAY
            start = min(start, end - _DAY) if end else start
        end = end or max(now, start) + _WEEK
        if floor(end, self._pipeline.behaviour.date_precision) <= start:
            raise ConfigurationError("add_run: end_fielding_at must be after start_fielding_at")
        with self._pipeline.lock:
            group = self._new_group(account_id, project_id, target_group_id)
            run_id = fielding_run_id or self._pipeline.ids.ulid()
            ref = RunRef(group.account_id, group.project_id, group.target_group_id, run_id)
            self._pipeline.engine.add_run(ref, known, start, end, version, now, goal_reached=goal_reached)
            self._pipeline.engine.catch_up(now)
        return ref

    def add_draft(
        self,
        *,
        account_id: int = 101,
        project_id: str | None = None,
        target_group_id: str | None = None,
        failure: JobFailure | None = None,
    ) -> DraftRef:
        """Add a draft target group, which a job can launch or schedule, and return its ids.

        Ids left out are made up. With `failure` such a job fails with this code and these reasons. Raises
        `ConfigurationError` for a bad argument, or if the target group exists already.
        """
        with self._pipeline.lock:
            group = self._new_group(account_id, project_id, target_group_id)
            self._pipeline.engine.add_draft(group, failure)
        return group

    def _new_group(self, account_id: int, project_id: str | None, target_group_id: str | None) -> DraftRef:
        for name, value in (("project_id", project_id), ("target_group_id", target_group_id)):
            if value is not None and not PROJECT_ID.fullmatch(value):
                raise ConfigurationError(f"{name}={value!r}: must be 26 characters of 0-9 and A-Z")
        if isinstance(account_id, bool) or not 0 <= account_id < 2**31:
            raise ConfigurationError(f"account_id={account_id!r}: must be a whole number from 0 to 2147483647")
        group = DraftRef(account_id, project_id or self._project, target_group_id or self._pipeline.ids.ulid())
        if self._pipeline.engine.runs.has_group(group):
            raise ConfigurationError(f"target_group_id={target_group_id!r}: exists already")
        return group

    def inspect(self, ref: RunRef) -> FieldingRun:
        """Return the current state of the run, ETag included. Raises `KeyError` if there is no such run."""
        with self._pipeline.lock:
            run = self._pipeline.engine.inspect(ref, self._pipeline.now())
        if run is None:
            raise KeyError(f"no such run: {ref}")
        return run

    def touch(
        self,
        ref: RunRef,
        *,
        status: RunStatus | str | None = None,
        start_fielding_at: datetime | None = None,
        end_fielding_at: datetime | None = None,
    ) -> FieldingRun:
        """Write to a run as another user, whatever its state, and return the run after the write.

        What is not given stays as it is; the version is raised in any case. Raises `KeyError` if there is no
        such run, `ConfigurationError` for a bad argument.
        """
        known = None if status is None else known_status(status)
        start = _aware("start_fielding_at", start_fielding_at)
        end = _aware("end_fielding_at", end_fielding_at)
        with self._pipeline.lock:
            run = self._pipeline.engine.touch(ref, known, start, end, self._pipeline.now())
        if run is None:
            raise KeyError(f"no such run: {ref}")
        return run

    # Clock and rate limit

    @property
    def now(self) -> datetime:
        """The time by the sandbox's clock, in UTC, cut to whole milliseconds."""
        return floor(self._pipeline.now().astimezone(UTC), MILLISECOND)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: runs go live and complete, jobs are carried out, tokens expire.

        Raises `ConfigurationError` for a negative number.
        """
        if seconds < 0:
            raise ConfigurationError(f"advance({seconds!r}): the clock does not go back")
        self._pipeline.advance(seconds)

    def rate_limit(
        self,
        per_second: float | None,
        *,
        kind: LimiterKind = "fixed-window",
        burst: int | None = None,
        retry_after: RetryAfter = "seconds",
        window: float = 1.0,
    ) -> None:
        """Answer requests beyond `per_second` with 429; `None` removes the limit.

        A new limit starts counting from zero. All requests but those for tokens count, by real time.
        `window`: the length of a window in seconds, for the window limiters. `burst` is for the buckets: by
        default the requests of one second for `"token-bucket"`, 1 (even spacing) for `"leaky-bucket"`.
        `retry_after`: the form of the header (`"absent"`: none), or a function from the seconds to wait to its text,
        or to `None`. Raises `ConfigurationError`.
        """
        if not callable(retry_after) and retry_after not in RETRY_AFTER_FORMS:
            forms = ", ".join(map(repr, RETRY_AFTER_FORMS))
            raise ConfigurationError(f"rate_limit(retry_after={retry_after!r}): must be one of {forms}, or a function")
        limiter = None
        if per_second is not None:
            limiter = make_limiter(kind, per_second, burst=burst, window=window, start=monotonic())
        with self._pipeline.lock:
            self._pipeline.limiter, self._pipeline.retry_after = limiter, retry_after


def _aware(name: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ConfigurationError(f"{name}={moment!r}: must be an aware datetime")
    return moment
