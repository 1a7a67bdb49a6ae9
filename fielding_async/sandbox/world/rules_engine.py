"""The rules engine: takes one request and the current time, changes the state, and returns the answer."""

from datetime import datetime

from attrs import evolve, frozen

from fielding_async.core.models import FieldingRun, RunRef, RunStatus
from fielding_async.sandbox.catalog.catalog import Catalog
from fielding_async.sandbox.serving.bound import Kept
from fielding_async.sandbox.serving.dates import floor
from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.replies import Reply, error_reply, json_reply
from fielding_async.sandbox.serving.request_form import Request, RequestForm, read_form

from .assistants import Assistants
from .behaviour import Behaviour
from .discovery import Discovery
from .job_faults import JobFault
from .jobs import Jobs
from .records import DraftRef, JobFailure
from .representations import accepted_reply, job_body, job_location, run_body, run_value
from .rules import StoredRun, after_action, date_problems, refusal
from .runs import Cause, Runs
from .tokens import Tokens

__all__ = ["Answer", "RulesEngine"]


@frozen
class Answer:
    """The reply to a request, and whether the request changed a run or an assistant, or made a job."""

    reply: Reply
    applied: bool = False


class RulesEngine:
    """Runs, jobs, tokens and the catalog, and the rules between them. It has no clock, no socket and no lock."""

    def __init__(
        self,
        ids: IdGenerator,
        behaviour: Behaviour,
        catalog: Catalog,
        *,
        token: str | None,
        token_lifetime: float,
        kept: Kept,
    ) -> None:
        self.behaviour = behaviour
        self.ids = ids
        self.catalog = catalog
        self.runs: Runs = Runs(behaviour, kept, catalog)
        self.jobs: Jobs = Jobs(behaviour, self.runs, ids)
        self.tokens: Tokens = Tokens(ids, static=token, lifetime=token_lifetime)
        self.assistants: Assistants = Assistants(catalog, behaviour, ids, kept)
        self._discovery = Discovery(catalog, self.runs, behaviour, ids)
        self._user, self._colleague, self._system = ids.uuid(), ids.uuid(), ids.uuid()

    def add_run(
        self,
        ref: RunRef,
        status: RunStatus,
        start: datetime,
        end: datetime,
        version: int,
        now: datetime,
        *,
        goal_reached: bool,
    ) -> None:
        """Add a run in this state."""
        precision = self.behaviour.date_precision
        run = StoredRun(
            ref=ref,
            status=status,
            version=version,
            start=floor(start, precision),
            end=floor(end, precision),
            changed_at=now,
            changed_by=self._colleague,
            goal_reached=goal_reached,
        )
        self.runs.add(run)

    def add_draft(self, group: DraftRef, failure: JobFailure | None, now: datetime) -> None:
        """Add a draft target group."""
        self.runs.add_draft(group, failure, now)

    def counts(self) -> str:
        """Return how many runs and jobs there are, as a text."""
        runs, jobs = self.runs.count(), len(self.jobs.records)
        return f"{runs} run{'' if runs == 1 else 's'}, {jobs} job{'' if jobs == 1 else 's'}"

    def catch_up(self, now: datetime) -> None:
        """Apply everything that is due by now, in the order of its due times."""
        while True:
            job, run_at, pause_at = self.jobs.next_due(now), self.runs.next_due(now), self.runs.next_pause(now)
            first = min((at for at in (job and job[0], run_at, pause_at) if at is not None), default=None)
            if first is None:
                return
            if job is not None and job[0] == first:
                self.jobs.carry_out(job[1], job[0])
            elif run_at == first:
                self.runs.change_first_due(self._system)
            else:
                self.runs.pause_first(self._system)

    def inspect(self, ref: RunRef, now: datetime) -> FieldingRun | None:
        """Return the run as it is now; `None` if there is no such run."""
        self.catch_up(now)
        run = self.runs.applied(ref, now)
        return None if run is None else run_value(run, self.runs.etag(run))

    def touch(
        self,
        ref: RunRef,
        status: RunStatus | None,
        start: datetime | None,
        end: datetime | None,
        now: datetime,
    ) -> FieldingRun | None:
        """Write to a run as another user, whatever its state; return `None` if there is no such run."""
        self.catch_up(now)
        run = self.runs.accepted(ref)
        if run is None:
            return None
        precision = self.behaviour.date_precision
        wanted = evolve(
            run,
            status=run.status if status is None else status,
            start=run.start if start is None else floor(start, precision),
            end=run.end if end is None else floor(end, precision),
        )
        after = self.runs.write(wanted, now, Cause(operation="touch", by="colleague", user=self._colleague))
        self.catch_up(now)
        return run_value(after, self.runs.etag(after))

    def pause_by_exchange(self, ref: RunRef, at: datetime, now: datetime, reason: str) -> None:
        """Let the exchange pause the run by itself, now or at a later time, if it is live then."""
        self.catch_up(now)
        if at > now:
            self.runs.schedule_pause(ref, at, reason)
        else:
            self.runs.pause(ref, now, self._system, reason)

    def handle(self, request: Request, now: datetime, job_faults: tuple[JobFault, ...] = ()) -> Answer:
        """Answer one request. `job_faults` are for the job that it makes.

        Checks come in this order: token, form, existence, ETag, state.
        """
        self.catch_up(now)
        if request.operation.kind == "token":
            return Answer(self.tokens.issue(request.body, now))
        unauthorized = self.tokens.check(request.headers.get("authorization"), now)
        if unauthorized is not None:
            return Answer(unauthorized)
        form = read_form(request)
        if isinstance(form, tuple):
            return Answer(error_reply(400, self.ids, invalid=form))
        match request.operation.kind:
            case "list":
                return Answer(self._list(form, now))
            case "get":
                return Answer(self._get(form, now))
            case "assistant" | "assistant-update":
                return Answer(*self.assistants.answer(request, form))
            case "discovery":
                return Answer(self._discovery.answer(request.operation.name, form, now))
            case "draft" | "bulk":
                return self._make_job(request, form, now, job_faults)
            case "draft-status" | "bulk-status":
                return Answer(self._poll(request, form, now))
            case _:
                return self._write(request, form, now)

    def _list(self, form: RequestForm, now: datetime) -> Reply:
        group = DraftRef(form.account_id, form.project_id, form.target_group_id)
        if not self.runs.has_group(group):
            return error_reply(404, self.ids)
        ref = self.runs.run_of(group)
        run = self.runs.shown(ref, now) if ref else None
        return json_reply(200, {"data": [run_body(run)] if run else [], "has_more": False})

    def _get(self, form: RequestForm, now: datetime) -> Reply:
        run = self.runs.shown(_ref(form), now)
        if run is None:
            return error_reply(404, self.ids)
        return json_reply(200, run_body(run), (("ETag", self.runs.etag(run)),))

    def _write(self, request: Request, form: RequestForm, now: datetime) -> Answer:
        action = request.operation.action
        run = self.runs.accepted(_ref(form))
        if run is None:
            return Answer(error_reply(404, self.ids))
        refused = refusal(action, run, now)
        stale = form.if_match != self.runs.etag(run)
        if stale and not (refused and self.behaviour.state_before_etag):
            return Answer(error_reply(412, self.ids))
        if refused:
            return Answer(error_reply(422, self.ids, detail=refused.detail))
        if form.start is not None and form.end is not None:
            precision = self.behaviour.date_precision
            start, end = floor(form.start, precision), floor(form.end, precision)
            problems = date_problems(run, start, end, floor(now, precision))
            if problems:
                return Answer(error_reply(400, self.ids, invalid=problems))
            wanted = evolve(run, start=start, end=end)
        else:
            wanted = after_action(action, run, now, self.behaviour)
        cause = Cause(
            operation=request.operation.name,
            by="client",
            user=self._user,
            if_match=form.if_match,
            trace_id=request.trace_id,
            body=request.body,
            request_id=request.request_id,
        )
        after = self.runs.write(wanted, now, cause)
        self.catch_up(now)
        return Answer(accepted_reply(action, after, self.runs.etag(after)), applied=True)

    def _make_job(self, request: Request, form: RequestForm, now: datetime, faults: tuple[JobFault, ...]) -> Answer:
        if request.operation.kind == "bulk" and not self.runs.has_project(form.account_id, form.project_id):
            return Answer(error_reply(404, self.ids))
        job = self.jobs.with_key_of(request, form)
        fresh = job is None
        if job is None:
            job = self.jobs.make(request, form, self._user, now, faults)
            self.catch_up(now)
        elif self.behaviour.key_reuse == "refuse" and self.jobs.differs(job, request):
            problem = ("Idempotency-Key", "was used before with another body")
            return Answer(error_reply(400, self.ids, invalid=(problem,)))
        return Answer(Reply(201, (("Location", job_location(job, self.behaviour)),)), applied=fresh)

    def _poll(self, request: Request, form: RequestForm, now: datetime) -> Reply:
        job = self.jobs.poll(request.operation, form, now)
        return error_reply(404, self.ids) if job is None else json_reply(200, job_body(job, self.behaviour))


def _ref(form: RequestForm) -> RunRef:
    return RunRef(form.account_id, form.project_id, form.target_group_id, form.fielding_run_id)
