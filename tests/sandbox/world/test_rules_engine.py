"""The rules engine without sockets; each request comes with its time."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox import Behaviour
from fielding_async.sandbox.catalog.catalog import Catalog
from fielding_async.sandbox.serving.bound import Kept
from fielding_async.sandbox.serving.dates import text
from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.request_form import Request
from fielding_async.sandbox.serving.routes import OPERATIONS
from fielding_async.sandbox.world.rules_engine import Answer, RulesEngine
from tests.sandbox.api import serving

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
REF = RunRef(101, "P" * 26, "T" * 26, "run-1")
PATHS = {
    "account_id": "101",
    "project_id": REF.project_id,
    "target_group_id": REF.target_group_id,
    "fielding_run_id": REF.fielding_run_id,
}
ELSEWHERE = RunRef(101, "0" * 26, "0" * 26, "nothing")


def engine(status: str = "live", seed: int = 0, *, lasts: int = 50, **switches: object) -> RulesEngine:
    ids, behaviour = IdGenerator(Random(seed)), Behaviour(**switches)  # type: ignore[arg-type]
    made = RulesEngine(ids, behaviour, Catalog(seed, ids, Kept()), token=None, token_lifetime=60, kept=Kept())
    end = NOON + lasts * SECOND
    made.add_run(REF, RunStatus(status), NOON - SECOND, end, 1, NOON, goal_reached=False)
    return made


def send(made: RulesEngine, name: str, now: datetime, body: bytes = b"", **headers: str) -> Answer:
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"cint-api-version": "2025-12-18", "content-type": "application/json"}
    return made.handle(Request(operation=operation, ids=PATHS, headers=named, body=body), now)


@pytest.mark.parametrize(
    ("job_seconds", "status", "ended"),
    [(40, "paused", "Completed"), (60, "completed", "Completed")],
)
def test_what_falls_due_happens_in_the_order_of_the_clock(job_seconds: int, status: str, ended: str) -> None:
    """In one long jump a job due before the run's end pauses it, one due after it comes too late."""
    made = engine(job_seconds=job_seconds)
    body = f'{{"target_group_ids": ["{REF.target_group_id}"]}}'.encode()
    assert send(made, "bulk-pause", NOON, body, idempotency_key="k").reply.status == 201
    run = made.inspect(REF, NOON + 100 * SECOND)
    assert run is not None
    assert run.status == status
    (job,) = made.jobs.records.values()
    assert (job.status, bool(job.updated)) == (ended, status == "paused")
    assert made.runs.writes[0].at == NOON + min(job_seconds, 50) * SECOND


def test_the_same_seed_and_requests_give_the_same_answers() -> None:
    """The engine has no randomness and no clock of its own."""
    answers = [
        [send(made, name, NOON, if_match='W/"1"') for name in ("get", "pause", "resume", "get")]
        for made in (engine(seed=3), engine(seed=3))
    ]
    assert answers[0] == answers[1]
    assert [answer.reply.status for answer in answers[0]] == [200, 204, 412, 200]
    assert [answer.applied for answer in answers[0]] == [False, True, False, False]


def test_an_update_into_the_past_completes_a_live_run_at_once() -> None:
    """An end that is past already is accepted, and the clock completes the run in the same breath."""
    made = engine()
    now = NOON + 10 * SECOND
    body = f'{{"start_fielding_at": "{text(NOON - SECOND)}", "end_fielding_at": "{text(NOON)}"}}'.encode()
    assert send(made, "update", now, body, if_match='W/"1"').reply.status == 202
    assert [(write.by, write.status_after) for write in made.runs.writes] == [
        ("client", "live"),
        ("clock", "completed"),
    ]
    assert made.runs.writes[1].at == now


def test_versions_never_step_back() -> None:
    """Through any mixture of writers each write starts from the ETag that the one before it left."""
    made, dice, now = engine(lasts=10**6), Random(5), NOON
    for _ in range(300):
        now += SECOND
        name = dice.choice(["pause", "resume", "complete", "relaunch", "touch"])
        if name == "touch":
            made.touch(REF, dice.choice(list(RunStatus)), None, None, now)
        else:
            send(made, name, now, if_match=f'W/"{dice.choice([1, len(made.runs.writes) + 1])}"')
    etags = [(write.etag_before, write.etag_after) for write in made.runs.writes]
    assert len(etags) > 100
    assert etags == [(f'W/"{n}"', f'W/"{n + 1}"') for n in range(1, len(etags) + 1)]


async def test_a_bad_token_comes_before_bad_headers() -> None:
    """The order of judgement is token, form, existence, ETag, state."""
    async with serving(require_token=True, behaviour=Behaviour()) as api:
        assert (await api.get(ELSEWHERE, Cint_API_Version=None)).status == 401
        token = f"Bearer {api.sandbox.token}"
        assert (await api.get(ELSEWHERE, Cint_API_Version=None, Authorization=token)).status == 400
        assert (await api.get(ELSEWHERE, Authorization=token)).status == 404
        ref = api.sandbox.add_run("paused")
        assert (await api.act(ref, "pause", 'W/"9"', Authorization=token)).status == 412
        assert (await api.act(ref, "pause", Authorization=token)).status == 422
