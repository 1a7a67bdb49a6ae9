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

from fielding_async.core.models import RunRef

from .fault_script import Script
from .faults import ExchangePauses, Fault, Repeat, SecondWriter, Status
from .faults import Reply as ReplyFault
from .serving.bound import Kept
from .serving.host_check import Refused
from .serving.ids import IdGenerator
from .serving.replies import Reply, RetryAfter, error_reply, retry_after_text, too_many_requests
from .serving.request_form import Request
from .serving.request_log import RequestLog
from .serving.routes import Operation, Route, find_route
from .serving.trace_headers import trace_headers
from .world.behaviour import Behaviour
from .world.job_faults import JobFails, JobOmits
from .world.rate_limits import Limiter
from .world.rules_engine import Answer, RulesEngine

__all__ = ["IncomingRequest", "RequestPipeline"]

_ACCOUNT = re.compile(r"[0-9]{1,10}")


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
        self.engine: RulesEngine = RulesEngine(
            self.ids, behaviour, token=self.token, token_lifetime=token_lifetime, kept=kept
        )
        self.script: Script = Script()
        self.limiter: Limiter | None = None
        self.retry_after: RetryAfter = "seconds"
        self.requests: RequestLog = RequestLog(kept)
        self._pauses: list[tuple[RunRef, int]] = []
        self._clock = clock
        self._advanced = timedelta(0)

    def now(self) -> datetime:
        """Return the time by the sandbox's clock, in UTC."""
        return (self._clock().astimezone(UTC) if self._clock else datetime.now(UTC)) + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and apply what is due."""
        with self.lock:
            self._advanced += timedelta(seconds=seconds)
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
            if not is_token and (limited := self._limited(received_at)) is not None:
                return IncomingRequest(request_id=number, reply=limited, trace_headers=trace)
            if not isinstance(found, Route):
                return IncomingRequest(request_id=number, reply=self._no_route(found.allowed), trace_headers=trace)
            faults = self._faults(found.operation, method, ref)
            request = Request(
                operation=found.operation,
                ids=found.ids,
                headers=joined,
                body=body,
                trace_id=trace_id,
                request_id=number,
            )
            return IncomingRequest(request_id=number, request=request, ref=ref, faults=faults, trace_headers=trace)

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

    def pause_after_requests(self, ref: RunRef, requests: int) -> None:
        """Let the exchange pause the run once so many more requests about it were handled."""
        self._pauses.append((ref, requests))

    def _count_towards_pauses(self, ref: RunRef | None) -> None:
        if not self._pauses:
            return
        counted = [(run, left - (run == ref)) for run, left in self._pauses]
        self._pauses = [(run, left) for run, left in counted if left]
        now = self.now()
        for run, left in counted:
            if not left:
                self.engine.pause_by_exchange(run, now, now)

    def _others(self, incoming: IncomingRequest, when: str) -> None:
        """Let others than the client change the run."""
        for fault in incoming.faults:
            if isinstance(fault, ExchangePauses) and fault.when == when and incoming.ref is not None:
                now = self.now()
                self.engine.pause_by_exchange(incoming.ref, now, now)
            if not isinstance(fault, SecondWriter) or fault.when != when or incoming.ref is None:
                continue
            now = self.now()
            end = fault.end_fielding_at
            if fault.status is None and fault.start_fielding_at is None and end is None:
                run = self.engine.runs.accepted(incoming.ref)
                end = run.end + fault.shift_end if run else None
            self.engine.touch(incoming.ref, fault.status, fault.start_fielding_at, end, now)

    def _faults(self, operation: Operation, method: str, ref: RunRef | None) -> tuple[Fault, ...]:
        run_exists = ref is not None and self.engine.runs.accepted(ref) is not None
        makes_job = operation.kind in {"draft", "bulk"}
        return self.script.take(method, operation.name, ref, run_exists=run_exists, makes_job=makes_job)

    def _limited(self, at: float) -> Reply | None:
        wait = self.limiter.hit(at) if self.limiter else None
        return None if wait is None else too_many_requests(retry_after_text(self.retry_after, wait, self.now()))

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


def _ref(ids: dict[str, str]) -> RunRef | None:
    account = ids.get("account_id", "")
    if "fielding_run_id" not in ids or not _ACCOUNT.fullmatch(account):
        return None
    return RunRef(int(account), ids["project_id"], ids["target_group_id"], ids["fielding_run_id"])
