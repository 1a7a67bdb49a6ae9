"""Both web apps as processes: under load, stopped by SIGTERM with clicks in progress."""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, TCPConnector
from attrs import define, field, frozen
from yarl import URL

from fielding_async import RunRef
from fielding_async.sandbox import Hold, Sandbox
from tests.tools.waits import HANG

from .conftest import EXAMPLES, ROOT, Start, ended
from .served import FRAMEWORKS

pytestmark = [pytest.mark.once, pytest.mark.slow]
PAGE = ROOT / "docs" / "how-to" / "fastapi.md"
RUNS = 12
CLICKS = 100  # that are answered before the app is stopped


@frozen
class App:
    """An app in a process."""

    child: "subprocess.Popen[str]"
    url: str
    exits_with: int


async def started(framework: str, start: Start, refs: list[RunRef], drain: float) -> App:
    """Start an app, and return it once it listens."""
    if framework == "aiohttp":
        child = start("webapp.py", *refs, "--port", 0, "--drain", drain)
        assert child.stdout is not None
        return App(child, (await asyncio.to_thread(child.stdout.readline)).split()[0], 0)
    settings = {"WEBAPP_RUNS": " ".join(map(str, refs)), "WEBAPP_DRAIN": str(drain)}
    # the command of the page, with another folder, another port, and a time to stop that no machine needs
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    (command,) = re.findall("^uvicorn (.*)$", shell, re.MULTILINE)
    changed = {"examples": str(EXAMPLES), "8000": "0", "15": str(int(HANG))}
    child = start("-m uvicorn", *[changed.get(word, word) for word in command.split()], "--no-access-log", **settings)
    assert child.stderr is not None
    while (found := re.search("running on (http://[^ ]*)", await asyncio.to_thread(child.stderr.readline))) is None:
        assert child.poll() is None
    return App(child, found[1], -signal.SIGTERM)  # Uvicorn sends itself the signal again


@define
class Clients:
    """People who click: one for each run, who pauses and resumes it until the app does not do so any more."""

    url: str
    answers: list[tuple[int, dict[str, Any]]] = field(factory=list)
    without_answer: int = 0
    enough: asyncio.Event = field(factory=asyncio.Event)

    async def click(self, http: ClientSession, ref: RunRef) -> None:
        """Click until an answer is no success, or the app cannot be reached."""
        for number in range(10**6):
            action = ("pause", "resume")[number % 2]
            try:
                async with http.post(f"{self.url}/api/runs/{ref}/{action}", json={}) as response:
                    self.answers.append((response.status, await response.json()))
                    if response.status != 200:
                        return
            except ClientConnectionError:
                self.without_answer += 1
                return
            if len(self.answers) >= CLICKS:
                self.enough.set()


def traces_of_writes(box: Sandbox) -> list[str]:
    """Return the trace id of each write that was applied."""
    sent = {request.id: request.header_values("traceparent")[0].split("-")[1] for request in box.requests}
    return [sent[write.request_id] for write in box.history if write.by == "client" and write.request_id is not None]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_stopped_under_load_no_write_is_lost_unsaid_and_none_is_done_twice(
    framework: str, start: Start, box: Sandbox
) -> None:
    """Every write in the history was answered as done or as unknown, and what was answered as done is there once."""
    refs = [box.add_run("live") for _ in range(RUNS)]
    app = await started(framework, start, refs, drain=1)
    clients = Clients(app.url)
    # without connections that are kept, which a server may close just when a click goes out
    async with (
        asyncio.timeout(HANG),
        ClientSession(timeout=ClientTimeout(HANG), connector=TCPConnector(force_close=True)) as http,
        http.get(f"{app.url}/api/events") as stream,
    ):
        await anext(boards(stream))
        clicking = [asyncio.create_task(clients.click(http, ref)) for ref in refs]
        await clients.enough.wait()
        lost, unsent = Hold("after"), Hold("before")
        box.script(lost, on="resume", ref=refs[0])
        box.script(unsent, on="resume", ref=refs[1])
        await asyncio.gather(lost.arrived(), unsent.arrived())
        app.child.send_signal(signal.SIGTERM)
        rest = await stream.content.read()  # to its end
        await asyncio.gather(*clicking)
    assert rest.endswith(b"event: stopping\ndata: {}\n\n")
    what = await asyncio.to_thread(ended, app.child, port=URL(app.url).port)
    assert what.status == app.exits_with

    traces: dict[int, set[str]] = {}
    for status, body in clients.answers:
        traces.setdefault(status, set()).add(body["trace_id"])
    writes = traces_of_writes(box)
    assert set(traces) <= {200, 202, 503}, clients.answers[-RUNS:]
    assert len(writes) == len(set(writes))
    assert traces[200] <= set(writes)
    assert set(writes) <= traces[200] | traces[202]
    assert traces[202] & set(writes), "that whose reply was held"
    assert traces[202] - set(writes), "that which was held before it was applied"
    assert not traces.get(503, set()) & set(writes)
    assert len(traces[200]) >= CLICKS
    assert sum(status == 200 for status, _ in clients.answers) == len(traces[200])


async def boards(response: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield what a stream of events brings."""
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_demo_can_be_looked_at(start: Start, framework: str) -> None:
    """The demo serves its page and its runs without any settings, and ends with 0 on Ctrl-C."""
    file = {"aiohttp": "webapp.py", "fastapi": "fastapi_app.py"}[framework]
    child = start(file, "--demo", "--port", 0, FIELDING_TOKEN="two words", FIELDING_BASE_URL="nonsense")
    assert child.stdout is not None
    url = (await asyncio.to_thread(child.stdout.readline)).split()[0]
    async with ClientSession(timeout=ClientTimeout(HANG)) as http:
        async with http.get(url) as response:
            assert (response.status, response.content_type) == (200, "text/html")
            assert "Fielding runs" in await response.text()
        async with http.get(f"{url}/api/events") as stream:
            async for board in boards(stream):
                if all(item["run"] for item in board["runs"]):
                    break
    child.send_signal(signal.SIGINT)
    assert (await asyncio.to_thread(ended, child)).status == 0
