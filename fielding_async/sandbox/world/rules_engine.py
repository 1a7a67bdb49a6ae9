"""The exchange itself, without time or sockets: a request and a moment in, an answer out."""

from datetime import datetime

from attrs import evolve, frozen

from fielding_async.core.models import FieldingRun, RunRef, RunStatus
from fielding_async.sandbox.serving.dates import MILLISECOND, floor, text
from fielding_async.sandbox.serving.ids import Ids
from fielding_async.sandbox.serving.replies import Reply, error, json_reply
from fielding_async.sandbox.serving.request_form import Call, Intake, read

from .behaviour import Behaviour
from .jobs import Jobs, location, shown
from .records import DraftRef, JobFailure
from .rules import StoredRun, acted, date_problems, refusal
from .runs import Cause, Runs
from .tokens import Tokens

__all__ = ["Answer", "World"]


@frozen
class Answer:
    """What the exchange answers, and whether the request changed a run or made a job."""

    reply: Reply
    applied: bool = False


class World:
    """Runs, jobs and tokens, and the rules between them. The present moment is always an argument."""

    def __init__(
        self, ids: Ids, behaviour: Behaviour, *, token: str | None, token_lifetime: float, keep: int | None
    ) -> None:
        self.behaviour = behaviour
        self.ids = ids
        self.runs: Runs = Runs(behaviour, keep)
        self.jobs: Jobs = Jobs(behaviour, self.runs, ids)
        self.tokens: Tokens = Tokens(ids, static=token, lifetime=token_lifetime)
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
        goal: bool,
    ) -> None:
        """Add a run as it stands."""
        precision = self.behaviour.date_precision
        run = StoredRun(
            ref=ref,
            status=status,
            version=version,
            start=floor(start, precision),
            end=floor(end, precision),
            changed_at=now,
            changed_by=self._colleague,
            goal_reached=goal,
        )
        self.runs.add(run)

    def add_draft(self, group: DraftRef, failure: JobFailure | None) -> None:
        """Add a draft target group."""
        self.runs.add_draft(group, failure)

    def catch_up(self, now: datetime) -> None:
        """Let everything happen that fell due by now, in the order of the clock."""
        while True:
            run_at, job = self.runs.next_due(now), self.jobs.next_due(now)
            if job is not None and (run_at is None or job[0] <= run_at):
                self.jobs.carry_out(job[1], job[0])
            elif run_at is not None:
                self.runs.move_first(self._system)
            else:
                return

    def inspect(self, ref: RunRef, now: datetime) -> FieldingRun | None:
        """Return the run as it is now; `None` if there is none."""
        self.catch_up(now)
        run = self.runs.applied(ref, now)
        return None if run is None else self._value(run)

    def touch(
        self,
        ref: RunRef,
        status: RunStatus | None,
        start: datetime | None,
        end: datetime | None,
        now: datetime,
    ) -> FieldingRun | None:
        """Let a colleague write to a run, whatever its state; `None` if there is no such run."""
        self.catch_up(now)
        run = self.runs.head(ref)
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
        return self._value(after)

    def handle(self, call: Call, now: datetime) -> Answer:
        """Answer one request."""
        self.catch_up(now)
        if call.operation.kind == "token":
            return Answer(self.tokens.issue(call.body, now))
        turned_away = self.tokens.verdict(call.headers.get("authorization"), now)
        if turned_away is not None:
            return Answer(turned_away)
        intake = read(call)
        if isinstance(intake, tuple):
            return Answer(error(400, self.ids, invalid=intake))
        match call.operation.kind:
            case "list":
                return Answer(self._list(intake, now))
            case "get":
                return Answer(self._get(intake, now))
            case "draft" | "bulk":
                return self._make_job(call, intake, now)
            case "draft-status" | "bulk-status":
                return Answer(self._poll(call, intake, now))
            case _:
                return self._write(call, intake, now)

    def _list(self, intake: Intake, now: datetime) -> Reply:
        group = DraftRef(intake.account_id, intake.project_id, intake.target_group_id)
        if not self.runs.has_group(group):
            return error(404, self.ids)
        ref = self.runs.run_of(group)
        run = self.runs.shown(ref, now) if ref else None
        return json_reply(200, {"data": [_item(run)] if run else [], "has_more": False})

    def _get(self, intake: Intake, now: datetime) -> Reply:
        run = self.runs.shown(_ref(intake), now)
        if run is None:
            return error(404, self.ids)
        return json_reply(200, _item(run), (("ETag", self.runs.etag(run)),))

    def _write(self, call: Call, intake: Intake, now: datetime) -> Answer:
        action = call.operation.action
        run = self.runs.head(_ref(intake))
        if run is None:
            return Answer(error(404, self.ids))
        refused = refusal(action, run, now)
        stale = intake.if_match != self.runs.etag(run)
        if stale and not (refused and self.behaviour.state_before_etag):
            return Answer(error(412, self.ids))
        if refused:
            return Answer(error(422, self.ids, detail=refused.detail))
        if intake.start is not None and intake.end is not None:
            precision = self.behaviour.date_precision
            start, end = floor(intake.start, precision), floor(intake.end, precision)
            problems = date_problems(run, start, end, floor(now, precision))
            if problems:
                return Answer(error(400, self.ids, invalid=problems))
            wanted = evolve(run, start=start, end=end)
        else:
            wanted = acted(action, run, now, self.behaviour)
        cause = Cause(
            operation=call.operation.name,
            by="client",
            user=self._user,
            if_match=intake.if_match,
            trace_id=call.trace_id,
            body=call.body,
            request_id=call.request_id,
        )
        after = self.runs.write(wanted, now, cause)
        self.catch_up(now)
        return Answer(_accepted(action, after, (("ETag", self.runs.etag(after)),)), applied=True)

    def _make_job(self, call: Call, intake: Intake, now: datetime) -> Answer:
        if call.operation.kind == "bulk" and not self.runs.has_project(intake.account_id, intake.project_id):
            return Answer(error(404, self.ids))
        job = self.jobs.known(call, intake)
        fresh = job is None
        if job is None:
            job = self.jobs.make(call, intake, self._user, now)
            self.catch_up(now)
        elif self.behaviour.key_reuse == "refuse" and self.jobs.differs(job, call):
            problem = ("Idempotency-Key", "was used before with another body")
            return Answer(error(400, self.ids, invalid=(problem,)))
        return Answer(Reply(201, (("Location", location(job, self.behaviour)),)), applied=fresh)

    def _poll(self, call: Call, intake: Intake, now: datetime) -> Reply:
        job = self.jobs.poll(call.operation, intake, now)
        return error(404, self.ids) if job is None else json_reply(200, shown(job, self.behaviour))

    def _value(self, run: StoredRun) -> FieldingRun:
        return FieldingRun(
            id=run.ref.fielding_run_id,
            status=run.status,
            version=run.version,
            start_fielding_at=run.start,
            end_fielding_at=run.end,
            last_changed_at=run.changed_at,
            last_changed_by=run.changed_by,
            account_id=run.ref.account_id,
            project_id=run.ref.project_id,
            target_group_id=run.ref.target_group_id,
            etag=self.runs.etag(run),
            start_text=text(run.start),
            end_text=text(run.end),
        )


def _ref(intake: Intake) -> RunRef:
    return RunRef(intake.account_id, intake.project_id, intake.target_group_id, intake.fielding_run_id)


def _item(run: StoredRun) -> dict[str, object]:
    return {
        "id": run.ref.fielding_run_id,
        "last_changed_at": text(floor(run.changed_at, MILLISECOND)),
        "last_changed_by": run.changed_by,
        "start_fielding_at": text(run.start),
        "end_fielding_at": text(run.end),
        "status": run.status,
        "version": run.version,
    }


def _accepted(action: str, run: StoredRun, headers: tuple[tuple[str, str], ...]) -> Reply:
    match action:
        case "update":
            return json_reply(202, {"id": run.ref.fielding_run_id}, headers)
        case "launch-now":
            content = {"start_fielding_at": text(run.start), "end_fielding_at": text(run.end)}
            return json_reply(200, content, headers)
        case _:
            return Reply(204, headers)
