"""What goes over the wire, byte for byte, and what each answer becomes; over real sockets."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from fielding_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    FieldingSession,
    InvalidRunStateError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    RateLimitError,
    Retry,
    RunRef,
    ServerError,
    Timeout,
    Update,
)
from fielding_async.core.actions import Action, Complete, LaunchNow, Resume
from fielding_async.sandbox import Behaviour, Sandbox, SecondWriter, Status
from tests.tools.sessions import ACTION_IDS, ACTIONS, END, TOKEN, sent, session

HEX32, HEX16 = "[0-9a-f]{32}", "[0-9a-f]{16}"
ETAGS = ['W/"{version}"', '"{version}"', 'W/"é~{version},x"', '"a,b {version}"', "unquoted-{version}", 'w/"{version}"']


def paths(ref: RunRef) -> str:
    """Return the path of a run below the base URL."""
    return (
        f"/v1/demand/accounts/{ref.account_id}/projects/{ref.project_id}"
        f"/target-groups/{ref.target_group_id}/fielding-runs/{ref.fielding_run_id}"
    )


@pytest.mark.parametrize(("action", "status"), ACTIONS, ids=ACTION_IDS)
async def test_an_action_sends_the_documented_request(sandbox: Sandbox, action: Action, status: str) -> None:
    """Method, path, If-Match, version, token and body of each action are those of the document."""
    ref = sandbox.add_run(status)
    before = sandbox.inspect(ref)
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).perform(action)
    opening, write = sandbox.requests
    assert (opening.method, opening.path) == ("GET", paths(ref))
    assert write.method == ("PUT" if action.name == "update" else "POST")
    assert write.path == paths(ref) + ("" if action.name == "update" else f"/{action.name}")
    assert write.header_values("If-Match") == [before.etag]
    for request in (opening, write):
        assert request.header_values("Cint-API-Version") == ["2025-12-18"]
        assert request.header_values("Authorization") == [f"Bearer {TOKEN}"]
        assert len(request.header_values("traceparent")) == 1
        assert request.header("Accept") == "application/json"
        assert (request.header("User-Agent") or "").startswith("fielding-async/")
        assert request.header("Cookie") is None
    if isinstance(action, Update):
        assert write.header("Content-Type") == "application/json"
        assert json.loads(write.body) == {
            "start_fielding_at": before.start_text or _text(before.start_fielding_at.isoformat()),
            "end_fielding_at": "2031-05-17T12:30:15.123Z",
        }
    else:
        assert write.body == b""
        assert write.header("Content-Type") is None
        assert write.header("Content-Length") == "0"
    after = sandbox.inspect(ref)
    assert outcome.effect == "accepted"
    assert outcome.ref == ref
    assert outcome.action == action
    assert (outcome.requests, outcome.conflicts) == (2, 0)
    assert outcome.etag == after.etag
    assert (outcome.start_fielding_at, outcome.end_fielding_at) == (after.start_fielding_at, after.end_fielding_at)
    assert action.is_there(after)


def _text(iso: str) -> str:
    day, _, rest = iso.partition("+")
    assert rest == "00:00"
    head, _, fraction = day.partition(".")
    return f"{head}.{(fraction or '000')[:3]}Z"


@pytest.mark.parametrize("template", ETAGS)
async def test_an_etag_is_sent_back_byte_for_byte(template: str) -> None:
    """Weak, strong, unquoted and odd ETags go back exactly as they came, from a GET and from a write's reply."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(etag=template)) as sandbox:
        ref = sandbox.add_run("scheduled")
        async with session(sandbox) as fielding:
            run = fielding.run(ref)
            await run.launch_now()
            await run.update(end_fielding_at=END)
            await run.pause()
            await run.resume()
            await run.complete()
        assert {request.status for request in sandbox.requests} <= {200, 202, 204}
        assert len(sandbox.requests) == 6
        writes = sandbox.history
        assert [write.if_match for write in writes] == [write.etag_before for write in writes]


async def test_a_bulk_relaunch_sends_the_documented_request(sandbox: Sandbox) -> None:
    """The bulk relaunch posts the ids once, with an idempotency key of its own, and its status is asked at the
    documented endpoint.
    """
    refs = [sandbox.add_run("completed") for _ in range(3)]
    ids = [ref.target_group_id for ref in refs]
    async with session(sandbox) as fielding:
        job = await fielding.project(101, sandbox.project_id).relaunch(ids)
        result = await job.wait()
    made, *polls = sandbox.requests
    base = f"/v1/demand/accounts/101/projects/{sandbox.project_id}/batch-jobs/relaunch-fielding-runs-by-target-group-id"
    assert (made.method, made.path) == ("POST", base)
    assert made.header_values("Idempotency-Key") == [job.idempotency_key]
    assert json.loads(made.body) == {"target_group_ids": ids}
    assert made.header("If-Match") is None
    assert {(poll.method, poll.path) for poll in polls} == {("GET", f"{base}/{job.job_id}")}
    assert set(result.updated) == set(ids)
    assert (result.failed, result.missing) == ((), ())
    assert job.trace_id is not None
    assert job.trace_id in (made.header("traceparent") or "")
    assert {sandbox.inspect(ref).status for ref in refs} == {"live"}


FAILURES = [
    (400, BadRequestError),
    (401, AuthenticationError),
    (403, PermissionDeniedError),
    (404, NotFoundError),
    (409, APIError),
    (422, InvalidRunStateError),
    (500, ServerError),
    (503, ServerError),
]

Attempt = Callable[[FieldingSession, RunRef], Awaitable[object]]


async def _bulk(fielding: FieldingSession, ref: RunRef) -> object:
    return await fielding.project(ref.account_id, ref.project_id).relaunch([ref.target_group_id])


def _perform(action: Action) -> Attempt:
    async def attempt(fielding: FieldingSession, ref: RunRef) -> object:
        return await fielding.run(ref).perform(action)

    return attempt


CALLS: list[tuple[str, str, Attempt]] = [
    ("launch-now", "scheduled", _perform(LaunchNow())),
    ("update", "live", _perform(Update(end_fielding_at=END))),
    ("resume", "paused", _perform(Resume())),
    ("complete", "live", _perform(Complete())),
    ("bulk-relaunch", "completed", _bulk),
]


@pytest.mark.parametrize(("status", "cls"), FAILURES, ids=[str(status) for status, _ in FAILURES])
@pytest.mark.parametrize(("operation", "state", "attempt"), CALLS, ids=[name for name, _, _ in CALLS])
async def test_each_documented_error_has_its_class_and_fields(
    sandbox: Sandbox, operation: str, state: str, attempt: Attempt, status: int, cls: type[APIError]
) -> None:
    """An error answer to a write becomes the error of its status, with every field of the body and of the call."""
    ref = sandbox.add_run(state)
    body = {
        "id": "7a5972ba-0825-4360-b852-fa2430e47034",
        "object": "some_error",
        "detail": "it did not work",
        "invalid_params": [{"name": "foo", "reason": "is bad"}],
    }
    reply = Status(status, body=json.dumps(body).encode())
    repeats = 5 if status >= 500 else 1
    sandbox.script(*[reply] * repeats, on=operation)
    async with session(sandbox) as fielding:
        with pytest.raises(cls) as caught:
            await attempt(fielding, ref)
    error = caught.value
    assert type(error) is cls
    assert (error.status, error.object, error.detail) == (status, "some_error", "it did not work")
    assert error.error_id == body["id"]
    assert [(param.name, param.reason) for param in error.invalid_params] == [("foo", "is bad")]
    write = sent(sandbox, operation)[-1]
    assert (error.method, error.path) == (write.method, write.path.removeprefix("/v1"))
    assert error.trace_id is not None
    assert error.trace_id in (write.header("traceparent") or "")
    if operation == "bulk-relaunch":
        assert error.idempotency_key == write.header("Idempotency-Key")
        assert len({request.header("Idempotency-Key") for request in sent(sandbox, operation)}) == 1
    else:
        assert error.ref == ref
    assert len(sent(sandbox, operation)) == repeats
    shown = str(error)
    for part in (write.method, error.path, str(status), "it did not work", error.trace_id):
        assert str(part) in shown
    assert sandbox.history == ()


@pytest.mark.parametrize(("operation", "state", "attempt"), CALLS[:4], ids=[name for name, _, _ in CALLS[:4]])
async def test_a_refused_conflict_is_a_412_with_what_was_seen(
    sandbox: Sandbox, operation: str, state: str, attempt: Attempt
) -> None:
    """With `seen=` a 412 whose run has changed is `PreconditionFailedError` with seen, wanted and current."""
    ref = sandbox.add_run(state)
    actions: list[Action] = [LaunchNow(), Update(end_fielding_at=END), Resume(), Complete()]
    (action,) = [action for action in actions if action.name == operation]
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        seen = await run.get()
        changed = sandbox.touch(ref, end_fielding_at=seen.end_fielding_at + timedelta(hours=3))
        with pytest.raises(PreconditionFailedError) as caught:
            await run.perform(action, seen=seen)
    error = caught.value
    assert error.status == 412
    assert error.object == "precondition_failed_error"
    assert error.seen == seen
    assert error.wanted == action
    assert error.current is not None
    assert (error.current.etag, error.current.end_fielding_at) == (changed.etag, changed.end_fielding_at)
    assert error.ref == ref
    assert [write.by for write in sandbox.history] == ["colleague"]


@pytest.mark.parametrize(("operation", "state", "attempt"), CALLS, ids=[name for name, _, _ in CALLS])
async def test_a_429_is_waited_out(sandbox: Sandbox, operation: str, state: str, attempt: Attempt) -> None:
    """A 429 with its Retry-After is waited out, and uses up no attempt."""
    ref = sandbox.add_run(state)
    sandbox.script(*[Status(429, retry_after="0.02")] * 7, on=operation)
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        await attempt(fielding, ref)
    assert [request.status for request in sent(sandbox, operation)][:-1] == [429] * 7


@pytest.mark.parametrize(("operation", "state", "attempt"), CALLS, ids=[name for name, _, _ in CALLS])
async def test_a_429_beyond_the_deadline_is_a_rate_limit_error(
    sandbox: Sandbox, operation: str, state: str, attempt: Attempt
) -> None:
    """A pause that would last beyond the call's deadline is not begun: `RateLimitError`, at once, with its time."""
    ref = sandbox.add_run(state)
    sandbox.script(Status(429, retry_after="55"), on=operation)
    async with session(sandbox, timeout=Timeout(total=5)) as fielding:
        with pytest.raises(RateLimitError) as caught:
            await attempt(fielding, ref)
    assert caught.value.retry_after == 55
    assert caught.value.status == 429
    assert caught.value.object == "too_many_requests_problem_details"
    assert caught.value.detail
    assert caught.value.path == sent(sandbox, operation)[-1].path.removeprefix("/v1")
    assert sandbox.history == ()


async def test_an_invalid_state_shows_the_run_as_it_is(sandbox: Sandbox) -> None:
    """A 422 under the ETag that the run still bears is `InvalidRunStateError`, with the run."""
    ref = sandbox.add_run("completed")
    async with session(sandbox) as fielding:
        with pytest.raises(InvalidRunStateError) as caught:
            await fielding.run(ref).pause()
    assert caught.value.current is not None
    assert caught.value.current.status == "completed"
    assert caught.value.object == "invalid_state_error"


async def test_a_second_writers_change_right_before_ours_is_kept(sandbox: Sandbox) -> None:
    """An update that names one bound keeps the other bound that a colleague set meanwhile."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    sandbox.script(SecondWriter(start_fielding_at=before.start_fielding_at + timedelta(minutes=5)), on="update")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).update(end_fielding_at=END)
    after = sandbox.inspect(ref)
    assert after.start_fielding_at == before.start_fielding_at + timedelta(minutes=5)
    assert after.end_fielding_at == END.replace(microsecond=123000)
    assert (outcome.requests, outcome.conflicts) == (4, 1)
