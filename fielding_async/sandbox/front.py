"""Between sockets and world: one lock, the clock, the faults, the limit, the log of requests."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from threading import RLock

from attrs import evolve, frozen

from fielding_async.core.models import RunRef

from .faults import Fault, JobFails, JobOmits, Repeat, Script, SecondWriter, Status
from .faults import Reply as ReplyFault
from .serving.ids import Ids
from .serving.replies import Reply, error, too_many_requests
from .serving.request_form import Call
from .serving.routes import Operation, Route, route
from .serving.trace_headers import trace_headers
from .world.behaviour import Behaviour
from .world.rate_limits import Limiter, RetryAfter, retry_after_text
from .world.records import ReceivedRequest
from .world.rules_engine import Answer, World

__all__ = ["Arrival", "Exchange"]

_ACCOUNT = re.compile(r"[0-9]{1,10}")


@frozen(kw_only=True)
class Arrival:
    """A request taken in: what it is, what will strike it, or the reply it has already earned."""

    request_id: int
    call: Call | None = None
    ref: RunRef | None = None
    faults: tuple[Fault, ...] = ()
    reply: Reply | None = None
    trace: tuple[tuple[str, str], ...] = ()


class Exchange:
    """The state of one sandbox. Every method may be called from any thread."""

    def __init__(
        self,
        *,
        seed: int,
        clock: Callable[[], datetime] | None,
        behaviour: Behaviour,
        require_token: bool | str,
        token_lifetime: float,
        keep: int | None,
    ) -> None:
        self.lock: RLock = RLock()
        self.ids: Ids = Ids(Random(seed))  # noqa: S311 - ids, not secrets
        self.behaviour = behaviour
        self.token: str | None = None
        if require_token:
            self.token = require_token if isinstance(require_token, str) else f"sandbox.{self.ids.hex(40)}"
        self.world: World = World(self.ids, behaviour, token=self.token, token_lifetime=token_lifetime, keep=keep)
        self.script: Script = Script()
        self.limiter: Limiter | None = None
        self.retry_after: RetryAfter = "seconds"
        self.requests: dict[int, ReceivedRequest] = {}
        self._keep = keep
        self._arrivals = 0
        self._clock = clock
        self._advanced = timedelta(0)

    def now(self) -> datetime:
        """Return the time by the sandbox's clock, in UTC."""
        return (self._clock().astimezone(UTC) if self._clock else datetime.now(UTC)) + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the clock, and let happen what falls due."""
        with self.lock:
            self._advanced += timedelta(seconds=seconds)
            self.world.catch_up(self.now())

    def arrive(
        self, method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes, received_at: float
    ) -> Arrival:
        """Take a request in, count it against the limit, and choose the faults that strike it."""
        joined: dict[str, str] = {}
        for name, value in headers:
            known = joined.get(name.lower())
            joined[name.lower()] = value if known is None else f"{known}, {value}"
        found = route(method, path)
        ref = _ref(found.ids) if isinstance(found, Route) else None
        with self.lock:
            self._arrivals += 1
            number = self._arrivals
            self.requests[number] = ReceivedRequest(
                id=number,
                method=method,
                path=path,
                operation=found.operation.name if isinstance(found, Route) else None,
                ref=ref,
                headers=headers,
                body=body,
                received_at=received_at,
            )
            if self._keep is not None and len(self.requests) > self._keep:
                del self.requests[next(iter(self.requests))]
            parent, state, trace_id = trace_headers(joined.get("traceparent"), joined.get("tracestate"), self.ids)
            trace = (("traceparent", parent), ("tracestate", state))
            is_token = isinstance(found, Route) and found.operation.kind == "token"
            if not is_token and (limited := self._limited(received_at)) is not None:
                return Arrival(request_id=number, reply=limited, trace=trace)
            if not isinstance(found, Route):
                return Arrival(request_id=number, reply=self._astray(found.allowed), trace=trace)
            faults = self._faults(found.operation, method, ref)
            call = Call(
                operation=found.operation,
                ids=found.ids,
                headers=joined,
                body=body,
                trace_id=trace_id,
                request_id=number,
                job_faults=tuple(fault for fault in faults if isinstance(fault, JobFails | JobOmits)),
            )
            return Arrival(request_id=number, call=call, ref=ref, faults=faults, trace=trace)

    def judge(self, arrival: Arrival, call: Call) -> Reply:
        """Carry a request out, with the faults that strike at this moment; return what is to be answered."""
        with self.lock:
            self._second_writers(arrival, "before")
            replacing = next((f for f in arrival.faults if isinstance(f, Status | ReplyFault)), None)
            answer: Answer | None = None
            if all(getattr(fault, "applied", True) for fault in arrival.faults):
                answer = self._carry_out(arrival, call)
                self._second_writers(arrival, "after")
                if answer.applied and arrival.request_id in self.requests:
                    self.requests[arrival.request_id] = evolve(self.requests[arrival.request_id], applied=True)
            if isinstance(replacing, ReplyFault):
                return Reply(replacing.status, replacing.headers, replacing.body)
            if isinstance(replacing, Status):
                return self._status(replacing)
            return answer.reply if answer else Reply(500)

    def answered(self, request_id: int, status: int) -> None:
        """Note the status that a request was answered with."""
        with self.lock:
            known = self.requests.get(request_id)
            if known is not None:
                self.requests[request_id] = evolve(known, status=status)

    def _carry_out(self, arrival: Arrival, call: Call) -> Answer:
        now = self.now()
        first = self.world.handle(call, now)
        repeat = next((fault.answer for fault in arrival.faults if isinstance(fault, Repeat)), None)
        if repeat is None and call.operation.writes and self.behaviour.repeat_requests != "never":
            repeat = self.behaviour.repeat_requests
        if repeat is None:
            return first
        second = self.world.handle(call, now)
        return Answer((first if repeat == "first" else second).reply, first.applied or second.applied)

    def _second_writers(self, arrival: Arrival, when: str) -> None:
        for fault in arrival.faults:
            if not isinstance(fault, SecondWriter) or fault.when != when or arrival.ref is None:
                continue
            now = self.now()
            end = fault.end_fielding_at
            if fault.status is None and fault.start_fielding_at is None and end is None:
                run = self.world.runs.head(arrival.ref)
                end = run.end + fault.shift_end if run else None
            self.world.touch(arrival.ref, fault.status, fault.start_fielding_at, end, now)

    def _faults(self, operation: Operation, method: str, ref: RunRef | None) -> tuple[Fault, ...]:
        run_exists = ref is not None and self.world.runs.head(ref) is not None
        makes_job = operation.kind in {"draft", "bulk"}
        return self.script.take(method, operation.name, ref, run_exists=run_exists, makes_job=makes_job)

    def _limited(self, at: float) -> Reply | None:
        wait = self.limiter.hit(at) if self.limiter else None
        return None if wait is None else too_many_requests(retry_after_text(self.retry_after, wait, self.now()))

    def _astray(self, allowed: tuple[str, ...]) -> Reply:
        if not allowed:
            return error(404, self.ids)
        return error(405, self.ids, headers=(("Allow", ", ".join(sorted(allowed))),))

    def _status(self, fault: Status) -> Reply:
        if fault.body is not None:
            reply = Reply(fault.code, (("Content-Type", "application/json"),), fault.body)
        elif fault.code == 429:
            reply = too_many_requests(None)
        elif fault.code >= 400:
            reply = error(fault.code, self.ids)
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
