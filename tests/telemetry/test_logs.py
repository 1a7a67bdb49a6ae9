"""The log: quiet unless somebody listens, a line for each thing that happens, and in it only what was meant for it."""

import asyncio
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from fielding_async import ClientCredentials, FieldingError
from fielding_async.sandbox import Cut, Hold, Sandbox, SecondWriter, Status
from fielding_async.telemetry.log_lines import EXTRA, LINES, warn_once
from tests.tools.sessions import TOKEN, session

LOGGER = "fielding_async"


def extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return our attributes of a record, without what their names begin with."""
    return {name.removeprefix(EXTRA): value for name, value in vars(record).items() if name.startswith(EXTRA)}


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    """Return our records: level, and the values named."""
    ours = [record for record in caplog.records if record.name == LOGGER]
    for record in ours:
        text = str(record.msg).removeprefix("%(session)s: ")
        (name,) = [name for name, line in LINES.items() if text == f"%(operation)s: {line[1]} [%(trace_id)s]"]
        assert isinstance(record.args, dict)
        assert set(record.args) == set(re.findall(r"%\((\w+)\)", str(record.msg)))
        assert record.levelno == LINES[name][0]
        assert extra(record) == {"line": name, **record.args}
    return [(record.levelname, dict(record.args)) for record in ours if isinstance(record.args, dict)]


async def test_each_thing_that_happens_is_one_line(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Retries, conflicts and pauses are a line each at INFO, lost replies at DEBUG, with the trace id of the call."""
    caplog.set_level(logging.DEBUG, LOGGER)
    ref = sandbox.add_run("live")
    sandbox.script(Cut("before"), Status(503), SecondWriter(), Status(429, retry_after="0.05"), on="pause")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).pause()
        await fielding.run(ref).resume()
    call = {"operation": "pause", "trace_id": outcome.trace_id}
    found = lines(caplog)
    for _, values in found:
        if "attempt" in values:
            assert 0 <= values.pop("seconds") <= 0.01
    assert found == [
        ("DEBUG", call | {"error_type": "connection"}),
        ("INFO", call | {"attempt": 1, "error_type": "connection"}),
        ("DEBUG", call | {"error_type": "503"}),
        ("INFO", call | {"attempt": 2, "error_type": "503"}),
        ("INFO", call | {"conflicts": 1, "run": ref.fielding_run_id}),
        ("INFO", call | {"seconds": pytest.approx(0.05)}),
    ]
    texts = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert texts[0] == f"pause: no usable reply (connection), may be applied [{outcome.trace_id}]"
    assert texts[4] == f"pause: 412, conflict 1 on run {ref.fielding_run_id} [{outcome.trace_id}]"
    assert texts[5] == f"pause: 429, all requests pause for 0.05 s [{outcome.trace_id}]"


async def test_renewals_and_failures_to_renew_are_lines(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """A token renewed is a line at INFO, as is the replay it serves; one that could not be fetched is a WARNING."""
    caplog.set_level(logging.DEBUG, LOGGER)
    sandbox.add_client("client", "client-secret")
    auth = ClientCredentials("client", "client-secret", token_url=sandbox.token_url)
    ref = sandbox.add_run("live")
    async with session(sandbox, auth=auth) as fielding:
        await fielding.run(ref).get()
        sandbox.expire_tokens()
        await fielding.run(ref).get()
        sandbox.expire_tokens()
        sandbox.script(Status(401), on="token")
        with pytest.raises(FieldingError):
            await fielding.run(ref).get()
    texts = [record.getMessage().rpartition(" [")[0] for record in caplog.records if record.name == LOGGER]
    assert texts == [
        "get: token renewed",
        "get: 403, trying again with another token",
        "get: token renewed",
        "get: 403, trying again with another token",
        "get: no token (AuthenticationError)",
    ]
    assert [level for level, _ in lines(caplog)] == ["INFO"] * 4 + ["WARNING"]
    assert "client-secret" not in caplog.text


async def test_what_a_cancelled_call_leaves_in_doubt_is_a_warning(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A write in doubt after its caller was cancelled is a WARNING."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="pause")
    async with session(sandbox) as fielding:
        task = asyncio.create_task(fielding.run(ref).pause())
        await hold.arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.release()
        await fielding.run(ref).resume()
    (level, values), (later, end) = lines(caplog)
    assert (level, values["operation"]) == ("WARNING", "pause")
    assert "may or may not be applied" in values["text"]
    assert (later, end["operation"], end["result"]) == ("WARNING", "pause", "accepted (204)")
    assert end["trace_id"] == values["trace_id"]


async def test_no_line_holds_what_the_server_or_the_caller_said(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Bodies, headers and tokens stay out of the log at every level, whatever goes wrong."""
    caplog.set_level(logging.DEBUG, LOGGER)
    ref = sandbox.add_run("live")
    said = f'{{"detail": "seen {TOKEN} in private-words"}}'.encode()
    sandbox.script(Status(500, body=said), Status(429, retry_after="0.01", body=said), on="pause")
    async with session(sandbox) as fielding:
        await fielding.run(ref).pause()
    assert len(lines(caplog)) == 3
    for record in caplog.records:
        if record.name == LOGGER:
            assert TOKEN not in f"{record.getMessage()}{record.__dict__}"
            assert "private-words" not in f"{record.getMessage()}{record.__dict__}"
            assert "W/" not in record.getMessage()


async def test_the_values_of_a_line_are_attributes_of_its_record(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Each value is an attribute with a prefix, as it was given, beside the line's name; so is the session's name."""
    caplog.set_level(logging.INFO, LOGGER)
    ref = sandbox.add_run("live")
    sandbox.script(SecondWriter(), on="pause")
    async with session(sandbox, name="billing") as fielding:
        outcome = await fielding.run(ref).pause()
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert extra(record) == {
        "line": "conflict",
        "session": "billing",
        "operation": "pause",
        "trace_id": outcome.trace_id,
        "run": ref.fielding_run_id,
        "conflicts": 1,
    }
    text = f"billing: pause: 412, conflict 1 on run {ref.fielding_run_id} [{outcome.trace_id}]"
    assert record.getMessage() == text
    assert lines(caplog) == [("INFO", {key: value for key, value in extra(record).items() if key != "line"})]


def test_a_warning_about_no_call_has_its_text_as_an_attribute(caplog: pytest.LogCaptureFixture) -> None:
    """The warning that is written once is marked as such, and holds its text."""
    warn_once("the test's own text")
    warn_once("the test's own text")
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert extra(record) == {"line": "once", "text": "the test's own text"}


def test_a_program_that_configures_no_log_sees_none() -> None:
    """With no handler set up, not even warnings of ours get to stderr."""
    code = """
import fielding_async.telemetry.log_lines as logs
class Call: name, trace_id, session = "pause", "0", None
logs.write_line("doubt", Call(), text="x")
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("", "")
