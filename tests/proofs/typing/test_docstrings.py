"""The examples in docstrings run as they are typed, against the sandbox, and are those that the type checkers check."""

import ast
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from fielding_async import FieldingSession, NotFoundError
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import TOKEN, applied

from .docstrings import GIVEN, WRITTEN, examples, rendered

pytestmark = pytest.mark.once


def test_the_examples_that_are_checked_are_those_of_the_docstrings() -> None:
    """`docstring_examples.py` is as `python -m tests.proofs.typing.docstrings` writes it."""
    assert WRITTEN.read_text(encoding="utf-8") == rendered()
    assert len(examples()) >= 8


async def _answer(handler: Callable[[web.Request], Any]) -> str | None:
    reply = await handler(make_mocked_request("POST", "/", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}))
    assert isinstance(reply, web.Response)
    return reply.text


@pytest.mark.parametrize("name", examples())
async def test_an_example_runs_as_it_is_typed(
    name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the names that it may use, and settings in the environment, an example of a docstring does what it says."""
    for library in {"procrastinate", "taskiq"} & {name.removeprefix("queues_")}:
        pytest.importorskip(library)
    monkeypatch.setenv("FIELDING_BASE_URL", sandbox.url)
    monkeypatch.setenv("FIELDING_TOKEN", TOKEN)
    monkeypatch.setenv("FIELDING_PLANS_URL", "postgresql://localhost/plans")
    monkeypatch.setenv("FIELDING_SHARED_URL", "redis://localhost")
    ref = sandbox.add_run("scheduled" if name == "fielding_async" else "live")
    async with FieldingSession() as fielding:
        given: dict[str, Any] = {
            "fielding": fielding,
            "run": fielding.run(ref),
            "ref": ref,
            "refs": [ref],
            "secret": "s",
        }
        given |= {key: getattr(ref, key) for key in ("account_id", "project_id", "target_group_id", "fielding_run_id")}
        assert given.keys() == GIVEN.keys()
        code = compile(examples()[name], name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, given)
        if inspect.isawaitable(result):
            # the request that stands for all that the library does not know is unknown to the sandbox as well
            with pytest.raises(NotFoundError) if name == "handles_raw_request_request" else nullcontext():
                await result
        text = None if "handler" not in given else await _answer(given["handler"])
    writes = {"fielding_async": "launch-now", "handles_run_update": "update", "session_perform_all": "complete"}
    writes["telemetry_incoming_context_trace_context"] = "pause"
    assert applied(sandbox) == ([writes[name]] if name in writes else [])
    if name == "session_perform_all":
        assert capsys.readouterr().out == f"{ref} accepted\n"
    if name == "telemetry_incoming_context_trace_context":
        assert (text, sandbox.history[0].trace_id) == ("accepted", "a" * 32)
