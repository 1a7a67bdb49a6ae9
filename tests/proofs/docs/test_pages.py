"""The code on the pages of the documentation runs, and prints what the pages say."""

import ast
import asyncio
import contextlib
import hmac
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from aiohttp import ClientSession, web

from fielding_async.sandbox import Sandbox
from tests.tools.waits import HANG

from .pages import PAGES, README, ROOT, RUNNABLE, SHOWN, Block, blocks, matches
from .repl import Repl
from .terminal import Terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(not ROOT.exists(), reason="not run from a checkout"),
]

MARKS = re.compile(r"file \S+|serves")
TRIED_BELOW = {"app.py", "hooks.py", "plan_app.py", "plan_broker.py"}  # files of pages with tests of their own
# the addresses on the pages, and the fixtures that start such a server
SERVERS = {"redis://redis.example:6379/0": "redis_url", "postgresql://fielding@db.example/fielding": "postgres_url"}
RUN = [page for page in (README, *PAGES) if any(block.language in RUNNABLE for block in blocks(page))]


def named(page: Path) -> str:
    """Return the name of a page in reports."""
    return page.name if page == README else str(page.relative_to(ROOT))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What a page does to the logging is undone."""
    root, ours = logging.getLogger(), logging.getLogger("fielding_async")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def _compiled(block: Block, page: Path) -> CodeType:
    # so that a failure names the line of the page
    source = "\n" * block.line + block.text
    code: CodeType = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


def _run_tests(tests: list[Block], folder: Path) -> None:
    for block in tests:
        (folder / f"test_block_{block.number}.py").write_text(block.text)
    plugin = ["-p", "fielding_async.pytest_plugin", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-c", os.devnull, "--rootdir=.", *plugin, "."],
        cwd=folder,
        # with no other plugin, as in a project that has none; it starts faster, too
        env=os.environ | {"PYTHONPATH": str(ROOT.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def terminal(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """The terminals of a page, in an empty folder."""
    text = page.read_text(encoding="utf-8")
    if shutil.which("bash") is None and "```sh\n" in text:
        pytest.skip("there is no bash")
    instead = {shown: request.getfixturevalue(name) for shown, name in SERVERS.items() if shown in text}
    opened = Terminal(tmp_path, instead)
    yield opened
    opened.close()


@pytest.mark.parametrize("page", RUN, ids=named)
async def test_the_code_on_the_page_runs(
    page: Path, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block of Python and shell runs as it is typed, in the page's order, and prints what the page shows."""
    monkeypatch.chdir(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        repl = Repl()
        stack.push_async_callback(repl.close)
        tests: list[Block] = []
        for block in blocks(page):
            if block.language not in RUNNABLE or block.kind in {"not run", "test command"}:
                continue
            printed = ""
            if block.about.startswith("file "):
                (tmp_path / block.about.removeprefix("file ")).write_text(block.text)
            elif block.about == "serves":
                await asyncio.to_thread(terminal.serve, block.text)
            elif block.language == "sh":
                printed = await asyncio.to_thread(terminal.run, block.text)
            elif block.is_test:
                tests.append(block)
            else:
                for name, value in terminal.settings().items():
                    monkeypatch.setenv(name, value)
                printed = await repl.type(block)
            if block.printed is not None:
                expected = terminal.real(block.printed)
                assert matches(expected, printed), f"the page shows\n{expected}\nand it prints\n{printed}"
        if tests:
            await asyncio.to_thread(_run_tests, tests, tmp_path)


@contextlib.asynccontextmanager
async def _served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def _module(page: str, file: str) -> Any:
    """Return a file of a page as a module."""
    (block,) = (block for block in blocks(ROOT / page) if block.about == f"file {file}")
    module = ModuleType("page")
    exec(_compiled(block, ROOT / page), module.__dict__)
    return module


async def test_the_web_application_answers(fielding_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application on the page pauses a run, and tells a wrong state, bad ids and a lost exchange apart."""
    monkeypatch.setenv("FIELDING_BASE_URL", fielding_sandbox.url)
    monkeypatch.setenv("FIELDING_TOKEN", "any-token")
    ref = fielding_sandbox.add_run("live")
    done = fielding_sandbox.add_run("completed")
    asked = [(f"{ref}/pause", 200), (f"{done}/pause", 409), ("101/not-an-id/x/y/pause", 400)]
    asked.append((f"{ref}X/pause", 404))
    async with _served(_module("how-to/web-app.md", "app.py").make_app()) as url, ClientSession() as http:
        for path, status in asked:
            async with http.post(f"{url}/runs/{path}") as response:
                answer = await response.json()
                assert (response.status, path, answer) == (status, path, answer)
    assert [write.operation for write in fielding_sandbox.history] == ["pause"]


async def test_the_webhook_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler on the page takes a signed delivery and refuses another."""
    monkeypatch.setenv("WEBHOOK_SECRET", "a-secret")
    app = web.Application()
    app.router.add_post("/", _module("how-to/web-app.md", "hooks.py").webhook)
    body, now = b'{"foo":"bar"}', int(time.time())
    signature = hmac.new(b"a-secret", f"{now}.".encode() + body, "sha256").hexdigest()
    async with _served(app) as url, ClientSession() as http:
        for sent, status in ((body, 204), (b"{}", 400)):
            headers = {"Cint-Signature": f"t={now},v1={signature}"}
            async with http.post(url, data=sent, headers=headers) as response:
                assert response.status == status


def test_no_block_is_passed_over() -> None:
    """A block in another language, or one that is not run, says why."""
    for page in (README, *PAGES):
        for block in blocks(page):
            where = f"{named(page)}: block {block.number}"
            assert block.language in RUNNABLE | SHOWN, f"{where} is {block.language or 'of no language'}"
            assert block.kind in {"", "page", "not run", "test command"}, f"{where}: {block.kind}"
            assert block.kind != "not run" or block.about, f"{where} does not say why it is not run"
            assert block.kind != "page" or MARKS.fullmatch(block.about), f"{where}: {block.about}"
            assert block.kind or not block.is_program, f"{where} is a program: a reader makes it a file, and runs that"
            if block.about.startswith("file "):
                name = block.about.removeprefix("file ")
                later = [other.text for other in blocks(page) if other.number > block.number]
                assert name in TRIED_BELOW or any(name in text for text in later), f"{where}: nothing uses it"
