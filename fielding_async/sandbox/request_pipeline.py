"""What a request passes through between the server and the rules engine, under one lock.

Adds what the engine leaves out: the clock, the log of requests, the rate limit and the scripted faults. The faults that
concern the connection or the headers of a reply are applied by `server`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_urlsafe
from threading import RLock

from attrs import evolve, frozen

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import RunRef

from .catalog.catalog import Catalog
from .failures import Failures
from .faults.script import Script
from .faults.values import ExchangePauses, Fault, Repeat, SecondWriter, Status
from .faults.values import Reply as ReplyFault
from .serving.bound import Kept
from .serving.checks import header_value
from .serving.host_check import Refused
from .serving.ids import IdGenerator
from .serving.replies import Reply, RetryAfter, error_reply, retry_after_text, too_many_requests
from .serving.request_form import Request
from .serving.request_log import RequestLog
from .serving.routes import Operation, Route, find_route
from .serving.trace_headers import trace_headers
from .serving.traffic import Traffic
from .world.behaviour import Behaviour
from .world.job_faults import JobFails, JobOmits
from .world.rate_limits import Limiter
from .world.rules_engine import Answer, RulesEngine

__all__ = ["IncomingRequest", "RequestPipeline", "checked_time"]

_ACCOUNT = re.compile(r"[0-9]{1,10}")
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # of the clock, so that times after it are of the calendar too
_END = datetime.max.replace(tzinfo=UTC)
_BEGIN = datetime.min.replace(tzinfo=UTC)


def checked_time(moment: object) -> datetime:
    """Return the time that a function told, in UTC. Raises `ConfigurationError` unless it is an aware datetime."""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ConfigurationError(f"Sandbox(clock=…): must return an aware datetime, not {briefly(moment)}")
    return moment.astimezone(UTC)


@frozen(kw_only=True)
class IncomingRequest:
    """A request as received: to be handled, with the faults for it, or already refused with `reply`.

    A request over the rate limit or without a route is refused; its `request` is `None`.
    """

    request_id: int
    request: Request | None = None
    ref: RunRef | None = None
    faults: tuple[Fault, ...] = ()
    reply: Reply | None = None
    is_in_flight: bool = False
    trace_headers: tuple[tuple[str, str], ...] = ()


class RequestPipeline:
    """The requests of one sandbox on their way to its rules engine. Every method may be called from any thread."""

    def __init__(
        self,
        *,
        seed: int,
        clock: Callable[[], datetime] | None,
        behaviour: Behaviour,
        require_token: bool | str,
        token_lifetime: float,
        kept: Kept,
    ) -> None:
        self.lock: RLock = RLock()
        self.ids: IdGenerator = IdGenerator(Random(seed))  # noqa: S311 - ids, not secrets
        self.behaviour = behaviour
        self.token: str | None = None
        if require_token:
            self.token = require_token if isinstance(require_token, str) else f"sandbox.{token_urlsafe(32)}"
        # of its own, so that other made-up ids do not depend on what is in the catalog
        catalog_ids = IdGenerator(Random(f"catalog/{seed}"))  # noqa: S311 - ids, not secrets
        catalog = Catalog(seed, catalog_ids, kept)
        self.engine: RulesEngine = RulesEngine(
            self.ids, behaviour, catalog, token=self.token, token_lifetime=token_lifetime, kept=kept
        )
        self.script: Script = Script()
        self.failures: Failures = Failures()
        self.limiter: Limiter | None = None
        self.retry_after: RetryAfter = "seconds"
        self.in_flight_limit: int | None = None
        self.in_flight_retry_after: RetryAfter = "absent"
        self.latency: tuple[float, float] = (0.0, 0.0)
        self.traffic: Traffic = Traffic()
        self.requests: RequestLog = RequestLog(kept)
        self._dice = Random(f"latency/{seed}")  # noqa: S311 - no secret
        self._pauses: list[tuple[RunRef, int, str]] = []
        self._clock = clock
        self._advanced = timedelta(0)

    def now(self) -> datetime:
        """Return the time by the sandbox's clock, in UTC."""
        return (checked_time(self._clock()) if self._clock else datetime.now(UTC)) + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and apply what is due. Raises `ConfigurationError` rather than pass the last time."""
        with self.lock:
            now, step = self.now(), timedelta(seconds=seconds)
            if step > max(_LATEST - now, timedelta(0)):
                raise ConfigurationError(
                    f"advance(seconds={seconds!r}): must not move the clock, now {now:%Y-%m-%d}, beyond the year"
                    f" {_LATEST.year}: pass less, or make another sandbox"
                )
            self._advanced += step
            self.engine.catch_up(self.now())

    def receive(
        self, method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes, received_at: float
    ) -> IncomingRequest:
        """Record a request, find its route, count it against the rate limit, and take the faults for it."""
        joined: dict[str, str] = {}
        for name, value in headers:
            known = joined.get(name.lower())
            joined[name.lower()] = value if known is None else f"{known}, {value}"
        found = find_route(method, path)
        ref = _ref(found.ids) if isinstance(found, Route) else None
        with self.lock:
            number = self.requests.add(
                method=method,
                path=path,
                operation=found.operation.name if isinstance(found, Route) else None,
                ref=ref,
                headers=headers,
                body=body,
                received_at=received_at,
            )
            parent, state, trace_id = trace_headers(joined.get("traceparent"), joined.get("tracestate"), self.ids)
            trace = (("traceparent", parent), ("tracestate", state))
            is_token = isinstance(found, Route) and found.operation.kind == "token"
            limited = None if is_token else self._limited(received_at)
            self.traffic.arrived(received_at, is_refused=limited is not None)
            if limited is not None:
                return IncomingRequest(request_id=number, reply=limited, trace_headers=trace)
            if not isinstance(found, Route):
                return IncomingRequest(request_id=number, reply=self._no_route(found.allowed), trace_headers=trace)
            faults = self._faults(found.operation, ref)
            request = Request(
                operation=found.operation,
                ids=found.ids,
                headers=joined,
                query=path.partition("#")[0].partition("?")[2],
                body=body,
                trace_id=trace_id,
                request_id=number,
            )
            self.traffic.in_flight += not is_token
            return IncomingRequest(
                request_id=number,
                request=request,
                ref=ref,
                faults=faults,
                is_in_flight=not is_token,
                trace_headers=trace,
            )

    def refuse(
        self, refused: Refused, method: str, path: str, headers: tuple[tuple[str, str], ...], received_at: float
    ) -> IncomingRequest:
        """Record a request that is refused before its route is searched for, without its body."""
        with self.lock:
            number = self.requests.add(
                method=method,
                path=path,
                operation=None,
                ref=None,
                headers=headers,
                body=b"",
                received_at=received_at,
            )
            reply = error_reply(refused.status, self.ids, detail=refused.detail)
            return IncomingRequest(request_id=number, reply=reply)

    def leave(self, incoming: IncomingRequest) -> None:
        """Record that a request is in progress no more."""
        with self.lock:
            self.traffic.in_flight -= incoming.is_in_flight

    def wait_of_latency(self) -> float:
        """Return for how many seconds a request waits before it is handled."""
        seconds, jitter = self.latency
        return seconds + self._dice.uniform(-jitter, jitter) if jitter else seconds

    def handle(self, incoming: IncomingRequest, request: Request) -> Reply:
        """Let the engine handle a request, with the faults that apply at this point; return the reply."""
        with self.lock:
            self._others(incoming, "before")
            replacing = next((f for f in incoming.faults if isinstance(f, Status | ReplyFault)), None)
            answer: Answer | None = None
            if all(getattr(fault, "applied", True) for fault in incoming.faults):
                answer = self._answer(incoming, request)
                self._others(incoming, "after")
                self._count_towards_pauses(incoming.ref)
                if answer.applied:
                    self.requests.set_applied(incoming.request_id)
            if isinstance(replacing, ReplyFault):
                return Reply(replacing.status, replacing.headers, replacing.body)
            if isinstance(replacing, Status):
                return self._status(replacing)
            return answer.reply if answer else Reply(500)

    def record_status(self, request_id: int, status: int) -> None:
        """Record the status of the reply to a request."""
        with self.lock:
            self.requests.set_status(request_id, status)
            self.traffic.answered(status)

    def _answer(self, incoming: IncomingRequest, request: Request) -> Answer:
        now = self.now()
        job_faults = tuple(fault for fault in incoming.faults if isinstance(fault, JobFails | JobOmits))
        first = self.engine.handle(request, now, job_faults)
        repeat = next((fault.answer for fault in incoming.faults if isinstance(fault, Repeat)), None)
        if repeat is None and request.operation.writes and self.behaviour.repeat_requests != "never":
            repeat = self.behaviour.repeat_requests
        if repeat is None:
            return first
        second = self.engine.handle(request, now, job_faults)
        return Answer((first if repeat == "first" else second).reply, first.applied or second.applied)

    def pause_after_requests(self, ref: RunRef, requests: int, reason: str) -> None:
        """Let the exchange pause the run once so many more requests about it were handled."""
        self._pauses.append((ref, requests, reason))

    def _count_towards_pauses(self, ref: RunRef | None) -> None:
        if not self._pauses:
            return
        counted = [(run, left - (run == ref), reason) for run, left, reason in self._pauses]
        self._pauses = [entry for entry in counted if entry[1]]
        now = self.now()
        for run, left, reason in counted:
            if not left:
                self.engine.pause_by_exchange(run, now, now, reason)

    def _others(self, incoming: IncomingRequest, when: str) -> None:
        """Let others than the client change the run."""
        for fault in incoming.faults:
            if isinstance(fault, ExchangePauses) and fault.when == when and incoming.ref is not None:
                now = self.now()
                self.engine.pause_by_exchange(incoming.ref, now, now, fault.reason)
            if not isinstance(fault, SecondWriter) or fault.when != when or incoming.ref is None:
                continue
            now = self.now()
            end = fault.end_fielding_at
            if fault.status is None and fault.start_fielding_at is None and end is None:
                run = self.engine.runs.accepted(incoming.ref)
                end = _moved(run.end, fault.shift) if run else None
            self.engine.touch(incoming.ref, fault.status, fault.start_fielding_at, end, now)

    def _faults(self, operation: Operation, ref: RunRef | None) -> tuple[Fault, ...]:
        run_exists = ref is not None and self.engine.runs.accepted(ref) is not None
        return self.script.take(operation, ref, run_exists=run_exists)

    def _limited(self, at: float) -> Reply | None:
        form, wait = self.retry_after, self.limiter.hit(at) if self.limiter else None
        if wait is None:
            if self.in_flight_limit is None or self.traffic.in_flight < self.in_flight_limit:
                return None
            form, wait = self.in_flight_retry_after, 1.0
        text = retry_after_text(form, wait, self.now())
        return too_many_requests(None if text is None else header_value("rate_limit", "retry_after", text))

    def _no_route(self, allowed: tuple[str, ...]) -> Reply:
        if not allowed:
            return error_reply(404, self.ids)
        return error_reply(405, self.ids, headers=(("Allow", ", ".join(sorted(allowed))),))

    def _status(self, fault: Status) -> Reply:
        if fault.body is not None:
            reply = Reply(fault.code, (("Content-Type", "application/json"),), fault.body)
        elif fault.code == 429:
            reply = too_many_requests(None)
        elif fault.code >= 400:
            reply = error_reply(fault.code, self.ids)
        else:
            reply = Reply(fault.code)
        extra = fault.headers
        if fault.retry_after is not None:
            extra = (("Retry-After", fault.retry_after), *extra)
        named = {name.lower() for name, _ in extra}
        kept = tuple((name, value) for name, value in reply.headers if name.lower() not in named)
        return evolve(reply, headers=(*kept, *extra))


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Return the time moved, not beyond the calendar."""
    return moment + min(max(by, _BEGIN - moment), _END - moment)


def _ref(ids: dict[str, str]) -> RunRef | None:
    account = ids.get("account_id", "")
    if "fielding_run_id" not in ids or not _ACCOUNT.fullmatch(account):
        return None
    return RunRef(int(account), ids["project_id"], ids["target_group_id"], ids["fielding_run_id"])
