"""The code on the pages of the documentation runs, and prints what the pages say."""

import ast
import asyncio
import contextlib
import hmac
import inspect
import io
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from aiohttp import ClientSession, web

from fielding_async import FieldingSession
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Sandbox
from tests.tools.waits import HANG

from .pages import PAGES, ROOT, RUNNABLE, SHOWN, Block, blocks, matches

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(not ROOT.exists(), reason="not run from a checkout"),
]

PROJECT = "01BTGNYV6HRNK8K8VKZASZCFP0"
REFS = [
    RunRef(101, PROJECT, "01BTGNYV6HRNK8K8VKZASZCFP1", "01BTGNYV6HRNK8K8VKZASZCFP2"),
    RunRef(101, PROJECT, "01BTGNYV6HRNK8K8VKZASZCFP3", "01BTGNYV6HRNK8K8VKZASZCFP4"),
]
MARKS = re.compile(r"file \S+|serves|run (scheduled|live|paused|completed)")
TRIED_BELOW = {"app.py", "hooks.py"}  # files of pages with tests of their own
PORT = "8080"  # as the pages have it; a free one is taken instead
RUN = [page for page in PAGES if any(block.language in RUNNABLE for block in blocks(page))]


class Shell:
    """Runs blocks of shell commands, one after the other, with the variables that earlier ones exported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / ".bin"
        self.bin.mkdir()
        for name, command in (("fielding", "-m fielding_async"), ("python", "")):
            script = self.bin / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
            script.chmod(0o755)
        self.state = folder / ".state"
        self.state.touch()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self.servers: list[subprocess.Popen[bytes]] = []

    def _command(self, text: str) -> list[str]:
        script = f"set -e; . {self.state}; {self.of_port(text)}\nexport -p > {self.state}"
        return ["bash", "-c", script]

    def of_port(self, text: str) -> str:
        """Return the text with the port that is really in use."""
        return text.replace(PORT, self.port)

    def _environment(self) -> dict[str, str]:
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        root = str(ROOT.parent)
        return os.environ | {"PATH": path, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}

    def run(self, text: str) -> str:
        """Run commands to their end; return what they printed."""
        ended = subprocess.run(
            self._command(text),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )
        assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def serve(self, text: str) -> None:
        """Start commands that go on, and wait until they listen."""
        server = subprocess.Popen(
            self._command(text),
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.servers.append(server)
        until = time.monotonic() + HANG
        while time.monotonic() < until:
            assert server.poll() is None, f"ended: {text}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.port)), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"does not listen: {text}")

    def close(self) -> None:
        """End what goes on, and whatever it started."""
        for server in self.servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, 15)
            server.wait(HANG)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What a page does to the logging is undone."""
    root, ours = logging.getLogger(), logging.getLogger("fielding_async")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder."""
    opened = Shell(tmp_path)
    yield opened
    opened.close()


class PagesSandbox:
    """The exchange that a page meets: two runs with known ids, and a fresh one for each block."""

    def __init__(self) -> None:
        self.sandbox = Sandbox()

    def begin(self, block: Block) -> RunRef:
        """Return the run for a block, after putting the known ones back to where a program expects them."""
        for ref in REFS:
            self.sandbox.touch(ref, status="scheduled")
        return self.sandbox.add_run(block.about.split()[-1] if block.about.startswith("run ") else "live")


def _compiled(block: Block, page: Path) -> CodeType:
    # so that a failure names the line of the page
    source = "\n" * block.line + block.text
    code: CodeType = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


async def _run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = _compiled(block, page)
        if block.is_program:
            await asyncio.to_thread(exec, code, {"__name__": "__main__"})
        else:
            answer = eval(code, names)
            if inspect.iscoroutine(answer):
                await answer
    return printed.getvalue()


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


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_code_on_the_page_runs(
    page: Path, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block of Python and shell runs, in the page's order, and prints what the page shows."""
    if shutil.which("bash") is None and any(block.language == "sh" for block in blocks(page)):
        pytest.skip("there is no bash")
    monkeypatch.chdir(tmp_path)
    first, second = (str(ref).replace("/", ",") for ref in REFS)
    plan = ["account,project,target_group,run,end", f"{first},2100-01-01T00:00:00+00:00", f"{second},", ""]
    (tmp_path / "plan.csv").write_text("\n".join(plan))
    world = PagesSandbox()
    with world.sandbox as sandbox:
        monkeypatch.setenv("FIELDING_BASE_URL", sandbox.url)
        monkeypatch.setenv("FIELDING_TOKEN", "any-token")
        for ref in REFS:
            sandbox.add_run(
                "scheduled",
                project_id=ref.project_id,
                target_group_id=ref.target_group_id,
                fielding_run_id=ref.fielding_run_id,
            )
        async with FieldingSession() as fielding:
            tests: list[Block] = []
            names: dict[str, Any] = {"__name__": "page", "sandbox": sandbox, "fielding": fielding}
            for block in blocks(page):
                if block.language not in RUNNABLE or block.kind == "not run":
                    continue
                printed = ""
                if block.about.startswith("file "):
                    (tmp_path / block.about.removeprefix("file ")).write_text(block.text)
                elif block.about == "serves":
                    shell.serve(block.text)
                elif block.language == "sh":
                    printed = await asyncio.to_thread(shell.run, block.text)
                elif block.is_test:
                    tests.append(block)
                else:
                    ref = world.begin(block)
                    names |= {"ref": ref, "run": fielding.run(ref)}
                    names["project"] = fielding.project(ref.account_id, ref.project_id)
                    printed = await _run_python(block, page, names)
                if block.printed is not None:
                    expected = shell.of_port(block.printed)
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
    for page in PAGES:
        for block in blocks(page):
            where = f"{page.relative_to(ROOT)}: block {block.number}"
            assert block.language in RUNNABLE | SHOWN, f"{where} is {block.language or 'of no language'}"
            assert block.kind in {"", "page", "not run"}, f"{where}: {block.kind}"
            assert block.kind != "not run" or block.about, f"{where} does not say why it is not run"
            assert block.kind != "page" or MARKS.fullmatch(block.about), f"{where}: {block.about}"
            if block.about.startswith("file "):
                name = block.about.removeprefix("file ")
                later = [other.text for other in blocks(page) if other.number > block.number]
                assert name in TRIED_BELOW or any(name in text for text in later), f"{where}: nothing uses it"
