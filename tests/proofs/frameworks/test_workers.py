"""Celery and RQ: a SIGTERM with calls under way, then another worker: no task is lost, and no write is twice."""

import json
from typing import Any

import pytest

from fielding_async.sandbox import Cut, Hold, SecondWriter

from .conftest import Start, World
from .programs import Program, typed

pytestmark = [pytest.mark.slow, pytest.mark.once]

# page, program, what it says when it is ready, how many tasks it does at once
WORKERS = [("celery.md", "celery", "ready.", 2), ("rq.md", "rq", "Listening on", 1)]


def results(client: Program) -> dict[str, dict[str, Any]]:
    """Return the results that a client has printed, by run."""
    printed = [json.loads(line) for line in client.lines if line.startswith("{")]
    return {result["ref"]: result for result in printed}


@pytest.mark.parametrize(("page", "program", "ready", "at_once"), WORKERS, ids=[row[1] for row in WORKERS])
def test_what_a_stopped_worker_leaves_another_one_does(
    world: World, start: Start, redis_url: str, page: str, program: str, ready: str, at_once: int
) -> None:
    """Tasks under way end, those not begun stay in the queue, and each task has one result, an unknown one too."""
    worker = start(typed(page, program), REDIS_URL=redis_url, RQ_REDIS_URL=redis_url)
    holds = [Hold("after") for _ in range(at_once)]
    for hold, ref in zip(holds, world.refs, strict=False):
        world.box.script(hold, on="pause", ref=ref)
    doubtful = world.refs[-1]  # another user completes the run while the reply is lost: it cannot be told
    world.box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause", ref=doubtful)

    client = start(
        [*typed(page, f"python {program}_client.py")[:3], *map(str, world.refs)],
        REDIS_URL=redis_url,
        RQ_REDIS_URL=redis_url,
    )
    for hold in holds:
        hold.wait_arrived(600)
    client.wait_for(f"asked for {len(world.refs)}")
    worker.terminate()
    worker.wait_for("arm shut")
    for hold in holds:
        hold.release()
    assert worker.ended() == 0
    first = world.writes()
    assert 0 < len(first) < len(world.refs)

    second = start(typed(page, program), REDIS_URL=redis_url, RQ_REDIS_URL=redis_url)
    assert client.ended() == 0
    second.terminate()
    assert second.ended() == 0
    told = results(client)
    assert {ref: result["effect"] for ref, result in told.items()} == {
        str(ref): "unknown" if ref == doubtful else "accepted" for ref in world.refs
    }
    ours = sorted((write.operation, str(write.ref)) for write in world.box.history if write.by == "client")
    assert ours == sorted(("pause", str(ref)) for ref in world.refs)
