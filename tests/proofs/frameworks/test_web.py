"""The web applications under uvicorn: one session for all requests, and a SIGTERM with calls under way."""

import asyncio
import json
import re
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from fielding_async import RunRef
from fielding_async.sandbox import Hold
from tests.tools.services import free_port

from .conftest import Start, World
from .programs import Program, typed

pytestmark = [pytest.mark.slow, pytest.mark.once]

PAGES = ["django.md", "litestar.md"]
Answer = tuple[int, dict[str, Any]] | None


async def served(start: Start, page: str, port: int, grace: int = 600) -> Program:
    """Start the application with the command of its page, at another port and with another time to stop."""
    changed = {"8000": str(port), "15": str(grace)}
    server = start([changed.get(word, word) for word in typed(page, "uvicorn")])
    await asyncio.to_thread(server.wait_for, "Uvicorn running")
    return server


async def ask(http: ClientSession, port: int, ref: RunRef, action: str) -> Answer:
    """Return the answer of the application, or `None` if there was none."""
    try:
        async with http.post(f"http://127.0.0.1:{port}/runs/{ref}/{action}") as response:
            body = await response.text()
            return response.status, json.loads(body) if body.startswith("{") else {}
    except ClientError:
        return None


@pytest.mark.parametrize("page", PAGES)
async def test_a_stop_answers_the_requests_under_way(world: World, start: Start, page: str) -> None:
    """Each write of the sandbox was answered, none is there twice, and all requests went through one session."""
    port = free_port()
    server = await served(start, page, port)
    async with ClientSession() as http:
        answers = await asyncio.gather(*(ask(http, port, ref, "pause") for ref in world.refs))
        assert {answer and (answer[0], answer[1]["effect"]) for answer in answers} == {(200, "accepted")}

        holds = [Hold("before"), Hold("after"), Hold("before"), Hold("after")]
        for hold, ref in zip(holds, world.refs, strict=False):
            world.box.script(hold, on="resume", ref=ref)
        asked = [asyncio.create_task(ask(http, port, ref, "resume")) for ref in world.refs]
        await asyncio.gather(*(hold.arrived() for hold in holds))
        server.terminate()
        await asyncio.to_thread(server.wait_for, "Shutting down")
        for hold in holds:
            hold.release()
        answers = await asyncio.gather(*asked)
    assert await asyncio.to_thread(server.ended) == -15  # uvicorn ends by the signal that it was sent
    told = [
        ref for ref, answer in zip(world.refs, answers, strict=True) if answer and answer[1]["effect"] == "accepted"
    ]
    assert set(world.refs[:4]) <= set(told)
    assert world.writes() == sorted(
        [*(("pause", str(ref)) for ref in world.refs), *(("resume", str(ref)) for ref in told)]
    )
    # one session: a GET for each run at its first action, and none after
    assert sum(request.operation == "get" for request in world.box.requests) == len(world.refs)


@pytest.mark.parametrize("page", PAGES)
async def test_what_the_server_cuts_is_in_the_log(world: World, start: Start, page: str) -> None:
    """A request that outlasts the server's time to stop gets no true answer. The log says what became of its write."""
    port = free_port()
    server = await served(start, page, port, grace=0)
    holds = [Hold("after"), Hold("after")]
    world.box.script(*holds, on="pause")
    async with ClientSession() as http:
        asked = [asyncio.create_task(ask(http, port, ref, "pause")) for ref in world.refs[:2]]
        await asyncio.gather(*(hold.arrived() for hold in holds))
        server.terminate()
        await asyncio.to_thread(server.wait_for, "timeout graceful shutdown exceeded")
        if page == "litestar.md":  # which lets its handlers be cancelled; Django's views go on
            await asyncio.to_thread(server.wait_for, "was cancelled, and may", 4)  # in the log and in the traceback
        for hold in holds:
            hold.release()
        await asyncio.gather(*asked)
    assert await asyncio.to_thread(server.ended, tracebacks=True) == -15
    assert world.writes() == sorted(("pause", str(ref)) for ref in world.refs[:2])
    for operation, ref in world.writes():
        assert is_in_the_log(server.output, operation, ref), server.output


def is_in_the_log(output: str, operation: str, ref: str) -> bool:
    """Whether the application, or the session for a cancelled call, says that a write was accepted."""
    cancelled = re.search(rf"{operation} on {re.escape(ref)} was cancelled.*\[([0-9a-f]{{32}})\]", output)
    if cancelled is None:
        return f"{operation} {ref}: {{'effect': 'accepted'" in output
    return f"the write of the cancelled call was accepted (204) [{cancelled[1]}]" in output
