"""The control door: another process adds, scripts, changes and reads, with checked input."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Cut, Delay, Hold, Sandbox, SecondWriter, Status
from fielding_async.sandbox.control.fault_forms import fault_from_json, fault_from_text
from tests.sandbox.api import status_of
from tests.tools.waits import HANG

from .door import Door


@pytest.fixture
def door() -> Iterator[Door]:
    """A sandbox with a control door."""
    with Sandbox(control=True) as sandbox:
        yield Door(sandbox)


def test_it_adds_runs_and_drafts(door: Door) -> None:
    """Runs and drafts are added as by `add_run` and `add_draft`, many at a time."""
    status, found = door("POST", "/runs", {"count": 3, "status": "paused", "version": 7})
    assert (status, len(found["runs"])) == (201, 3)
    status, found = door("GET", "/runs?status=paused&limit=2")
    assert (found["total"], [run["etag"] for run in found["runs"]]) == (3, ['W/"7"', 'W/"7"'])
    status, found = door("POST", "/drafts", {"failure": {"code": "QuotaInvalid", "description": "No quota."}})
    assert (status, set(found)) == (201, {"account_id", "project_id", "target_group_id"})


def test_it_writes_as_a_colleague_and_moves_the_clock(door: Door) -> None:
    """A touch is a colleague's write; the clock leads to what is due."""
    ref = door.sandbox.add_run("scheduled")
    status, found = door("POST", "/touch", {"ref": str(ref), "end_fielding_at": "2999-01-01T00:00:00Z"})
    assert (status, found["end_fielding_at"], found["version"]) == (201, "2999-01-01T00:00:00.000Z", 2)
    assert door("POST", "/clock", {"advance": 2 * 86_400})[0] == 201
    assert door.sandbox.inspect(ref).status == "live"
    assert door("POST", "/pause-by-exchange", {"ref": str(ref)})[1]["status"] == "paused"
    writes = door("GET", "/history?after=1")[1]["writes"]
    assert [(write["seq"], write["by"]) for write in writes] == [(2, "clock"), (3, "exchange")]


def test_it_scripts_faults(door: Door) -> None:
    """Faults are named by class, an array of them strikes one request, and unused ones can be cleared."""
    ref = door.sandbox.add_run("live")
    faults = [{"fault": "status", "code": 503, "body": "<p>"}, [{"fault": "Delay", "seconds": 0}, {"fault": "Cut"}]]
    status, found = door("POST", "/faults", {"faults": faults, "on": "get", "ref": str(ref)})
    assert (status, len(found["unused"])) == (201, 3)
    assert door.sandbox.unused_faults == [Status(503, body=b"<p>"), Delay(0), Cut()]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        status_of(door.sandbox, ref)
    requests = door("GET", "/requests")[1]["requests"]
    assert [(request["operation"], request["status"]) for request in requests] == [("get", 503)]
    assert door("DELETE", "/faults")[1] == {"unused": []}


def test_it_sets_limits_and_latency(door: Door) -> None:
    """Requests of the door itself count against no limit."""
    ref = door.sandbox.add_run()
    assert door("PUT", "/rate-limit", {"per_second": 1, "kind": "request-count"})[1]["rate_limit"] == 1
    status_of(door.sandbox, ref)
    with pytest.raises(urllib.error.HTTPError, match="429"):
        status_of(door.sandbox, ref)
    assert door("PUT", "/rate-limit", {"per_second": None})[0] == 200
    assert door("PUT", "/in-flight-limit", {"requests": 4, "retry_after": "zero"})[1]["in_flight_limit"] == 4
    assert door("PUT", "/latency", {"seconds": 0.01})[1]["latency"] == 0.01
    assert '"scheduled"' in status_of(door.sandbox, ref)


def test_a_held_request_is_released(door: Door) -> None:
    """A `Hold` is released from outside, whether it was scripted from outside or in the process of the sandbox."""
    ref = door.sandbox.add_run()
    door("POST", "/faults", {"faults": [{"fault": "Hold"}]})
    door.sandbox.script(Hold())
    assert door("POST", "/release", {}) == (201, {"released": 2})
    assert door("POST", "/release", {}) == (201, {"released": 0})
    assert '"scheduled"' in status_of(door.sandbox, ref)
    assert '"scheduled"' in status_of(door.sandbox, ref)


LATE = "9999-12-31T23:59:59-14:00"
RUN = f"101/{'P' * 26}/{'G' * 26}/R1"
OTHER_RUN = RUN.replace("R1", "RUN9")

WRONG: dict[str, tuple[str, str, Any, int, str]] = {
    "a fault's letters": (
        "POST",
        "/faults",
        {"faults": [{"fault": "Cut", "at": "befor"}]},
        400,
        "did you mean 'before'?",
    ),
    "no such fault": ("POST", "/faults", {"faults": [{"fault": "Cutt"}]}, 400, "did you mean 'Cut'?"),
    "an argument's name": (
        "POST",
        "/faults",
        {"faults": [{"fault": "Delay", "second": 1}]},
        400,
        "did you mean 'seconds'?",
    ),
    "an argument left out": (
        "POST",
        "/faults",
        {"faults": [{"fault": "Delay"}]},
        400,
        "must be given all its arguments",
    ),
    "no array": ("POST", "/faults", {"faults": {"fault": "Cut"}}, 400, "must be an array"),
    "a text for a fault": ("POST", "/faults", {"faults": ["Cut"]}, 400, "must be an object such as"),
    "a key too many": ("POST", "/runs", {"state": "live"}, 400, "did you mean 'status'?"),
    "no such status": ("POST", "/runs", {"status": "Live"}, 400, "did you mean 'live'?"),
    "too many": ("POST", "/runs", {"count": 10**9}, 400, "from 1 to 10000"),
    "no ref": ("POST", "/touch", {}, 400, "account/project/target_group/run"),
    "no such run": ("POST", "/touch", {"ref": "1/P/T/R"}, 404, "There is no run 1/P/T/R"),
    "no time": ("POST", "/runs", {"end_fielding_at": "tomorrow"}, 400, "2031-05-01T09:00:00Z"),
    "a naive time": ("POST", "/runs", {"end_fielding_at": "2031-05-01T09:00:00"}, 400, "aware"),
    "a text of a number": ("POST", "/clock", {"advance": "1d"}, 400, "did you mean 86400?"),
    "no number": ("GET", "/runs?offset=-1", None, 400, "whole number"),
    "no limit given": ("PUT", "/rate-limit", {}, 400, "null removes the limit"),
    "no JSON": ("POST", "/runs", b"{", 400, "must be a JSON object"),
    "a list": ("POST", "/runs", [], 400, "must be a JSON object"),
    "no such endpoint": ("GET", "/histroy", None, 404, "did you mean 'history'?"),
    "another run of a target group": ("POST", "/touch", {"ref": OTHER_RUN}, 404, "There is no run"),
    "another run to pause": ("POST", "/pause-by-exchange", {"ref": OTHER_RUN}, 404, "There is no run"),
    "a time after the calendar": ("POST", "/touch", {"ref": RUN, "end_fielding_at": LATE}, 400, "the years 1 to 9999"),
    "a date that leaves no other": (
        "POST",
        "/runs",
        {"end_fielding_at": "0001-01-01T00:00:00Z"},
        400,
        "pass both dates",
    ),
    "bytes of no text": ("POST", "/faults", {"faults": [{"fault": "RawReply", "data": "\ud800"}]}, 400, "UTF-8"),
    "a body of no text": (
        "POST",
        "/faults",
        {"faults": [{"fault": "Status", "code": 503, "body": "\ud800"}]},
        400,
        "UTF-8",
    ),
    "a header of no text": (
        "POST",
        "/faults",
        {"faults": [{"fault": "SetHeader", "name": "Age", "value": "\ud800"}]},
        400,
        "surrogates",
    ),
    "a long shift": (
        "POST",
        "/faults",
        {"faults": [{"fault": "SecondWriter", "shift_end": 1e11}]},
        400,
        "at most 36500 days",
    ),
    "a shift that is no time": (
        "POST",
        "/faults",
        {"faults": [{"fault": "SecondWriter", "shift_end": 1e300}]},
        400,
        "at most 36500 days",
    ),
    "no text for on": ("POST", "/faults", {"faults": [{"fault": "Cut"}], "on": []}, 400, "script(on=[])"),
    "a burst too large": (
        "PUT",
        "/rate-limit",
        {"per_second": 5, "kind": "token-bucket", "burst": 10**400},
        400,
        "1000000000",
    ),
    "a number of seconds too large": ("POST", "/clock", {"advance": 10**400}, 400, "from 0 to"),
    "another method": ("DELETE", "/runs", None, 405, "takes GET, POST"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(door: Door, case: str) -> None:
    """Each mistake has its status and a text that names argument and rule, and changes nothing."""
    method, path, body, status, text = WRONG[case]
    account, project, group, run = RUN.split("/")
    door.sandbox.add_run(
        "live", account_id=int(account), project_id=project, target_group_id=group, fielding_run_id=run
    )
    got, found = door(method, path, body)
    assert (got, found["object"]) == (status, "control_error")
    assert text in found["detail"]
    assert door("GET", "")[1]["runs"] == 1
    assert (door.sandbox.history, door.sandbox.unused_faults, door.sandbox.failures) == ((), [], ())


def test_the_clock_stays_within_the_calendar(door: Door) -> None:
    """What would lead beyond the year 9000 is a 400 and moves nothing, and the sandbox works on."""
    ref = door.sandbox.add_run("live")
    while (status := door("POST", "/clock", {"advance": 1e10})[0]) == 201:
        assert door.sandbox.now.year < 9000
    before = door.sandbox.now
    with pytest.raises(ConfigurationError, match=r"beyond the year 9000: pass less"):
        door.sandbox.advance(1e10)
    assert (status, door.sandbox.now - before < timedelta(minutes=5)) == (400, True)
    door.sandbox.advance(1)
    door.sandbox.script(SecondWriter(shift_end=timedelta(days=36_500)))
    door.sandbox.touch(ref, end_fielding_at=datetime.max.replace(tzinfo=UTC))
    assert '"completed"' in status_of(door.sandbox, ref)
    assert door("GET", "/runs")[0] == 200
    assert door.sandbox.failures == ()


def test_only_this_machine_with_the_token_gets_in() -> None:
    """Another token, another name in `Host`, and a page of another origin are refused, whatever else is allowed."""
    with Sandbox(control=True, hosts=("box.example",)) as sandbox:
        door = Door(sandbox)
        assert door("GET", "", Authorization="")[0] == 401
        assert door("GET", "", Authorization="Bearer control.x")[0] == 401
        assert door("GET", "", Host="box.example")[0] == 421
        assert door("GET", "", Origin="http://evil.example")[0] == 403
        assert door("GET", "", Host="localhost")[0] == 200
        assert door("POST", "/runs", b" " * ((1 << 20) + 1))[0] == 413
        assert door("GET", "", X=("x" * 8000), Y=("y" * 8000), Host="box.example")[1]["object"] == "control_error"
        assert (sandbox.requests, sandbox.failures) == ((), ())


def test_without_the_setting_there_is_no_door() -> None:
    """A sandbox has no door and no page unless it is asked for."""
    with Sandbox() as sandbox:
        with pytest.raises(RuntimeError, match="control=True"):
            _ = sandbox.control_url
        origin = sandbox.url.removesuffix("/v1")
        for path in ("/", "/control"):
            with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                urllib.request.urlopen(origin + path, timeout=HANG)
            refused.value.close()


def test_the_stream_of_events_ends_when_the_sandbox_stops() -> None:
    """A reader gets what is there, what is new, and an end."""
    sandbox = Sandbox(control=True)
    sandbox.add_run("live")
    sandbox.start()
    headers = {"Authorization": f"Bearer {sandbox.control_token}"}
    request = urllib.request.Request(sandbox.control_url + "/events", headers=headers)
    with urllib.request.urlopen(request, timeout=HANG) as reply:
        first = json.loads(reply.readline().removeprefix(b"data: "))
        assert (first["state"]["runs"], first["projects"][0]["statuses"]) == (1, {"live": 1})
        sandbox.add_run("paused")
        while b"paused" not in (line := reply.readline()):
            assert line
        sandbox.stop()
        assert b"event: end" in reply.read()


@pytest.mark.parametrize(
    ("text", "fault", "count", "on"),
    [
        ("cut:after@pause", {"fault": "Cut", "at": "after"}, 1, "pause"),
        ("3*status:503@GET", {"fault": "Status", "code": 503}, 3, "GET"),
        ("status:429,retry_after=2", {"fault": "Status", "code": 429, "retry_after": "2"}, 1, None),
        ("status:503,applied=true", {"fault": "Status", "code": 503, "applied": True}, 1, None),
        ("delay:0.5,after", {"fault": "Delay", "seconds": 0.5, "when": "after"}, 1, None),
        ("set-header:Age,7@get", {"fault": "SetHeader", "name": "Age", "value": "7"}, 1, "get"),
        ("second-writer:when=after", {"fault": "SecondWriter", "when": "after"}, 1, None),
        ("job-omits:A+B@bulk-pause", {"fault": "JobOmits", "target_group_ids": ["A", "B"]}, 1, "bulk-pause"),
        ("refuse", {"fault": "Refuse"}, 1, None),
    ],
)
def test_a_fault_can_be_written_as_a_text(text: str, fault: dict[str, Any], count: int, on: str | None) -> None:
    """The command line's form names the same faults as JSON."""
    assert fault_from_text(text) == ([fault_from_json(fault)] * count, on)


@pytest.mark.parametrize("text", ["", "cut:befor", "0*cut", "nothing", "status:many", "refuse:1", "cut after"])
def test_a_text_that_is_no_fault_is_refused(text: str) -> None:
    """What cannot be read is a `ConfigurationError`."""
    with pytest.raises(ConfigurationError):
        fault_from_text(text)
