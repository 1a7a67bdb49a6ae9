"""The pure world: no sockets, no clock but the one in hand."""

import ast
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest

import fielding_async.sandbox
from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox import Behaviour
from fielding_async.sandbox.serving.dates import floor, parse, text
from fielding_async.sandbox.serving.ids import Ids
from fielding_async.sandbox.serving.request_form import Call
from fielding_async.sandbox.serving.routes import OPERATIONS, Route, Unrouted, route
from fielding_async.sandbox.serving.trace_headers import trace_headers
from fielding_async.sandbox.world.rules_engine import Answer, World

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
REF = RunRef(101, "P" * 26, "T" * 26, "run-1")
PATHS = {
    "account_id": "101",
    "project_id": REF.project_id,
    "target_group_id": REF.target_group_id,
    "fielding_run_id": REF.fielding_run_id,
}
IMPURE = {"asyncio", "aiohttp", "time", "random", "threading", "socket", "os", "logging"}
ADAPTERS = {"server", "lifecycle", "sandbox", "front", "hold"}


def world(status: str = "live", seed: int = 0, *, lasts: int = 50, **switches: object) -> World:
    made = World(Ids(Random(seed)), Behaviour(**switches), token=None, token_lifetime=60, keep=None)  # type: ignore[arg-type]
    end = NOON + lasts * SECOND
    made.add_run(REF, RunStatus(status), NOON - SECOND, end, 1, NOON, goal=False)
    return made


def send(made: World, name: str, now: datetime, body: bytes = b"", **headers: str) -> Answer:
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"cint-api-version": "2025-12-18", "content-type": "application/json"}
    return made.handle(Call(operation=operation, ids=PATHS, headers=named, body=body), now)


def test_there_are_22_operations_and_a_token_endpoint() -> None:
    """Every operation has a name, and a method and path, of its own."""
    assert len(OPERATIONS) == 23
    assert len({operation.name for operation in OPERATIONS}) == 23
    assert len({(operation.method, operation.template) for operation in OPERATIONS}) == 23


def test_every_operation_is_found_by_its_path() -> None:
    """A path leads to its operation with the ids decoded, or says which methods it has."""
    ids = {"account_id": "1", "project_id": "P", "target_group_id": "T", "fielding_run_id": "a%2Fb", "job_id": "J"}
    for operation in OPERATIONS:
        path = operation.template.format(**ids)
        found = route(operation.method, path + "?x=/y")
        assert isinstance(found, Route)
        assert found.operation is operation
        assert found.ids.get("fielding_run_id", "a/b") == "a/b"
        astray = route("BREW", path)
        assert isinstance(astray, Unrouted)
        assert operation.method in astray.allowed
    assert route("GET", "/v2/x") == Unrouted()


@pytest.mark.parametrize(
    ("job_seconds", "status", "ended"),
    [(40, "paused", "Completed"), (60, "completed", "Completed")],
)
def test_what_falls_due_happens_in_the_order_of_the_clock(job_seconds: int, status: str, ended: str) -> None:
    """In one long jump a job due before the run's end pauses it, one due after it comes too late."""
    made = world(job_seconds=job_seconds)
    body = f'{{"target_group_ids": ["{REF.target_group_id}"]}}'.encode()
    assert send(made, "bulk-pause", NOON, body, idempotency_key="k").reply.status == 201
    run = made.inspect(REF, NOON + 100 * SECOND)
    assert run is not None
    assert run.status == status
    (job,) = made.jobs.records.values()
    assert (job.status, bool(job.updated)) == (ended, status == "paused")
    assert made.runs.writes[0].at == NOON + min(job_seconds, 50) * SECOND


def test_the_same_seed_and_requests_give_the_same_answers() -> None:
    """The world has no randomness and no clock of its own."""
    answers = [
        [send(made, name, NOON, if_match='W/"1"') for name in ("get", "pause", "resume", "get")]
        for made in (world(seed=3), world(seed=3))
    ]
    assert answers[0] == answers[1]
    assert [answer.reply.status for answer in answers[0]] == [200, 204, 412, 200]
    assert [answer.applied for answer in answers[0]] == [False, True, False, False]


def test_an_update_into_the_past_completes_a_live_run_at_once() -> None:
    """An end that is past already is accepted, and the clock completes the run in the same breath."""
    made = world()
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
    made, dice, now = world(lasts=10**6), Random(5), NOON
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


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("2030-01-01T12:00:00Z", "2030-01-01T12:00:00.000Z"),
        ("2030-01-01t12:00:00.1z", "2030-01-01T12:00:00.100Z"),
        ("2030-01-01T12:00:00.123456789+00:00", "2030-01-01T12:00:00.123456Z"),
    ],
)
def test_timestamps_are_read_and_written(raw: str, written: str) -> None:
    """RFC 3339 in UTC is read with any fraction, and written with three digits where they suffice."""
    assert text(parse(raw)) == written


@pytest.mark.parametrize(
    "raw",
    [
        None,
        5,
        "",
        "2030-01-01",
        "2030-01-01 12:00:00Z",
        "2030-01-01T12:00:00",
        "2030-01-01T12:00:00-01:00",
        "2030-01-01T24:00:01Z",
        "2030-02-29T12:00:00Z",
        "2030-01-01T12:00:00.Z",
        "\u0662030-01-01T12:00:00Z",
    ],
)
def test_other_timestamps_are_refused(raw: object) -> None:
    """Whatever is not RFC 3339, not in UTC, or not in the calendar is refused with a reason."""
    with pytest.raises(ValueError, match=r"must|calendar"):
        parse(raw)


def test_flooring_goes_down_in_utc() -> None:
    """A moment is cut down, never rounded up, whatever its zone, before 1970 too."""
    there = timezone(timedelta(hours=5))
    assert floor(datetime(2030, 1, 1, 5, 0, 0, 999, tzinfo=there), timedelta(milliseconds=1)) == datetime(
        2030, 1, 1, tzinfo=UTC
    )
    assert floor(datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), SECOND).microsecond == 0


def test_future_traceparents_are_kept() -> None:
    """A traceparent of a later version, with more fields, is valid; a tracestate that is no text is replaced."""
    later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"
    parent, state, trace_id = trace_headers(later, "\udcff", Ids(Random(1)))
    assert (parent, trace_id) == (later, "0af7651916cd43dd8448eb211c80319c")
    assert state.startswith("cint=")


def test_the_world_is_pure() -> None:
    """Only the adapters import what waits or touches the world, and nothing imports the client."""
    folder = Path(fielding_async.sandbox.__file__).parent
    shared: set[str] = set()
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
        shared |= {name for name in names if re.match(r"fielding_async(?!\.sandbox\.)", name)}
        if path.stem not in ADAPTERS:
            assert not {name.partition(".")[0] for name in names} & IMPURE, path.name
    assert shared == {"fielding_async.__about__", "fielding_async.core.errors", "fielding_async.core.models"}
